"""Reports as documents: JSON and CSV for programs. Pure: a report in, bytes out."""

from collections.abc import Callable
from typing import Final

from adyton.errors import InvalidInput
from adyton.reportdocs._csv import write_csv
from adyton.reportdocs._json import write_json
from adyton.reportvalues import Report

_WRITERS: Final[dict[str, Callable[[Report], bytes]]] = {
    "json": write_json,
    "csv": write_csv,
}
FORMATS: Final = tuple(_WRITERS)


def write(report: Report, format_name: str) -> bytes:
    """A report as a document.

    Args:
        report: The report.
        format_name: ``json`` or ``csv``.

    Raises:
        InvalidInput: There is no such format.
    """
    writer = _WRITERS.get(format_name)
    if writer is None:
        raise InvalidInput("the format is none of " + ", ".join(FORMATS), hint="Give one of these.")
    return writer(report)


__all__ = ["FORMATS", "write", "write_csv", "write_json"]
