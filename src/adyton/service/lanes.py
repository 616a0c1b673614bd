"""Work on a few threads, of which no user has more than a part at a time."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from adyton.errors import LimitExceeded
from adyton.service.ticket import Aside

T = TypeVar("T")


class Lanes:
    """Threads for work that waits for systems of users', some of which do not answer.

    Args:
        name: What they are for.
        threads: How many work at once.
        each: How many of them work for one user.
        waiting: How many more of one user may wait; one beyond is refused at once.
        refusal: What it is told.
    """

    def __init__(self, name: str, threads: int, each: int, waiting: int, refusal: str) -> None:
        self._pool = ThreadPoolExecutor(threads, f"adyton-{name}")
        self._each = each
        self._most = waiting
        self._refusal = refusal
        self._lock = threading.Lock()
        self._running: dict[str, int] = {}
        self._waiting: dict[str, deque[Callable[[], None]]] = {}

    def run(self, lane: str, work: Callable[[], T]) -> Aside[T]:
        """Do work on one of the threads; awaiting the ticket gives its result.

        Args:
            lane: For whom.
            work: The work.

        Raises:
            LimitExceeded: Too much of theirs waits already.
        """
        ticket: Aside[T] = Aside()

        def job() -> None:
            try:
                ticket.succeed(work())
            except BaseException as error:  # noqa: BLE001 - told to whoever waits
                ticket.error = error
            finally:
                self._next(lane)
                ticket.resolve()

        with self._lock:
            running = self._running.get(lane, 0)
            if running == self._each:
                line = self._waiting.setdefault(lane, deque())
                if len(line) >= self._most:
                    raise LimitExceeded(self._refusal, hint="Try again in a few seconds.")
                line.append(job)
                return ticket
            self._running[lane] = running + 1
        self._pool.submit(job)
        return ticket

    def _next(self, lane: str) -> None:
        """One of a user's is done: the next goes to the end of the threads' line."""
        with self._lock:
            line = self._waiting.get(lane)
            job = line.popleft() if line else None
            if not line:
                self._waiting.pop(lane, None)
            if job is None:
                self._running[lane] -= 1
                if not self._running[lane]:
                    del self._running[lane]
        if job is not None:
            with suppress(RuntimeError):  # it was closed: nobody waits any more
                self._pool.submit(job)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
