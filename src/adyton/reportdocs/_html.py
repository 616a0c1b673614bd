"""A report as one HTML page: whole in itself, without scripts, for screens and paper."""

from html import escape
from importlib.resources import files
from typing import Final

from adyton.reportdocs._charts import clean, draw
from adyton.reportvalues import Cell, Fact, Kind, Report, Table, size_text

_NUMBERS: Final = {"number", "bytes", "days", "percent"}
_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)


def write_html(report: Report) -> bytes:
    """The page's bytes, UTF-8.

    Raises:
        ConfigurationError: What draws charts is not installed.
    """
    style = (files("adyton.reportdocs") / "report.css").read_text("utf-8")
    about = _text(report.user) if report.user else "the whole store"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="content-security-policy" content="{escape(_POLICY)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="robots" content="noindex"><meta name="referrer" content="no-referrer">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{_text(report.title)}</title><style>{style}</style></head><body><main>",
        f"<header><h1>{_text(report.title)}</h1>",
        f"<p>of <bdi>{about}</bdi>{_range(report)}</p></header>",
    ]
    if report.facts:
        parts.append(f'<dl class="facts">{"".join(map(_fact, report.facts))}</dl>')
    if report.notes:
        notes = "".join(f"<li>{_text(note)}</li>" for note in report.notes)
        parts.append(f'<ul class="notes">{notes}</ul>')
    parts += [_section(table, number) for number, table in enumerate(report.tables)]
    made = report.made_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    parts.append(
        f"</main><footer>Made at {escape(made)}. All times are UTC.</footer></body></html>"
    )
    return "\n".join(parts).encode("utf-8", "replace") + b"\n"


def _range(report: Report) -> str:
    if report.since is None or report.until is None:
        return ""
    since, until = (time.strftime("%Y-%m-%d %H:%M") for time in (report.since, report.until))
    return f"<br>{since} to {until} (UTC)"


def _fact(fact: Fact) -> str:
    return f"<div><dt>{_text(fact.title)}</dt><dd>{_shown(fact.value, fact.kind)}</dd></div>"


def _section(table: Table, number: int) -> str:
    chart = draw(table, number)
    heading = f"<h2>{_text(table.title)}</h2>"
    figure = (
        f'<figure role="img" aria-label="{escape(clean(table.title))}">{chart}</figure>'
        if chart
        else ""
    )
    if not table.rows:
        return f"<section>{heading}<p>Nothing.</p></section>"
    head = "".join(
        f'<th scope="col"{_class(column.kind)}>{_text(column.title)}</th>'
        for column in table.columns
    )
    kinds = [column.kind for column in table.columns]
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td{_class(kind)}>{_shown(cell, kind)}</td>"
            for cell, kind in zip(row, kinds, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    rest = table.total - len(table.rows)
    more = f"<p>{rest} more are not on this page.</p>" if rest > 0 else ""
    body = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"
    if chart and table.chart == "columns":  # the figures of a chart over time are rarely read
        body = f"<details><summary>Figures</summary>{body}</details>"
    return f"<section>{heading}{figure}{body}</section>"


def _class(kind: Kind) -> str:
    return ' class="number"' if kind in _NUMBERS else ""


def _text(text: str) -> str:
    return escape(clean(text))


def _shown(cell: Cell, kind: Kind) -> str:
    if cell is None:
        return '<span class="none">&ndash;</span>'
    if isinstance(cell, str):
        shown = cell.replace("T", " ").removesuffix("Z") if kind == "time" else cell
        return f"<bdi>{_text(shown)}</bdi>"
    if kind == "percent":
        return f"{cell:g} %"
    if kind == "bytes":
        return size_text(cell)
    return f"{cell:,}"
