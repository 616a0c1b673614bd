"""Counts of requests. Every label comes from a fixed set here, whatever a client sends."""

from bisect import bisect_left
from typing import Final

from adyton.service.stats import SECONDS, Histogram

AREAS: Final = ("sys", "auth", "login", "engine", "cubbyhole", "native", "other")
"""Parts of the API; ``engine`` is every path under a mounted engine, ``other`` what is none."""
METHODS: Final = ("GET", "POST", "PUT", "LIST", "PATCH", "DELETE", "HEAD", "other")
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")

_SYS, _AUTH, _LOGIN, _ENGINE, _CUBBYHOLE, _NATIVE, _OTHER = range(len(AREAS))
_BY_SEGMENT: Final = {
    "sys": _SYS, "auth": _AUTH, "cubbyhole": _CUBBYHOLE, "adyton": _NATIVE,
}  # fmt: skip
_BY_METHOD: Final = {method: at for at, method in enumerate(METHODS)}
_OTHER_METHOD: Final = len(METHODS) - 1
_PER_AREA: Final = len(METHODS) * len(CLASSES)
_PER_METHOD: Final = len(CLASSES)


def area_of(path: str) -> int:
    """The area of a path as it came, with its leading slash: an index of :data:`AREAS`."""
    _, _, rest = path.partition("/v1/")
    segment = rest.partition("/")[0]
    if not segment or not path.startswith("/v1/"):
        return _OTHER
    area = _BY_SEGMENT.get(segment, _ENGINE)
    return _LOGIN if area == _AUTH and "/login" in path else area


class RequestStats:
    """What was asked and how it was answered.

    Attributes:
        seconds: For each area, time from a request's head to its answer.
        received: Bytes of bodies that came.
        sent: Bytes of bodies that went.
        limited: Requests refused with 429, for a limit or a quota.
        unavailable: Requests refused with 503: too many at once, sealed, or the store failed.
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(AREAS) * _PER_AREA)
        self.seconds = [Histogram(SECONDS) for _ in AREAS]
        self.received = 0
        self.sent = 0
        self.limited = 0
        self.unavailable = 0

    def done(self, method: str, path: str, status: int, size: int, seconds: float) -> None:
        """Count a request that was answered. It is on the way of each: some 700 ns."""
        area = area_of(path)
        at = area * _PER_AREA + _BY_METHOD.get(method, _OTHER_METHOD) * _PER_METHOD
        self._counts[at + status // 100 - 1] += 1
        histogram = self.seconds[area]
        histogram.counts[bisect_left(SECONDS, seconds)] += 1
        histogram.total += seconds
        self.sent += size
        if status >= 429:
            self.limited += status == 429
            self.unavailable += status == 503

    def counts(self) -> list[tuple[str, str, str, int]]:
        """Area, method, class of status, and number of requests; only what has happened."""
        return [
            (
                AREAS[at // _PER_AREA],
                METHODS[at % _PER_AREA // _PER_METHOD],
                CLASSES[at % _PER_METHOD],
                count,
            )
            for at, count in enumerate(self._counts)
            if count
        ]
