"""Token buckets: how often something may happen, for many keys, in bounded memory.

A bucket is one integer, the time at which it will be full again (the generic cell rate
algorithm, ITU-T I.371, annex A): taking a token moves that time on by the gap between two
tokens, and a token can be taken while the time is not further off than the burst. Times are
nanoseconds of a monotonic clock that is passed in.

A bucket that is full says nothing, so it need not be kept. One that is not full is never
forgotten: when there is no room, newcomers share buckets, and whoever gets one of their own later
begins with what was left in the shared one. A flood of fresh keys gains nothing by it.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from adyton.errors import ConfigurationError

SECOND_NS: Final = 1_000_000_000
_SHARED: Final = 1_024
_LOOK_AT: Final = 8
"""Old buckets that are looked at to find room for a new one."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in a second on average, and so many at once.

    Attributes:
        per_second: Tokens that come back in a second; a fraction is allowed.
        burst: Tokens of a full bucket.
    """

    per_second: float
    burst: int

    def __post_init__(self) -> None:
        if not 1e-6 <= self.per_second <= 1e9:
            raise ConfigurationError(f"a rate of {self.per_second} per second is out of range")
        if not 1 <= self.burst <= 10**9:
            raise ConfigurationError(f"a burst of {self.burst} is out of range")

    @property
    def gap_ns(self) -> int:
        """Nanoseconds in which one token comes back."""
        return max(1, round(SECOND_NS / self.per_second))

    def times(self, factor: int) -> "Rate":
        """A rate that many times as large."""
        return Rate(min(self.per_second * factor, 1e9), min(self.burst * factor, 10**9))


class Buckets:
    """Buckets of one rate.

    Args:
        rate: What each may.
        keys: Most buckets that are kept; further keys share a fixed number of buckets.
    """

    __slots__ = ("_full_at", "_gap", "_keys", "_shared", "_slack")

    def __init__(self, rate: Rate, keys: int = 20_000) -> None:
        self._gap = rate.gap_ns
        self._slack = (rate.burst - 1) * self._gap
        self._keys = keys
        self._full_at: OrderedDict[Hashable, int] = OrderedDict()
        self._shared = [0] * _SHARED

    def __len__(self) -> int:
        return len(self._full_at)

    def wait(self, key: Hashable, now: int) -> int:
        """Nanoseconds until a key may take a token; 0 if it may now. Takes nothing."""
        full_at = self._full_at.get(key)
        if full_at is None:
            full_at = self._shared[hash(key) % _SHARED]
        late = full_at - now - self._slack
        return max(0, late)

    def take(self, key: Hashable, now: int) -> None:
        """Take a token, whether there is one or not."""
        mine = self._full_at
        full_at = mine.get(key)
        if full_at is not None:
            mine[key] = max(now, full_at) + self._gap
            return
        at = hash(key) % _SHARED
        full_at = max(self._shared[at], now) + self._gap
        if len(mine) < self._keys or self._make_room(now):
            mine[key] = full_at
        else:
            self._shared[at] = full_at

    def _make_room(self, now: int) -> bool:
        """Forget a bucket that is full; False if none is found at once."""
        mine = self._full_at
        for _ in range(min(_LOOK_AT, len(mine))):
            key, full_at = mine.popitem(last=False)
            if full_at <= now:
                return True
            mine[key] = full_at
        return False
