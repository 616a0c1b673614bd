"""The client's address behind proxies that are trusted to tell it.

``X-Forwarded-For`` is believed only from a peer in one of the configured networks, and only as
far as trusted proxies have written it: read from the right, the first address that is not a
trusted proxy's is the client. What does not parse ends the reading and is never an error.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from adyton.errors import ConfigurationError

HEADER: Final = "x-forwarded-for"
UNKNOWN: Final = "unknown"
"""Stands for an address that is not known; it is in no network."""
_MAX_HOPS: Final = 32
_MAX_CHARS: Final = 2_048

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """Finds out where requests come from.

    Args:
        networks: Networks of proxies that are believed, in CIDR notation; empty for none.

    Raises:
        ConfigurationError: One is not a network.
    """

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._networks = tuple(_network(text) for text in networks)
        self.any = bool(self._networks)
        self.trusts = lru_cache(maxsize=1_024)(self._look_up)

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """The client's address: the peer's own, unless that is a trusted proxy's.

        :data:`UNKNOWN` where a trusted proxy tells one in a header that can't be read: whoever
        writes into that header must not come to have the proxy's own address.
        """
        if not self.trusts(peer):
            return peer
        if HEADER not in headers:
            return peer
        told = _told(headers)
        if told is None:
            return UNKNOWN
        client = peer
        for text in reversed(told[-_MAX_CHARS:].split(",")[-_MAX_HOPS:]):
            hop = _address(text)
            if not hop:
                break
            client = hop
            if not self.trusts(hop):
                break
        return client

    def _look_up(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None) or parsed
        return any(mapped in network for network in self._networks)


def _told(headers: Mapping[str, str]) -> str | None:
    """What all lines of the header say, in their order; None if there is none in ASCII.

    A proxy may add a line of its own below the client's (RFC 9110, section 5.3). Of lines that
    are not ASCII the HTTP server tells nothing.
    """
    every = getattr(headers, "get_all", None)
    if every is None:
        return headers[HEADER]
    lines: list[str] = every(HEADER)
    return ",".join(lines) if lines else None


def _network(text: str) -> _Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ConfigurationError(
            f"the trusted proxy {text!r} is not a network",
            hint="Write an address or a network, such as 10.0.0.0/8 or fd00::/64.",
        ) from None


def _address(text: str) -> str:
    """One hop's address without port and brackets, or empty."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    if "%" in text:
        return ""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
