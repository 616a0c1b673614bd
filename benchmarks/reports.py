"""What reports cost: counting a record, a report, and how both grow with the log.

python -m benchmarks.reports

Histories of a year: 1,000 secrets, 50 actors, 40 networks, some more used than others. The logs of
100,000 and 1,000,000 records are real ones. That of 10,000,000 is simulated: its records are made
up as they are counted, and not sealed, stored and opened before; counts are kept and read as ever.
"""

import datetime as dt
import random
import statistics
import time
from typing import Final

from adyton import Caller, SecretStore
from adyton.actions import Action
from adyton.service.core import Core
from adyton.service.following.reading import Record, Stretch, read_on
from adyton.service.journal import Body, Draft
from adyton.service.reports.folding import Folding, ReadOn
from adyton.service.userkeys import UserKeys
from benchmarks.harness import Figure, core_of, fresh_store, show

YEAR_US: Final = 365 * 86_400_000_000
_SECRETS: Final = 1_000
_ROUNDS: Final = 9
_UNIT: Final = 2_000


class Clock:
    """A clock that is set."""

    def __init__(self, now_us: int) -> None:
        self.at = now_us

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return self.at


class History:
    """A year of records, at even distances, of skewed use."""

    def __init__(self, count: int, begin_us: int) -> None:
        self.count = count
        self.begin_us = begin_us
        self._random = random.Random(count)
        self._callers = [
            Caller(f"token app-{number % 50:02}", address=f"10.{number % 40}.0.7", request_id="r")
            for number in range(200)
        ]

    def time_us(self, number: int) -> int:
        """When a record is."""
        return self.begin_us + number * YEAR_US // self.count

    def draft(self, keys: UserKeys) -> Draft:
        """One record."""
        pick = self._random.random
        caller = self._callers[int(pick() * pick() * 200)]
        name = f"app/name-{int(pick() * pick() * _SECRETS):04}"
        action = Action.SECRET_GET if pick() < 0.9 else Action.SECRET_SET
        draft = Draft(caller, action, keys, keys.user_id, name, 1)
        return draft if pick() < 0.97 else draft.failed("AccessDenied", "denied")


def real(store: SecretStore, history: History, clock: Clock) -> float:
    """Write all of a history to the log; seconds for each record."""
    core = core_of(store)
    start = time.perf_counter()

    async def write(drafts: list[Draft]) -> None:
        await core.record(*drafts)

    keys = core.ring.cached("u")
    assert keys is not None
    unit = min(_UNIT, history.count // 730)  # a unit has one time: some on each day
    for begin in range(0, history.count, unit):
        clock.at = history.time_us(begin)
        count = min(unit, history.count - begin)
        core.commit.run_sync(write([history.draft(keys) for _ in range(count)]))
    return (time.perf_counter() - start) / history.count


def simulated(history: History) -> ReadOn:
    """Reads a history that is in no log."""

    async def read_on(_: Core, keys: UserKeys, start: int, limit: int) -> Stretch:
        end = min(start + limit, history.count)
        records = [
            Record(number, _body(history.draft(keys), history.time_us(number)))
            for number in range(start, end)
        ]
        return Stretch(records, end, end < history.count, gap=False, unopened=0)

    return read_on


def _body(draft: Draft, time_us: int) -> Body:
    caller = draft.caller
    return Body(
        time_us, caller.actor, draft.user_id, draft.name, draft.version, draft.action.value,
        draft.success, draft.reason, "r", caller.address, b"", b"", outcome=draft.outcome,
    )  # fmt: skip


def count(store: SecretStore, read: ReadOn = read_on) -> float:
    """Count all that is not counted; seconds."""
    core = core_of(store)

    async def work() -> None:
        keys = await core.keys("u")
        assert keys is not None
        await Folding(core, read=read).count(keys)

    start = time.perf_counter()
    core.commit.run_sync(work())
    return time.perf_counter() - start


def _median_ms(store: SecretStore, days: int, clock: Clock) -> float:
    until = dt.datetime.fromtimestamp(clock.at / 1e6, dt.UTC)
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        store.reports.make("u", "access", since=until - dt.timedelta(days=days), until=until)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def one(records: int, *, in_log: bool) -> list[Figure]:
    """All figures of one size."""
    title = f"{records:,} records" + ("" if in_log else " (simulated)")
    with fresh_store() as store:
        core = core_of(store)
        store.set_secrets("u", {f"app/name-{n:04}": b"v" * 40 for n in range(_SECRETS)})
        clock = Clock(core.clock.now_us() + 1_000_000)
        core.clock = core.commit._clock = clock
        history = History(records, clock.at)
        count(store)
        figures = []
        if in_log:
            written = real(store, history, clock)
            figures.append(Figure(f"{title}: writing one to the log", written * 1e6, "us"))
            spent = count(store)
        else:
            spent = count(store, simulated(history))
            start = time.perf_counter()
            keys = core.ring.cached("u")
            assert keys is not None
            for number in range(100_000):
                _body(history.draft(keys), history.time_us(number))
            # What making them up has cost is no cost of counting.
            spent -= (time.perf_counter() - start) / 100_000 * records
        clock.at = history.time_us(records)
        per_record = spent / records * 1e6
        figures.append(Figure(f"{title}: counting one", per_record, "us"))
        month, year = _median_ms(store, 30, clock), _median_ms(store, 366, clock)
        figures.append(
            Figure(
                f"{title}: report of 30 days", month, "ms", target="under 1,000", met=month < 1e3
            )
        )
        figures.append(
            Figure(f"{title}: report of the year", year, "ms", target="under 5,000", met=year < 5e3)
        )
        if in_log:
            real(store, History(1_000, clock.at - YEAR_US), Clock(clock.at))
            start = time.perf_counter()
            store.reports.make("u", "access")
            fresh = (time.perf_counter() - start) * 1e3
            figures.append(Figure(f"{title}: the same after 1,000 new ones", fresh, "ms"))
            start = time.perf_counter()
            days = store.reports.check("u")
            spent = time.perf_counter() - start
            figures.append(Figure(f"{title}: counting all {days} days anew to check", spent, "s"))
        size = _kept(store)
        figures.append(Figure(f"{title}: counts kept", size / 2**20, "MiB"))
        return figures


def _kept(store: SecretStore) -> int:
    core = core_of(store)

    async def work() -> int:
        keys = await core.keys("u")
        assert keys is not None
        async with core.storage.snapshot() as rows:
            return (await rows.counted(keys.user)).bytes - _SECRETS * (40 + 28)

    return core.commit.run_sync(work())


def main() -> None:
    """Measure and print."""
    show([*one(100_000, in_log=True), *one(1_000_000, in_log=True), *one(10_000_000, in_log=False)])


if __name__ == "__main__":
    main()
