"""Counting users' audit records, a unit of the group commit at a time.

Records are read and counted beside the group commit; what they come to is written, with the next
bookmark, in one unit, and only if the bookmark is still where the counting began. So a record is
counted once, wherever a process ends, and two that count the same user don't both count.
"""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias

from adyton.actions import Action
from adyton.errors import IntegrityError
from adyton.model import Caller
from adyton.service.commit import Scope
from adyton.service.core import LOG, Core
from adyton.service.following.reading import STRETCH, Stretch, read_on
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.reports.counting import Counter, Day
from adyton.service.reports.records import (
    ALL,
    DAYS,
    KEPT_DAYS,
    STATES,
    State,
    day_id,
    day_of,
)
from adyton.service.ticket import Pause, turn
from adyton.service.userkeys import UserKeys

COUNTING: Final = Caller("adyton:reports")
_UNIT: Final = 20_000
"""Records of one unit."""
_DROP: Final = 400
"""Old days that one unit looks for at the most, to remove them."""


ReadOn: TypeAlias = Callable[[Core, UserKeys, int, int], Awaitable[Stretch]]


def never() -> bool:
    """Not stopped."""
    return False


class Unit(NamedTuple):
    """What was counted and is not written yet."""

    keys: UserKeys
    begin: int
    state: State
    days: dict[int, Day]

    def __repr__(self) -> str:
        return "<Unit>"


class Folding:
    """Counts records of users (``following.follower.Follower``).

    Args:
        core: The open store.
        stretch: Records that are read at once.
        unit: Records that are written at once.
        read: Reads the next records of a user.
    """

    def __init__(
        self, core: Core, *, stretch: int = STRETCH, unit: int = _UNIT, read: ReadOn = read_on
    ) -> None:
        self._core = core
        self._read = read
        self._stretch = stretch
        self._unit = unit

    async def follow(self, keys: UserKeys, stopped: Callable[[], bool]) -> None:
        """Count one user's records to their end."""
        await self.count(keys, stopped=stopped)

    async def count(
        self,
        keys: UserKeys,
        *,
        stopped: Callable[[], bool] = never,
        most: int | None = None,
        watch: Callable[[int], None] | None = None,
    ) -> bool:
        """Count a user's records; whether that came to their end.

        Args:
            keys: The user's keys.
            stopped: Whether to end early.
            most: How many records at the most, or None for all.
            watch: Told how many were counted so far.
        """
        done = 0
        while not stopped():
            unit, more = await self._prepare(keys, stopped)
            if unit is None:
                return not more
            if not await self._write(unit):
                # Another one has counted, or the keys are others by now: begin anew.
                fresh = await self._core.keys(keys.user_id, fresh=True)
                if fresh is None:
                    return True
                keys = fresh
                continue
            done += unit.state.next - unit.begin
            if watch is not None:
                watch(unit.state.records)
            if not more:
                return True
            if most is not None and done >= most:
                break
        return False

    async def _prepare(
        self, keys: UserKeys, stopped: Callable[[], bool]
    ) -> tuple[Unit | None, bool]:
        """Count what is new, up to the size of a unit; None if that is nothing."""
        core = self._core
        async with core.storage.snapshot() as rows:
            state = await STATES.get(rows, keys, ALL) or State()
        begin, counted = state.next, state.records
        days: dict[int, Day] = {}
        unopened, more = state.unopened, True
        while more and state.records - counted < self._unit and not stopped():
            stretch = await self._read(core, keys, state.next, self._stretch)
            more = stretch.more
            await self._add(keys, state, days, stretch)
            await Pause()
        if state.records == counted and state.unopened == unopened:
            return None, more
        return Unit(keys, begin, state, days), more

    async def _add(
        self, keys: UserKeys, state: State, days: dict[int, Day], stretch: Stretch
    ) -> None:
        state.gap = state.gap or (stretch.gap and bool(stretch.records))
        state.next = stretch.next
        state.unopened += stretch.unopened
        state.records += len(stretch.records)
        counter: Counter | None = None
        at = -1
        for index, record in enumerate(stretch.records):
            await turn(index)
            number = day_of(record.body.time_us)
            if counter is None or number != at:
                at = number
                if number not in days:
                    days[number] = await self._day(keys, number) or Day(record.leaf)
                counter = Counter(days[number])
            counter.add(record)
        if stretch.records:
            if state.first < 0:
                state.first = stretch.records[0].leaf
                state.from_us = stretch.records[0].body.time_us
                state.oldest = day_of(state.from_us)
            state.upto_us = stretch.records[-1].body.time_us

    async def _day(self, keys: UserKeys, number: int) -> Day | None:
        async with self._core.storage.snapshot() as rows:
            return await DAYS.get(rows, keys, day_id(number))

    async def _write(self, unit: Unit) -> bool:
        """Write what was counted, if nobody else has; whether it was."""
        core = self._core
        state = unit.state

        async def work(scope: Scope) -> bool:
            keys = await core.keys_in(scope, unit.keys.user_id)
            # A user who was purged and came anew has other keys, and other places.
            if keys is None or STATES.place(keys, ALL) != STATES.place(unit.keys, ALL):
                return False
            now = await STATES.get(scope.tx, keys, ALL) or State()
            if now.next != unit.begin:
                return False
            changes = ObjectChanges(scope, keys)
            for number, day in unit.days.items():
                changes.put(DAYS, day_id(number), day)
            await self._drop_old(scope, keys, state, changes)
            changes.put(STATES, ALL, state)
            reason = f"leaves {unit.begin} to {state.next - 1}"
            await changes.write(
                Draft(COUNTING, Action.REPORT_COUNT, keys, keys.user_id, reason=reason)
            )
            return True

        return await core.commit.submit(work)

    @staticmethod
    async def _drop_old(scope: Scope, keys: UserKeys, state: State, changes: ObjectChanges) -> None:
        newest = day_of(state.upto_us)
        for _ in range(_DROP):
            if not 0 < state.oldest <= newest - KEPT_DAYS:
                return
            ident = day_id(state.oldest)
            if await DAYS.get(scope.tx, keys, ident) is not None:
                changes.delete(DAYS, ident)
            state.oldest += 1


async def recount(core: Core, keys: UserKeys) -> int:
    """Hold the counts against the log: count all records anew, and compare.

    Days that begin before the first record which the store still has are left out.

    Returns:
        How many days were compared.

    Raises:
        IntegrityError: A day's counts are not those of its records.
    """
    async with core.storage.snapshot() as rows:
        state = await STATES.get(rows, keys, ALL) or State()
        kept = await DAYS.all(rows, keys)
    at, more = 0, True
    counted: dict[str, Day] = {}
    counters: dict[str, Counter] = {}
    while more and at < state.next:
        stretch = await read_on(core, keys, at)
        for record in stretch.records:
            if record.leaf < max(state.first, 0) or record.leaf >= state.next:
                continue
            ident = day_id(day_of(record.body.time_us))
            if ident not in counters:
                counted[ident] = Day(record.leaf)
                counters[ident] = Counter(counted[ident])
            counters[ident].add(record)
        at, more = stretch.next, stretch.more
        await Pause()
    compared = 0
    for ident in sorted(counted):
        if ident < day_id(state.oldest):
            continue
        found = kept.pop(ident, None)
        if found is not None and found.first < counted[ident].first:
            continue  # its first records were archived
        if found != counted[ident]:
            raise _not_of_the_log(ident)
        compared += 1
    async with core.storage.snapshot() as rows:
        held, _ = await rows.log_range(LOG)
    if any(day.first >= held for ident, day in kept.items() if ident not in counted):
        raise _not_of_the_log(next(iter(kept)))
    return compared


def _not_of_the_log(day: str) -> IntegrityError:
    return IntegrityError(
        f"the counts of {day} are not those of the audit log",
        hint="Run 'adyton audit verify': the store was changed.",
    )
