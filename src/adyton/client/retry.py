"""When a request is sent again, and after how long: decided here, done by the connection."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from adyton.errors import AdytonError

_BASE_SECONDS: Final = 0.1
_CAP_SECONDS: Final = 5.0
_UNIT: Final = random.SystemRandom().random


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong with one attempt.

    Attributes:
        error: What is raised if it is the last.
        unsent: Whether the server can't have seen the request, so that any may be repeated.
        passing: Whether another attempt may do better.
        asked: Seconds that the server asks to wait, or 0.
    """

    error: AdytonError
    unsent: bool = False
    passing: bool = True
    asked: float = 0.0


@dataclass(frozen=True, slots=True)
class Retries:
    """Exponential backoff with full jitter, bounded in number and in time.

    Attributes:
        most: How often a request may be repeated.
        seconds: Most seconds that all attempts together may take.
        random: A number from 0 to 1, not included.
    """

    most: int
    seconds: float
    random: Callable[[], float] = _UNIT

    def wait(self, failure: Failure, *, safe: bool, attempt: int, elapsed: float) -> float | None:
        """Seconds to wait before the next attempt, or None to give up.

        Args:
            failure: What went wrong.
            safe: Whether doing the request twice is the same as doing it once.
            attempt: How many repetitions there were before.
            elapsed: Seconds since the first attempt began.
        """
        if attempt >= self.most or not (failure.unsent or (safe and failure.passing)):
            return None
        # Full jitter: clients that failed together don't come back together.
        jitter = self.random() * min(_CAP_SECONDS, _BASE_SECONDS * 2**attempt)
        wait = failure.asked + jitter if failure.asked else jitter
        return wait if elapsed + wait < self.seconds else None


def asked_seconds(header: str) -> float:
    """Seconds of a ``Retry-After`` header (RFC 9110, 10.2.3); 0 for none, and for dates."""
    return float(header) if len(header) <= 9 and header.isdecimal() else 0.0
