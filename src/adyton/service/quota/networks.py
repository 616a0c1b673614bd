"""Where requests come from, as things to count by."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias


class Network(NamedTuple):
    """Where an address belongs.

    Attributes:
        own: What one subscriber has at least: an IPv4 address, or an IPv6 /64.
        wide: What one may have: the IPv4 /24, or the IPv6 /48 (RFC 6177). Whoever has it can
            take a new ``own`` for each request.
        lane: What takes turns with others: the IPv4 address, or the IPv6 /48.
    """

    own: str
    wide: str
    lane: str


_Parsed: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Whether an address is in one of the networks; any is where there are none.

    Mapped addresses are IPv4's, as in :func:`network_of`. What is no address is in no network, and
    what is no network has no address in it.
    """
    if not networks:
        return True
    here = _parsed(address)
    return here is not None and any(_holds(network, here) for network in networks)


def _holds(network: str, here: _Parsed) -> bool:
    try:
        return here in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _parsed(address: str) -> _Parsed | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


@lru_cache(maxsize=8_192)
def network_of(address: str) -> Network:
    """The network of an address; what is no address belongs to one network, ``?``.

    Mapped addresses (RFC 4291, section 2.5.5.2) are IPv4's.
    """
    parsed = _parsed(address)
    if parsed is None:
        return Network("?", "?", "?")
    if isinstance(parsed, ipaddress.IPv6Address):
        packed = parsed.packed
        wide = packed[:6].hex()
        return Network(packed[:8].hex(), wide, wide)
    text = str(parsed)
    return Network(text, text.rpartition(".")[0], text)
