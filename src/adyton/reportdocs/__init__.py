"""Reports as documents: JSON and CSV for programs, one HTML page for people.

Pure: a report in, bytes out. The page needs the extra ``reports``.
"""

from collections.abc import Callable
from typing import Final

from adyton.errors import InvalidInput
from adyton.reportdocs._csv import write_csv
from adyton.reportdocs._html import write_html
from adyton.reportdocs._json import write_json
from adyton.reportvalues import Report

_WRITERS: Final[dict[str, Callable[[Report], bytes]]] = {
    "json": write_json,
    "csv": write_csv,
    "html": write_html,
}
FORMATS: Final = tuple(_WRITERS)


def write(report: Report, format_name: str) -> bytes:
    """A report as a document.

    Args:
        report: The report.
        format_name: ``json``, ``csv`` or ``html``.

    Raises:
        InvalidInput: There is no such format.
        ConfigurationError: What draws charts is not installed.
    """
    writer = _WRITERS.get(format_name)
    if writer is None:
        raise InvalidInput("the format is none of " + ", ".join(FORMATS), hint="Give one of these.")
    return writer(report)


__all__ = ["FORMATS", "write", "write_csv", "write_html", "write_json"]
