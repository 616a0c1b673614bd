"""What requests and answers about rotation look like."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from adyton.model import from_us
from adyton.rotationpolicy import (
    MAX_RETRIES,
    MAX_SECONDS,
    MAX_SETTING_CHARS,
    MAX_SETTINGS,
    RotationEvent,
    RotationInfo,
    RotationPolicy,
)
from adyton.server.native.shapes import MAX_NUMBER, Answer, Shape, Time

_Word: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
_Text: TypeAlias = Annotated[str, Meta(max_length=MAX_SETTING_CHARS)]
_Settings: TypeAlias = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64)], _Text],
    Meta(max_length=MAX_SETTINGS),
]
_Seconds: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_SECONDS)]


class RotationBody(Shape, kw_only=True):
    """A policy of rotation."""

    every: _Seconds = 0
    cron: Annotated[str, Meta(max_length=200)] = ""
    timezone: Annotated[str, Meta(max_length=64)] = "UTC"
    window: Annotated[str, Meta(max_length=200)] = ""
    rotator: _Word = "random"
    settings: _Settings = msgspec.field(default_factory=dict)
    admin: Annotated[str, Meta(max_length=512)] = ""
    generator: _Word = "text"
    options: _Settings = msgspec.field(default_factory=dict)
    grace: _Seconds = 3600
    retries: Annotated[int, Meta(ge=0, le=MAX_RETRIES)] = 5

    def policy(self) -> RotationPolicy:
        """The service's value."""
        return RotationPolicy(**msgspec.structs.asdict(self))


class PolicyShown(Answer, kw_only=True):
    """A policy of rotation."""

    every: int
    cron: str
    timezone: str
    window: str
    rotator: str
    settings: dict[str, str]
    admin: str
    generator: str
    options: dict[str, str]
    grace: int
    retries: int


class RotationShown(Answer, kw_only=True):
    """A secret's rotation."""

    name: str
    policy: PolicyShown
    state: str
    due_at: Time | None
    rotated_at: Time | None
    version: Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
    attempts: int
    error: str
    overdue: bool
    folder: str


class RotationList(Answer, kw_only=True):
    """All rotations of a user."""

    items: list[RotationShown]


class RotationEventShown(Answer, kw_only=True):
    """One step."""

    time: Time
    step: str
    error: str
    version: int


class RotationHistory(Answer, kw_only=True):
    """The last steps, newest first."""

    items: list[RotationEventShown]


class RotationReportShown(Answer, kw_only=True):
    """What a pass over all that is due has done."""

    taken: int
    done: int
    failed: int


def shown_rotation(info: RotationInfo) -> RotationShown:
    """A rotation."""
    members = info._asdict()
    members["policy"] = PolicyShown(**msgspec.structs.asdict(info.policy))
    return RotationShown(**members)


def shown_event(event: RotationEvent) -> RotationEventShown:
    """A step."""
    return RotationEventShown(
        time=from_us(event.time_us), step=event.step, error=event.error, version=event.version
    )
