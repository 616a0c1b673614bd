"""Slowing down who guesses passwords, by where they come from.

Failures count for a name from one network (an IPv4 address, or an IPv6 /64) alone: whoever fails
on purpose locks out nobody but themselves. A name that does not exist counts the same.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from adyton.errors import LimitExceeded

FREE_FAILURES: Final = 5
FIRST_DELAY_SECONDS: Final = 1.0
LONGEST_DELAY_SECONDS: Final = 300.0
_FORGET_SECONDS: Final = 3_600.0
_LIMIT: Final = 50_000


class LoginThrottle:
    """Counts failures.

    Args:
        clock: Monotonic seconds.
        key: Random; names are kept as keyed hashes.
    """

    def __init__(self, clock: Callable[[], float], key: bytes) -> None:
        self._clock = clock
        self._key = key
        self._failures: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def check(self, name: str, address: str) -> None:
        """Let a login be tried.

        Raises:
            LimitExceeded: The name was failed from there too often to be tried now.
        """
        count, last = self._failures.get(self._place(name, address), (0, 0.0))
        wait = last + _delay(count) - self._clock()
        if count >= FREE_FAILURES and wait > 0:
            raise LimitExceeded(
                "too many failed logins", hint=f"Try again in {int(wait) + 1} seconds."
            )

    def failed(self, name: str, address: str) -> None:
        """Count a failure."""
        place, now = self._place(name, address), self._clock()
        count, last = self._failures.pop(place, (0, now))
        if now - last > _FORGET_SECONDS:
            count = 0
        self._failures[place] = (count + 1, now)
        if len(self._failures) > _LIMIT:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Forget failures."""
        self._failures.pop(self._place(name, address), None)

    def _place(self, name: str, address: str) -> bytes:
        try:
            parsed = ipaddress.ip_address(address)
            if parsed.version == 6:
                address = str(ipaddress.ip_network(f"{address}/64", strict=False))
        except ValueError:
            pass
        text = f"{name}\x00{address}".encode("utf-8", "replace")
        return blake2b(text, key=self._key, digest_size=16).digest()


def _delay(count: int) -> float:
    steps = min(count - FREE_FAILURES, 20)
    return min(FIRST_DELAY_SECONDS * 2.0**steps, LONGEST_DELAY_SECONDS)
