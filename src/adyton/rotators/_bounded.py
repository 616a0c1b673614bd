"""Ending what takes longer than a step may, whatever the other side does."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def ending_socket(seconds: float, fd: int) -> Iterator[None]:
    """A block that is broken off after some seconds, whatever of it waits for a connection.

    Time limits of libraries are for one wait each: a server that answers drop by drop, or not at
    all once it has let somebody in, would keep a thread for ever.

    Args:
        seconds: The time.
        fd: The connection's file descriptor.
    """
    own = socket.socket(fileno=os.dup(fd))  # the number may be another's by then; this one is not

    def end() -> None:
        with contextlib.suppress(OSError):  # it has ended by itself
            own.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, seconds), end)
    timer.daemon = True
    with own:
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def is_file(path: str | None) -> bool:
    """Whether a file that a policy names can be read to its end, if it names one.

    A pipe keeps whoever opens it waiting, and some devices have no end.
    """
    try:
        return path is None or Path(path).is_file()
    except (OSError, ValueError):
        return False
