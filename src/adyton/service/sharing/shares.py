"""Taking, refusing, listing and ending shares (``docs/spec/sharing.md``)."""

from collections.abc import Callable, Coroutine
from typing import Any

from adyton.actions import Action
from adyton.errors import AccessDenied, RootError
from adyton.exchange import ShareInfo
from adyton.model import Caller, UserId
from adyton.ports import Rows
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.deep import reencrypt
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.secretmeta import not_found
from adyton.service.sharing.ending import End, end, give_back
from adyton.service.sharing.follow import MAX_ITEMS, PATH
from adyton.service.sharing.records import GIVEN, PASSED, RECEIVED, Received
from adyton.service.sharing.standing import SHOWN, chain_of, check_held, shown, shown_received
from adyton.service.userkeys import UserKeys


class Shares:
    """Operations on shares that have been made.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- the owner's side -----------------------------------------------------------------------

    async def revoke(
        self, caller: Caller, user: UserId, share: str, *, rotate: bool = False
    ) -> int:
        """End a share, and all that came of it, at once.

        Args:
            caller: Who asks.
            user: The owner, or whoever passed it on.
            share: The share's id.
            rotate: Also re-encrypt what was shared under new data keys, which the receivers have
                never had; for the owner alone.

        Returns:
            How many versions were re-encrypted.

        Raises:
            SecretNotFound: There is no such share.
            AccessDenied: Somebody else's secrets were to be re-encrypted.
            RootError: The owner's keys can't be opened.
        """
        core = self._core
        draft = Draft(caller, Action.SHARE_REVOKE, name=PATH + share[:SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> int:
            keys = await core.keys_in(scope, draft.user_id)
            if keys is None:
                raise not_found()
            how = End(caller, Action.SHARE_REVOKE, "revoked")
            if await GIVEN.get(scope.tx, keys, share) is None:
                await self._take_from(scope, keys, share, how, rotate=rotate)
                return 0
            names = await end(core, scope, keys, share, how)
            return await self._rotate(scope, caller, keys, names) if rotate else 0

        return await core.write(draft, work)

    async def _take_from(
        self, scope: Scope, keys: UserKeys, share: str, how: End, *, rotate: bool
    ) -> None:
        """End what a user has passed on."""
        passed = await PASSED.get(scope.tx, keys, share)
        owner = None if passed is None else await self._core.keys_in(scope, passed.owner)
        given = None if owner is None else await GIVEN.get(scope.tx, owner, share)
        if owner is None or given is None:
            raise not_found()
        if rotate:
            raise AccessDenied(
                "only their owner re-encrypts secrets", hint="Revoke it without rotation."
            )
        await end(self._core, scope, owner, share, how._replace(why=f"by {keys.user_id}"))

    async def _rotate(self, scope: Scope, caller: Caller, keys: UserKeys, names: list[str]) -> int:
        count = 0
        keys = await self._core.keys_to_write(scope, caller, keys.user_id, MAX_ITEMS)
        for name in names:
            row = await scope.tx.metadata(keys.user, keys.index(name))
            if row is not None:
                count += (await reencrypt(self._core, scope, caller, keys, row))[0]
        return count

    async def given(self, caller: Caller, user: UserId) -> list[ShareInfo]:
        """What is shared of a user's, by whomever, the newest last."""
        return await self._list(caller, user, self._given_in)

    async def _given_in(self, rows: Rows, keys: UserKeys) -> list[ShareInfo]:
        found = await GIVEN.all(rows, keys)
        return [shown(share, keys.user_id, one) for share, one in found.items()]

    # -- the receiver's side --------------------------------------------------------------------

    async def received(self, caller: Caller, user: UserId) -> list[ShareInfo]:
        """What others share with a user, the newest last."""
        return await self._list(caller, user, self._received_in)

    async def _received_in(self, rows: Rows, keys: UserKeys) -> list[ShareInfo]:
        found = await RECEIVED.all(rows, keys)
        return [shown_received(share, keys.user_id, one) for share, one in found.items()]

    async def passed(self, caller: Caller, user: UserId) -> list[ShareInfo]:
        """What a user has passed on of what others share, the newest last."""
        return await self._list(caller, user, self._passed_in)

    async def _passed_in(self, rows: Rows, keys: UserKeys) -> list[ShareInfo]:
        found = await PASSED.all(rows, keys)
        return [shown(share, one.owner, one) for share, one in found.items()]

    async def _list(
        self,
        caller: Caller,
        user: UserId,
        look: "Callable[[Rows, UserKeys], Coroutine[Any, Any, list[ShareInfo]]]",
    ) -> list[ShareInfo]:
        core = self._core
        draft = Draft(caller, Action.SHARE_LIST, name=PATH)
        found: list[ShareInfo] = []
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = keys = await core.keys(draft.user_id)
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await look(rows, keys)
        await core.record(draft)
        return sorted(found, key=lambda info: (info.created_at, info.id))

    async def accept(self, caller: Caller, user: UserId, share: str) -> None:
        """Take a share that was offered; only then can it be read.

        Raises:
            SecretNotFound: There is no such share.
        """
        await self._answer(caller, user, share, accept=True)

    async def refuse(self, caller: Caller, user: UserId, share: str) -> None:
        """Refuse a share, or give it back.

        Raises:
            SecretNotFound: There is no such share.
        """
        await self._answer(caller, user, share, accept=False)

    async def _answer(self, caller: Caller, user: UserId, share: str, *, accept: bool) -> None:
        core = self._core
        action = Action.SHARE_ACCEPT if accept else Action.SHARE_REFUSE
        draft = Draft(caller, action, name=PATH + share[:SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, draft.user_id)
            received = None if keys is None else await RECEIVED.get(scope.tx, keys, share)
            if keys is None or received is None or received.over(scope.now_us):
                raise not_found()
            if accept:
                await self._accept(scope, draft, keys, share, received)
            else:
                await self._refuse(scope, keys, share, received, End(caller, action, "refused"))

        await core.write(draft, work)

    async def _accept(
        self, scope: Scope, draft: Draft, keys: UserKeys, share: str, received: Received
    ) -> None:
        core = self._core
        owner = await core.keys_in(scope, received.owner)
        given = None if owner is None else await GIVEN.get(scope.tx, owner, share)
        if owner is None or given is None or not given.open_at(scope.now_us):
            raise not_found()
        if given.parent:
            all_given = await GIVEN.all(scope.tx, owner)
            above = chain_of(all_given, given.parent, given.by, scope.now_us)
            await check_held(core, scope, [given, *above])
        received.accepted = True
        changes = ObjectChanges(scope, keys)
        changes.put(RECEIVED, share, received)
        await changes.write(draft)
        given.answer = "accepted"
        own = ObjectChanges(scope, owner)
        own.put(GIVEN, share, given)
        await own.write(_told(draft, owner, share))
        if given.by:
            await self._tell(scope, draft, given.by, share)

    async def _tell(self, scope: Scope, draft: Draft, by: str, share: str) -> None:
        """Note the answer for whoever passed it on, where that can be done."""
        try:
            keys = await self._core.keys_in(scope, by)
        except RootError:
            return
        passed = None if keys is None else await PASSED.get(scope.tx, keys, share)
        if keys is not None and passed is not None:
            passed.answer = "accepted"
            changes = ObjectChanges(scope, keys)
            changes.put(PASSED, share, passed)
            await changes.write(_told(draft, keys, share))

    async def _refuse(
        self, scope: Scope, keys: UserKeys, share: str, received: Received, how: End
    ) -> None:
        core = self._core
        try:
            owner = await core.keys_in(scope, received.owner)
        except RootError:  # it is the receiver's to give back; the owner is told later
            await give_back(core, scope, keys, share, how)
            return
        if owner is None or await GIVEN.get(scope.tx, owner, share) is None:
            raise not_found()
        await end(core, scope, owner, share, how, refused=True)


def _told(draft: Draft, keys: UserKeys, share: str) -> Draft:
    return Draft(draft.caller, draft.action, keys, keys.user_id, PATH + share)
