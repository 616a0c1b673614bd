"""When secrets end, and what keeps them from it (``docs/spec/lifecycle.md``)."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from adyton.errors import InvalidInput
from adyton.model import secret_name

DAY_SECONDS: Final = 86_400
MAX_SECONDS: Final = 100 * 366 * DAY_SECONDS
MAX_PERIODS: Final = 16
"""Notices of one end."""
MAX_RULES: Final = 500
"""Places of one user with notice periods of their own."""
MAX_HOLDS: Final = 200
"""Legal holds of one user at once."""
MAX_REASON_CHARS: Final = 500

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": DAY_SECONDS, "w": 7 * DAY_SECONDS}


class HoldInfo(NamedTuple):
    """A legal hold.

    Attributes:
        id: Names it.
        where: What it covers: a secret's name, a folder with its slash, or empty for all.
        reason: Why, for those who may list it.
        created_at: When it was placed.
        created_by: Who has placed it.
        operator: Whether the store's operator has, who alone can release it.
    """

    id: str
    where: str
    reason: str
    created_at: dt.datetime
    created_by: str
    operator: bool

    def __repr__(self) -> str:
        return "<HoldInfo>"


class LifecycleRules(NamedTuple):
    """How long what is deleted is kept, and when a user is told of what ends.

    Attributes:
        retention: Seconds for which deleted versions can be brought back before they are
            destroyed; 0 for ever, as it holds now.
        own_retention: What was set for the user; None for that of the store.
        notice: Seconds before an end at which there is a notice, by what they were set for: a
            secret's name, a folder with its slash, or empty for all else.
        store_notice: Those of the store, where nothing was set.
    """

    retention: int
    own_retention: int | None
    notice: Mapping[str, tuple[int, ...]]
    store_notice: tuple[int, ...]

    def __repr__(self) -> str:
        return "<LifecycleRules>"


class ExpiringInfo(NamedTuple):
    """Something that ends, or has ended.

    Attributes:
        kind: ``secret``, ``share``, or another kind of thing that ends.
        name: The secret's or folder's name.
        expires_at: When it ends.
        expired: Whether it has.
        notice_at: When there is a notice next; None for no more.
        detail: Which one, where the name does not tell: the id of a share.
    """

    kind: str
    name: str
    expires_at: dt.datetime
    expired: bool
    notice_at: dt.datetime | None
    detail: str = ""

    def __repr__(self) -> str:
        return f"<ExpiringInfo {self.kind}>"


class LifecycleReport(NamedTuple):
    """What a pass over all that is due has done.

    Attributes:
        noticed: Notices that were given.
        destroyed: Versions whose retention was over, and that were destroyed.
        erased: Secrets of which nothing was left, and that were erased with their names.
        held: Secrets that a legal hold has kept.
        failed: Users whose turn failed, and comes again later.
    """

    noticed: int = 0
    destroyed: int = 0
    erased: int = 0
    held: int = 0
    failed: int = 0


def check_where(where: str) -> str:
    """A secret's name, a folder with its slash, or empty for a whole namespace.

    Raises:
        InvalidName: It is none of them.
    """
    if where:
        secret_name(where[:-1] if isinstance(where, str) and where.endswith("/") else where)
    return where


def covers(where: str, name: str) -> bool:
    """Whether a name is the one, or in the folder or namespace, that is meant."""
    return not where or where == name or (where.endswith("/") and name.startswith(where))


def check_periods(periods: Iterable[int]) -> tuple[int, ...]:
    """Notice periods in seconds, the longest first, each once.

    Raises:
        InvalidInput: There are too many, or one is out of range.
    """
    found = tuple(sorted(set(periods), reverse=True))
    if len(found) > MAX_PERIODS:
        raise InvalidInput(f"{len(found)} notice periods are more than {MAX_PERIODS}")
    if any(type(each) is not int or not 0 <= each <= MAX_SECONDS for each in found):
        raise InvalidInput(
            f"a notice period is not 0 to {MAX_SECONDS} seconds",
            hint="Write how long before the end, such as 7d; 0 is the end itself.",
        )
    return found


def check_reason(reason: str) -> str:
    """Why a hold is placed.

    Raises:
        InvalidInput: It is empty, too long, or has control characters.
    """
    if not isinstance(reason, str) or not reason.strip():
        raise InvalidInput("a legal hold needs a reason", hint="Say which case it is for.")
    if len(reason) > MAX_REASON_CHARS or not reason.isprintable():
        raise InvalidInput(
            f"the reason has more than {MAX_REASON_CHARS} characters, or is not printable"
        )
    return reason


def seconds_of(text: str, what: str, *words: str) -> int:
    """A time such as ``90s``, ``12h`` or ``30d`` in seconds.

    Args:
        text: The time.
        what: What it is, for the error.
        words: What could have been written instead of a time, for the error.

    Raises:
        InvalidInput: It is none.
    """
    found = re.fullmatch(r"(\d{1,9})([smhdw]?)", text, re.ASCII)
    if found is None:
        others = "".join(f", or say '{word}'" for word in words)
        raise InvalidInput(f"{what} is not a time", hint=f"Write it as in 90s, 12h or 30d{others}.")
    return int(found[1]) * _UNITS[found[2] or "s"]


def duration_text(seconds: int) -> str:
    """A time in its largest whole unit, such as ``30d``."""
    for unit in ("d", "h", "m"):
        if seconds and seconds % _UNITS[unit] == 0:
            return f"{seconds // _UNITS[unit]}{unit}"
    return f"{seconds}s"
