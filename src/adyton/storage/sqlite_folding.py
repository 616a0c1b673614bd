"""Folding the write-ahead log into the database, beside the writer.

To fold a log of some megabytes takes as long as a hundred commits. So a thread does most of it
while the writer goes on (passive checkpoints, which keep nobody out), until little is left, and
that is folded by the writer in a moment of its own: then the log begins anew, in place. Left
to the thread alone, a writer that never pauses would never let it begin anew.
"""

import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final

import apsw

_LITTLE: Final = 100
"""Pages that the writer folds in less time than a commit takes."""
_PASSES: Final = 5


class Folding:
    """The thread that folds, while there is one.

    Args:
        connect: Opens a connection.
        let_go: Makes readers that are idle hold nothing back.
    """

    def __init__(self, connect: Callable[[], apsw.Connection], let_go: Callable[[], None]) -> None:
        self._connect = connect
        self._let_go = let_go
        self._thread: threading.Thread | None = None
        self._ended = False

    def begin(self) -> None:
        """Begin to fold, unless that is under way or has just been done."""
        if self._thread is None:
            self._ended = False
            self._let_go()
            self._thread = threading.Thread(target=self._fold, name="adyton-fold", daemon=True)
            self._thread.start()

    def take_ended(self) -> bool:
        """Whether it has ended since this was asked last: the rest is for the writer to fold."""
        if not self._ended:
            return False
        self.wait()
        return True

    def wait(self) -> None:
        """Wait until nothing is under way."""
        thread = self._thread
        if thread is not None:
            thread.join()
            self._thread = None
            self._ended = False

    def _fold(self) -> None:
        # A connection of its own each time: one that idles could hold the log back. Whatever
        # goes wrong, a full disk for one, the writer meets as well and tells.
        with suppress(apsw.Error), closing(self._connect()) as connection:
            connection.execute("PRAGMA schema_version").fetchall()  # before, it knows of no log
            before = 0
            for _ in range(_PASSES):
                pages, _ = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                if pages - before < _LITTLE:  # since the last pass began, so less since it ended
                    break
                before = pages
        self._ended = True
