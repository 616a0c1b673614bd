"""Whether the roots of trust would open the store again, should it be closed now.

The root that has opened the store must go on to do so: where it is away for longer than a limit,
or refuses for longer than another, the store is to be sealed (``docs/guide/sealing.md``).
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, runtime_checkable

from adyton.errors import AdytonError, RootError, RootUnavailable
from adyton.ports import RootOfTrust
from adyton.service.core import Core

INTERVAL_SECONDS: Final = 60.0
_REMIND_SECONDS: Final = 3_600.0
_log = logging.getLogger("adyton.root")


@runtime_checkable
class SourcedRoot(Protocol):
    """A root that keeps in memory what it has read somewhere."""

    def check_source(self) -> None:
        """Look there again: what it was made of is to be there still.

        Raises:
            RootLocked: Something else is there.
            RootUnavailable: It is not there, or can't be read.
        """


def _boot_seconds() -> float:
    """Seconds on a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class RootLimits(NamedTuple):
    """How long a store is served whose root would not open it any more.

    Attributes:
        interval: Seconds between two checks.
        away: Seconds for a root that does not answer; 0 for no limit.
        refused: Seconds for one that answers, and refuses; 0 for no limit.
    """

    interval: float = INTERVAL_SECONDS
    away: float = 0.0
    refused: float = 0.0


class RootCheck:
    """Asks each root, from time to time, for the store's own master key.

    A thread of its own, since a root may be a device or a service that is slow or away.

    Args:
        core: The open store.
        limits: How often, and how long a failure is borne.
        seal: Called once, with the reason, when that is over.
        clock: Seconds that only grow.

    Attributes:
        healthy: For each slot at hand, whether the last check opened the current master key.
    """

    def __init__(
        self,
        core: Core,
        limits: RootLimits = RootLimits(),  # noqa: B008 - immutable
        seal: Callable[[str], None] | None = None,
        clock: Callable[[], float] = _boot_seconds,
    ) -> None:
        self._core = core
        self._limits = limits
        self._seal = seal
        self._clock = clock
        self._stop = threading.Event()
        self.healthy = dict.fromkeys(core.slots, True)  # they have just opened the store
        self._failing_since: float | None = None
        self._refusing_since: float | None = None
        self._told = 0.0
        self._thread = threading.Thread(target=self._run, name="adyton-rootcheck", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; a check that is under way is not waited for longer than a second."""
        self._stop.set()
        self._thread.join(1.0)

    @property
    def failing_seconds(self) -> float:
        """For how long the root that opened the store would not do so again; 0 if it would."""
        since = self._failing_since
        return 0.0 if since is None else max(self._clock() - since, 0.0)

    def check(self) -> None:
        """Check all roots now."""
        slots, opener = self._core.slots, self._core.opened_by
        failures = {slot: self._failure(slot, slots[slot]) for slot in sorted(slots)}
        self.healthy = {slot: failure is None for slot, failure in failures.items()}
        failure = failures.get(opener)
        if failure is None or isinstance(failure, RootError):  # of a disk that fails others tell
            self._judge(failure, slots[opener].kind)

    def _run(self) -> None:
        while not self._stop.wait(self._limits.interval):
            self.check()

    def _failure(self, slot: int, root: RootOfTrust) -> AdytonError | None:
        core = self._core
        try:
            if isinstance(root, SourcedRoot):
                root.check_source()
            version, wrapped = core.commit.run_sync(_current(core, slot))
            context = core.ring.master_context(core.ring.store_id, version)
            with root.unwrap(wrapped, context):
                return None
        except AdytonError as error:
            return error

    def _judge(self, failure: RootError | None, kind: str) -> None:
        """Count how long the root has failed, tell it, and seal where it has been too long."""
        now = self._clock()
        if failure is None:
            if self._failing_since is not None:
                _log.info("the %s root opens the master key again", kind)
            self._failing_since = self._refusing_since = None
            return
        refuses = not isinstance(failure, RootUnavailable)
        first = self._failing_since is None
        self._failing_since = now if self._failing_since is None else self._failing_since
        if not refuses:
            self._refusing_since = None
        elif self._refusing_since is None:
            self._refusing_since, first = now, True
        over = self._over(now)
        if self._stop.is_set():
            return
        if over and self._seal is not None:
            self._stop.set()
            _log.error("the store is sealed: %s", over)
            self._seal(over)
        elif first or now - self._told >= _REMIND_SECONDS:
            self._told = now
            what = "refuses" if refuses else "is away"
            _log.warning("the %s root %s: %s%s", kind, what, failure.message, self._left(now))

    def _ends(self) -> list[tuple[float, str]]:
        """When the store is to be sealed, and why."""
        limits, found = self._limits, []
        if limits.away and self._failing_since is not None:
            found.append((self._failing_since + limits.away, "its root was away for too long"))
        if limits.refused and self._refusing_since is not None:
            found.append((self._refusing_since + limits.refused, "its root refuses"))
        return sorted(found)

    def _over(self, now: float) -> str:
        return next((why for end, why in self._ends() if now >= end), "")

    def _left(self, now: float) -> str:
        ends = self._ends()
        return f"; the store is sealed in {ends[0][0] - now:.0f} s" if ends else ""


async def _current(core: Core, slot: int) -> tuple[int, bytes]:
    async with core.storage.snapshot() as rows:
        masters = await rows.master_keys()
    newest = next((row for row in reversed(masters) if row.slot == slot), None)
    if newest is None:
        raise RootUnavailable("the root's slot is empty")
    return newest.version, newest.wrapped
