"""What requests and answers about ends, retention and legal holds look like."""

from typing import Annotated, TypeAlias

from msgspec import Meta

from adyton.lifecyclevalues import (
    DAY_SECONDS,
    MAX_PERIODS,
    MAX_REASON_CHARS,
    MAX_SECONDS,
    ExpiringInfo,
    HoldInfo,
    LifecycleRules,
)
from adyton.model import MAX_NAME_CHARS
from adyton.server.native.shapes import Answer, Shape, Time

_Where: TypeAlias = Annotated[
    str, Meta(max_length=MAX_NAME_CHARS + 1, extra_json_schema={"format": "secret-name"})
]
_Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_SECONDS)]
_Periods: TypeAlias = Annotated[list[_Seconds], Meta(max_length=MAX_PERIODS)]


class HoldBody(Shape, kw_only=True):
    """A legal hold: on a secret, on a folder with its slash, or on all."""

    reason: Annotated[
        str, Meta(min_length=1, max_length=MAX_REASON_CHARS, extra_json_schema={"format": "line"})
    ]
    where: _Where = ""


class HoldShown(Answer, kw_only=True):
    """A legal hold."""

    id: str
    where: str
    reason: str
    created_at: Time
    created_by: str
    operator: bool


class HoldList(Answer, kw_only=True):
    """All holds of a user."""

    items: list[HoldShown]


class NoticeBody(Shape, kw_only=True):
    """Seconds before an end at which there is a notice; null for what is set above the place."""

    before: _Periods | None
    where: _Where = ""


class RetentionBody(Shape, kw_only=True):
    """How long deleted versions are kept: 0 for ever, null for as long as the store says."""

    seconds: _Seconds | None


class LifecycleShown(Answer, kw_only=True):
    """What holds for a user: retention and notice periods, in seconds."""

    retention: int
    own_retention: int | None
    notice: dict[str, list[int]]
    store_notice: list[int]


class ExpiringQuery(Shape, kw_only=True):
    """How far to look ahead, in seconds."""

    within: _Seconds = 30 * DAY_SECONDS


class ExpiringShown(Answer, kw_only=True):
    """Something that ends, or has ended."""

    kind: str
    name: str
    expires_at: Time
    expired: bool
    notice_at: Time | None
    detail: str


class ExpiringList(Answer, kw_only=True):
    """What ends, the first to end first."""

    items: list[ExpiringShown]


class LifecycleReportShown(Answer, kw_only=True):
    """What a pass over all that is due has done."""

    noticed: int
    destroyed: int
    erased: int
    held: int
    failed: int


def shown_hold(info: HoldInfo) -> HoldShown:
    """A hold."""
    return HoldShown(**info._asdict())


def shown_rules(rules: LifecycleRules) -> LifecycleShown:
    """Rules."""
    return LifecycleShown(
        retention=rules.retention,
        own_retention=rules.own_retention,
        notice={where: list(periods) for where, periods in rules.notice.items()},
        store_notice=list(rules.store_notice),
    )


def shown_end(info: ExpiringInfo) -> ExpiringShown:
    """An end."""
    return ExpiringShown(**info._asdict())
