"""A report as CSV (RFC 4180): all tables, one below the other, each row led by its table's key.

What a spreadsheet would take for a formula is text: it gets an apostrophe in front (OWASP, CSV
injection).
"""

import csv
import io
from typing import Final

from adyton.reportvalues import Cell, Report

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cell_text(cell: Cell) -> str | int | float:
    """A cell as it is written."""
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return cell
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell


def write_csv(report: Report) -> bytes:
    """The document's bytes, UTF-8, lines ended by CR LF."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL)
    writer.writerow(["table", "title", "value"])
    writer.writerow(["report", "user", cell_text(report.user)])
    for title, time in (
        ("made_at", report.made_at),
        ("since", report.since),
        ("until", report.until),
    ):
        if time is not None:
            writer.writerow(["report", title, time.isoformat()])
    for fact in report.facts:
        writer.writerow(["facts", cell_text(fact.title), cell_text(fact.value)])
    for note in report.notes:
        writer.writerow(["notes", "", cell_text(note)])
    for table in report.tables:
        writer.writerow([])
        writer.writerow(["table", *(column.key for column in table.columns)])
        for row in table.rows:
            writer.writerow([table.key, *(cell_text(cell) for cell in row)])
    return out.getvalue().encode()
