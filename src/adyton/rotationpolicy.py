"""When and how a secret is rotated, and what is told of it (``docs/spec/rotation.md``)."""

import datetime as dt
from typing import Final, NamedTuple

import msgspec

from adyton.errors import InvalidInput

MAX_SETTINGS: Final = 32
MAX_SETTING_CHARS: Final = 1024
MAX_SECONDS: Final = 10 * 366 * 86_400
MIN_EVERY_SECONDS: Final = 1
MAX_RETRIES: Final = 20
DAY_SECONDS: Final = 86_400


class RotationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How one secret is rotated. Stored by the fields' names.

    Attributes:
        every: Seconds from one rotation to the next; 0 for none.
        cron: Instead of ``every``, a cron expression of five fields; empty for none. With neither
            the secret is rotated on request alone.
        timezone: IANA name of the time zone of ``cron`` and ``window``.
        window: When a rotation may begin by itself, such as ``sat,sun 01:00-05:00``; empty for
            always. Several are separated by ``;``.
        rotator: What puts a new value into use: ``random``, ``postgresql``, ``redis``,
            ``webhook``, ``program``, or that of a plug-in.
        settings: The rotator's settings; nothing secret.
        admin: Name of the secret, in the same namespace, by which the rotator is let in; or empty.
        generator: What makes new values: ``text``, ``words``, ``uuid``, ``ssh``, ``x25519``,
            ``rsa``, ``ecdsa`` or ``tls``.
        options: The generator's options.
        grace: Seconds for which the former value works on.
        retries: How often a step is tried again before the rotation is undone.
    """

    every: int = 0
    cron: str = ""
    timezone: str = "UTC"
    window: str = ""
    rotator: str = "random"
    settings: dict[str, str] = {}
    admin: str = ""
    generator: str = "text"
    options: dict[str, str] = {}
    grace: int = 3600
    retries: int = 5

    def __repr__(self) -> str:
        return "<RotationPolicy>"  # settings name hosts and roles

    def does_the_same(self, other: "RotationPolicy") -> bool:
        """Whether another policy differs in times alone."""
        return (self.rotator, self.settings, self.admin) == (
            other.rotator,
            other.settings,
            other.admin,
        )

    def check(self) -> None:
        """Check what can be checked without clocks, zones and rotators.

        Raises:
            InvalidInput: A field breaks a rule.
        """
        if self.every and self.cron:
            raise InvalidInput("a rotation has an interval or a cron expression, not both")
        if self.every and not MIN_EVERY_SECONDS <= self.every <= MAX_SECONDS:
            raise InvalidInput(f"the interval is not {MIN_EVERY_SECONDS} to {MAX_SECONDS} seconds")
        if not 0 <= self.grace <= MAX_SECONDS:
            raise InvalidInput(f"the grace period is not 0 to {MAX_SECONDS} seconds")
        if self.every and self.grace >= self.every:
            raise InvalidInput(
                "the grace period is not shorter than the interval",
                hint="A rotation begins once the former value's grace is over.",
            )
        if not 0 <= self.retries <= MAX_RETRIES:
            raise InvalidInput(f"the retries are not 0 to {MAX_RETRIES}")
        for what, settings in (("settings", self.settings), ("options", self.options)):
            if len(settings) > MAX_SETTINGS:
                raise InvalidInput(f"the {what} are more than {MAX_SETTINGS}")
            for key, value in settings.items():
                if not key or len(key) > 64 or len(value) > MAX_SETTING_CHARS:
                    raise InvalidInput(
                        f"one of the {what} is too long", hint=f"{MAX_SETTING_CHARS} characters."
                    )


class RotationEvent(msgspec.Struct, frozen=True):
    """One step of a rotation that was taken, or that failed.

    Attributes:
        time_us: When, in microseconds since the epoch.
        step: ``create``, ``set``, ``test``, ``promote``, ``retire`` or ``undo``.
        error: Why it failed, or empty.
        version: The version that became current, for ``promote``; otherwise 0.
    """

    time_us: int
    step: str
    error: str = ""
    version: int = 0


class RotationInfo(NamedTuple):
    """What is known of one secret's rotation.

    Attributes:
        name: The secret; or a folder, with its slash.
        policy: How it is rotated.
        state: ``folder`` for a folder's policy; of a secret ``waiting``, ``rotating``, ``grace``
            (the former value works still) or ``undoing``.
        due_at: When something is to be done next; None for never.
        rotated_at: When a new value was last promoted; None for never.
        version: The version that was.
        attempts: How often the step at hand has failed.
        error: Why the last attempt failed; empty once a rotation has succeeded.
        overdue: Whether the time to begin has passed by more than an hour.
        folder: The folder whose policy it is; empty for one of the secret's own.
    """

    name: str
    policy: RotationPolicy
    state: str
    due_at: dt.datetime | None
    rotated_at: dt.datetime | None
    version: int
    attempts: int
    error: str
    overdue: bool
    folder: str = ""


class RotationReport(NamedTuple):
    """What a pass over all that is due has done.

    Attributes:
        taken: How many secrets had something due.
        done: How many of them went on or are finished.
        failed: How many met an error; it is told of in their histories.
    """

    taken: int
    done: int
    failed: int
