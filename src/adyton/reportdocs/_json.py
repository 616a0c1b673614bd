"""A report as JSON: rows are objects by the columns' keys."""

from typing import Any

import msgspec

from adyton.reportvalues import Report, Table


def document(report: Report) -> dict[str, Any]:
    """A report as what JSON is made of."""
    return {
        "report": report.name,
        "title": report.title,
        "user": report.user,
        "made_at": report.made_at,
        "since": report.since,
        "until": report.until,
        "notes": list(report.notes),
        "facts": [
            {"title": fact.title, "value": fact.value, "kind": fact.kind} for fact in report.facts
        ],
        "tables": {table.key: _table(table) for table in report.tables},
    }


def _table(table: Table) -> dict[str, Any]:
    keys = [column.key for column in table.columns]
    return {
        "title": table.title,
        "total": table.total,
        "rows": [dict(zip(keys, row, strict=True)) for row in table.rows],
    }


def write_json(report: Report) -> bytes:
    """The document's bytes."""
    return msgspec.json.format(msgspec.json.encode(document(report)), indent=2) + b"\n"
