"""Work that is due: found by kind, and done in the background (``docs/spec/store.md``, section 7).

Whoever has a kind of work keeps a row of ``due`` for each of its sealed objects, takes one by a
lease, and looks in the object whether something is to be done: a row decides nothing.
"""

import logging
import secrets
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from adyton.dueports import DueRow
from adyton.errors import AdytonError, RootError
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.objects import Shelf
from adyton.service.pace import Pace
from adyton.service.ticket import Operation

PASS: Final = 64
"""What one pass takes at the most; the next one follows at once."""
_ASIDE_US: Final = 3600 * 1_000_000
_AWAY_US: Final = 60 * 1_000_000
_TICK: Final = 1.0
_log = logging.getLogger("adyton.due")
_random: Final = secrets.SystemRandom()


class Found(NamedTuple):
    """An object to which something is due: whose it is, and its id."""

    user: str
    ident: str


def tag(core: Core, kind: str) -> bytes:
    """What marks the rows of a kind of work; a thief can't tell which kind it is."""
    return core.ring.user_index(f"\x02due\x00{kind}")  # no user's id has control characters


async def find(core: Core, shelf: Shelf[Any], kind: bytes = b"", limit: int = PASS) -> list[Found]:
    """What is due of one kind, the longest waiting first; rows that lead nowhere are put aside."""
    async with core.storage.snapshot() as rows:
        due = await rows.due(core.clock.now_us(), limit, kind)
    found = [await _named(core, shelf, row) for row in due]
    return [each for each in found if each is not None]


async def _named(core: Core, shelf: Shelf[Any], row: DueRow) -> Found | None:
    try:
        async with core.storage.snapshot() as rows:
            keys = await core.ring.load_index(rows, row.user)
            found = None
            if keys is not None and row.bucket == shelf.bucket(keys):
                found = await shelf.at(rows, keys, row.ident)
    except AdytonError as error:
        away = isinstance(error, RootError)  # it may come back
        if not away:
            _log.error("what is due can't be read: %s", error.message)
        await _put_aside(core, row, core.clock.now_us() + (_AWAY_US if away else _ASIDE_US))
        return None
    if keys is None or found is None:
        await _put_aside(core, row, 0)
        return None
    return Found(keys.user_id, found[0])


async def _put_aside(core: Core, row: DueRow, until_us: int) -> None:
    async def work(scope: Scope) -> None:
        await scope.tx.put_due(row._replace(ready_us=until_us, lease=b""))

    await core.commit.submit(work)


class Background:
    """Does what is due of one kind, on a thread of its own.

    Args:
        core: The open store.
        name: What the thread is called.
        run: Makes one pass, which ends early once it is stopped, and says how much it took.
        tick: Seconds from one pass to the next while nothing waits.
    """

    def __init__(
        self,
        core: Core,
        name: str,
        run: Callable[[Callable[[], bool]], Operation[int]],
        tick: float = _TICK,
    ) -> None:
        self._core = core
        self._name = name
        self._pass = run
        self._tick = tick
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"adyton-{name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End after the work at hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        wait, pace = 0.0, Pace(self._core.commit.stats)
        while not self._stop.wait(wait):
            # Several nodes over one database don't all come at the same moment.
            wait = self._tick * _random.uniform(0.8, 1.2)
            try:
                taken = self._core.commit.run_sync(self._pass(self._stop.is_set), pace)
            except AdytonError as error:
                _log.warning("%s in the background failed: %s", self._name, error.message)
                continue
            if taken >= PASS:
                wait = 0.0
