"""Write the table of metrics in docs/guide/observability.md from ``server/telemetry/table.py``.

``--check`` fails if the table is not what would be written.
"""

import sys
from pathlib import Path
from typing import Final

from adyton.server.telemetry.counters import AREAS, CLASSES, METHODS
from adyton.server.telemetry.table import METRICS

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "guide" / "observability.md"
BEGIN: Final = "<!-- from here on written by scripts/generate_metrics.py -->\n"
VALUES: Final = {"area": AREAS, "method": METHODS, "status": CLASSES}


def table() -> str:
    """All metrics, and the values of labels that are fixed."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{name}`' for name in metric.labels)} "
        f"| {metric.help} |\n"
        for metric in METRICS
    ]
    values = [
        f"- `{label}`: {', '.join(f'`{value}`' for value in values)}\n"
        for label, values in VALUES.items()
    ]
    head = "\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n"
    return head + "".join(rows) + "\nValues of labels:\n\n" + "".join(values)


def main() -> int:
    """Write the page, or with ``--check`` compare it."""
    old = PAGE.read_text("utf-8")
    wanted = old.partition(BEGIN)[0] + BEGIN + table()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(wanted, "utf-8")
        return 0
    if old != wanted:
        print(f"{PAGE.name} is not up to date; run scripts/generate_metrics.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
