"""Slowing down who guesses passwords, by where they come from.

Failures count for a name from one network (an IPv4 address; an IPv6 /64, and with more patience its
/48) alone: whoever fails on purpose locks out nobody but themselves. A name that does not exist
counts the same, and so does each spelling: only one spelling is the name of an account.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Final

from adyton.errors import LimitExceeded
from adyton.service.quota.networks import network_of
from adyton.service.quota.rates import WIDE

FREE_FAILURES: Final = 5
FIRST_DELAY_SECONDS: Final = 1.0
LONGEST_DELAY_SECONDS: Final = 300.0
_FORGET_SECONDS: Final = 3_600.0
LIMIT: Final = 50_000
"""Counts that are kept. Each new one costs whoever makes it a hash, some 20 milliseconds."""


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
        for place, free in self._places(name, address):
            count, last = self._failures.get(place, (0, 0.0))
            wait = last + _delay(count - free) - self._clock()
            if count >= free and wait > 0:
                raise LimitExceeded(
                    "too many failed logins", hint=f"Try again in {int(wait) + 1} seconds."
                )

    def failed(self, name: str, address: str) -> None:
        """Count a failure."""
        now = self._clock()
        for place, _ in self._places(name, address):
            count, last = self._failures.pop(place, (0, now))
            if now - last > _FORGET_SECONDS:
                count = 0
            self._failures[place] = (count + 1, now)
            if len(self._failures) > LIMIT:
                self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Forget failures."""
        for place, _ in self._places(name, address):
            self._failures.pop(place, None)

    def _places(self, name: str, address: str) -> Iterator[tuple[bytes, int]]:
        """Where failures of a name count, and how many are free there."""
        network = network_of(address)
        yield self._place(name, network.own), FREE_FAILURES
        if network.lane != network.own:
            yield self._place(name, network.lane), FREE_FAILURES * WIDE

    def _place(self, name: str, network: str) -> bytes:
        text = f"{name}\x00{network}".encode("utf-8", "replace")
        return blake2b(text, key=self._key, digest_size=16).digest()


def _delay(failures: int) -> float:
    steps = min(failures, 20)
    return min(FIRST_DELAY_SECONDS * 2.0**steps, LONGEST_DELAY_SECONDS)
