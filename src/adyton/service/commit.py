"""Group commit: many operations, one transaction, one ``fsync``.

Whoever waits first leads: it takes all that is queued, carries it out in one transaction with
the audit records, commits, and lets everybody go on. The others' records are made while the
leader waits for the disk, and form the next group. Tasks are led by their own event loop where
the disk is fast, and by a thread where a commit takes longer than a loop should stand still.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, Final, Literal, TypeVar

from adyton.errors import (
    AdytonError,
    AuditUnavailable,
    SecretNotFound,
    StorageFull,
    StorageReadOnly,
    StoreClosed,
)
from adyton.ports import Clock, Storage, Transaction
from adyton.service.journal import Draft, Journal
from adyton.service.logstate import LogState
from adyton.service.stats import CommitStats
from adyton.service.ticket import (
    Aside,
    Operation,
    Pause,
    Ticket,
    Work,
    future_of,
    resolve,
    run_now,
    wait_in_thread,
)
from adyton.service.userkeys import UserKeys
from adyton.service.userroot.given import away

T = TypeVar("T")
CommitMode = Literal["auto", "inline", "thread"]

MAX_GROUP: Final = 1024
"""Units in one transaction."""
_OF_ONE: Final = (
    AdytonError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError,
    RecursionError,
)  # fmt: skip
"""What one operation may stumble over, and no other of its group; all else may be the storage's."""
_LARGE_GROUP: Final = 64
"""Units from which on a group gains little by more."""
_PATIENCE: Final = 0.25
"""Part of a commit's time that a group waits for those who were in the last ones."""
_MOST_PATIENCE: Final = 0.001
"""Seconds."""
INLINE_LIMIT: Final = 0.008
"""Seconds that a commit may take for an event loop to wait for it itself.

While it waits, the next requests arrive without contending for the interpreter, and all of them
share the next commit.
"""


class Scope:
    """What the work of one group sees and changes.

    Attributes:
        tx: The group's transaction.
        now_us: Time of the group, not before that of any earlier one.
        changed: Users whose keys this group has changed; None where they were destroyed.
        sign: Whether a checkpoint is to be signed with this group, and all that is pending
            be written with it.
    """

    __slots__ = ("_after", "changed", "drafts", "now_us", "sign", "tx")

    def __init__(self, tx: Transaction, now_us: int) -> None:
        self.tx = tx
        self.now_us = now_us
        self.changed: dict[str, UserKeys | None] = {}
        self.drafts: list[Draft] = []
        self.sign = False
        self._after: list[Callable[[], None]] = []

    def record(self, draft: Draft) -> None:
        """Append a record if, and only if, this unit's work is kept."""
        self.drafts.append(draft)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once the work is durable, before anybody is told."""
        self._after.append(callback)


class GroupCommit:
    """The only writer of a store.

    Args:
        storage: Where to write.
        journal: Seals the records.
        state: The log's end; changed only here.
        clock: Where time comes from.
        mode: ``inline``: event loops lead their own groups; ``thread``: a thread does;
            ``auto``: by the measured time of commits.
    """

    def __init__(
        self,
        storage: Storage,
        journal: Journal,
        state: LogState,
        clock: Clock,
        mode: CommitMode = "auto",
    ) -> None:
        self._storage = storage
        self._journal = journal
        self.state = state
        self._clock = clock
        self._mode = mode
        self._queue: deque[Ticket[Any]] = deque()
        self._leading = threading.Lock()
        self._wake = threading.Semaphore(0)
        self._woken = False
        self._thread: threading.Thread | None = None
        self._scheduled: set[asyncio.AbstractEventLoop] = set()
        self._closed = False
        self._last_us = state.last_us
        self._usual = 0.0
        self.stats: Final = CommitStats()
        self.commit_seconds = inf if mode == "auto" else 0.0  # measured before it is trusted

    # -- waiting --------------------------------------------------------------------------------

    def submit(
        self,
        work: Work[T] | None = None,
        drafts: list[Draft] | None = None,
        failure: Draft | None = None,
    ) -> Ticket[T]:
        """Queue a unit; it is carried out when somebody waits for it.

        Raises:
            StoreClosed: The store has been closed.
        """
        if self._closed:
            raise StoreClosed("the store has been closed")
        ticket: Ticket[T] = Ticket(work, drafts or [], failure, self._see_to_it)
        self._queue.append(ticket)
        return ticket

    def run_sync(self, operation: Operation[T], pause: Callable[[], None] | None = None) -> T:
        """Run an operation in this thread.

        Args:
            operation: What to run.
            pause: What this thread does where the operation lets others go first, if anything.
        """
        try:
            ticket = operation.send(None)
            while True:
                try:
                    if pause is not None and isinstance(ticket, Pause):
                        pause()
                    else:
                        self._wait(ticket)
                except BaseException as error:  # noqa: BLE001 - an interrupt ends the operation
                    ticket = operation.throw(error)
                else:
                    ticket = operation.send(None)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    async def run_async(self, operation: Operation[T]) -> T:
        """Run an operation in this task."""
        loop = asyncio.get_running_loop()
        try:
            ticket = operation.send(None)
            while True:
                try:
                    await future_of(ticket, loop)
                except BaseException as error:  # noqa: BLE001 - a cancellation ends the operation
                    ticket = operation.throw(error)
                else:
                    ticket = operation.send(None)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def _wait(self, ticket: Ticket[Any]) -> None:
        if isinstance(ticket, Aside):
            wait_in_thread(ticket)
            return
        while not ticket.done:
            if self._leading.acquire(blocking=False):
                self._lead()
                if self._queue and ticket.done:  # others came while this thread led
                    self._wake_thread()
            else:
                wait_in_thread(ticket)

    def _see_to_it(self, loop: asyncio.AbstractEventLoop) -> None:
        """A task of this loop waits for what is queued: somebody is to lead."""
        if loop not in self._scheduled:
            self._scheduled.add(loop)
            # Behind all that is ready now, so that its records join the group.
            loop.call_soon(self._lead_soon, loop, 0, time.perf_counter() + self._patience())

    def _lead_soon(self, loop: asyncio.AbstractEventLoop, before: int, until: float) -> None:
        waiting = len(self._queue)
        slow = self._mode == "thread" or self.commit_seconds > INLINE_LIMIT
        # More comes, or may: what is on its way shares the commit.
        if before < waiting < _LARGE_GROUP or (
            not slow and 0 < waiting < self._usual and time.perf_counter() < until
        ):
            loop.call_soon(self._lead_soon, loop, waiting, until)
            return
        self._scheduled.discard(loop)
        if self._queue and not slow and self._leading.acquire(blocking=False):
            self._lead(loop)
        if self._queue and loop not in self._scheduled:
            self._wake_thread()

    def _patience(self) -> float:
        """Seconds for which a group may wait to be as large as the last ones were."""
        return min(self.commit_seconds * _PATIENCE, _MOST_PATIENCE)

    def _wake_thread(self) -> None:
        if self._thread is None:
            with self._leading:
                if self._thread is None and not self._closed:
                    self._thread = threading.Thread(
                        target=self._run_thread, name="adyton-commit", daemon=True
                    )
                    self._thread.start()
        if not self._woken:
            self._woken = True
            self._wake.release()

    def _run_thread(self) -> None:
        while True:
            self._wake.acquire()
            self._woken = False  # before the queue is looked at: what comes later wakes again
            while self._queue:
                if len(self._queue) < self._usual and not self._closed:
                    time.sleep(self._patience())
                self._leading.acquire()
                self._lead()
            if self._closed:
                return

    # -- leading --------------------------------------------------------------------------------

    def _lead(self, here: asyncio.AbstractEventLoop | None = None) -> None:
        """Carry out what is queued as one group, with the lock held; gives it up.

        Args:
            here: The loop that this thread runs, or None.
        """
        group: list[Ticket[Any]] = []
        queue = self._queue
        try:
            while queue and len(group) < MAX_GROUP:
                group.append(queue.popleft())
            if group:
                run_now(self._carry_out(group))
        except BaseException as error:  # noqa: BLE001 - nobody may be left waiting
            self.stats.failed += 1
            for ticket in group:
                ticket.error = _refusal(error, reading=ticket.work is None)
        finally:
            self._leading.release()
        resolve(group, here)

    async def _carry_out(self, group: list[Ticket[Any]]) -> None:
        state = self.state
        now_us = max(self._clock.now_us(), self._last_us)
        tx = await self._storage.begin()
        try:
            scope = Scope(tx, now_us)
            stage = state.stage()
            # What was only read or refused was so before this group changes anything: the log
            # tells it in that order, and never a read by a token behind the token's end.
            drafts: list[Draft] = []
            changes: list[Draft] = []
            for ticket in group:
                await self._unit(scope, ticket)
                part = drafts if ticket.work is None else changes
                part += ticket.drafts
            drafts += changes
            rows = self._journal.seal(drafts, stage.size, now_us)
            stage.extend(rows)
            await tx.append_entries(self._journal.log, rows)
            stage.sign = stage.flush = scope.sign
            await stage.write(tx, drafts, now_us)
            started = time.perf_counter()
            await tx.commit()
        except BaseException:
            await tx.rollback()
            raise
        seconds = time.perf_counter() - started
        self._measure(seconds)
        # The size of groups while many are at work; forgotten within some ten commits.
        self._usual = max(min(len(group), _LARGE_GROUP) * 0.9, self._usual * 0.9)
        self.stats.committed(len(group), seconds)
        self._last_us = now_us
        state.accept(stage)
        for callback in scope._after:  # noqa: SLF001 - two halves of one mechanism
            callback()

    async def _unit(self, scope: Scope, ticket: Ticket[Any]) -> None:
        if ticket.work is None:
            self._check_purged(scope, ticket)
            return
        changed = dict(scope.changed)
        after = len(scope._after)  # noqa: SLF001 - idem
        scope.drafts = []
        await scope.tx.savepoint()
        try:
            result = await ticket.work(scope)
            for draft in ticket.drafts:
                if _purged(scope, draft):
                    raise _overtaken(draft)  # noqa: TRY301 - refused like what the work refuses
            ticket.succeed(result)
        except Exception as error:
            if not isinstance(error, _OF_ONE):
                raise
            if isinstance(error, StorageFull | StorageReadOnly):
                raise  # the group can't be made durable either
            await scope.tx.rollback_to()
            scope.changed = changed
            del scope._after[after:]  # noqa: SLF001 - idem
            ticket.error = error
            ticket.drafts = [] if ticket.failure is None else [ticket.failure.refused(error)]
            for failed in ticket.drafts:
                if _purged(scope, failed):
                    failed.keys, failed.name = None, ""
            if isinstance(error, AdytonError):
                error.recorded = bool(ticket.drafts)
        else:
            await scope.tx.release()
            ticket.drafts = [*ticket.drafts, *scope.drafts]

    @staticmethod
    def _check_purged(scope: Scope, ticket: Ticket[Any]) -> None:
        """A read that a purge has overtaken is refused: its keys are gone, and so is the user."""
        for at, draft in enumerate(ticket.drafts):
            if _purged(scope, draft):
                ticket.error = _overtaken(draft)
                failed = draft.refused(ticket.error)
                failed.keys, failed.name = None, ""  # operators read the store's own log
                ticket.drafts[at] = failed

    def _measure(self, seconds: float) -> None:
        if self._mode == "auto":
            if self.commit_seconds == inf:
                self.commit_seconds = seconds
            # Follows a change of the disk within some ten commits, and forgets one slow commit.
            self.commit_seconds += (min(seconds, 4 * INLINE_LIMIT) - self.commit_seconds) * 0.2

    def disown(self) -> None:
        """In a forked child: refuse everything; the parent goes on."""
        self._closed = True
        self._thread = None
        self._queue.clear()
        self._leading = threading.Lock()  # a thread of the parent may have held the old one

    # -- end ------------------------------------------------------------------------------------

    def close(self, last: Callable[[Scope], Coroutine[Any, Any, None]]) -> None:
        """Carry out what is queued, then one last piece of work, then refuse everything."""
        ticket: Ticket[None] = self.submit(last)
        try:
            self._wait(ticket)
        finally:
            self._closed = True
            if self._thread is not None:
                self._wake.release()
                self._thread.join()
        if ticket.error is not None:
            raise ticket.error


def _purged(scope: Scope, draft: Draft) -> bool:
    """Whether the keys of a record are gone, or go with this group."""
    keys = draft.keys
    return keys is not None and (keys.gone or scope.changed.get(draft.user_id, keys) is None)


def _overtaken(draft: Draft) -> AdytonError:
    """The refusal of what keys have opened that are gone."""
    own = draft.keys is not None and draft.keys.own_root
    return away() if own else SecretNotFound("there is no such secret")


def _refusal(error: BaseException, *, reading: bool) -> BaseException:
    """What each waiter of a failed group is told: an exception of its own, nothing released."""
    told: AdytonError
    if isinstance(error, AdytonError) and reading:
        told = AuditUnavailable(
            f"the audit record could not be made durable, so nothing was released: {error.message}",
            hint=error.hint,
        )
        told.__cause__ = error
        return told
    if isinstance(error, AdytonError):
        told = type(error)(error.message, hint=error.hint)
        told.__cause__ = error
        return told
    told = AuditUnavailable(
        "the audit record could not be made durable, so nothing was done or released",
        hint="Look at the system log, then run 'adyton doctor'.",
    )
    told.__cause__ = error
    return told
