"""How often requests are let in: over all, by user, by token, and by network without a token."""

from dataclasses import dataclass
from typing import Final

from adyton.service.quota.buckets import Buckets, Rate
from adyton.service.quota.networks import Network

WIDE: Final = 8
"""A wider network may ask this many times as often as one subscriber's."""


@dataclass(frozen=True, slots=True)
class RequestRates:
    """Requests in a second; 0 for no limit. A burst of 0 is two seconds' worth.

    Attributes:
        all_per_second: By everybody together.
        all_burst: At once.
        user_per_second: By the tokens of one user (namespace).
        user_burst: At once.
        token_per_second: By one token.
        token_burst: At once.
        network_per_second: Without a valid token, from one IPv4 address or IPv6 /64. Its /24 or
            /48 may eight times as many.
        network_burst: At once.
    """

    all_per_second: float = 0
    all_burst: int = 0
    user_per_second: float = 0
    user_burst: int = 0
    token_per_second: float = 0
    token_burst: int = 0
    network_per_second: float = 1_000
    network_burst: int = 5_000


class RequestLimits:
    """Decides whether a request is let in, before anything is done for it.

    Args:
        rates: The rates.
    """

    __slots__ = ("_all", "_network", "_token", "_user", "_wide", "limited")

    def __init__(self, rates: RequestRates) -> None:
        self._all = _buckets(rates.all_per_second, rates.all_burst)
        self._user = _buckets(rates.user_per_second, rates.user_burst)
        self._token = _buckets(rates.token_per_second, rates.token_burst)
        self._network = _buckets(rates.network_per_second, rates.network_burst)
        self._wide = _buckets(rates.network_per_second, rates.network_burst, WIDE)
        self.limited = any(each is not None for each in (self._all, self._user, self._token))

    def known(self, user: str, token: str, now: int, *, counted: bool = False) -> int:
        """Count a request that has a valid token.

        Args:
            user: Whose the token is.
            token: Names the token.
            now: Monotonic, in nanoseconds.
            counted: Whether it was let in as a stranger's, and so counted among all.

        Returns:
            0 if it is let in, or the nanoseconds after which it would be; it is not counted then.
        """
        everybody, users, tokens = None if counted else self._all, self._user, self._token
        wait = everybody.wait("", now) if everybody is not None else 0
        if users is not None:
            wait = max(wait, users.wait(user, now))
        if tokens is not None:
            wait = max(wait, tokens.wait(token, now))
        if wait:
            return wait
        if everybody is not None:
            everybody.take("", now)
        if users is not None:
            users.take(user, now)
        if tokens is not None:
            tokens.take(token, now)
        return 0

    def stranger(self, network: Network, now: int) -> int:
        """As :meth:`known`, for a request without a valid token."""
        own, wide, everybody = self._network, self._wide, self._all
        wait = everybody.wait("", now) if everybody is not None else 0
        if own is not None and wide is not None:
            wait = max(wait, own.wait(network.own, now), wide.wait(network.wide, now))
        if wait:
            return wait
        if everybody is not None:
            everybody.take("", now)
        if own is not None and wide is not None:
            own.take(network.own, now)
            wide.take(network.wide, now)
        return 0


def _buckets(per_second: float, burst: int, factor: int = 1) -> Buckets | None:
    if not per_second:
        return None
    return Buckets(Rate(per_second, burst or max(1, round(per_second * 2))).times(factor))
