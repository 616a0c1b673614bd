"""Writing through a share: into the owner's namespace, as the owner's own writes go.

The owner's keys seal what is written, so that what is written can be opened by the owner and by
everybody whom it is shared with, or is not written at all (``docs/adr/0018``). No value of the
owner's is opened for it.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from adyton.actions import Action
from adyton.errors import AccessDenied, InvalidInput, QuotaExceeded
from adyton.model import Caller, State, UserId, check_cas, secret_name
from adyton.service import secretmeta, writing
from adyton.service.changing import change_in
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.secretmeta import Meta, not_found
from adyton.service.sharing.follow import PATH, catch_up
from adyton.service.sharing.records import GIVEN, ITEMS, Given
from adyton.service.sharing.standing import SHOWN, accepted, check_fits, held_chain
from adyton.service.sharing.wraps import changed
from adyton.service.userkeys import UserKeys
from adyton.service.values import Item

T = TypeVar("T")


class _Target(NamedTuple):
    """Where a write through a share goes.

    Attributes:
        owner: The owner's keys.
        given: The share, as the owner has it.
        name: The secret's name.
        meta: What is known of the secret; None if there is none.
    """

    owner: UserKeys
    given: Given
    name: str
    meta: Meta | None


class SharedWrites:
    """Operations on secrets that others let a user write.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def set(
        self, caller: Caller, user: UserId, share: str, item: Item, *, name: str | None = None
    ) -> int:
        """Write a new version of a shared secret, or a new secret into a shared folder.

        It is the owner's: it counts for the owner's quotas, and has the tags, attributes, expiry
        and number of versions that the owner has set.

        Args:
            caller: Who asks.
            user: The receiver.
            share: The share's id.
            item: The value, its media type and check-and-set; its name does not count.
            name: Which secret of a folder; not needed for a single one.

        Returns:
            The new version.

        Raises:
            SecretNotFound: There is no such share, or the secret of it is gone.
            AccessDenied: It is for reading.
            InvalidInput: The name is none in the folder, or the secret wants check-and-set.
            VersionConflict: The check-and-set version is not the current one.
            QuotaExceeded: The owner may not store so much.
            RootError: The owner keeps the owner's keys away.
            IntegrityError: What is stored was changed.
        """

        async def put(scope: Scope, at: _Target, reason: str) -> int:
            core = self._core
            owner = await core.keys_to_write(scope, caller, at.owner.user_id, 1)
            batch = writing.Batch(core, scope, caller, owner)
            meta, _ = await batch.add(
                Item(at.name, item.value, item.content_type, cas=item.cas),
                Action.SHARE_WRITE,
                reason=reason,
            )
            await batch.write()
            return meta.current

        draft = Draft(caller, Action.SHARE_WRITE)
        return await self._through(draft, user, share, name, put)

    async def delete(
        self,
        caller: Caller,
        user: UserId,
        share: str,
        *,
        name: str | None = None,
        cas: int | None = None,
    ) -> int:
        """Mark the current version of a shared secret deleted; its owner can bring it back.

        Args:
            caller: Who asks.
            user: The receiver.
            share: The share's id.
            name: Which secret of a folder; not needed for a single one.
            cas: The version that has to be the current one; None for any.

        Returns:
            The version that was deleted.

        Raises:
            SecretNotFound: There is no such share, or nothing of that name in it.
            AccessDenied: It does not allow deleting.
            InvalidInput: The share is a folder and no name is given.
            VersionConflict: The check-and-set version is not the current one.
            RootError: The owner keeps the owner's keys away.
            IntegrityError: What is stored was changed.
        """

        def mark(meta: Meta, now_us: int) -> None:
            version = meta.readable(None, now_us)
            version.state, version.deleted_us = State.DELETED, now_us

        async def put(scope: Scope, at: _Target, reason: str) -> int:
            if not at.given.delete:
                raise AccessDenied(
                    "the share does not allow deleting", hint="Ask its owner to delete it."
                )
            if at.meta is None:
                raise not_found()
            done = Draft(caller, draft.action, at.owner, at.owner.user_id, at.name, reason=reason)
            await change_in(self._core, scope, done, mark, cas)
            return at.meta.current

        draft = Draft(caller, Action.SHARE_DELETE)
        async with self._core.guard(draft):
            draft.user_id = self._core.authorise(caller, user)
            check_cas(cas)
        return await self._through(draft, user, share, name, put)

    async def _through(
        self,
        draft: Draft,
        user: UserId,
        share: str,
        name: str | None,
        put: Callable[[Scope, _Target, str], Awaitable[int]],
    ) -> int:
        """Change a secret of the owner's and record it on both sides."""
        core, caller = self._core, draft.caller
        draft.name = PATH + share[:SHOWN]
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            if name is not None:
                secret_name(name)

        async def work(scope: Scope) -> int:
            keys = await core.keys_in(scope, draft.user_id)
            if keys is None:
                raise not_found()
            at = await self._target(scope, caller, keys, share, name)
            before = await core.stored(scope, at.owner)
            version = await put(scope, at, f"{draft.name} by {keys.user_id}")
            try:
                await core.check_stored(scope, at.owner, before)
            except QuotaExceeded:
                raise QuotaExceeded(
                    "a quota of the owner's would be passed", hint="Ask the owner to make room."
                ) from None
            draft.keys, draft.version = await core.keys_in(scope, keys.user_id), version
            scope.record(draft)
            return version

        return await core.write(draft, work)

    async def _target(
        self, scope: Scope, caller: Caller, keys: UserKeys, share: str, name: str | None
    ) -> _Target:
        """What is to be changed, if both sides say that it may be.

        Raises:
            AdytonError: It may not be, or was changed behind our back.
        """
        core = self._core
        received = await accepted(scope.tx, keys, share, scope.now_us)
        if not received.write:
            raise AccessDenied(
                "the share is for reading only", hint="Ask its owner for one to write to."
            )
        if received.kind == "folder" and name is None:
            raise InvalidInput("the share is a folder", hint="Name one of its secrets.")
        owner = await core.keys_in(scope, received.owner)
        if owner is None or owner.user != received.owner_index:
            raise not_found()
        found = await GIVEN.all(scope.tx, owner)
        given = (await held_chain(core, scope, found, share, keys.user_id))[0]
        if not given.write or not given.covers(received.name):
            raise changed()
        name = name or given.name
        if not given.covers(name):
            raise InvalidInput(
                "the name is not one in the shared folder", hint="Names begin with the folder's."
            )
        if given.behind:
            await catch_up(core, scope, caller, owner, share, given)
        return _Target(owner, given, name, await _seen(scope, owner, keys, share, given, name))


async def _seen(
    scope: Scope, owner: UserKeys, keys: UserKeys, share: str, given: Given, name: str
) -> Meta | None:
    """What is known of a secret that is to be changed, as far as its receiver sees it.

    Raises:
        SecretNotFound: It is gone for its receiver, who may not bring it back.
        IntegrityError: What the receiver has is not of the secret as it is.
    """
    row = await scope.tx.metadata(owner.user, owner.index(name))
    item = await ITEMS.get(scope.tx, keys, name, share)
    meta = None if row is None else secretmeta.open_meta(owner, row)
    if meta is None and item is None and given.kind != "folder":
        raise not_found()
    if meta is not None and meta.expires_us is not None and meta.expires_us <= scope.now_us:
        raise not_found()
    check_fits(row, meta, item, scope.now_us)
    return meta
