"""What the makers of reports share: what they are given, and how they put tables together."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from adyton.model import from_us
from adyton.ports import Rows
from adyton.reportvalues import Asked, Cell, Chart, Column, Fact, Table
from adyton.service import secretmeta
from adyton.service.core import Core
from adyton.service.reports.counting import OTHERS, Tally
from adyton.service.secretmeta import Meta
from adyton.service.ticket import Pause
from adyton.service.userkeys import UserKeys

_PAGE: Final = 250
TALLIES: Final = (
    Column("done", "Done", "number"),
    Column("failed", "Failed", "number"),
    Column("denied", "Denied", "number"),
)
TALLY_KEYS: Final = ("done", "failed", "denied")


class Making(NamedTuple):
    """What a maker is given.

    Attributes:
        core: The open store.
        rows: One state of it.
        keys: The keys of the user whom it is about.
        asked: What is wanted.
        now_us: When it is made.
        since_us: The begin of the range.
        until_us: Its end.
    """

    core: Core
    rows: Rows
    keys: UserKeys
    asked: Asked
    now_us: int
    since_us: int
    until_us: int

    def __repr__(self) -> str:
        return "<Making>"

    def table(
        self,
        key: str,
        title: str,
        columns: Sequence[Column],
        rows: Sequence[tuple[Cell, ...]],
        chart: Chart = "",
        series: Sequence[str] = (),
    ) -> Table:
        """A table, of which the page that is wanted is shown."""
        return page_of(self.asked, key, title, columns, rows, chart, series)

    def days(self, default: int) -> int:
        """The measure in days."""
        return default if self.asked.days is None else self.asked.days


class StoreMaking(NamedTuple):
    """What a maker of a report of the whole store is given.

    Attributes:
        core: The open store.
        rows: One state of it.
        asked: What is wanted.
        now_us: When it is made.
    """

    core: Core
    rows: Rows
    asked: Asked
    now_us: int

    def __repr__(self) -> str:
        return "<StoreMaking>"


class Made(NamedTuple):
    """What a maker has made."""

    facts: Sequence[Fact]
    tables: Sequence[Table]
    notes: Sequence[str] = ()

    def __repr__(self) -> str:
        return "<Made>"


class Held(NamedTuple):
    """A secret: its metadata, and when it was read last."""

    meta: Meta
    accessed_us: int | None

    def __repr__(self) -> str:
        return "<Held>"


def page_of(
    asked: Asked,
    key: str,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[tuple[Cell, ...]],
    chart: Chart = "",
    series: Sequence[str] = (),
) -> Table:
    """A table, of which one page is shown; standing columns of a chart are shown whole."""
    shown = rows if chart == "columns" else rows[asked.offset : asked.offset + asked.limit]
    return Table(key, title, tuple(columns), tuple(shown), len(rows), chart, tuple(series))


async def secrets_of(making: Making) -> list[Held]:
    """A user's secrets that can be read now, by name; nothing is decrypted but metadata."""
    found = []
    after = b""
    keys = making.keys
    while page := await making.rows.metadata_page(keys.user, after, _PAGE):
        for row in page:
            meta = secretmeta.open_meta(keys, row)
            if meta.name.startswith(making.asked.prefix):
                accessed = making.core.accessed(keys.user, row.name, row.accessed_us)
                found.append(Held(meta, accessed))
        after = page[-1].name
        await Pause()
    return sorted(found, key=lambda held: held.meta.name)


def time_cell(us: int | None) -> str | None:
    """A time as a cell."""
    return None if not us else from_us(us).isoformat(timespec="seconds").replace("+00:00", "Z")


def days_between(from_us: int, to_us: int) -> int:
    """Whole days from one time to another; negative where the other one comes first."""
    return int((to_us - from_us) / 86_400_000_000)


def shown(label: str) -> str:
    """A name, actor or network of a tally, as it is shown."""
    return label if label != OTHERS else "(others)"


def tallies(counted: Mapping[str, Tally], *, misses: bool = False) -> list[tuple[Cell, ...]]:
    """Rows of tallies, the largest first; or those alone with something that failed."""
    found: Iterable[tuple[str, Tally]] = counted.items()
    if misses:
        found = [(key, tally) for key, tally in found if tally.failed or tally.denied]
        found = sorted(found, key=lambda pair: (-pair[1].failed - pair[1].denied, pair[0]))
        return [(shown(key), tally.failed, tally.denied) for key, tally in found]
    found = sorted(
        found, key=lambda pair: (-pair[1].done - pair[1].failed - pair[1].denied, pair[0])
    )
    return [(shown(key), tally.done, tally.failed, tally.denied) for key, tally in found]


def largest_first(rows: Iterable[tuple[Cell, ...]], column: int) -> list[tuple[Cell, ...]]:
    """Rows by a column of numbers, the largest first; equal ones by what they are about."""
    return sorted(rows, key=lambda row: (-number_in(row[column]), *map(str, row)))


def number_in(cell: Cell) -> float:
    """A cell as a number; 0 where it is none."""
    return cell if isinstance(cell, int | float) else 0
