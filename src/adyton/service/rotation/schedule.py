"""When a rotation is due: intervals, cron expressions with time zones, maintenance windows."""

import datetime as dt
import re
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from adyton.errors import InvalidInput
from adyton.model import from_us, to_us
from adyton.rotationpolicy import RotationPolicy

SECOND_US: Final = 1_000_000
_MINUTE_US: Final = 60 * SECOND_US
_MOST_DAYS: Final = 16
"""Until when a window comes: a week, and one more if the clocks jump over it."""
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW: Final = re.compile(
    r"(?:(?P<days>[a-z,-]+) )?(?P<from>[0-2]\d:[0-5]\d)-(?P<to>[0-2]\d:[0-5]\d)", re.ASCII
)
_JITTER: Final = 0.05
_MOST_JITTER_US: Final = 300 * SECOND_US
_BACKOFF_US: Final = 30 * SECOND_US
_MOST_BACKOFF_US: Final = 3600 * SECOND_US


class Window(NamedTuple):
    """A part of some days, in minutes since midnight; it may end on the next day."""

    days: frozenset[int]
    start: int
    end: int

    def holds(self, at: dt.datetime) -> bool:
        """Whether a local time lies in it."""
        minute, day = at.hour * 60 + at.minute, at.weekday()
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        return (day in self.days and minute >= self.start) or (
            (day - 1) % 7 in self.days and minute < self.end
        )


def windows(text: str) -> list[Window]:
    """Parse maintenance windows.

    Raises:
        InvalidInput: The text is none.
    """
    return [_window(part.strip()) for part in text.split(";")] if text else []


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise _no_window()
    start, end = _minutes(found["from"]), _minutes(found["to"])
    if start == end:
        raise _no_window()
    days = set(range(7)) if found["days"] is None else set()
    for part in (found["days"] or "").split(","):
        if not part and found["days"] is None:
            continue
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise _no_window()
        at, to = _DAYS.index(first), _DAYS.index(last if dash else first)
        days |= {(at + step) % 7 for step in range((to - at) % 7 + 1)}
    return Window(frozenset(days), start, end)


def _minutes(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if hours > 23:
        raise _no_window()
    return hours * 60 + minutes


def _no_window() -> InvalidInput:
    return InvalidInput(
        "the maintenance window can't be read", hint="Write it as in 'sat,sun 01:00-05:00'."
    )


def zone(name: str) -> ZoneInfo:
    """A time zone.

    Raises:
        InvalidInput: It is not known.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            "the time zone is not known", hint="Give an IANA name, such as Europe/Berlin."
        ) from None


def check(policy: RotationPolicy, now_us: int) -> None:
    """Check all that a policy says of times.

    Raises:
        InvalidInput: Something can't be read, or never comes.
    """
    windows(policy.window)
    zone(policy.timezone)
    next_due(policy, now_us)


def next_due(policy: RotationPolicy, after_us: int, spread: float = 0.0) -> int:
    """When a rotation is next to begin, in microseconds; 0 for never by itself.

    Args:
        policy: How the secret is rotated.
        after_us: The time after which.
        spread: 0 to 1, how much of the jitter to add to an interval.

    Raises:
        InvalidInput: The cron expression can't be read or never comes.
    """
    if policy.cron:
        at = _next_cron(policy, after_us)
    elif policy.every:
        span = policy.every * SECOND_US
        at = after_us + span + int(spread * min(span * _JITTER, _MOST_JITTER_US))
    else:
        return 0
    return in_window(policy, at)


def _next_cron(policy: RotationPolicy, after_us: int) -> int:
    local = from_us(after_us).astimezone(zone(policy.timezone))
    try:
        return to_us(next(CronSim(policy.cron, local)).astimezone(dt.UTC))
    except (CronSimError, StopIteration):
        raise InvalidInput(
            "the cron expression can't be read, or never comes",
            hint="Give five fields: minute, hour, day of month, month, day of week.",
        ) from None


def in_window(policy: RotationPolicy, at_us: int) -> int:
    """The first time from this one on that lies in a window."""
    wanted = windows(policy.window)
    place = zone(policy.timezone)
    local = from_us(at_us).astimezone(place)
    if not wanted or any(window.holds(local) for window in wanted):
        return at_us
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    starts = [
        begin
        for day in range(_MOST_DAYS)
        for window in wanted
        if (local.weekday() + day) % 7 in window.days
        and (begin := _begins(window, midnight + dt.timedelta(days=day), place)) > at_us
    ]
    return min(starts)


def _begins(window: Window, midnight: dt.datetime, place: ZoneInfo) -> int:
    """When a window begins on a day; 0 where the clocks jump over the whole of it.

    A beginning that they jump over is the moment of the jump.
    """
    asked = midnight + dt.timedelta(minutes=window.start)

    def shown(us: int) -> dt.datetime:
        return from_us(us).astimezone(place).replace(tzinfo=None)

    # Of a time that is not there, the offset of before the jump makes one behind it (PEP 495).
    at = to_us(asked.replace(tzinfo=place).astimezone(dt.UTC))
    if shown(at) != asked:
        while shown(at - _MINUTE_US) > asked:
            at -= _MINUTE_US
    return at if window.holds(shown(at)) else 0


def may_begin(policy: RotationPolicy, now_us: int) -> bool:
    """Whether a rotation may begin by itself now."""
    return in_window(policy, now_us) == now_us


def backoff_us(attempts: int, spread: float) -> int:
    """How long to wait after so many failures in a row, with 25 % of jitter either way."""
    span = min(_BACKOFF_US << max(0, min(attempts, 20) - 1), _MOST_BACKOFF_US)
    return int(span * (0.75 + spread / 2))
