"""What is stored of a user's baseline and settings (``docs/spec/alerts.md``, section 2)."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from adyton.alertvalues import SENSITIVITIES, MuteInfo, Sensitivity
from adyton.errors import ConfigurationError
from adyton.model import from_us
from adyton.ports import Rows
from adyton.service.anomalies.baseline import ActorLine, SecretLine, Shard
from adyton.service.objects import Shelf
from adyton.service.userkeys import UserKeys

ALL: Final = "all"
"""The id of what there is one of."""


@dataclass(frozen=True, slots=True)
class AlertOptions:
    """How unusual reads are looked for.

    Attributes:
        sensitivity: For users who have not set their own.
        learn_days: Days after its first read from which on a secret, or an actor, is known.
        quiet_hours: For how long nothing more of the same is told.
        by_itself: Whether new records are looked at in the background.
    """

    sensitivity: Sensitivity = "medium"
    learn_days: float = 14.0
    quiet_hours: float = 24.0
    by_itself: bool = False

    def __post_init__(self) -> None:
        if self.sensitivity not in SENSITIVITIES:
            raise ConfigurationError(
                "the sensitivity of alerts is not known",
                hint=f"Known are {', '.join(SENSITIVITIES)}.",
            )
        if self.learn_days < 0 or self.quiet_hours < 0:
            raise ConfigurationError("a time of alerts is negative")


class Quiet(msgspec.Struct, array_like=True):
    """Until when nothing more of one thing is told, and how often it was found meanwhile."""

    until_us: int
    more: int = 0


class Progress(msgspec.Struct, omit_defaults=True):
    """How far a user's records were looked at.

    Attributes:
        next: The first leaf that was not.
        since_us: Time of the first read; 0 for none.
        quiet: By what it is about.
        day: The day of the last notice.
        told: Notices of that day.
        held: What was not told then, for there were too many.
    """

    next: int = 0
    since_us: int = 0
    quiet: dict[str, Quiet] = {}
    day: int = 0
    told: int = 0
    held: int = 0


class Packed(msgspec.Struct):
    """A shard's lines, MessagePack, with whole numbers as keys."""

    lines: bytes

    def __repr__(self) -> str:
        return "<Packed>"


class Mute(msgspec.Struct, omit_defaults=True):
    """What is not told of."""

    rule: str = ""
    secret: str = ""
    actor: str = ""
    until_us: int = 0
    note: str = ""

    def __repr__(self) -> str:
        return "<Mute>"

    def covers(self, rule: str, secret: str, actor: str, now_us: int) -> bool:
        """Whether something is not to be told."""
        if 0 < self.until_us <= now_us or self.rule not in ("", rule):
            return False
        named = secret.startswith(self.secret) if self.secret.endswith("/") else None
        if named is None:
            named = self.secret in ("", secret)
        return named and self.actor in ("", actor)

    def info(self, ident: str) -> MuteInfo:
        """The public value."""
        until = from_us(self.until_us) if self.until_us else None
        return MuteInfo(ident, self.rule, self.secret, self.actor, until, self.note)


class Settings(msgspec.Struct, omit_defaults=True):
    """What a user has said of alerts."""

    sensitivity: str = ""
    mutes: dict[str, Mute] = {}


PROGRESS: Final = Shelf("anomaly-progress", Progress)
SETTINGS: Final = Shelf("anomaly-settings", Settings)
SECRETS: Final = Shelf("anomaly-secrets", Packed)
ACTORS: Final = Shelf("anomaly-actors", Packed)

_encode: Final = msgspec.msgpack.Encoder().encode
_secrets: Final = msgspec.msgpack.Decoder(dict[int, SecretLine]).decode
_actors: Final = msgspec.msgpack.Decoder(dict[int, ActorLine]).decode


def packed(shard: Shard[Any]) -> Packed:
    """A shard as it is stored."""
    return Packed(_encode(shard.lines))


async def secret_shard(rows: Rows, keys: UserKeys, number: int) -> Shard[SecretLine]:
    """A shard of lines for secrets; an empty one where none is stored.

    Raises:
        IntegrityError: It was changed or moved.
    """
    found = await SECRETS.get(rows, keys, str(number))
    return Shard({} if found is None else _secrets(found.lines))


async def actor_shard(rows: Rows, keys: UserKeys, number: int) -> Shard[ActorLine]:
    """A shard of lines for actors; an empty one where none is stored.

    Raises:
        IntegrityError: It was changed or moved.
    """
    found = await ACTORS.get(rows, keys, str(number))
    return Shard({} if found is None else _actors(found.lines))
