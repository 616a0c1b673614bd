"""Reading what others share, by the receiver's keys alone (``docs/spec/sharing.md``)."""

import hmac
from contextlib import suppress
from hashlib import sha256

from adyton.actions import Action
from adyton.errors import AdytonError, IntegrityError, InvalidInput, RootError, SecretNotFound
from adyton.exchange import SharedSecret
from adyton.model import Caller, UserId
from adyton.ports import Rows
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.secretmeta import not_found
from adyton.service.sharing.follow import PATH, catch_up
from adyton.service.sharing.opened import Found
from adyton.service.sharing.records import GIVEN, ITEMS, RECEIVED, Given, Received
from adyton.service.sharing.standing import SHOWN, accepted
from adyton.service.sharing.wraps import changed, open_shared
from adyton.service.userkeys import UserKeys


class SharedReads:
    """Operations on secrets that others share.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def names(self, caller: Caller, user: UserId, share: str) -> list[str]:
        """Names of the secrets in a share that was accepted.

        Raises:
            SecretNotFound: There is no such share.
        """
        core = self._core
        draft = Draft(caller, Action.SHARE_LIST, name=PATH + share[:SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = keys = await core.keys(draft.user_id)
            if keys is None:
                raise not_found()
            if await self._caught_up(caller, keys, share):
                draft.keys = keys = await core.keys(draft.user_id) or keys
            async with core.storage.snapshot() as rows:
                received = await accepted(rows, keys, share, core.clock.now_us())
                await self._check_given(rows, received, share)
                items = await ITEMS.all(rows, keys, share)
        await core.record(draft)
        now = core.clock.now_us()
        return [name for name, item in items.items() if not 0 < item.ends_us <= now]

    async def _check_given(self, rows: Rows, received: Received, share: str) -> None:
        """Refuse what its owner does not give any more, where the owner's keys can be had.

        Values need no such check: what was revoked does not fit the owner's rows.

        Raises:
            SecretNotFound: The owner doesn't.
        """
        try:
            given = await self._given(rows, received, share)
        except RootError:
            return
        if given is None or not given.open_at(self._core.clock.now_us()):
            raise not_found()

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
        draft = Draft(caller, Action.SHARE_READ, name=PATH + share[:SHOWN])
        try:
            draft.user_id = core.authorise(caller, user)
            draft.keys = keys = await core.keys(draft.user_id)
            if keys is None:
                raise not_found()
            secret = await self._open_kept(keys, draft, share, name)
            if secret is None:
                try:
                    secret = await self._open(keys, draft, share, name)
                except (IntegrityError, SecretNotFound) as error:
                    secret = await self._open_again(draft, share, name, error)
        except AdytonError as error:
            raise await core.refuse(draft, error) from None
        try:
            await core.commit.submit(drafts=[draft, *await self._for_owner(draft, secret)])
        except BaseException:
            secret.value.wipe()
            raise
        return secret

    async def _open_again(
        self, draft: Draft, share: str, name: str | None, error: AdytonError
    ) -> SharedSecret:
        """Open with fresh keys, if a rotation came in between; or a share that was behind.

        Raises:
            AdytonError: It opens no more than before.
        """
        core = self._core
        rotated = isinstance(error, IntegrityError)
        draft.keys = keys = await core.keys(draft.user_id, fresh=rotated)
        if keys is None:
            raise not_found()
        if rotated:
            with suppress(IntegrityError):
                return await self._open(keys, draft, share, name)
        if not await self._caught_up(draft.caller, keys, share):
            raise error
        return await self._open(await core.keys(draft.user_id) or keys, draft, share, name)

    async def _caught_up(self, caller: Caller, keys: UserKeys, share: str) -> bool:
        """Bring a share up to date that changed while its receiver's keys were away.

        Raises:
            SecretNotFound: It was revoked meanwhile.
        """
        core = self._core
        given: Given | None = None
        async with core.storage.snapshot() as rows:
            received = await RECEIVED.get(rows, keys, share)
            if received is None or not received.accepted:
                return False
            with suppress(RootError):
                given = await self._given(rows, received, share)
        if given is None:
            return False
        if given.answer == "revoked":
            raise not_found()
        if not given.behind:
            return False

        async def work(scope: Scope) -> None:
            owner = await core.keys_in(scope, received.owner)
            given = None if owner is None else await GIVEN.get(scope.tx, owner, share)
            if owner is not None and given is not None and given.open_at(scope.now_us):
                await catch_up(core, scope, caller, owner, share, given)

        await core.commit.submit(work)
        return True

    async def _given(self, rows: Rows, received: Received, share: str) -> Given | None:
        """A share as its owner has it, or None.

        Raises:
            RootError: The owner keeps the owner's keys away.
        """
        ring = self._core.ring
        owner = ring.cached(received.owner) or await ring.load_user(rows, received.owner)
        return None if owner is None else await GIVEN.get(rows, owner, share)

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

    async def _open_kept(
        self, keys: UserKeys, draft: Draft, share: str, name: str | None
    ) -> SharedSecret | None:
        """The hot path: the secret, if it was opened before and nothing has changed since.

        What else there may be to say of it, :meth:`_open` says.
        """
        storage = self._core.storage
        found = await self._core.shared.find(storage.object, keys, share, name or "")
        if found is None:
            return None
        item = found.item
        row = await storage.secret(found.received.owner_index, item.index)
        if row is None or row.current != item.version or row.value is None:
            return None
        same = hmac.compare_digest(sha256(row.meta).digest(), item.meta)
        if not same or not _in_time(found, self._core):
            return None
        return _release(keys, draft, found, row.value)

    async def _open(
        self, keys: UserKeys, draft: Draft, share: str, name: str | None
    ) -> SharedSecret:
        async with self._core.storage.snapshot() as rows:
            at = await rows.object(keys.user, *RECEIVED.place(keys, share))
            received = None if at is None else RECEIVED.open(keys, at, share)
            if at is None or received is None or not received.accepted:
                raise not_found()
            if received.over(self._core.clock.now_us()):
                raise not_found()
            if name is None and received.kind == "folder":
                raise InvalidInput("the share is a folder", hint="Name one of its secrets.")
            wanted = name or received.name
            row = await rows.object(keys.user, *ITEMS.place(keys, wanted, share))
            item = None if row is None else ITEMS.open(keys, row, wanted)
            if row is None or item is None:
                raise not_found()
            found = self._core.shared.keep(keys, share, name or "", (at, row), received, item)
            if not _in_time(found, self._core):
                raise not_found()
            box = await _box(rows, found)
        return _release(keys, draft, found, box)


def _in_time(found: Found, core: Core) -> bool:
    """Whether neither the share nor the secret has ended."""
    now, ends = core.clock.now_us(), found.item.ends_us
    return not (0 < ends <= now or found.received.over(now))


async def _box(rows: Rows, found: Found) -> bytes:
    """The value's box, if the owner's row is the one that the item is of.

    Raises:
        SecretNotFound: There is none.
        IntegrityError: It is another.
    """
    owner, item = found.received.owner_index, found.item
    row = await rows.secret(owner, item.index)
    if row is None:
        raise not_found()
    box = row.value
    if row.current != item.version:
        older = await rows.version(owner, item.index, item.version)
        box = None if older is None else older.value
    if box is None or not hmac.compare_digest(sha256(row.meta).digest(), item.meta):
        raise changed()
    return box


def _release(keys: UserKeys, draft: Draft, found: Found, box: bytes) -> SharedSecret:
    """Open a value, and say so in the draft."""
    received, item, contexts = found
    value = open_shared(keys, item, contexts, box)
    draft.keys, draft.version = keys, item.version
    return SharedSecret(value, item.content_type, received.owner, item.name, item.version)
