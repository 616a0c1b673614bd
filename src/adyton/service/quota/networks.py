"""Where requests come from, as things to count by."""

import ipaddress
from functools import lru_cache
from typing import NamedTuple


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


@lru_cache(maxsize=8_192)
def network_of(address: str) -> Network:
    """The network of an address; what is no address belongs to one network, ``?``.

    Mapped addresses (RFC 4291, section 2.5.5.2) are IPv4's.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return Network("?", "?", "?")
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        if mapped is None:
            packed = parsed.packed
            wide = packed[:6].hex()
            return Network(packed[:8].hex(), wide, wide)
        parsed = mapped
    text = str(parsed)
    return Network(text, text.rpartition(".")[0], text)
