"""How one implementation serves threads and tasks (``docs/adr/0001``).

An operation is a coroutine that suspends in one way only: it yields a :class:`Ticket`, a piece
of writing that the group commit carries out. A thread waits for the ticket, a task awaits it;
neither the operation nor the commit knows which.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from adyton.service.commit import Scope
    from adyton.service.journal import Draft

T = TypeVar("T")
TURN: Final = 16
"""Audit records, or what takes as long, after which others may go first."""
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
        done: Whether it is resolved.
    """

    __slots__ = (
        "_loop", "_result", "_see_to_it", "_waiter", "done", "drafts", "error", "failure", "work",
    )  # fmt: skip

    def __init__(
        self,
        work: Work[T] | None,
        drafts: "list[Draft]",
        failure: "Draft | None" = None,
        see_to_it: Callable[[asyncio.AbstractEventLoop], None] | None = None,
    ) -> None:
        self._see_to_it = see_to_it
        self.work = work
        self.drafts = drafts
        self.failure = failure
        self.done = False
        self.error: BaseException | None = None
        self._result: T | None = None
        self._waiter: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __await__(self) -> "Generator[Ticket[Any], None, T]":
        yield self
        if self.error is not None:
            raise self.error
        return self._result  # type: ignore[return-value] # set by whoever resolved the ticket

    def succeed(self, result: T) -> None:
        """Keep the result; it is released by :func:`resolve`, after the commit."""
        self._result = result

    def attach(
        self, waiter: Callable[[], None], loop: asyncio.AbstractEventLoop | None = None
    ) -> bool:
        """Set who is told; False if the ticket is resolved already.

        A waiter may be told although this says False: of what it waits for, it looks at ``done``.

        Args:
            waiter: Called once the ticket is resolved.
            loop: Where it is called; None for any thread.
        """
        # Written in this order, and read in the other order by resolve(): whichever thread is
        # second sees what the first has written.
        self._loop = loop
        self._waiter = waiter
        return not self.done

    def call_back(self, loop: asyncio.AbstractEventLoop, waiter: Callable[[], None]) -> bool:
        """See to it that the ticket is carried out, and set who is told, on the running loop.

        Returns:
            As :meth:`attach`.
        """
        if not self.attach(waiter, loop):
            return False
        if self._see_to_it is not None:
            self._see_to_it(loop)
        return True


def resolve(
    tickets: "Iterable[Ticket[Any]]", here: asyncio.AbstractEventLoop | None = None
) -> None:
    """Let those go on who wait for these tickets: one call for each loop, not for each ticket.

    Args:
        tickets: What has been carried out.
        here: The loop that this thread runs, or None.
    """
    elsewhere: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}
    for ticket in tickets:
        ticket.done = True
        waiter = ticket._waiter  # noqa: SLF001 - two halves of one mechanism
        if waiter is not None:
            loop = ticket._loop  # noqa: SLF001 - idem
            if loop is None or loop is here:
                waiter()
            else:
                elsewhere.setdefault(loop, []).append(waiter)
    for loop, waiters in elsewhere.items():
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_call_all, waiters)


def _call_all(waiters: list[Callable[[], None]]) -> None:
    for waiter in waiters:
        waiter()


class Aside(Ticket[T]):
    """Work that another thread does, such as hashing a password; the group commit has no part."""

    def __init__(self) -> None:
        super().__init__(None, [])

    def resolve(self) -> None:
        """Let the waiter go on."""
        resolve([self])


class Pause(Ticket[None]):
    """Lets whatever else is ready go on, in the middle of long work; nothing is waited for.

    A task goes on behind all that its event loop has to do now; a thread goes on at once, or rests
    as its :class:`~adyton.service.pace.Pace` has it.
    """

    def __init__(self) -> None:
        super().__init__(None, [])
        self.done = True

    def call_back(self, loop: asyncio.AbstractEventLoop, waiter: Callable[[], None]) -> bool:
        """Called in event loops alone: a thread sees that there is nothing to do."""
        loop.call_soon(waiter)
        return True


async def turn(number: int) -> None:
    """Let others go first before every few of many things, which are numbered from 0."""
    if not number % TURN:
        await Pause()


def wait_in_thread(ticket: Ticket[Any]) -> None:
    """Block this thread until the ticket is resolved."""
    gate = threading.Lock()
    gate.acquire()
    if ticket.attach(gate.release):
        gate.acquire()


def future_of(ticket: Ticket[Any], loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None]":
    """A future of this loop that is done when the ticket is."""
    future: asyncio.Future[None] = loop.create_future()

    def set_done() -> None:
        if not future.done():
            future.set_result(None)

    if not ticket.call_back(loop, set_done):
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
