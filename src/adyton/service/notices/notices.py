"""Looking at notices, acknowledging them, and delivering what waits."""

from collections.abc import Callable, Iterable

from adyton.actions import Action
from adyton.errors import InvalidInput, SecretNotFound
from adyton.model import Caller, UserId
from adyton.noticevalues import DeliveryReport, NoticeInfo, check_kinds, wanted
from adyton.ports import Rows
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.notices.delivery import Deliverer
from adyton.service.notices.records import (
    ALL,
    MAX_KEPT,
    NOTICES,
    OUTBOX,
    Notice,
    Outbox,
    at_number,
    number_of,
)
from adyton.service.objects import ObjectChanges
from adyton.service.userkeys import UserKeys

_SHOWN = 64


def _gone() -> SecretNotFound:
    return SecretNotFound("there is no such notice", hint="List them with 'adyton notice list'.")


class Notices:
    """Operations on notices.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def list(
        self,
        caller: Caller,
        user: UserId,
        *,
        kinds: Iterable[str] = (),
        fresh: bool = False,
        limit: int = 100,
    ) -> "list[NoticeInfo]":
        """A user's notices, newest first.

        Args:
            caller: Who asks.
            user: Whose.
            kinds: Which kinds, each with all below it; none for all.
            fresh: Only those that nobody has acknowledged.
            limit: How many at the most.

        Raises:
            InvalidInput: A kind can't be read, or the limit is out of bounds.
        """
        core = self._core
        draft = Draft(caller, Action.NOTICE_LIST)
        found: list[NoticeInfo] = []
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            listed = check_kinds(kinds)
            if not 1 <= limit <= MAX_KEPT:
                raise InvalidInput(f"the limit is not 1 to {MAX_KEPT}")
            draft.keys = await core.keys(draft.user_id)
            if draft.keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await _newest(
                        rows,
                        draft.keys,
                        limit,
                        lambda one: wanted(one.kind, listed) and not (fresh and one.acked_us),
                    )
        await core.record(draft)
        return found

    async def get(self, caller: Caller, user: UserId, ident: str) -> NoticeInfo:
        """One notice.

        Raises:
            SecretNotFound: There is no such notice, or it made room for newer ones.
        """
        core = self._core
        draft = Draft(caller, Action.NOTICE_LIST, reason=ident[:_SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = await core.keys(draft.user_id)
            if draft.keys is None:
                raise _gone()
            async with core.storage.snapshot() as rows:
                notice = await _found(rows, draft.keys, ident)
        await core.record(draft)
        return notice.info()

    async def acknowledge(
        self, caller: Caller, user: UserId, idents: Iterable[str] | None = None
    ) -> int:
        """Say that notices were seen; how many had not been before.

        Args:
            caller: Who asks.
            user: Whose.
            idents: Their ids; None for all.

        Raises:
            SecretNotFound: One is not there.
        """
        core = self._core
        draft = Draft(caller, Action.NOTICE_ACK)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            listed = None if idents is None else list(dict.fromkeys(idents))
            if listed is not None and not 1 <= len(listed) <= ObjectChanges.MOST:
                raise InvalidInput(f"give 1 to {ObjectChanges.MOST} notices")

        async def work(scope: Scope) -> int:
            keys = draft.keys = await core.keys_in(scope, draft.user_id)
            found: list[Notice] = []
            if keys is not None and listed is None:
                found = list((await NOTICES.all(scope.tx, keys)).values())
            elif listed is not None:
                if keys is None:
                    raise _gone()
                found = [await _found(scope.tx, keys, ident) for ident in listed]
            fresh = [notice for notice in found if not notice.acked_us]
            if keys is None or not fresh:
                scope.record(draft)
                return 0
            changes = ObjectChanges(scope, keys)
            for notice in fresh:
                notice.acked_us = scope.now_us
                changes.put(NOTICES, at_number(number_of(notice.id)), notice)
            draft.reason = f"{len(fresh)}"
            await changes.write(draft)
            return len(fresh)

        return await core.write(draft, work)

    async def deliver(self, caller: Caller) -> DeliveryReport:
        """Deliver what waits for webhooks now, of every user.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        core = self._core
        draft = Draft(caller, Action.WEBHOOK_DELIVER, reason="all")
        async with core.guard(draft):
            core.authorise_operator(caller)
        await core.record(draft)
        return await Deliverer(core).deliver()


async def _newest(
    rows: Rows, keys: UserKeys, limit: int, matches: Callable[[Notice], bool]
) -> list[NoticeInfo]:
    box = await OUTBOX.get(rows, keys, ALL) or Outbox()
    found: list[NoticeInfo] = []
    for number in range(box.next - 1, box.first - 1, -1):
        notice = await NOTICES.get(rows, keys, at_number(number))
        if notice is not None and matches(notice):
            found.append(notice.info())
            if len(found) >= limit:
                break
    return found


async def _found(rows: Rows, keys: UserKeys, ident: str) -> Notice:
    number = number_of(ident)
    notice = await NOTICES.get(rows, keys, at_number(number)) if number else None
    if notice is None or notice.id != ident:
        raise _gone()
    return notice
