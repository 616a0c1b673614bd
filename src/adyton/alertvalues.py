"""How unusual reads are looked for, and what is not told of them (``docs/spec/alerts.md``)."""

import datetime as dt
from typing import Final, Literal, NamedTuple, TypeAlias

from adyton.errors import InvalidInput

Sensitivity: TypeAlias = Literal["off", "low", "medium", "high"]
SENSITIVITIES: Final[tuple[Sensitivity, ...]] = ("off", "low", "medium", "high")

RULES: Final = ("new-actor", "new-network", "burst", "unusual-hour", "more")
"""The last words of the notices' kinds: ``anomaly.new-actor`` and so on."""
MAX_MUTES: Final = 100
MAX_MUTE_CHARS: Final = 512


class MuteInfo(NamedTuple):
    """What is not told of.

    Attributes:
        id: Its id.
        rule: Which rule; empty for all.
        secret: Name of a secret, or of a folder with its slash; empty for all.
        actor: Who reads; empty for all.
        until: When it ends; None for never.
        note: Why.
    """

    id: str
    rule: str
    secret: str
    actor: str
    until: dt.datetime | None
    note: str

    def __repr__(self) -> str:
        return "<MuteInfo>"


class AlertSettings(NamedTuple):
    """How a user's reads are looked at.

    Attributes:
        sensitivity: ``off``, ``low``, ``medium`` or ``high``.
        own: Whether the user has set that, and not the configuration.
        secrets: How many secrets are known to the baseline.
        actors: How many actors are.
        since: Time of the first read that it knows; None for none.
        mutes: What is not told of.
    """

    sensitivity: Sensitivity
    own: bool
    secrets: int
    actors: int
    since: dt.datetime | None
    mutes: list[MuteInfo]

    def __repr__(self) -> str:
        return f"<AlertSettings {self.sensitivity}>"


class ScanReport(NamedTuple):
    """What a look at new records has done.

    Attributes:
        reads: How many reads there were.
        alerts: How many notices that made.
    """

    reads: int
    alerts: int


def check_sensitivity(text: str) -> Sensitivity:
    """A sensitivity.

    Raises:
        InvalidInput: It is none.
    """
    for known in SENSITIVITIES:
        if text == known:
            return known
    raise InvalidInput(
        "the sensitivity is not known", hint=f"Known are {', '.join(SENSITIVITIES)}."
    )


def check_mute(rule: str, secret: str, actor: str, note: str) -> None:
    """Check what is not to be told of.

    Raises:
        InvalidInput: The rule is none, nothing is named, or a text is too long.
    """
    if rule and rule not in RULES:
        raise InvalidInput("the rule is not known", hint=f"Known are {', '.join(RULES)}.")
    if not (rule or secret or actor):
        raise InvalidInput(
            "a mute names a rule, a secret or an actor", hint="To mute all, set 'off'."
        )
    if max(len(secret), len(actor), len(note)) > MAX_MUTE_CHARS:
        raise InvalidInput(f"a text of a mute is longer than {MAX_MUTE_CHARS}")
