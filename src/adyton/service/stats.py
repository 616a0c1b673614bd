"""Counts of what the service does, as plain numbers.

Whoever shows them reads them; nothing waits for that. Each is changed by one thread at a time.
"""

from bisect import bisect_left
from types import TracebackType
from typing import Final

from adyton.errors import AccessDenied, InvalidInput, LimitExceeded, SecretNotFound

SECONDS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    10.0,
)  # fmt: skip
"""Upper bounds of durations, in seconds."""
SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)
"""Upper bounds of sizes of groups."""


class Histogram:
    """How many values lay in which range.

    Args:
        bounds: Upper bounds of the ranges, inclusive, ascending; one more range lies above.

    Attributes:
        counts: Values in each range, not cumulative.
        total: Sum of all values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class CommitStats:
    """What the group commit has done.

    Attributes:
        seconds: Time to make a group durable.
        sizes: Units that shared one commit.
        failed: Groups that could not be made durable.
    """

    __slots__ = ("failed", "seconds", "sizes")

    def __init__(self) -> None:
        self.seconds = Histogram(SECONDS)
        self.sizes = Histogram(SIZES)
        self.failed = 0

    @property
    def commits(self) -> int:
        """Groups that were made durable."""
        return sum(self.sizes.counts)

    def committed(self, units: int, seconds: float) -> None:
        """Count a group that is durable."""
        self.seconds.add(seconds)
        self.sizes.add(units)


class LoginStats:
    """How logins have ended. As a block it counts the login that is done inside.

    Attributes:
        succeeded: A token was given.
        failed: Name, password, role or SecretID was wrong, or the address not allowed.
        throttled: Refused unseen: too many failures, or too many at once.
    """

    __slots__ = ("failed", "succeeded", "throttled")

    def __init__(self) -> None:
        self.succeeded = 0
        self.failed = 0
        self.throttled = 0

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.succeeded += 1
        elif issubclass(kind, LimitExceeded):
            self.throttled += 1
        elif issubclass(kind, InvalidInput | AccessDenied | SecretNotFound):
            self.failed += 1  # anything else says nothing about who logs in
