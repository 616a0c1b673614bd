"""Delivering notices to webhooks (``docs/spec/notices.md``, section 3).

One who holds the lease of a webhook posts its next notice, and makes that durable in a unit that
holds only while the lease is theirs: after a crash the notice is posted once more, never less.
"""

import logging
import secrets
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from adyton.actions import Action
from adyton.dueports import DueRow
from adyton.errors import AdytonError, LimitExceeded, RequestPending, StoreClosed
from adyton.model import Caller
from adyton.noticevalues import DeliveryReport, WebhookAnswer, wanted
from adyton.ports import Rows
from adyton.service import due
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.notices.messages import Message, message
from adyton.service.notices.outbox import DELIVERY
from adyton.service.notices.records import (
    ALL,
    NOTICES,
    OUTBOX,
    WEBHOOKS,
    Notice,
    Outbox,
    Webhook,
    at_number,
)
from adyton.service.notices.room import PER_USER
from adyton.service.objects import ObjectChanges
from adyton.service.ticket import Aside
from adyton.service.userkeys import UserKeys

DELIVERER: Final = Caller("adyton:notices")
_BATCH: Final = 16
"""Notices that one turn delivers to one webhook; then others have theirs."""
_MOST_WAIT_US: Final = 3600 * 1_000_000
_SECOND_US: Final = 1_000_000
_TICK: Final = 0.5
_log = logging.getLogger("adyton.notices")
_random: Final = secrets.SystemRandom()


class Lost(RequestPending):
    """Somebody else delivers to the webhook, or it is gone."""


class Next(NamedTuple):
    """What is to be posted."""

    number: int
    url: str
    message: Message

    def __repr__(self) -> str:
        return "<Next>"


async def next_wanted(
    rows: Rows, keys: UserKeys, hook: Webhook, box: Outbox
) -> tuple[int, Notice] | None:
    """The first notice from the position on that the webhook is to get, with its number."""
    for number in range(max(hook.position, box.first), box.next):
        notice = await NOTICES.get(rows, keys, at_number(number))
        if notice is not None and wanted(notice.kind, hook.kinds):
            return number, notice
    return None


def backoff_us(first_seconds: float, attempts: int, spread: float) -> int:
    """How long to wait after so many failures in a row, with 25 % of jitter either way."""
    span = int(first_seconds * _SECOND_US) << max(0, min(attempts, 30) - 1)
    return int(min(span, _MOST_WAIT_US) * (0.75 + spread / 2))


class TurnOf:
    """One webhook's turn, taken by a lease. Blocks its thread while a receiver takes its time.

    Args:
        core: The open store.
        user: Whose webhook it is.
        ident: Its id.
        stopped: Whether to end before the next notice.
    """

    def __init__(
        self, core: Core, user: str, ident: str, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self._core = core
        self._user = user
        self._ident = ident
        self._stopped = stopped
        self._lease = secrets.token_bytes(16)

    async def run(self) -> tuple[int, bool]:
        """Deliver some of what waits.

        Returns:
            How many notices were taken, and whether the webhook failed.

        Raises:
            RequestPending: Another delivers to it, or it is gone.
        """
        core = self._core
        taken = 0
        until = time.monotonic() + core.notices.options.seconds
        found = await core.commit.submit(self._take)
        while found is not None:
            number, notice, hook = found
            now = core.clock.now_us()
            sent = message(notice, self._user, hook.keys(now), now)
            answer = core.notices.sender.post(hook.url, sent.headers, sent.body)
            if not answer.delivered:
                await self._failed(number, answer)
                return taken, True
            taken += 1
            last = taken >= _BATCH or self._stopped() or time.monotonic() > until
            found = await self._delivered(number, last=last)
        return taken, False

    async def _take(self, scope: Scope) -> tuple[int, Notice, Webhook] | None:
        keys, hook, row = await self._found(scope)
        if row is not None and row.lease and row.ready_us > scope.now_us:
            raise Lost("somebody else delivers to the webhook at this moment")
        if row is not None and row.ready_us > scope.now_us:
            raise Lost("the webhook waits for its next attempt")
        return await self._go_on(scope, keys, hook)

    async def _found(self, scope: Scope) -> tuple[UserKeys, Webhook, DueRow | None]:
        keys = await self._core.keys_in(scope, self._user)
        hook = None if keys is None else await WEBHOOKS.get(scope.tx, keys, self._ident)
        if keys is None or hook is None:
            raise Lost("the webhook is gone")
        return keys, hook, await scope.tx.due_of(keys.user, *WEBHOOKS.place(keys, self._ident))

    async def _mine(self, scope: Scope) -> tuple[UserKeys, Webhook]:
        keys, hook, row = await self._found(scope)
        if row is None or row.lease != self._lease:
            raise Lost("the delivery took too long, and was taken by another")
        return keys, hook

    async def _go_on(
        self, scope: Scope, keys: UserKeys, hook: Webhook, *, last: bool = False
    ) -> tuple[int, Notice, Webhook] | None:
        """What to post next, with the lease extended; None with the lease given up."""
        box = await OUTBOX.get(scope.tx, keys, ALL) or Outbox()
        found = await next_wanted(scope.tx, keys, hook, box)
        if found is None:
            await self._put_due(scope, keys, 0, b"")
            return None
        if last:
            await self._put_due(scope, keys, scope.now_us, b"")
            return None
        seconds = self._core.notices.options.lease_seconds
        await self._put_due(scope, keys, scope.now_us + int(seconds * _SECOND_US), self._lease)
        return (*found, hook)

    async def _put_due(self, scope: Scope, keys: UserKeys, ready_us: int, lease: bytes) -> None:
        place = WEBHOOKS.place(keys, self._ident)
        tag = due.tag(self._core, DELIVERY)
        await scope.tx.put_due(DueRow(keys.user, *place, ready_us, lease, tag))

    # -- making durable -------------------------------------------------------------------------

    async def _delivered(self, number: int, *, last: bool) -> tuple[int, Notice, Webhook] | None:
        async def work(scope: Scope) -> tuple[int, Notice, Webhook] | None:
            keys, hook = await self._mine(scope)
            hook.position = max(hook.position, number + 1)
            hook.delivered += 1
            hook.attempts, hook.failing_us, hook.error = 0, 0, ""
            await self._write(scope, keys, hook, number, "")
            scope.after_commit(lambda: self._count("delivered"))
            return await self._go_on(scope, keys, hook, last=last)

        return await self._core.commit.submit(work)

    async def _failed(self, number: int, answer: WebhookAnswer) -> None:
        async def work(scope: Scope) -> None:
            keys, hook = await self._mine(scope)
            options = self._core.notices.options
            now = scope.now_us
            hook.attempts += 1
            hook.failing_us = hook.failing_us or now
            hook.error = answer.error
            notice = await NOTICES.get(scope.tx, keys, at_number(number))
            since = max(hook.failing_us, 0 if notice is None else notice.time_us)
            how = f"attempt {hook.attempts} failed"
            if now - since >= options.give_up_hours * 3600 * _SECOND_US:
                hook.position = max(hook.position, number + 1)
                hook.given_up += 1
                how = "given up"
            what = "given_up" if how == "given up" else "failed"
            scope.after_commit(lambda: self._count(what))
            await self._write(scope, keys, hook, number, how)
            wait = backoff_us(options.retry_seconds, hook.attempts, _random.random())
            await self._put_due(scope, keys, now + wait, b"")

        await self._core.commit.submit(work)

    def _count(self, what: str) -> None:
        """Count for the metrics; called by whoever leads a commit, so by one at a time."""
        room = self._core.notices
        setattr(room, what, getattr(room, what) + 1)

    async def _write(
        self, scope: Scope, keys: UserKeys, hook: Webhook, number: int, how: str
    ) -> None:
        reason = f"{self._ident} notice {number}" + (f": {how}" if how else "")
        changes = ObjectChanges(scope, keys)
        changes.put(WEBHOOKS, self._ident, hook)
        # It tells the new state of an object: the attempt has failed, the record has not.
        await changes.write(
            Draft(DELIVERER, Action.WEBHOOK_DELIVER, None, self._user, reason=reason)
        )


class Deliverer:
    """Sends out all that waits, for many webhooks at once and few of one user.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._under_way: dict[due.Found, Aside[tuple[int, bool]]] = {}

    async def start_due(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Begin with what waits, as far as there are threads for it; how much it was."""
        self._under_way = {at: turn for at, turn in self._under_way.items() if not turn.done}
        busy = Counter(found.user for found in self._under_way)
        started = 0
        for found in await due.find(self._core, WEBHOOKS, due.tag(self._core, DELIVERY)):
            if found in self._under_way or busy[found.user] >= PER_USER:
                continue
            try:
                self._under_way[found] = self._core.notices.run(self._turn(found, stopped))
            except LimitExceeded:
                break
            busy[found.user] += 1
            started += 1
        return started

    def _turn(
        self, found: due.Found, stopped: Callable[[], bool]
    ) -> Callable[[], tuple[int, bool]]:
        def run() -> tuple[int, bool]:
            try:
                return self._core.commit.run_sync(TurnOf(self._core, *found, stopped).run())
            except (Lost, StoreClosed):
                return 0, False  # what is under way when a store is closed comes again
            except AdytonError as error:
                _log.warning("a delivery can't be recorded: %s", error.message)
                return 0, True

        return run

    async def deliver(self) -> DeliveryReport:
        """Deliver all that waits now, and wait for that."""
        seen: set[due.Found] = set()
        delivered = failed = 0
        while await self.start_due():
            for found, turn in self._under_way.items():
                taken, broken = await turn
                seen.add(found)
                delivered, failed = delivered + taken, failed + broken
        return DeliveryReport(len(seen), delivered, failed)


def background(core: Core) -> due.Background:
    """Delivers notices, beside a thread of its own."""
    deliverer = Deliverer(core)

    async def run(stopped: Callable[[], bool]) -> int:
        await deliverer.start_due(stopped)
        return 0

    return due.Background(core, "notices", run, _TICK)
