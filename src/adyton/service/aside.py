"""Work beside the event loop: on a few threads, with a bounded queue."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from adyton.errors import LimitExceeded
from adyton.service.ticket import Aside

T = TypeVar("T")


class Threads:
    """Threads for work that would hold up everything else.

    Args:
        name: What they are for.
        threads: How many work at once.
        waiting: How many more may wait; one beyond is refused at once.
        refusal: What it is told.
        nice: How much they leave to other threads where processors are few; see nice(2).
    """

    def __init__(
        self, name: str, threads: int, waiting: int, refusal: str, *, nice: int = 0
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, f"adyton-{name}", _be_nice, (nice,))
        self._room = threading.BoundedSemaphore(threads + waiting)
        self._refusal = refusal

    def run(self, work: Callable[[], T]) -> Aside[T]:
        """Do work on one of the threads; awaiting the ticket gives its result.

        Raises:
            LimitExceeded: Too many wait already.
        """
        if not self._room.acquire(blocking=False):
            raise LimitExceeded(self._refusal, hint="Try again in a few seconds.")
        ticket: Aside[T] = Aside()

        def run() -> None:
            try:
                ticket.succeed(work())
            except BaseException as error:  # noqa: BLE001 - told to whoever waits
                ticket.error = error
            finally:
                self._room.release()
                ticket.resolve()

        self._pool.submit(run)
        return ticket

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _be_nice(nice: int) -> None:
    with suppress(OSError):  # Linux knows a priority for each thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
