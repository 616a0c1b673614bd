"""How one implementation serves threads and tasks (``docs/adr/0001``).

An operation is a coroutine that suspends in one way only: it yields a :class:`Ticket`, a piece
of writing that the group commit carries out. A thread waits for the ticket, a task awaits it;
neither the operation nor the commit knows which.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from adyton.service.commit import Scope
    from adyton.service.journal import Draft

T = TypeVar("T")
Operation = Coroutine["Ticket[Any]", None, T]
"""A coroutine of the service: it yields tickets and returns a result."""

Work = Callable[["Scope"], Coroutine[Any, Any, T]]
"""Writing inside the group's transaction."""


class Ticket(Generic[T]):
    """One unit of a group commit: optional work, and the audit records that go with it.

    Attributes:
        work: What to do in the transaction, or None where there is only something to record.
        drafts: Records to append when the work is done.
        failure: The record to append instead when the work raises.
        error: Why it was not done.
    """

    __slots__ = ("_result", "_waiter", "done", "drafts", "error", "failure", "work")

    def __init__(
        self, work: Work[T] | None, drafts: "list[Draft]", failure: "Draft | None" = None
    ) -> None:
        self.work = work
        self.drafts = drafts
        self.failure = failure
        self.done = False
        self.error: BaseException | None = None
        self._result: T | None = None
        self._waiter: Callable[[], None] | None = None

    def __await__(self) -> "Generator[Ticket[Any], None, T]":
        yield self
        if self.error is not None:
            raise self.error
        return self._result  # type: ignore[return-value] # set by whoever resolved the ticket

    def succeed(self, result: T) -> None:
        """Keep the result; it is released by :meth:`resolve`, after the commit."""
        self._result = result

    def resolve(self) -> None:
        """Let the waiter go on."""
        # Written in this order, and read in the other order by attach(): whichever thread is
        # second sees what the first has written.
        self.done = True
        if self._waiter is not None:
            self._waiter()

    def attach(self, waiter: Callable[[], None]) -> bool:
        """Set who is told; False if the ticket is resolved already."""
        self._waiter = waiter
        return not self.done


class Aside(Ticket[T]):
    """Work that another thread does, such as hashing a password; the group commit has no part."""

    def __init__(self) -> None:
        super().__init__(None, [])


class Pause(Ticket[None]):
    """Lets whatever else is ready go on, in the middle of long work; nothing is waited for.

    A task goes on behind all that its event loop has to do now; a thread goes on at once.
    """

    def __init__(self) -> None:
        super().__init__(None, [])
        self.done = True

    def attach(self, waiter: Callable[[], None]) -> bool:
        """Called by tasks alone, in their event loop: a thread sees that there is nothing to do."""
        asyncio.get_running_loop().call_soon(waiter)
        return True


def wait_in_thread(ticket: Ticket[Any]) -> None:
    """Block this thread until the ticket is resolved."""
    gate = threading.Lock()
    gate.acquire()
    if ticket.attach(gate.release):
        gate.acquire()


def future_of(ticket: Ticket[Any], loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None]":
    """A future of this loop that is done when the ticket is."""
    future: asyncio.Future[None] = loop.create_future()
    own = threading.get_ident()

    def set_done() -> None:
        if not future.done():
            future.set_result(None)

    def notify() -> None:
        if threading.get_ident() == own:
            set_done()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(set_done)

    if not ticket.attach(notify):
        set_done()
    return future


def run_now(step: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, as those of an embedded storage."""
    try:
        step.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    step.close()
    raise RuntimeError("an embedded storage suspended")
