"""The command that makes reports: for terminals, programs, spreadsheets and browsers."""

import datetime as dt
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from adyton.cli import charts
from adyton.cli.state import OutFile, State, state, write_private
from adyton.cli.ui import count, moment
from adyton.errors import InvalidInput
from adyton.reportvalues import MAX_LIMIT, Cell, Fact, Kind, Report, Table, size_text

_FORMATS: Final = ("table", "json", "csv", "html")
_TERMINAL_ROWS: Final = 20
_SPARK_CELLS: Final = 96
_WIDE_WINDOW: Final = 100


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="report")(report)


def report(
    name: Annotated[
        str | None, typer.Argument(help="Which report; without a name, those there are.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="From this day on, such as 2026-01-31 (UTC).")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Up to the end of this day; by default now.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(help="What counts as soon, old or long, in days.")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Only secrets whose names begin with this.")] = "",
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", help="Rows of each table at the most.")
    ] = None,
    offset: Annotated[int, typer.Option(help="Rows of each table left out before.")] = 0,
    format_name: Annotated[str, typer.Option("--format", help="table, json, csv, html.")] = "table",
    out: OutFile = None,
    check: Annotated[
        bool, typer.Option("--check", help="Hold the counts of reports against the audit log.")
    ] = False,
    whole: Annotated[
        bool, typer.Option("--whole-store", help="Of the store, as its operator: keys, usage.")
    ] = False,
) -> None:
    """Make a report: who read what, what is stale, weak, overdue, shared; for --user."""
    at = state()
    wanted = _format(at, format_name, out)
    if check:
        _check(at)
        return
    if name is None:
        _list(at)
        return
    with at.open() as store, at.ui.watcher() as watch:
        made = store.reports.make(
            None if whole else at.who(),
            name,
            since=_day(since, "--from"),
            until=_end(until),
            days=days,
            prefix=prefix,
            limit=_rows_of(wanted) if limit is None else limit,
            offset=offset,
            watch=watch,
        )
    if wanted == "table":
        _show(at, made)
        return
    _write(at, _document(made, wanted), out)


def _format(at: State, name: str, out: Path | None) -> str:
    if name not in _FORMATS:
        raise InvalidInput(
            "the format is none of " + ", ".join(_FORMATS), hint="Give one of these."
        )
    if name == "table" and at.ui.json:
        return "json"
    if name == "table" and out is not None:
        raise InvalidInput("a table is for the terminal", hint="Give --format html, csv or json.")
    return name


def _rows_of(format_name: str) -> int:
    return _TERMINAL_ROWS if format_name == "table" else MAX_LIMIT


def _list(at: State) -> None:
    with at.open() as store:
        found = store.reports.list()
    if at.ui.json:
        at.ui.document([info._asdict() for info in found])
        return
    at.ui.table(("REPORT", "TELLS"), [(info.name, info.about) for info in found], "")


def _check(at: State) -> None:
    with at.open() as store:
        days = store.reports.check(at.who())
    if at.ui.json:
        at.ui.document({"days": days})
    else:
        at.ui.done(f"the counts of {count(days, 'day')} are those of the audit log")


def _day(text: str | None, option: str) -> dt.datetime | None:
    if text is None:
        return None
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{option} is no day", hint="Write it as 2026-01-31.") from None
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found


def _end(text: str | None) -> dt.datetime | None:
    found = _day(text, "--to")
    if found is not None and text is not None and len(text) <= len("2026-01-31"):
        try:
            return found + dt.timedelta(days=1)
        except OverflowError:
            raise InvalidInput("--to is too late") from None
    return found


def _document(made: Report, format_name: str) -> bytes:
    from adyton import reportdocs  # noqa: PLC0415 - loaded on use

    return reportdocs.write(made, format_name)


def _write(at: State, data: bytes, out: Path | None) -> None:
    if out is None:
        at.ui.raw(data)
        return
    write_private(out, data)
    at.ui.done(f"written to {out}")


# -- on the terminal ----------------------------------------------------------------------------


def _show(at: State, made: Report) -> None:
    ui = at.ui
    about = f" of {made.user}" if made.user else " of the whole store"
    ui.line(made.title + about, "bold")
    if made.since is not None:
        ui.line(f"{moment(made.since)} to {moment(made.until)} (UTC)", "dim")
    if made.facts:
        for text in _packed([f"{fact.title}: {_fact(fact)}" for fact in made.facts], ui.window):
            ui.line(text)
    for table in made.tables:
        if not table.rows:
            continue
        ui.line("")
        ui.line(table.title, "bold")
        if table.chart == "columns":
            _show_columns(at, table)
        else:
            _show_rows(at, table)
    for note in made.notes:
        ui.note(note)


def _packed(texts: list[str], window: int) -> list[str]:
    """Texts beside each other in lines, as many as there is room for in each."""
    lines: list[str] = []
    for text in texts:
        if lines and len(lines[-1]) + 2 + len(text) <= window:
            lines[-1] += f"  {text}"
        else:
            lines.append(text)
    return lines


def _show_rows(at: State, table: Table) -> None:
    drawn = _series(table) if table.chart == "bars" else []
    sums = [[_number(row[number]) for number in drawn] for row in table.rows]
    largest = max((sum(each) for each in sums), default=0.0)
    length = charts.BAR_CELLS if at.ui.window >= _WIDE_WINDOW else charts.NARROW_CELLS
    rows: list[tuple[str | Text, ...]] = []
    for row, values in zip(table.rows, sums, strict=True):
        cells: list[str | Text] = [
            shown(cell, column.kind) for cell, column in zip(row, table.columns, strict=True)
        ]
        if drawn:
            cells.append(charts.bar(values, largest, length))
        rows.append(tuple(cells))
    headings = [column.title.upper() for column in table.columns] + ([""] if drawn else [])
    at.ui.table(headings, rows, "nothing")
    if table.total > len(table.rows):
        at.ui.note(f"{len(table.rows)} of {table.total}; more with --limit, or --offset")


def _show_columns(at: State, table: Table) -> None:
    """A line for each series: columns, the largest and the sum."""
    kind = table.columns[0].kind
    first, last = shown(table.rows[0][0], kind), shown(table.rows[-1][0], kind)
    drawn = _series(table)
    width = max(len(table.columns[number].title) for number in drawn)
    for number in drawn:
        values = [_number(row[number]) for row in table.rows]
        if not any(values) and number != drawn[0]:
            continue
        total = f"|  {sum(values):g}, at most {max(values):g}"
        room = at.ui.window - width - 2 - len(total)
        text = charts.spark(values, max(1, min(_SPARK_CELLS, room)))
        at.ui.line(f"{table.columns[number].title:<{width}}  {text}{total}")
    at.ui.line(f"{'':{width}}  {first} to {last}", "dim")


def _series(table: Table) -> list[int]:
    keys = [column.key for column in table.columns]
    return [keys.index(key) for key in table.series]


def _number(cell: Cell) -> float:
    return float(cell) if isinstance(cell, int | float) else 0.0


def _fact(fact: Fact) -> str:
    return shown(fact.value, fact.kind)


def shown(cell: Cell, kind: Kind) -> str:
    """A cell for people."""
    if cell is None:
        return "-"
    if kind == "bytes" and isinstance(cell, int | float):
        return size_text(cell)
    if kind == "percent":
        return f"{cell} %"
    if kind == "time":
        return str(cell).replace("T", " ").removesuffix("Z")
    return str(cell)
