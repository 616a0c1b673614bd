"""Finds users with new audit records, and has whoever follows them go on, in the background.

Nobody waits for it. What it keeps in memory is found again after a crash, from each follower's
own bookmarks: a user who is looked at without need costs the reading of one object.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from adyton.errors import AdytonError, UserRootAway
from adyton.service.commit import Scope
from adyton.service.core import LOG, Core
from adyton.service.due import Background
from adyton.service.keyring import SYSTEM_USER
from adyton.service.userkeys import UserKeys

JOB: Final = "following"
_SCAN: Final = 20_000
"""Leaves that are looked through at once."""
_MANY: Final = 1_000
"""New records for which a user is not made to wait."""
_PATIENCE: Final = 60.0
"""Seconds that fewer may wait."""
_ASIDE: Final = 3_600.0
"""Seconds until a user whose keys don't open, or with whom a follower fails, is tried again."""
_TICK: Final = 2.0
_SAVE: Final = 50_000
_PAGE: Final = 1_000
_log = logging.getLogger("adyton.following")


class Follower(Protocol):
    """Somebody who follows users' records."""

    async def follow(self, keys: UserKeys, stopped: Callable[[], bool]) -> None:
        """Go on through one user's records to their end, from a bookmark of its own.

        It writes nothing where ``read_on`` has brought nothing: what it writes is a record, too.

        Args:
            keys: The user's keys as they are now.
            stopped: Whether to end early, between two units of work.
        """


class Following:
    """Who has new records, and since when.

    Args:
        core: The open store.
        followers: Called for each such user, one after the other.
        patience: Seconds that a few records may wait; None for a minute.
    """

    def __init__(
        self, core: Core, followers: Sequence[Follower], *, patience: float | None = None
    ) -> None:
        self._core = core
        self._followers = tuple(followers)
        self._patience = _PATIENCE if patience is None else patience
        self._at: int | None = None
        self._saved = 0
        self._waiting: dict[bytes, tuple[int, float]] = {}

    def background(self) -> Background:
        """Does this on a thread of its own."""
        return Background(self._core, "following", self.run, _TICK)

    async def run(self, stopped: Callable[[], bool]) -> int:
        """One pass; how many users were gone on with."""
        await self._look()
        now = time.monotonic()
        ready = [
            user
            for user, (count, since) in self._waiting.items()
            if count >= _MANY or now - since >= self._patience
        ]
        for number, user in enumerate(ready):
            if stopped():
                return number
            count, _ = self._waiting.pop(user)
            if not await self._go_on(user, stopped):
                self._waiting[user] = (0, now + _ASIDE - self._patience)
            elif stopped():
                self._waiting[user] = (count, now)
        await self._save()
        return len(ready)

    async def _look(self) -> None:
        """Note whose records are new."""
        size = self._core.commit.state.size
        if self._at is None:
            self._at = await self._begin(size)
        now = time.monotonic()
        while self._at < size:
            end = min(self._at + _SCAN, size)
            async with self._core.storage.snapshot() as rows:
                found = await rows.users_in(LOG, self._at, end)
            for user, count in found.items():
                if user != SYSTEM_USER:
                    before, since = self._waiting.get(user, (0, now))
                    self._waiting[user] = (before + count, since)
            self._at = end

    async def _begin(self, size: int) -> int:
        """Where an earlier process came to; before the first one, every user waits."""
        async with self._core.storage.snapshot() as rows:
            saved = await rows.job(JOB)
            self._saved = int.from_bytes(saved or b"", "big")
            if 0 < self._saved <= size:
                return self._saved
            after = b""
            while page := await rows.users(after, _PAGE):
                self._waiting |= {row.user: (0, time.monotonic()) for row in page}
                after = page[-1].user
        return size

    async def _go_on(self, user: bytes, stopped: Callable[[], bool]) -> bool:
        core = self._core
        try:
            async with core.storage.snapshot() as rows:
                keys = await core.ring.load_index(rows, user)
            if keys is None:  # purged since
                return True
            for follower in self._followers:
                await follower.follow(core.ring.cached(keys.user_id) or keys, stopped)
        except UserRootAway:  # the records wait for the user as well
            return False
        except AdytonError as error:
            _log.warning("a user's audit records can't be followed: %s", error.message)
            return False
        return True

    async def _save(self) -> None:
        """Write down where to begin after a restart, now and then, while nobody waits."""
        at = self._at
        if at is None or self._waiting or (self._saved and at - self._saved < _SAVE):
            return

        async def work(scope: Scope) -> None:
            await scope.tx.put_job(JOB, at.to_bytes(8, "big"))

        await self._core.commit.submit(work)
        self._saved = at
