"""What is kept of counts, as sealed objects of the user (``docs/spec/reports.md``, section 1)."""

import datetime as dt
from dataclasses import dataclass
from typing import Final

import msgspec

from adyton.service.objects import Shelf
from adyton.service.reports.counting import DAY_US, Day

KEPT_DAYS: Final = 800
"""Days whose counts are kept; the log itself keeps its records."""


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """How reports are made ready.

    Attributes:
        by_itself: Whether audit records are counted in the background; whoever asks for a report
            has those counted that are left.
    """

    by_itself: bool = False


class State(msgspec.Struct):
    """How far a user's records are counted.

    Attributes:
        next: The bookmark: the first leaf that was not counted yet.
        first: The first leaf that was counted; records before it are of nobody, or were archived.
        records: How many were counted.
        unopened: How many did not open: of a former life of the user, or changed.
        gap: Whether records were archived before they were counted.
        from_us: Time of the first record that was counted; 0 for none.
        upto_us: Time of the last one.
        oldest: The first day that is kept, counted from the epoch; 0 for none.
    """

    next: int = 0
    first: int = -1
    records: int = 0
    unopened: int = 0
    gap: bool = False
    from_us: int = 0
    upto_us: int = 0
    oldest: int = 0


STATES: Final = Shelf("report-state", State)
DAYS: Final = Shelf("report-day", Day)
ALL: Final = "all"
"""The id of a user's state."""


def day_id(number: int) -> str:
    """The id of the object that holds a day's counts; days are counted from the epoch, UTC."""
    return (dt.date(1970, 1, 1) + dt.timedelta(days=number)).isoformat()


def day_of(time_us: int) -> int:
    """The day of a time."""
    return time_us // DAY_US
