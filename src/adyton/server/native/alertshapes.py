"""What requests and answers about alerts look like."""

from typing import Annotated, Literal

from msgspec import Meta

from adyton.alertvalues import MAX_MUTE_CHARS, AlertSettings, MuteInfo
from adyton.model import to_us
from adyton.server.native.shapes import MAX_NUMBER, Answer, Shape, Time


class SensitivityBody(Shape, kw_only=True):
    """How closely a user's reads are looked at; null for what is configured."""

    sensitivity: Literal["off", "low", "medium", "high"] | None


class MuteBody(Shape, kw_only=True):
    """What is not to be told of; a rule, a secret or an actor at the least."""

    rule: Literal["", "new-actor", "new-network", "burst", "unusual-hour", "more"] = ""
    secret: Annotated[str, Meta(max_length=MAX_MUTE_CHARS)] = ""
    actor: Annotated[str, Meta(max_length=MAX_MUTE_CHARS)] = ""
    until: Time | None = None
    note: Annotated[str, Meta(max_length=MAX_MUTE_CHARS)] = ""

    @property
    def until_us(self) -> int:
        """When it ends, in microseconds; 0 for never."""
        return 0 if self.until is None else to_us(self.until)


class MuteShown(Answer, kw_only=True):
    """What is not told of."""

    id: str
    rule: str
    secret: str
    actor: str
    until: Time | None
    note: str


class AlertSettingsShown(Answer, kw_only=True):
    """How a user's reads are looked at."""

    sensitivity: Literal["off", "low", "medium", "high"]
    own: bool
    secrets: Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
    actors: Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
    since: Time | None
    mutes: list[MuteShown]


class ScanShown(Answer, kw_only=True):
    """What a look at new records has done."""

    reads: Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
    alerts: Annotated[int, Meta(ge=0, le=MAX_NUMBER)]


def shown_mute(info: MuteInfo) -> MuteShown:
    """A mute."""
    return MuteShown(**info._asdict())


def shown_settings(settings: AlertSettings) -> AlertSettingsShown:
    """Settings."""
    members = settings._asdict() | {"mutes": [shown_mute(mute) for mute in settings.mutes]}
    return AlertSettingsShown(**members)
