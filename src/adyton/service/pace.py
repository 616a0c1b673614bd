"""Work in the background that leaves the interpreter to requests.

One thread at a time runs Python. What works beside the requests for milliseconds on end makes all
of them wait for as long; so it works in short slices, and rests in between while others commit.
"""

import time
from typing import Final

from adyton.service.stats import CommitStats

_SLICE: Final = 0.0003
"""Seconds of processor time without a rest."""
REST: Final = 5.0
"""How many times as long as a slice is the rest after it, while others are at work."""
_LONGEST: Final = 0.05
_BUSY: Final = 0.02
"""Seconds since a commit of others, within which they are at work."""


class Pace:
    """Called wherever background work may rest; most calls only look at the time.

    Made by the thread that works.

    Args:
        stats: Counts the commits of the store.
        rest: As :data:`REST`.
    """

    def __init__(self, stats: CommitStats, rest: float = REST) -> None:
        self._stats = stats
        self._rest = rest
        self._worked = time.thread_time()
        self._commits = stats.commits
        self._seen = 0.0

    def __call__(self) -> None:
        """Rest, if it is time to."""
        worked = time.thread_time() - self._worked
        if worked < _SLICE:
            return
        now = time.monotonic()
        if self._stats.commits != self._commits:
            self._commits = self._stats.commits
            self._seen = now
        busy = now - self._seen < _BUSY
        time.sleep(min(worked * self._rest, _LONGEST) if busy else 0.0)
        self._worked = time.thread_time()
