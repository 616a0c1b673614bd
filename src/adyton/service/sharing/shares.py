"""Offering, taking, reading and ending shares (``docs/spec/sharing.md``)."""

import hmac
from collections.abc import Callable, Coroutine
from hashlib import sha256
from typing import Any, Final

from adyton.actions import Action
from adyton.errors import AdytonError, IntegrityError, InvalidInput, LimitExceeded
from adyton.exchange import SharedSecret, ShareInfo
from adyton.model import Caller, UserId, from_us, secret_name, user_id
from adyton.ports import Rows, Transaction
from adyton.service.access.tokens import new_accessor
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.deep import reencrypt
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.secretmeta import not_found, open_meta
from adyton.service.sharing.follow import (
    MAX_ITEMS,
    PATH,
    Changes,
    check_size,
    make_item,
    take_back,
)
from adyton.service.sharing.records import GIVEN, ITEMS, RECEIVED, Given, Item, Kind, Received
from adyton.service.sharing.wraps import changed, open_shared
from adyton.service.userkeys import UserKeys

MAX_SHARES: Final = 1_000
"""Shares that one user has given, or received."""
MAX_RECEIVERS: Final = 50
"""Shares that one secret is in: each is written to with every change of it."""
_SHOWN: Final = 64


class Shares:
    """Operations on shares.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- the owner's side -----------------------------------------------------------------------

    async def create(
        self,
        caller: Caller,
        user: UserId,
        receiver: UserId,
        name: str,
        *,
        version: int | None = None,
        expires_us: int = 0,
        readable: Callable[[str], bool] | None = None,
    ) -> ShareInfo:
        """Offer a secret as it evolves, one version of it, or a folder (with a slash behind).

        Whether the receiver is known to the store is not told. What is not ``readable`` for whoever
        shares is not shared: a folder with one such name is refused whole, as if it were absent.

        Raises:
            SecretNotFound: There is nothing of the name to read.
            InvalidInput: Something breaks a rule.
            LimitExceeded: There are too many shares, or secrets in the folder.
        """
        core = self._core
        draft = Draft(caller, Action.SHARE_CREATE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            other = user_id(receiver)
            kind = _kind(name, version)
            if other == draft.user_id:
                raise InvalidInput("a share is with somebody else", hint="Name another user.")

        async def work(scope: Scope) -> ShareInfo:
            if await core.keys_in(scope, draft.user_id) is None:
                raise not_found()
            if 0 < expires_us <= scope.now_us:
                raise InvalidInput("the share would have ended already")
            owner = await core.keys_to_write(scope, caller, draft.user_id, 0)
            given = Given(other, kind, name, version or 0, scope.now_us, expires_us)
            indexes = await self._covered(scope.tx, owner, given, readable or (lambda _: True))
            await self._check_room(scope, owner, given)
            return await self._offer(scope, draft, owner, given, indexes)

        return await core.write(draft, work)

    async def _covered(
        self, tx: Transaction, owner: UserKeys, given: Given, readable: Callable[[str], bool]
    ) -> list[bytes]:
        """Indexes of what is shared."""
        if given.kind != "folder":
            if not readable(given.name):
                raise not_found()
            return [owner.index(given.name)]
        found: list[bytes] = []
        after = b""
        while page := await tx.metadata_page(owner.user, after, 500):
            for row in page:
                name = open_meta(owner, row).name
                if given.covers(name):
                    if not readable(name):
                        raise not_found()
                    found.append(row.name)
            after = page[-1].name
        check_size(len(found))
        return found

    async def _check_room(self, scope: Scope, owner: UserKeys, new: Given) -> None:
        given = await GIVEN.all(scope.tx, owner)
        receiver = await self._core.keys_in(scope, new.receiver)
        received = {} if receiver is None else await RECEIVED.all(scope.tx, receiver)
        if max(len(given), len(received)) >= MAX_SHARES:
            raise LimitExceeded(
                f"a user gives and receives at most {MAX_SHARES} shares", hint="Revoke some."
            )
        same = [one for one in given.values() if one.covers(new.name) or new.covers(one.name)]
        if len(same) >= MAX_RECEIVERS:
            raise LimitExceeded(
                f"a secret is in at most {MAX_RECEIVERS} shares", hint="Revoke some."
            )

    async def _offer(
        self, scope: Scope, draft: Draft, owner: UserKeys, given: Given, indexes: list[bytes]
    ) -> ShareInfo:
        core, caller = self._core, draft.caller
        share = new_accessor()
        receiver = await core.keys_to_write(scope, caller, given.receiver, len(indexes))
        told = Draft(caller, Action.SHARE_CREATE, receiver, receiver.user_id, PATH + share)
        changes = Changes(scope, told, receiver)
        count = 0
        for index in indexes:
            item = await make_item(scope.tx, owner, receiver, share, given, index)
            if item is not None and not 0 < item.ends_us <= scope.now_us:
                await changes.put(item)
                count += 1
        if not count:
            raise not_found()
        received = Received(
            owner.user_id,
            owner.user,
            given.kind,
            given.name,
            given.version,
            given.created_us,
            given.expires_us,
        )
        changes.objects.put(RECEIVED, share, received)
        await changes.write()
        own = ObjectChanges(scope, owner)
        own.put(GIVEN, share, given)
        draft.name, draft.version = given.name, given.version
        draft.reason = f"share {share} with {given.receiver}"
        await own.write(draft)
        return _shown(share, owner.user_id, given.receiver, given, given.answer)

    async def revoke(
        self, caller: Caller, user: UserId, share: str, *, rotate: bool = False
    ) -> int:
        """End a share at once.

        Args:
            caller: Who asks.
            user: The owner.
            share: The share's id.
            rotate: Also re-encrypt what was shared under new data keys, which the receiver has
                never had.

        Returns:
            How many versions were re-encrypted.

        Raises:
            SecretNotFound: There is no such share.
        """
        core = self._core
        draft = Draft(caller, Action.SHARE_REVOKE, name=PATH + share[:_SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> int:
            keys = await core.keys_in(scope, draft.user_id)
            given = None if keys is None else await GIVEN.get(scope.tx, keys, share)
            if keys is None or given is None:
                raise not_found()
            receiver = await core.keys_in(scope, given.receiver)
            items = {} if receiver is None else await ITEMS.all(scope.tx, receiver, share)
            await take_back(core, scope, caller, Action.SHARE_REVOKE, share, given, "revoked")
            changes = ObjectChanges(scope, keys)
            changes.delete(GIVEN, share)
            draft.reason = f"with {given.receiver}" + (", re-encrypted" if rotate else "")
            await changes.write(draft)
            return await self._rotate(scope, caller, keys, list(items.values())) if rotate else 0

        return await core.write(draft, work)

    async def _rotate(self, scope: Scope, caller: Caller, keys: UserKeys, items: list[Item]) -> int:
        count = 0
        keys = await self._core.keys_to_write(scope, caller, keys.user_id, MAX_ITEMS)
        for item in items:
            row = await scope.tx.metadata(keys.user, item.index)
            if row is not None:
                count += (await reencrypt(self._core, scope, caller, keys, row))[0]
        return count

    async def given(self, caller: Caller, user: UserId) -> list[ShareInfo]:
        """What a user shares with others, the newest last."""
        return await self._list(caller, user, self._given_in)

    async def _given_in(self, rows: Rows, keys: UserKeys) -> list[ShareInfo]:
        found = await GIVEN.all(rows, keys)
        return [
            _shown(share, keys.user_id, one.receiver, one, one.answer)
            for share, one in found.items()
        ]

    # -- the receiver's side --------------------------------------------------------------------

    async def received(self, caller: Caller, user: UserId) -> list[ShareInfo]:
        """What others share with a user, the newest last."""
        return await self._list(caller, user, self._received_in)

    async def _received_in(self, rows: Rows, keys: UserKeys) -> list[ShareInfo]:
        found = await RECEIVED.all(rows, keys)
        return [
            _shown(share, one.owner, keys.user_id, one, "accepted" if one.accepted else "offered")
            for share, one in found.items()
        ]

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
        draft = Draft(caller, action, name=PATH + share[:_SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, draft.user_id)
            received = None if keys is None else await RECEIVED.get(scope.tx, keys, share)
            if keys is None or received is None or _over(received, scope.now_us):
                raise not_found()
            owner = await core.keys_in(scope, received.owner)
            given = None if owner is None else await GIVEN.get(scope.tx, owner, share)
            if owner is None or given is None:
                raise not_found()
            if accept:
                received.accepted = True
                changes = ObjectChanges(scope, keys)
                changes.put(RECEIVED, share, received)
                await changes.write(draft)
            else:
                await take_back(core, scope, caller, action, share, given, "refused")
            given.answer = "accepted" if accept else "refused"
            own = ObjectChanges(scope, owner)
            own.put(GIVEN, share, given)
            await own.write(Draft(caller, action, owner, owner.user_id, PATH + share))

        await core.write(draft, work)

    async def names(self, caller: Caller, user: UserId, share: str) -> list[str]:
        """Names of the secrets in a share that was accepted.

        Raises:
            SecretNotFound: There is no such share.
        """
        core = self._core
        draft = Draft(caller, Action.SHARE_LIST, name=PATH + share[:_SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = keys = await core.keys(draft.user_id)
            if keys is None:
                raise not_found()
            async with core.storage.snapshot() as rows:
                await self._accepted(rows, keys, share)
                items = await ITEMS.all(rows, keys, share)
        await core.record(draft)
        now = core.clock.now_us()
        return [name for name, item in items.items() if not 0 < item.ends_us <= now]

    async def get(
        self, caller: Caller, user: UserId, share: str, name: str | None = None
    ) -> SharedSecret:
        """Open a shared secret by the receiver's keys alone; recorded on both sides.

        Args:
            caller: Who asks.
            user: The receiver.
            share: The share's id.
            name: Which secret of a folder; not needed for a single one.

        Raises:
            SecretNotFound: There is no such share, or nothing of that name can be read by it.
            IntegrityError: What is stored was changed.
        """
        core = self._core
        draft = Draft(caller, Action.SHARE_READ, name=PATH + share[:_SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = keys = await core.keys(draft.user_id)
            try:
                secret = await self._open(keys, draft, share, name)
            except IntegrityError:
                # A rotation may have come between reading the keys and reading the share.
                draft.keys = keys = await core.keys(draft.user_id, fresh=True)
                secret = await self._open(keys, draft, share, name)
        try:
            await core.commit.submit(drafts=[draft, *await self._for_owner(draft, secret)])
        except BaseException:
            secret.value.wipe()
            raise
        return secret

    async def _for_owner(self, draft: Draft, secret: SharedSecret) -> list[Draft]:
        """The same record for the owner's log, where the owner's keys can be had."""
        try:
            keys = await self._core.keys(secret.owner)
        except AdytonError:
            return []
        if keys is None:
            return []
        told = Draft(
            draft.caller, Action.SHARE_READ, keys, secret.owner, secret.name, secret.version
        )
        told.reason = f"{draft.name} by {draft.user_id}"
        return [told]

    async def _open(
        self, keys: UserKeys | None, draft: Draft, share: str, name: str | None
    ) -> SharedSecret:
        if keys is None:
            raise not_found()
        async with self._core.storage.snapshot() as rows:
            received = await self._accepted(rows, keys, share)
            if name is None and received.kind == "folder":
                raise InvalidInput("the share is a folder", hint="Name one of its secrets.")
            item = await ITEMS.get(rows, keys, name or received.name, share)
            if item is None or 0 < item.ends_us <= self._core.clock.now_us():
                raise not_found()
            row = await rows.secret(received.owner_index, item.index)
            if row is None:
                raise not_found()
            box = row.value
            if row.current != item.version:
                older = await rows.version(received.owner_index, item.index, item.version)
                box = None if older is None else older.value
        if box is None or not hmac.compare_digest(sha256(row.meta).digest(), item.meta):
            raise changed()
        value = open_shared(keys, received.owner_index, item, box)
        draft.keys, draft.version = keys, item.version
        return SharedSecret(value, item.content_type, received.owner, item.name, item.version)

    async def _accepted(self, rows: Rows, keys: UserKeys, share: str) -> Received:
        received = await RECEIVED.get(rows, keys, share)
        if received is None or not received.accepted:
            raise not_found()
        if _over(received, self._core.clock.now_us()):
            raise not_found()
        return received


def _over(received: Received, now_us: int) -> bool:
    return 0 < received.expires_us <= now_us


def _kind(name: str, version: int | None) -> Kind:
    """What a name means, checked.

    Raises:
        InvalidInput: It is no name, or a version of a folder.
    """
    if name.endswith("/"):
        secret_name(name[:-1])
        if version is not None:
            raise InvalidInput("a folder has no versions", hint="Leave the version out.")
        return "folder"
    secret_name(name)
    if version is not None and version < 1:
        raise InvalidInput("a version is 1 or more")
    return "secret" if version is None else "version"


def _shown(
    share: str, owner: str, receiver: str, one: "Given | Received", answer: str
) -> ShareInfo:
    return ShareInfo(
        share,
        owner,
        receiver,
        one.kind,
        one.name,
        one.version,
        from_us(one.created_us),
        from_us(one.expires_us) if one.expires_us else None,
        answer,
    )
