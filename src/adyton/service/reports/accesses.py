"""Reports of what was counted: accesses, and what failed."""

from typing import Final

from adyton.reportvalues import Cell, Column, Fact, Table
from adyton.service.reports.counting import DAY_US, HOUR_US
from adyton.service.reports.making import (
    TALLIES,
    TALLY_KEYS,
    Made,
    Making,
    shown,
    tallies,
    time_cell,
)
from adyton.service.reports.sums import Sums, sums_of

_MISSES: Final = TALLIES[1:]
_MISS_KEYS: Final = TALLY_KEYS[1:]
_BY_HOUR_DAYS: Final = 3
"""Up to as many days are shown hour by hour."""
_SECRET: Final = Column("secret", "Secret")
_ACTOR: Final = Column("actor", "Actor")


async def access(making: Making) -> Made:
    """Accesses by time, secret, actor, action, hour and network."""
    sums = await _sums(making)
    total = sums.total
    reads = sum(use.reads for use in sums.secrets.values())
    uses = sorted(
        sums.secrets.items(),
        key=lambda pair: (-pair[1].reads - pair[1].changes - pair[1].looks, pair[0]),
    )
    readers = sorted(
        (
            (name, actor, count)
            for name, actors in sums.readers.items()
            for actor, count in actors.items()
        ),
        key=lambda row: (-row[2], row[0], row[1]),
    )
    tables = [
        _timeline(making, sums),
        making.table(
            "secrets", "By secret",
            (_SECRET, Column("reads", "Reads", "number"), Column("changes", "Changes", "number"),
             Column("looks", "Looks", "number")),
            [(shown(name), use.reads, use.changes, use.looks) for name, use in uses],
            "bars", ("reads", "changes", "looks"),
        ),
        making.table(
            "actors", "By actor", (_ACTOR, *TALLIES), tallies(sums.actors), "bars", TALLY_KEYS
        ),
        making.table(
            "actions", "By action", (Column("action", "Action"), *TALLIES),
            tallies(sums.actions), "bars", TALLY_KEYS,
        ),
        _by_hour(making, sums),
        making.table(
            "networks", "By network", (Column("network", "Network"), *TALLIES),
            tallies(sums.networks), "bars", TALLY_KEYS,
        ),
        making.table(
            "readers", "Who got which value",
            (_SECRET, _ACTOR, Column("reads", "Reads", "number")),
            [(shown(name), shown(actor), count) for name, actor, count in readers],
        ),
    ]  # fmt: skip
    facts = [
        Fact("Records", sums.records),
        Fact("Values read", reads),
        Fact("Failed", total.failed),
        Fact("Denied", total.denied),
        Fact("Secrets used", len(sums.secrets)),
        Fact("Actors", len(sums.actors)),
        Fact("Networks", len(sums.networks)),
    ]
    return Made(facts, tables, _on_prefix(making))


async def failures(making: Making) -> Made:
    """What failed and what was denied."""
    sums = await _sums(making)
    total = sums.total
    kinds: list[tuple[Cell, ...]] = []
    for kind, count in sorted(sums.failures.items(), key=lambda pair: (-pair[1], pair[0])):
        action, _, reason = kind.partition(" ")
        kinds.append((shown(action), reason, count))
    everything = total.done + total.failed + total.denied
    missed = total.failed + total.denied
    tables = [
        _timeline(making, sums, misses=True),
        making.table(
            "reasons", "By action and reason",
            (Column("action", "Action"), Column("reason", "Reason"),
             Column("count", "Count", "number")),
            kinds,
        ),
        making.table(
            "actors", "By actor", (_ACTOR, *_MISSES), tallies(sums.actors, misses=True),
            "bars", _MISS_KEYS,
        ),
        making.table(
            "networks", "By network", (Column("network", "Network"), *_MISSES),
            tallies(sums.networks, misses=True), "bars", _MISS_KEYS,
        ),
        making.table(
            "names", "By name", (Column("name", "Name"), *_MISSES),
            tallies(sums.missed, misses=True), "bars", _MISS_KEYS,
        ),
        _by_hour(making, sums, misses=True),
    ]  # fmt: skip
    facts = [
        Fact("Failed", total.failed),
        Fact("Denied", total.denied),
        Fact("Of all records", round(100 * missed / everything, 2) if everything else 0, "percent"),
    ]
    return Made(facts, tables, _on_prefix(making))


async def _sums(making: Making) -> Sums:
    return await sums_of(
        making.rows, making.keys, making.since_us, making.until_us, making.asked.prefix
    )


def _on_prefix(making: Making) -> list[str]:
    if not making.asked.prefix:
        return []
    return ["The prefix chooses among the names; all else is counted whole."]


def _timeline(making: Making, sums: Sums, *, misses: bool = False) -> Table:
    """Counts by day, or by hour where the range is short; times without any are zero."""
    days = (making.until_us - making.since_us) // DAY_US
    by_hour = days <= _BY_HOUR_DAYS
    rows: list[tuple[Cell, ...]] = []
    end = min(making.until_us, making.now_us + 1)
    for at in range(making.since_us, end, HOUR_US if by_hour else DAY_US):
        tally = sums.by_time.get(at) if by_hour else sums.by_day.get(at // DAY_US)
        counts = (tally.done, tally.failed, tally.denied) if tally else (0, 0, 0)
        rows.append((time_cell(at), *counts[1 if misses else 0 :]))
    return making.table(
        "timeline", "By hour" if by_hour else "By day",
        (Column("time", "Begin", "time"), *(_MISSES if misses else TALLIES)), rows,
        "columns", _MISS_KEYS if misses else TALLY_KEYS,
    )  # fmt: skip


def _by_hour(making: Making, sums: Sums, *, misses: bool = False) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (f"{hour}:00", *(tally.done, tally.failed, tally.denied)[1 if misses else 0 :])
        for hour, tally in sorted(sums.hours.items())
    ]
    return making.table(
        "hours", "By hour of the day (UTC)",
        (Column("hour", "Hour"), *(_MISSES if misses else TALLIES)), rows,
        "columns", _MISS_KEYS if misses else TALLY_KEYS,
    )  # fmt: skip
