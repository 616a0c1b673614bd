"""Slowing down who guesses passwords, by where they come from.

A guess counts from before it is looked at, so that many at once are no more than one after another.

Failures count for a name from one network (an IPv4 address; an IPv6 /64, and with more patience its
/48) alone: whoever fails on purpose locks out nobody but themselves. A name that does not exist
counts the same, and so does each spelling: only one spelling is the name of an account.
"""

import threading
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
        self._pending: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def check(self, name: str, address: str) -> None:
        """Let a login be tried.

        Raises:
            LimitExceeded: The name was failed from there too often to be tried now.
        """
        with self._lock:
            self._check(name, address)

    def _check(self, name: str, address: str) -> None:
        for place, free in self._places(name, address):
            count, last = self._failures.get(place, (0, 0.0))
            pending = self._pending.get(place, 0)
            wait = last + _delay(count - free) - self._clock() if count >= free else 0.0
            if wait > 0 or (pending and count + pending >= free):
                raise LimitExceeded(
                    "too many failed logins", hint=f"Try again in {int(max(wait, 0)) + 1} seconds."
                )

    def attempt(self, name: str, address: str, guess: Callable[[], bool]) -> bool:
        """Look at a guess, which counts as failed until it is known to be right; on any thread.

        Args:
            name: Whose password is guessed.
            address: Where from.
            guess: Tells whether it is right, after a while.

        Returns:
            What ``guess`` tells.

        Raises:
            LimitExceeded: The name was failed from there too often, by those that are looked at
                at this moment as well.
        """
        with self._lock:
            self._check(name, address)
            for place, _ in self._places(name, address):
                self._pending[place] = self._pending.get(place, 0) + 1
        right = None
        try:
            right = guess()
        finally:
            with self._lock:
                for place, _ in self._places(name, address):
                    self._pending[place] -= 1
                    if not self._pending[place]:
                        del self._pending[place]
                if right:
                    self._forget(name, address)
                elif right is not None:
                    self._count(name, address)
        return right

    def failed(self, name: str, address: str) -> None:
        """Count a failure."""
        with self._lock:
            self._count(name, address)

    def _count(self, name: str, address: str) -> None:
        now = self._clock()
        for place, _ in self._places(name, address):
            count, last = self._failures.pop(place, (0, now))
            if now - last > _FORGET_SECONDS:
                count = 0
            self._failures[place] = (count + 1, now)
            if len(self._failures) > LIMIT:
                self._failures.popitem(last=False)

    def _forget(self, name: str, address: str) -> None:
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
