"""Doing a write once, however often it is asked for (``docs/spec/native-api.md``, section 6).

The answer is kept as a sealed object of the asking token's namespace, in the transaction of the
write itself: after a crash there are both, or neither.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import msgspec

from adyton.actions import Action
from adyton.errors import IdempotencyMismatch, RequestPending
from adyton.model import Caller
from adyton.ports import Rows
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.limits import DAY_US
from adyton.service.objects import ObjectChanges, Shelf
from adyton.service.ticket import Work
from adyton.service.userkeys import UserKeys

T = TypeVar("T")

KEPT_US: Final = DAY_US
"""Microseconds for which an answer is given again."""
PATH: Final = "adyton/idempotency"
"""How records name the kept answers."""
_ALL: Final = "all"
_BATCH: Final = 200


class Answer(msgspec.Struct, omit_defaults=True):
    """What was answered.

    Attributes:
        request: SHA-256 of the request.
        expires_us: Until when it is given again.
        status: The status; 0 while the request is under way.
        run: Of a request under way, which opening of the store works at it.
        etag: The entity tag, or empty.
        body: The body.
    """

    request: bytes
    expires_us: int
    status: int = 0
    etag: str = ""
    body: bytes = b""
    run: bytes = b""

    def __repr__(self) -> str:
        return "<Answer>"


class Days(msgspec.Struct):
    """Days since the epoch on which answers were kept, which are their folders."""

    days: list[int]


ANSWERS: Final = Shelf("idempotency", Answer)
DAYS: Final = Shelf("idempotency-days", Days)


class Replayed(RequestPending):
    """Nothing was done: the answer to the same request is there already.

    Args:
        answer: That answer.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__("the request was answered before")
        self.answer = answer


class Once:
    """One request that is to be done once.

    Args:
        core: The open store.
        caller: Who asks, for the records.
        user: The namespace of the token.
        key: The idempotency key.
        request: SHA-256 of the request.
    """

    def __init__(self, core: Core, caller: Caller, user: str, key: str, request: bytes) -> None:
        self._core = core
        self._caller = caller
        self._user = user
        self._key = key
        self._request = request

    def __repr__(self) -> str:
        return "<Once>"

    async def seen(self) -> bool:
        """Whether the key was used for this request: to choose between two rights."""
        keys = await self._core.keys(self._user)
        if keys is None:
            return False
        async with self._core.storage.snapshot() as rows:
            found = await self._find(rows, keys, self._core.clock.now_us())
        return found is not None and found.request == self._request

    async def write(
        self,
        run: Callable[[Core], Coroutine[Any, Any, T]],
        answer: Callable[[T], tuple[int, str, bytes]],
    ) -> T:
        """Run an operation that writes in one unit, and keep its answer with it.

        Args:
            run: Starts the operation over a store.
            answer: Status, entity tag and body for the result of the unit, which must be that
                of the operation.

        Raises:
            Replayed: It was done before.
            IdempotencyMismatch: The key was used for another request.
            RequestPending: It is under way, or was broken off.
        """

        def around(work: Work[Any]) -> Work[Any]:
            async def unit(scope: Scope) -> Any:  # noqa: ANN401 - whatever the work gives
                await self._refuse_again(scope)
                result = await work(scope)
                await self._keep(scope, *answer(result))
                return result

            return unit

        return await run(_OnceCore(self._core, around))

    async def begin(self, *, resume: bool = False) -> int | None:
        """Keep the key before an operation of many units.

        Args:
            resume: Whether what was left behind by a former opening of the store is gone on with.

        Returns:
            When the same request was begun that a former opening of the store has left behind, in
            microseconds: it is to be finished. None if it is to be done from its beginning.

        Raises:
            Replayed: It was done before.
            IdempotencyMismatch: The key was used for another request.
            RequestPending: It is under way, or was left behind and can't be gone on with.
        """

        async def work(scope: Scope) -> int | None:
            left = await self._refuse_again(scope, resume=resume)
            await self._keep(scope, 0, "", b"", left)
            return None if left is None else left.expires_us - KEPT_US

        return await self._core.write(self._draft(Action.ACCESS_WRITE), work)

    async def finish(self, status: int, etag: str, body: bytes) -> None:
        """Keep the answer of an operation of many units."""

        async def work(scope: Scope) -> None:
            await self._keep(scope, status, etag, body)

        await self._core.write(self._draft(Action.ACCESS_WRITE), work)

    async def give_up(self) -> None:
        """Free the key of an operation of many units that has failed."""

        async def work(scope: Scope) -> None:
            keys = await self._core.keys_in(scope, self._user)
            if keys is None:
                return
            changes = ObjectChanges(scope, keys)
            day = str(scope.now_us // DAY_US)
            for folder in (day, str(int(day) - 1)):
                if await ANSWERS.get(scope.tx, keys, self._key, folder) is not None:
                    changes.delete(ANSWERS, self._key, folder)
            await changes.write(self._draft(Action.ACCESS_DELETE))

        await self._core.write(self._draft(Action.ACCESS_DELETE), work)

    async def _refuse_again(self, scope: Scope, *, resume: bool = False) -> Answer | None:
        """Refuse what was done, or is under way; what was left behind is given, to go on with."""
        keys = await self._core.keys_in(scope, self._user)
        found = None if keys is None else await self._find(scope.tx, keys, scope.now_us)
        if found is None:
            return None
        if found.request != self._request:
            raise IdempotencyMismatch(
                "the idempotency key was used for another request",
                hint="Make a new key for each request; send the same one only to try again.",
            )
        if not found.status:
            if found.run != self._core.run:  # whoever worked at it is no more
                if resume:
                    return found
                raise RequestPending(
                    "the same request was broken off when the server ended",
                    hint="Look at what it has done, and use a new idempotency key.",
                )
            raise RequestPending(
                "the same request is under way", hint="Send it again until there is an answer."
            )
        raise Replayed(found)

    async def _find(self, rows: Rows, keys: UserKeys, now_us: int) -> Answer | None:
        today = now_us // DAY_US
        for day in (today, today - 1):
            found = await ANSWERS.get(rows, keys, self._key, str(day))
            if found is not None and found.expires_us > now_us:
                return found
        return None

    async def _keep(
        self, scope: Scope, status: int, etag: str, body: bytes, left: Answer | None = None
    ) -> None:
        keys = await self._core.keys_to_write(scope, self._caller, self._user, 0)
        changes = ObjectChanges(scope, keys)
        today = scope.now_us // DAY_US
        expires_us = scope.now_us + KEPT_US if left is None else left.expires_us
        run = b"" if status else self._core.run
        kept = Answer(self._request, expires_us, status, etag, body, run)
        # An operation of many units may end on another day than it began.
        yesterday = str(today - 1)
        if await ANSWERS.get(scope.tx, keys, self._key, yesterday) is not None:
            changes.delete(ANSWERS, self._key, yesterday)
        changes.put(ANSWERS, self._key, kept, str(today))
        known = await DAYS.get(scope.tx, keys, _ALL)
        if known is None or today not in known.days:
            days = [*(known.days if known else ()), today]
            changes.put(DAYS, _ALL, Days(days))
        await changes.write(self._draft(Action.ACCESS_WRITE))

    def _draft(self, action: Action) -> Draft:
        return Draft(self._caller, action, user_id=self._user, name=PATH)


class _OnceCore(Core):
    """The same store, with something around the work of a unit."""

    def __init__(self, core: Core, around: Callable[[Work[Any]], Work[Any]]) -> None:
        vars(self).update(vars(core))
        self._around = around

    async def write(self, draft: Draft, work: Work[T], *, free: bool = False) -> T:
        """As the store's."""
        return await super().write(draft, self._around(work), free=free)


async def forget_answers(core: Core, caller: Caller, user: str) -> int:
    """Remove a namespace's answers of days that are over; how many there were."""
    keys = await core.keys(user)
    if keys is None:
        return 0
    async with core.storage.snapshot() as rows:
        known = await DAYS.get(rows, keys, _ALL)
    over = (core.clock.now_us() - KEPT_US) // DAY_US
    count = 0
    for day in [day for day in known.days if day < over] if known else ():
        while gone := await _forget_some(core, caller, user, day):
            count += gone
    return count


async def _forget_some(core: Core, caller: Caller, user: str, day: int) -> int:
    """Remove some answers of a day, or the day once it has none."""
    draft = Draft(caller, Action.ACCESS_DELETE, user_id=user, name=PATH, reason="ended")

    async def work(scope: Scope) -> int:
        keys = await core.keys_in(scope, user)
        if keys is None:
            return 0
        changes = ObjectChanges(scope, keys)
        found = await ANSWERS.some(scope.tx, keys, _BATCH, str(day))
        for key in found:
            changes.delete(ANSWERS, key, str(day))
        if not found:
            known = await DAYS.get(scope.tx, keys, _ALL)
            days = [other for other in known.days if other != day] if known else []
            changes.put(DAYS, _ALL, Days(days))
        await changes.write(draft)
        return len(found)

    return await core.write(draft, work)
