"""Reports of secrets as they are: never read, stale, expiring, weakly protected.

Nothing is decrypted for them but metadata, which tells the size of a value.
"""

from typing import Final

from adyton.model import CONTENT_JSON
from adyton.reportvalues import Cell, Column, Fact
from adyton.service.lifecycle.ending import OTHERS as OTHER_ENDS
from adyton.service.reports.making import (
    Held,
    Made,
    Making,
    days_between,
    largest_first,
    secrets_of,
    time_cell,
)
from adyton.service.reports.sums import sums_of
from adyton.service.rotation.records import ROTATIONS
from adyton.service.secretmeta import Meta, Version
from adyton.service.sharing.records import GIVEN

_DAY_US: Final = 86_400_000_000
_STALE_DAYS: Final = 90
_SOON_DAYS: Final = 30
_OLD_DAYS: Final = 365
_SHORT_BYTES: Final = 16
"""A value of fewer bytes is short: less than 96 bits even of base64."""
_VERY_SHORT_BYTES: Final = 8
_MANY_READERS: Final = 10
_WIDE: Final = 3
_WEAK: Final = 2
"""Points from which on a secret is told of."""

_SECRET: Final = Column("secret", "Secret")
_MADE: Final = Column("created", "Made", "time")
_CHANGED: Final = Column("changed", "Changed", "time")
_READ: Final = Column("read", "Last read", "time")


async def unused(making: Making) -> Made:
    """Secrets whose value was never read since they were made."""
    held = await _live(making)
    never = [each for each in held if each.accessed_us is None]
    rows = largest_first(
        (
            (each.meta.name, time_cell(each.meta.created_us), time_cell(each.meta.updated_us),
             days_between(each.meta.created_us, making.now_us))
            for each in never
        ),
        3,
    )  # fmt: skip
    columns = (_SECRET, _MADE, _CHANGED, Column("age", "Days unread", "days"))
    return Made(
        [Fact("Secrets", len(held)), Fact("Never read", len(never)), _share(never, held)],
        [making.table("secrets", "Never read", columns, rows, "bars", ("age",))],
    )


async def stale(making: Making) -> Made:
    """Secrets that nobody has read for long, those never read included."""
    days = making.days(_STALE_DAYS)
    before = making.now_us - days * _DAY_US
    held = await _live(making)
    old = [each for each in held if (each.accessed_us or each.meta.created_us) <= before]
    rows = largest_first(
        (
            (each.meta.name, time_cell(each.accessed_us), time_cell(each.meta.updated_us),
             days_between(each.accessed_us or each.meta.created_us, making.now_us))
            for each in old
        ),
        3,
    )  # fmt: skip
    columns = (_SECRET, _READ, _CHANGED, Column("days", "Days unread", "days"))
    return Made(
        [Fact("Secrets", len(held)), Fact("Stale", len(old)), _share(old, held)],
        [making.table("secrets", "Stale", columns, rows, "bars", ("days",))],
        [f"Stale is what was not read for {days} days."],
    )


async def expiring(making: Making) -> Made:
    """Secrets, shares, grants and links that end soon, or have ended and are still there."""
    days = making.days(_SOON_DAYS)
    until = making.now_us + days * _DAY_US
    ends: list[tuple[int, str, str, str]] = []
    for each in await secrets_of(making):
        expires = each.meta.expires_us
        if expires is not None and expires <= until and each.meta.versions:
            ends.append((expires, "secret", each.meta.name, ""))
    for shelf, as_end in OTHER_ENDS:
        for ident, value in (await shelf.all(making.rows, making.keys)).items():
            end = as_end(ident, value)
            if end is not None and end.expires_us <= until and _wanted(making, end.name):
                ends.append((end.expires_us, end.kind, end.name, end.detail))
    rows: list[tuple[Cell, ...]] = [
        (name, kind, time_cell(us), (us - making.now_us) // _DAY_US, detail)
        for us, kind, name, detail in sorted(ends)
    ]
    columns = (
        Column("name", "Name"), Column("kind", "What"), Column("expires", "Ends", "time"),
        Column("days", "In days", "days"), Column("detail", "Which one"),
    )  # fmt: skip
    ended = sum(1 for end in ends if end[0] <= making.now_us)
    return Made(
        [Fact("Ended", ended), Fact(f"End within {days} days", len(ends) - ended)],
        [making.table("ends", "What ends", columns, rows)],
    )


async def weak(making: Making) -> Made:
    """Secrets that little protects: not rotated, old, short, read by many, shared widely."""
    held = await _live(making)
    old_days = making.days(_OLD_DAYS)
    rotated = await ROTATIONS.all(making.rows, making.keys)
    given = [
        share
        for share in (await GIVEN.all(making.rows, making.keys)).values()
        if share.open_at(making.now_us)
    ]
    sums = await sums_of(making.rows, making.keys, making.since_us, making.until_us)
    rows: list[tuple[Cell, ...]] = []
    reasons: dict[str, int] = {}
    for each in held:
        meta = each.meta
        current = meta.at(meta.current)
        if current is None:
            continue
        age = days_between(current.created_us, making.now_us)
        readers = len(sums.readers.get(meta.name, ()))
        receivers = len({share.receiver for share in given if share.covers(meta.name)})
        found = _weaknesses(meta, current, age >= old_days, meta.name in rotated)
        found += [("read by many", 1)] if readers >= _MANY_READERS else []
        found += [("shared widely", 1)] if receivers >= _WIDE else []
        points = sum(weight for _, weight in found)
        if points < _WEAK:
            continue
        for reason, _ in found:
            reasons[reason] = reasons.get(reason, 0) + 1
        why = ", ".join(reason for reason, _ in found)
        rows.append((meta.name, points, why, age, _length_class(current), readers, receivers))
    rows = largest_first(rows, 1)
    tables = [
        making.table(
            "reasons", "Why", (Column("reason", "Why"), Column("secrets", "Secrets", "number")),
            largest_first(reasons.items(), 1), "bars", ("secrets",),
        ),
        making.table(
            "secrets", "Weakly protected",
            (_SECRET, Column("points", "Points", "number"), Column("why", "Why"),
             Column("age", "Value's age in days", "days"), Column("length", "Length"),
             Column("readers", "Readers", "number"), Column("receivers", "Shared with", "number")),
            rows,
        ),
    ]  # fmt: skip
    notes = [
        f"A value is old after {old_days} days, short below {_SHORT_BYTES} bytes.",
        "The size of a value is known without opening it.",
        f"Readers are those of the range, many are {_MANY_READERS}; widely is with {_WIDE}.",
    ]
    return Made([Fact("Secrets", len(held)), Fact("Weak", len(rows))], tables, notes)


def _weaknesses(meta: Meta, current: Version, old: bool, rotated: bool) -> list[tuple[str, int]]:
    found = []
    if not rotated and not meta.rotation:
        found.append(("not rotated", 1))
        if meta.expires_us is None:
            found.append(("never ends", 1) if old else ("never ends", 0))
    if old:
        found.append(("old", 2))
    if current.content_type != CONTENT_JSON:
        if current.size < _VERY_SHORT_BYTES:
            found.append(("very short", 3))
        elif current.size < _SHORT_BYTES:
            found.append(("short", 2))
    return found


def _length_class(current: Version) -> str:
    """How long a value is, roughly: its size is nobody's business who reads a report."""
    if current.content_type == CONTENT_JSON:
        return "object"
    for bound in (_VERY_SHORT_BYTES, _SHORT_BYTES, 32, 64, 1024):
        if current.size < bound:
            return f"under {bound} bytes"
    return "1 KiB or more"


async def _live(making: Making) -> list[Held]:
    return [each for each in await secrets_of(making) if each.meta.live(making.now_us)]


def _wanted(making: Making, name: str) -> bool:
    return name.startswith(making.asked.prefix)


def _share(some: list[Held], whole: list[Held]) -> Fact:
    return Fact("Of all", round(100 * len(some) / len(whole), 1) if whole else 0, "percent")
