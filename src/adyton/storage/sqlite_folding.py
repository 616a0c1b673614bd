"""Folding the write-ahead log into the database, beside the writer.

To fold a log of some megabytes takes as long as a hundred commits. So a thread does most of it
while the writer goes on (a passive checkpoint, which keeps nobody out), and what has come in the
meantime is folded by the writer in a moment of its own: then the log begins anew, in place. Left
to the thread alone, a writer that never pauses would never let it begin anew.
"""

import threading
from collections.abc import Callable
from contextlib import closing, suppress

import apsw


class Folding:
    """The thread that folds, while there is one.

    Args:
        connect: Opens a connection.
    """

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        self._connect = connect
        self._thread: threading.Thread | None = None
        self._ended = False

    def begin(self) -> None:
        """Begin to fold, unless that is under way or has just been done."""
        if self._thread is None:
            self._ended = False
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
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._ended = True
