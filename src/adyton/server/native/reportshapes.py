"""What requests and answers about reports look like."""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from adyton.reportvalues import DEFAULT_LIMIT, MAX_DAYS, MAX_LIMIT, Asked, Fact, Report, Table
from adyton.server.native.shapes import MAX_NUMBER, Answer, Prefix, Shape, Time


class ReportQuery(Shape, kw_only=True):
    """What of a report is wanted."""

    since: Time | UnsetType = UNSET
    until: Time | UnsetType = UNSET
    days: Annotated[int, Meta(ge=0, le=MAX_DAYS)] | UnsetType = UNSET
    prefix: Prefix = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    offset: Annotated[int, Meta(ge=0, le=MAX_NUMBER)] = 0

    def asked(self) -> Asked:
        """The service's value."""
        return Asked(
            self.since or None,
            self.until or None,
            None if self.days is UNSET else self.days,
            self.prefix,
            self.limit,
            self.offset,
        )


class ReportShown(Answer, kw_only=True):
    """A report."""

    name: str
    title: str
    user: str
    made_at: Time
    since: Time | None
    until: Time | None
    notes: tuple[str, ...]
    facts: tuple[Fact, ...]
    tables: tuple[Table, ...]


class ReportInfoShown(Answer, kw_only=True):
    """A report that there is."""

    name: str
    title: str
    about: str
    of_store: bool


class ReportList(Answer, kw_only=True):
    """The reports that there are."""

    items: list[ReportInfoShown]


class CountsChecked(Answer, kw_only=True):
    """How many days' counts are those of the audit log."""

    days: int


def shown_report(report: Report) -> ReportShown:
    """A report."""
    return ReportShown(**{name: getattr(report, name) for name in Report.__struct_fields__})
