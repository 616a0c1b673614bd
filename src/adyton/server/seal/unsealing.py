"""Shares that are entered at a sealed server (``docs/adr/0010``).

Nobody has to be known to enter one. Only a right share changes anything, so strangers can neither
add to what was entered nor take from it; wrong shares cost their sender time, and right ones are
never refused for what others have sent.
"""

import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from adyton.crypto import shares
from adyton.crypto.gathering import Gathering
from adyton.crypto.secretbytes import SecretBytes
from adyton.crypto.shares import ShareSet
from adyton.errors import InvalidInput
from adyton.service.access.throttle import LoginThrottle
from adyton.service.quota.networks import network_of

KEPT_SECONDS: Final = 86_400.0
"""How long shares are kept after the last one was entered."""


class Unsealing:
    """The shares that were entered since the server was sealed.

    Args:
        sets: The sets that open the store, oldest first.
        clock: Monotonic seconds.

    Attributes:
        wrong: How many wrong ones were refused.
    """

    def __init__(
        self, sets: Sequence[ShareSet], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sets = list(sets)
        self._clock = clock
        self._throttle = LoginThrottle(clock, secrets.token_bytes(16))
        self._gathering = Gathering(self._sets)
        self._from: dict[tuple[bytes, int], str] = {}
        self._last = 0.0
        self.nonce = ""
        self.wrong = 0

    @property
    def possible(self) -> bool:
        """Whether there are shares that open the store."""
        return bool(self._sets)

    @property
    def shown(self) -> ShareSet | None:
        """The set whose state is told: the one that has come farthest, else the newest."""
        self._expire()
        if not self._sets:
            return None
        return max(reversed(self._sets), key=self._gathering.progress)

    def progress(self) -> int:
        """How many shares of that set have been entered."""
        shown = self.shown
        return 0 if shown is None else self._gathering.progress(shown)

    def enter(self, text: "bytes | memoryview", address: str) -> ShareSet | None:
        """Enter a share.

        Returns:
            Its set, if that is complete now.

        Raises:
            InvalidInput: The share is wrong, of another set, or was entered before.
            LimitExceeded: It is wrong, as too many from there have been.
        """
        self._expire()
        try:
            known = self._gathering.enter(shares.parse(text))
        except InvalidInput:
            self.wrong += 1
            self._throttle.check("", address)
            self._throttle.failed("", address)
            raise
        for point in self._gathering.points(known):
            self._from.setdefault((known.set_id, point), network_of(address).own)
        self.nonce = self.nonce or str(uuid.uuid4())
        self._last = self._clock()
        return known if self._gathering.complete(known) else None

    def complete(self, known: ShareSet) -> bool:
        """Whether enough shares of a set are there."""
        return self._gathering.complete(known)

    def key(self, known: ShareSet) -> SecretBytes:
        """The key of a complete set; the caller wipes it."""
        return self._gathering.key(known)

    def sources(self, known: ShareSet) -> list[str]:
        """Where the shares of a set came from, for the record."""
        points = self._gathering.points(known)
        return [f"share {point} from {self._from[known.set_id, point]}" for point in points]

    def take_back(self, address: str) -> None:
        """Wipe the shares that came from an address; those of others stay."""
        for known in self._sets:
            for point in self._gathering.points(known):
                if self._from.get((known.set_id, point)) == network_of(address).own:
                    self._gathering.take_back(known, point)
                    del self._from[known.set_id, point]
        if not self._from:
            self.nonce = ""

    def wipe(self) -> None:
        """Wipe all shares."""
        self._gathering.wipe()
        self._from.clear()
        self.nonce = ""

    def _expire(self) -> None:
        if self.nonce and self._clock() - self._last > KEPT_SECONDS:
            self.wipe()
