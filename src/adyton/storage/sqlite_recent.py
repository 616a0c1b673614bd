"""Rows of secrets and objects that were read lately: as they are in the database, sealed.

This process is the only writer, so a row is what it was until a commit changes it, and each
commit tells which ones it may have changed.
"""

import threading
from collections.abc import Iterable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_LIMIT: Final = 8_192
"""Rows that are kept."""
_LARGEST: Final = 1_024
"""Bytes of the parts of a row that is kept."""


class RecentRows(Generic[T]):
    """Rows by user and name, or by user and object.

    Attributes:
        get: The row of a user and a name, or None if it is not here.
        commits: Counted up with each commit.
    """

    def __init__(self) -> None:
        self._rows: dict[tuple[bytes, bytes], T] = {}
        self._lock = threading.Lock()
        self._closed = False
        self.get = self._rows.get
        self.commits = 0

    def keep(
        self, place: tuple[bytes, bytes], row: T, parts: Iterable[object], commits: int
    ) -> None:
        """Keep a row that was read when that many commits had been made, if that still holds.

        Args:
            place: The user, and the name or the object.
            row: The row.
            parts: What of it may be large.
            commits: How many there had been before it was read.
        """
        # A tamperer may change a cell's type as well.
        if not all(isinstance(part, bytes) and len(part) <= _LARGEST for part in parts):
            return
        with self._lock:
            if commits != self.commits or self._closed:
                return
            if len(self._rows) >= _LIMIT:
                self._rows.clear()
            self._rows[place] = row

    def committed(self, changed: Iterable[tuple[bytes, bytes] | bytes]) -> None:
        """Forget what a commit may have changed: single rows, or all of a user."""
        with self._lock:
            self.commits += 1
            rows = self._rows
            users = set()
            for place in changed:
                if isinstance(place, bytes):
                    users.add(place)
                else:
                    rows.pop(place, None)
            if users:
                for place in [place for place in rows if place[0] in users]:
                    del rows[place]

    def close(self) -> None:
        """Forget all, and keep nothing any more."""
        with self._lock:
            self._closed = True
            self._rows.clear()
