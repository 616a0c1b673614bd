"""What a store says of ends, for users who say nothing."""

from dataclasses import dataclass
from typing import Final

from adyton.errors import ConfigurationError, InvalidInput
from adyton.lifecyclevalues import DAY_SECONDS, MAX_SECONDS, check_periods

SETTING: Final = "lifecycle"
"""Setting of a store: by what its rows of ``due`` were made, where users have set nothing."""


@dataclass(frozen=True, slots=True)
class LifecycleOptions:
    """When there are notices, and how long what is deleted is kept.

    Attributes:
        notice: Seconds before an end at which its owner is told of it.
        retention: Seconds for which deleted versions can be brought back; then they are
            destroyed. 0 for ever: until somebody destroys them.
        retention_min: The least that a user may set, in seconds.
        retention_max: The most that a user may set, in seconds; 0 for no bound, so that a user
            may also keep for ever.
    """

    notice: tuple[int, ...] = (30 * DAY_SECONDS, 7 * DAY_SECONDS, DAY_SECONDS)
    retention: int = 90 * DAY_SECONDS
    retention_min: int = 0
    retention_max: int = 0

    def __post_init__(self) -> None:
        try:
            check_periods(self.notice)
        except InvalidInput as error:
            raise ConfigurationError(error.message, hint=error.hint) from None
        for name in ("retention", "retention_min", "retention_max"):
            if not 0 <= getattr(self, name) <= MAX_SECONDS:
                raise ConfigurationError(f"{name} is not 0 to {MAX_SECONDS} seconds")
        if 0 < self.retention_max < self.retention_min:
            raise ConfigurationError(
                "the least retention that a user may set is more than the most",
                hint="Make lifecycle.retention_min no more than lifecycle.retention_max.",
            )
        if self.bounded(self.retention) != self.retention:
            raise ConfigurationError(
                "the store's retention is not between the least and the most that users may set",
                hint="0 keeps for ever, which is more than any lifecycle.retention_max.",
            )

    def bounded(self, seconds: int) -> int:
        """The retention nearest to the one wanted that the store allows; 0 is for ever."""
        if self.retention_max and (not seconds or seconds > self.retention_max):
            return self.retention_max
        return max(seconds, self.retention_min) if seconds else 0

    def text(self) -> bytes:
        """What times in the store were made by, to see whether it has changed."""
        return repr((self.notice, self.retention, self.retention_min, self.retention_max)).encode()
