"""Where lines of the log go: a thread writes them, so that nobody waits for whoever reads them."""

import contextlib
import queue
import threading
import time
from typing import Final, TextIO

WAITING: Final = 20_000
"""Lines that may wait; more are dropped, and counted."""
_CLOSE_SECONDS: Final = 2.0


class Outlet:
    """A text file whose ``write`` never waits.

    Args:
        out: Where the thread writes.
        waiting: How many lines may wait.

    Attributes:
        dropped: Lines that were lost for want of room, or because they could not be written.
    """

    def __init__(self, out: TextIO, waiting: int = WAITING) -> None:
        self._out = out
        self._queue: queue.Queue[str | None] = queue.Queue(waiting)
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="adyton-log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        """Queue a line."""
        try:
            self._queue.put_nowait(text)
        except queue.Full:
            self.dropped += 1

    def flush(self) -> None:
        """Do nothing: the thread flushes when it has nothing left to write."""

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Write what waits, for no longer than some seconds, and end the thread."""
        ends = time.monotonic() + seconds
        with contextlib.suppress(queue.Full):
            self._queue.put(None, timeout=seconds)
        self._thread.join(max(ends - time.monotonic(), 0.0))

    def _run(self) -> None:
        while (text := self._queue.get()) is not None:
            try:
                self._out.write(text)
                if self._queue.empty():
                    self._out.flush()
            except (OSError, ValueError):
                self.dropped += 1
        with contextlib.suppress(OSError, ValueError):
            self._out.flush()
