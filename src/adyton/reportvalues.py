"""What reports are asked for and made of: the embedded store and the client have it in common."""

import datetime as dt
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from adyton.errors import InvalidInput
from adyton.model import to_us

Cell: TypeAlias = str | int | float | None
"""A time is text as in RFC 3339, UTC; None is what is not there, or not known."""

Kind: TypeAlias = Literal["text", "number", "bytes", "days", "percent", "time"]
Chart: TypeAlias = Literal["", "bars", "columns"]

DEFAULT_LIMIT: Final = 1_000
MAX_LIMIT: Final = 10_000
MAX_DAYS: Final = 36_500
_RANGE_DAYS: Final = 30
_DAY_US: Final = 86_400_000_000


_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def size_text(size: float) -> str:
    """A number of bytes for people."""
    for unit in _UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {_UNITS[-1]}"


class Column(msgspec.Struct, frozen=True):
    """A column of a table.

    Attributes:
        key: Its name in JSON and CSV.
        title: Its heading.
        kind: What its cells are; ``days`` and ``bytes`` are numbers of these.
    """

    key: str
    title: str
    kind: Kind = "text"


class Table(msgspec.Struct, frozen=True):
    """A table of a report.

    Attributes:
        key: Its name in JSON and CSV.
        title: Its heading.
        columns: The columns; the first is what rows are about.
        rows: The rows of this page, each with a cell for each column.
        total: How many rows there are.
        chart: How it is drawn: ``bars`` lie, and are of the first rows; ``columns`` stand, all of
            them; empty for not at all.
        series: Keys of the columns that are drawn.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int
    chart: Chart = ""
    series: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Table {self.key} of {self.total} rows>"


class Fact(msgspec.Struct, frozen=True):
    """A figure of a report."""

    title: str
    value: Cell
    kind: Kind = "number"

    def __repr__(self) -> str:
        return "<Fact>"


class Report(msgspec.Struct, frozen=True):
    """A report.

    Attributes:
        name: Which one, as it was asked for.
        title: What it is called.
        user: Whose secrets it is about; empty for the whole store.
        made_at: When it was made, UTC.
        since: The begin of what it covers, which is that of a day; None where it tells of now.
        until: The end, which is that of a day or ``made_at``; None idem.
        notes: What is to be known to read it right.
        facts: The figures at its head.
        tables: The tables.
    """

    name: str
    title: str
    user: str
    made_at: dt.datetime
    since: dt.datetime | None
    until: dt.datetime | None
    notes: tuple[str, ...]
    facts: tuple[Fact, ...]
    tables: tuple[Table, ...]

    def __repr__(self) -> str:
        return f"<Report {self.name}>"


class ReportInfo(NamedTuple):
    """A report that there is.

    Attributes:
        name: What it is asked for by.
        title: What it is called.
        about: What it tells.
        of_store: Whether there is one of the whole store, too.
    """

    name: str
    title: str
    about: str
    of_store: bool


class Asked(msgspec.Struct, frozen=True):
    """What of a report is wanted.

    Attributes:
        since: From when on; by default 30 days before the end. Whole days, UTC, are counted.
        until: Until when; by default now.
        days: What counts as soon, old or long, in days; None for the report's own measure.
        prefix: Only secrets whose names begin with this.
        limit: Rows of each table at the most, from 1 to 10,000.
        offset: Rows of each table that are left out before.
    """

    since: dt.datetime | None = None
    until: dt.datetime | None = None
    days: int | None = None
    prefix: str = ""
    limit: int = DEFAULT_LIMIT
    offset: int = 0

    def __repr__(self) -> str:
        return "<Asked>"

    def range_us(self, now_us: int) -> tuple[int, int]:
        """The range in microseconds, in whole days; its end is not included.

        Raises:
            InvalidInput: It ends before it begins, a time has no timezone, or a number is out of
                range.
        """
        if not 1 <= self.limit <= MAX_LIMIT or self.offset < 0:
            raise InvalidInput(
                f"the limit is not 1 to {MAX_LIMIT}, or the offset is below 0",
                hint="Page by the offset.",
            )
        if self.days is not None and not 0 <= self.days <= MAX_DAYS:
            raise InvalidInput(f"the number of days is not 0 to {MAX_DAYS}")
        until = now_us if self.until is None else to_us(self.until)
        since = until - _RANGE_DAYS * _DAY_US if self.since is None else to_us(self.since)
        if since > until:
            raise InvalidInput(
                "the range ends before it begins",
                hint="Give --from before --to, which is now by default.",
            )
        # An end at midnight is that of the day before.
        last = until if until == since else until - 1
        return since // _DAY_US * _DAY_US, (last // _DAY_US + 1) * _DAY_US
