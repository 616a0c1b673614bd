"""How long a token lasts, and when it is time to renew it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_LAST_PART: Final = 3
_PAUSE_SECONDS: Final = 10.0


@dataclass(slots=True)
class Lease:
    """A token's remaining time, by this machine's own monotonic clock.

    Attributes:
        wanted: Whether the client renews its token by itself.
        now: The clock, in seconds.
    """

    wanted: bool
    now: Callable[[], float] = time.monotonic
    _due: float | None = None
    _known: bool = False

    @property
    def unknown(self) -> bool:
        """Whether the server has to be asked first."""
        return self.wanted and not self._known

    @property
    def due(self) -> bool:
        """Whether the last third of the token's time has begun."""
        return self.wanted and self._due is not None and self.now() >= self._due

    def learn(self, ttl: int, *, renewable: bool) -> None:
        """Take note of what the server says of the token; a ttl of 0 is none."""
        self._known = True
        self._due = self.now() + ttl - ttl / _LAST_PART if ttl and renewable else None

    def pause(self) -> None:
        """Don't try for a while: it has just failed, or is under way."""
        self._known = True
        self._due = self.now() + _PAUSE_SECONDS

    def forget(self) -> None:
        """Another token is in use now."""
        self._known = False
        self._due = None
