"""Runs requests on the event loop without a task of asyncio for each.

A request waits for commit tickets, and for little else. A task would turn each ticket into a
future, be woken by the loop one round after the commit, and need three rounds of the loop for
what takes none here: a request is begun where it arrives, and goes on inside the very call that
resolves its ticket. Measured, that is a third of the time of a short request.
"""

import asyncio
from collections.abc import Coroutine
from contextvars import Context, copy_context
from typing import Any, Final

from adyton.service.ticket import Ticket

_OF_GRANIAN: Final = "future_watcher"
"""Name of the coroutine that Granian makes of a request."""

_ENDED: Final = object()
"""What a run waits for that has ended; not itself, which would make garbage of each."""
_depth = 0


def is_running() -> bool:
    """Whether the code that asks is run by a :class:`Run`, and not by a task."""
    return _depth > 0


class Run:
    """One coroutine that runs: at once to where it first waits, then whenever it may go on.

    Unlike a task it is no current task: what needs one (``asyncio.timeout``) is not for requests.
    It waits for tickets and for futures. Nobody cancels it: a request whose client has gone is
    finished all the same, as its record says that it was.
    """

    __slots__ = ("_context", "_coroutine", "_loop", "_waiting")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, object],
        loop: asyncio.AbstractEventLoop,
        context: Context | None = None,
    ) -> None:
        self._coroutine = coroutine
        self._loop = loop
        self._context = context or copy_context()
        self._waiting: Any = None
        self._step(None)

    def _step(self, error: BaseException | None) -> None:
        global _depth  # noqa: PLW0603 - one event loop runs requests
        run, coroutine = self._context.run, self._coroutine
        _depth += 1
        try:
            while True:
                if error is None:
                    waiting = run(coroutine.send, None)
                else:
                    waiting = run(coroutine.throw, error)
                self._waiting = waiting
                if isinstance(waiting, Ticket):
                    if waiting.call_back(self._loop, self._resolved):
                        return
                    error = None
                elif waiting is None:  # a bare yield: let others go first
                    self._loop.call_soon(self._yielded)
                    return
                else:
                    waiting._asyncio_future_blocking = False  # noqa: SLF001 - asyncio's protocol
                    waiting.add_done_callback(self._done)
                    return
        except StopIteration:
            self._waiting = _ENDED
        except Exception as error:  # noqa: BLE001 - whoever resolved has others to wake
            self._waiting = _ENDED
            self._loop.call_exception_handler({"message": "a request failed", "exception": error})
        finally:
            _depth -= 1

    def _resolved(self) -> None:
        # May be called twice for one ticket, or late, when the next is waited for.
        waiting = self._waiting
        if isinstance(waiting, Ticket) and waiting.done:
            self._waiting = None
            self._step(None)

    def _yielded(self) -> None:
        self._step(None)

    def _done(self, future: Any) -> None:  # noqa: ANN401 - asyncio's or Granian's
        try:
            future.result()
        except BaseException as error:  # noqa: BLE001 - it is the coroutine's to handle
            self._step(error)
        else:
            self._step(None)

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 - as a task's
        """Not possible; see above."""
        return False

    def done(self) -> bool:
        """Whether it has ended."""
        return self._waiting is _ENDED


async def in_task(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine for a task that waits for its end: where :func:`install` was not heeded."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    async def whole() -> None:
        try:
            await coroutine
        finally:
            if not ended.done():
                ended.set_result(None)

    Run(whole(), loop)
    await ended


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Let requests that the HTTP server begins on this loop run so; tasks stay tasks."""

    def make(
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any],
        context: Context | None = None,
    ) -> Any:  # noqa: ANN401 - a Run stands in for a task
        if getattr(coroutine, "__name__", "") == _OF_GRANIAN:
            return Run(coroutine, loop, context)
        return asyncio.Task(coroutine, loop=loop, context=context)

    loop.set_task_factory(make)  # type: ignore[arg-type] # coroutines are all that it is given
