"""What is usual: bounded lines for secrets and for actors (``docs/spec/alerts.md``, section 2).

Names stand here as hashes of 64 bits, members of a line's sets as 32: two that meet by chance make
something new look known, with a probability of a set's size in four milliards.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Final, Generic, Protocol, TypeVar

import msgspec

SETS: Final = 32
"""Members of one line's set; a secret with more readers, or networks, is no place to be new at."""
HOURS: Final = 48
"""Hours of a working day, then of a day at the week's end, UTC."""
SECRET_SHARDS: Final = 64
SECRETS_A_SHARD: Final = 128
ACTOR_SHARDS: Final = 16
ACTORS_A_SHARD: Final = 32
WINDOW_US: Final = 600 * 1_000_000
"""Reads are counted over ten minutes."""
DAY_US: Final = 86_400 * 1_000_000
_PEAK_WINDOWS: Final = 14 * 144
"""Windows after which half of a peak is forgotten: two weeks."""
_NOVEL_DAYS: Final = 30
_FORGET_DAYS: Final = 90
_HOUR_TOTAL: Final = 20_000


class Counter(msgspec.Struct, array_like=True):
    """Reads in windows, and their fading peak.

    Attributes:
        window: The window that is counted.
        count: Reads in it.
        peak: The most in one before.
        grown: The day on which a burst was last taken into the peak.
    """

    window: int = 0
    count: int = 0
    peak: float = 0.0
    grown: int = 0

    def turn(self, window: int, limit: float, learned: float) -> None:
        """Begin a window; the one that ends counts to the peak.

        A burst is not what is usual from now on, but may become so, day by day.

        Args:
            window: The new window.
            limit: What is a burst.
            learned: What a burst counts as, once a day.
        """
        if self.count <= limit:
            self.peak = max(self.peak, self.count)
        elif (day := self.window * WINDOW_US // DAY_US) != self.grown:
            self.grown = day
            self.peak = max(self.peak, learned)
        self.peak = self.usual(window)
        self.window, self.count = window, 0

    def usual(self, window: int) -> float:
        """The peak as it is by a window."""
        return float(self.peak * 0.5 ** ((window - self.window) / _PEAK_WINDOWS))


class Known(msgspec.Struct, array_like=True):
    """What was seen, when last, and on how many days something new was, fading."""

    seen: dict[int, int] = {}
    novel: float = 0.0
    novel_day: int = 0

    @property
    def full(self) -> bool:
        """Whether it holds as much as it may."""
        return len(self.seen) >= SETS

    def novelty(self, day: int) -> float:
        """On how many days of late something new was seen."""
        return float(self.novel * 0.5 ** ((day - self.novel_day) / _NOVEL_DAYS))

    def add(self, member: int, day: int) -> None:
        """Know something."""
        if member not in self.seen:
            self.note(day)
            if self.full:
                self.seen = {m: d for m, d in self.seen.items() if day - d < _FORGET_DAYS}
            if self.full:
                return
        self.seen[member] = day

    def note(self, day: int) -> None:
        """Something new was seen on a day."""
        if day != self.novel_day or not self.novel:
            self.novel = self.novelty(day) + 1.0
            self.novel_day = day


class SecretLine(msgspec.Struct, array_like=True):
    """What is usual for one secret."""

    first_us: int
    last_us: int = 0
    reads: int = 0
    actors: Known = msgspec.field(default_factory=Known)
    networks: Known = msgspec.field(default_factory=Known)
    counter: Counter = msgspec.field(default_factory=Counter)


class ActorLine(msgspec.Struct, array_like=True):
    """What is usual for one actor.

    Attributes:
        secrets: On how many days of late it read a secret for the first time; no set is kept.
        hours: Reads by hour.
        days: On how many days it has read.
        told: Whether it was told of as new.
    """

    first_us: int
    last_us: int = 0
    reads: int = 0
    networks: Known = msgspec.field(default_factory=Known)
    secrets: Known = msgspec.field(default_factory=Known)
    counter: Counter = msgspec.field(default_factory=Counter)
    hours: list[int] = msgspec.field(default_factory=lambda: [0] * HOURS)
    days: int = 0
    told: bool = False

    def count_hour(self, hour: int) -> None:
        """Count a read; what is old weighs less and less."""
        self.hours[hour] += 1
        if self.reads % _HOUR_TOTAL == 0 and self.reads:
            self.hours = [count // 2 for count in self.hours]

    def share_near(self, hour: int) -> float:
        """The share of reads in an hour and two to each side, over both midnights of its kind."""
        base = hour // 24 * 24
        near = sum(self.hours[base + (hour + step) % 24] for step in (-2, -1, 0, 1, 2))
        return near / max(1, sum(self.hours))


class _Line(Protocol):
    first_us: int
    last_us: int


L = TypeVar("L", bound=_Line)


class Shard(Generic[L]):
    """Some lines, by the hash of what they are about."""

    __slots__ = ("lines",)

    def __init__(self, lines: dict[int, L]) -> None:
        self.lines = lines


class Lines(Generic[L]):
    """Lines of one kind, over shards that are there or are made.

    Args:
        shards: Those that were loaded, by number.
        number: How many there are.
        most: Lines in one.
        make: A new line, from the time of the first read.
    """

    def __init__(
        self, shards: dict[int, Shard[L]], number: int, most: int, make: Callable[[int], L]
    ) -> None:
        self.shards = shards
        self._number = number
        self._most = most
        self._make = make

    def at(self, key: int, now_us: int) -> L:
        """A line; the one that was not used for longest makes room for a new one."""
        shard = self.shards.get(key % self._number)
        if shard is None:
            shard = self.shards[key % self._number] = Shard({})
        line = shard.lines.get(key)
        if line is None:
            if len(shard.lines) >= self._most:
                del shard.lines[min(shard.lines, key=lambda each: shard.lines[each].last_us)]
            line = shard.lines[key] = self._make(now_us)
        return line


def key_of(text: str) -> int:
    """What stands for a name: 64 bits of its hash."""
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")


def member_of(key: int) -> int:
    """What stands for it in a set: 32 bits."""
    return key & 0xFFFFFFFF
