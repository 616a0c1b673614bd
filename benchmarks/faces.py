"""The measurement behind docs/adr/0001: what one implementation for two faces costs.

``python -m benchmarks.faces``
"""

import asyncio
import statistics
import threading
import time
from collections.abc import Callable

from adyton.service.ticket import run_now

CALLS = 2_000


def _plain(depth: int) -> int:
    return _plain(depth - 1) if depth else 1


async def _coroutine(depth: int) -> int:
    return await _coroutine(depth - 1) if depth else 1


def _time(call: Callable[[], object]) -> float:
    rounds = []
    for _ in range(15):
        start = time.perf_counter()
        for _ in range(CALLS):
            call()
        rounds.append((time.perf_counter() - start) / CALLS * 1e6)
    return statistics.median(rounds)


def main() -> None:
    """Print microseconds per operation of four nested calls."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    plain = _time(lambda: _plain(4))
    for name, value in (
        ("plain functions (an operation that returns a commit ticket)", plain),
        ("async def throughout, driven without a loop", _time(lambda: run_now(_coroutine(4)))),
        (
            "async def throughout, on a loop in another thread",
            _time(lambda: asyncio.run_coroutine_threadsafe(_coroutine(4), loop).result()),
        ),
    ):
        print(f"{value:8.2f} us  {value / plain:6.1f} x  {name}")
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


if __name__ == "__main__":
    main()
