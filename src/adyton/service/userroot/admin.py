"""A user's own root: set, given, taken away, changed, removed (``docs/adr/0020``).

The store never gets the user's roots of trust. It gets a key of 32 bytes, holds it in locked memory
for a time, and closes the user's keys with it. Whoever gives the key has shown to be the one who
may: it opens what is stored, and nothing else does.
"""

import hmac
import logging
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import structs

from adyton.actions import Action
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import IntegrityError, InvalidInput, UserNotFound, VersionConflict
from adyton.model import Caller, UserId
from adyton.ports import Rows
from adyton.rows import UserKeyRow
from adyton.service import keychange
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.keyadmin import KeyAdmin
from adyton.service.sharing.tidying import forget_shares
from adyton.service.ticket import Work
from adyton.service.userkeys import UserKeys
from adyton.service.userroot.given import refused
from adyton.service.userroot.records import Kept, KeptRoot, drop_kept, kept_of, put_kept, shown
from adyton.userroots import (
    MAX_WRAPPED_BYTES,
    MAX_WRAPS,
    ROOT_ID_BYTES,
    NewUserRoot,
    UserRootInfo,
    WrappedRoot,
    checked_key,
)
from adyton.values import Progress

_SECOND_US: Final = 1_000_000
_log = logging.getLogger("adyton.userroots")


class UserRoots:
    """Operations on a user's own root.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- looking --------------------------------------------------------------------------------

    async def show(self, caller: Caller, user: UserId) -> UserRootInfo:
        """What there is of a user's own root; it opens nothing by itself.

        Raises:
            UserNotFound: The user has no namespace.
        """
        core = self._core
        draft = Draft(caller, Action.USER_ROOT_SHOW)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            async with core.storage.snapshot() as rows:
                kept = await self._kept(rows, draft.user_id)
        await core.record(draft)
        return shown(core.ring, draft.user_id, kept)

    async def closed_user(self, user: bytes) -> str | None:
        """The id of a user whose own root is away, by the user's index; None for all others."""
        ring = self._core.ring
        async with self._core.storage.snapshot() as rows:
            kept = await kept_of(rows, ring, user)
        return None if kept is None or ring.given.until_us(kept.root) else kept.user_id

    async def _kept(self, rows: Rows, user_id: str) -> Kept | None:
        user = self._core.ring.user_index(user_id)
        if await rows.user(user) is None:
            raise UserNotFound("the user has no namespace in this store")
        return await kept_of(rows, self._core.ring, user)

    async def _present(self, rows: Rows, user_id: str) -> tuple[Kept, UserKeyRow]:
        """What is kept of a user's own root, and the user's current key as it is stored."""
        kept = await self._kept(rows, user_id)
        if kept is None:
            raise InvalidInput("the user has no root of their own", hint="Set one first.")
        key_rows = await rows.user_keys(self._core.ring.user_index(user_id))
        return kept, key_rows[-1]

    def _prove(self, kept: Kept, row: UserKeyRow, root: bytes, key: SecretBytes) -> None:
        """Whoever brings a key is let on only if it opens what is stored."""
        ring = self._core.ring
        if not hmac.compare_digest(root, kept.root):
            raise refused()
        with checked_key(key) as own:
            ring.given.proves(ring.master(row.master_version), row, own)

    # -- giving and taking away -----------------------------------------------------------------

    async def give(
        self, caller: Caller, user: UserId, root: bytes, key: SecretBytes, seconds: int
    ) -> UserRootInfo:
        """Let the user's secrets be opened for a time.

        Args:
            caller: Who asks. The key itself shows that they may.
            user: The user.
            root: Which user root key it is.
            key: The key; a copy is kept in locked memory.
            seconds: After how long it is taken away by itself.

        Raises:
            UserNotFound: The user has no namespace.
            InvalidInput: The user has no root of their own, or the time is not allowed.
            UserRootRefused: The key does not open the user's keys.
        """
        core = self._core
        draft = Draft(caller, Action.USER_ROOT_GIVE)
        async with core.guard(draft):
            draft.user_id = user_id = core.authorise(caller, user)
            self._check_seconds(seconds)
            async with core.storage.snapshot() as rows:
                kept, row = await self._present(rows, user_id)
            self._prove(kept, row, root, key)

        async def work(scope: Scope) -> UserRootInfo:
            kept, row = await self._present(scope.tx, user_id)
            self._prove(kept, row, root, key)
            until_us = scope.now_us + seconds * _SECOND_US
            told = Draft(caller, Action.USER_ROOT_GIVE, None, user_id)
            told.reason = f"for {seconds} seconds"
            scope.record(told)
            core.ring.given.put(row.user, user_id, root, key, until_us, trial=True)
            scope.after_commit(lambda: core.ring.given.put(row.user, user_id, root, key, until_us))
            keys = await core.ring.load_index(scope.tx, row.user, user_id)
            if keys is not None:
                scope.record(Draft(caller, told.action, keys, user_id, reason=told.reason))
            return shown(core.ring, user_id, kept)

        await self._tried(draft, root, work)
        await self._catch_up(caller, user_id)
        return await self._shown(user_id)

    async def _catch_up(self, caller: Caller, user_id: str) -> None:
        """See to what others have shared with a user, and taken back, while the user was away."""
        try:
            await forget_shares(self._core, caller, user_id)
        except IntegrityError as error:  # another user's data: no reason to keep this one out
            _log.warning("shares of a user can't be seen to: %s", error.message)

    async def take(self, caller: Caller, user: UserId) -> bool:
        """Close a user's secrets at once, before anything is recorded.

        Returns:
            Whether the root was given.

        Raises:
            UserNotFound: The user has no namespace.
            InvalidInput: The user has no root of their own.
        """
        core = self._core
        draft = Draft(caller, Action.USER_ROOT_TAKE)
        async with core.guard(draft):
            draft.user_id = user_id = core.authorise(caller, user)
            taken = core.take_user_root(core.ring.user_index(user_id), user_id)
            async with core.storage.snapshot() as rows:
                await self._present(rows, user_id)
        draft.reason = "" if taken else "it was away already"
        await core.record(draft)
        return taken

    async def record_ended(self, caller: Caller) -> None:
        """Record the roots whose time is over."""
        given = self._core.ring.given
        given.sweep()
        while given.ended:
            user_id = given.ended.pop()
            draft = Draft(caller, Action.USER_ROOT_TAKE, None, user_id, reason="its time is over")
            await self._core.record(draft)

    # -- setting, changing, removing ------------------------------------------------------------

    async def set(
        self,
        caller: Caller,
        user: UserId,
        new: NewUserRoot,
        seconds: int,
        *,
        watch: Callable[[Progress], None] = lambda _: None,
    ) -> UserRootInfo:
        """Close a user's keys by a root of the user's own, and give it for a time.

        Everything of the user is encrypted anew after that: the keys that older backups hold, under
        the master key alone, don't open what is stored from here on.

        Raises:
            UserNotFound: The user has no namespace.
            InvalidInput: There is a root already, or something breaks a rule.
        """
        core = self._core
        draft = Draft(caller, Action.USER_ROOT_SET)
        async with core.guard(draft):
            draft.user_id = user_id = core.authorise(caller, user)
            if user_id == OPERATOR_SPACE:
                raise InvalidInput(
                    "the operator's namespace can't have a root of its own: the server's tokens"
                    " and policies are in it"
                )
            self._check_new(new)
            self._check_seconds(seconds)

        async def work(scope: Scope) -> None:
            if await self._kept(scope.tx, user_id) is not None:
                raise InvalidInput(
                    "the user has a root of their own already",
                    hint="Change it with 'adyton user root change'.",
                )
            await self._close(scope, caller, user_id, new, seconds, Action.USER_ROOT_SET)

        return await self._closed(draft, new, work, watch)

    async def change(
        self,
        caller: Caller,
        user: UserId,
        root: bytes,
        key: SecretBytes,
        new: NewUserRoot,
        seconds: int,
        *,
        watch: Callable[[Progress], None] = lambda _: None,
    ) -> UserRootInfo:
        """Close a user's keys by another root of the user's own; the former one opens nothing.

        Raises:
            UserNotFound: The user has no namespace.
            InvalidInput: The user has no root of their own, or something breaks a rule.
            UserRootRefused: The key does not open the user's keys.
        """
        core = self._core
        draft = Draft(caller, Action.USER_ROOT_CHANGE)
        async with core.guard(draft):
            draft.user_id = user_id = core.authorise(caller, user)
            self._check_new(new)
            self._check_seconds(seconds)
            if hmac.compare_digest(new.root, root):
                raise InvalidInput("a new user root key has an id of its own")

        async def work(scope: Scope) -> None:
            kept, row = await self._present(scope.tx, user_id)
            self._prove(kept, row, root, key)
            until_us = scope.now_us + seconds * _SECOND_US
            core.ring.given.put(row.user, user_id, root, key, until_us, trial=True)
            await self._close(scope, caller, user_id, new, seconds, Action.USER_ROOT_CHANGE)
            scope.after_commit(lambda: core.ring.given.drop(root))

        return await self._closed(draft, new, work, watch, beside=root)

    async def set_roots(
        self,
        caller: Caller,
        user: UserId,
        root: bytes,
        key: SecretBytes,
        roots: Sequence[WrappedRoot],
        revision: int,
    ) -> UserRootInfo:
        """Let other roots of trust of the user open the same user root key.

        Args:
            caller: Who asks.
            user: The user.
            root: Which user root key it is.
            key: The key.
            roots: All that are to open it from now on.
            revision: That of the roots which these take the place of.

        Raises:
            UserNotFound: The user has no namespace.
            VersionConflict: Somebody has changed them since they had this revision.
            InvalidInput: The user has no root of their own, or something breaks a rule.
            UserRootRefused: The key does not open the user's keys.
        """
        core = self._core
        draft = Draft(caller, Action.USER_ROOT_CHANGE)
        async with core.guard(draft):
            draft.user_id = user_id = core.authorise(caller, user)
            _check_roots(roots)

        async def work(scope: Scope) -> None:
            kept, row = await self._present(scope.tx, user_id)
            self._prove(kept, row, root, key)
            if revision != kept.revision:
                raise VersionConflict(
                    "the roots that open this user's keys were changed meanwhile",
                    hint="Look with 'adyton user root show', and do it again if it still fits.",
                )
            known = {(one.slot, one.wrapped): one.added_us for one in kept.roots}
            stored = tuple(
                KeptRoot(*one[:4], known.get((one.slot, one.wrapped), scope.now_us))
                for one in roots
            )
            changed = structs.replace(kept, roots=stored, revision=revision + 1)
            await put_kept(scope.tx, core.ring, row.user, changed)
            draft.reason = f"{len(stored)} roots of trust"
            scope.record(Draft(caller, draft.action, None, user_id, reason=draft.reason))

        await core.write(draft, work, free=True)
        return await self._shown(user_id)

    async def remove(self, caller: Caller, user: UserId, root: bytes, key: SecretBytes) -> None:
        """Have the master key alone close a user's keys again.

        Raises:
            UserNotFound: The user has no namespace.
            InvalidInput: The user has no root of their own.
            UserRootRefused: The key does not open the user's keys.
        """
        core = self._core
        draft = Draft(caller, Action.USER_ROOT_REMOVE)
        async with core.guard(draft):
            draft.user_id = user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            kept, row = await self._present(scope.tx, user_id)
            self._prove(kept, row, root, key)
            until_us = scope.now_us + _SECOND_US
            core.ring.given.put(
                row.user, user_id, root, key, max(until_us, core.ring.given.until_us(root)),
                trial=True,
            )  # fmt: skip
            await self._move_keys(scope, row.user, b"")
            await drop_kept(scope.tx, row.user)
            keys = await self._loaded(scope, row.user, user_id)
            core.change_keys(scope, keys)
            scope.after_commit(lambda: core.ring.given.drop(root))
            scope.record(Draft(caller, Action.USER_ROOT_REMOVE, None, user_id))
            scope.record(Draft(caller, Action.USER_ROOT_REMOVE, keys, user_id))

        await self._tried(draft, root, work)

    async def finish(
        self, caller: Caller, *, watch: Callable[[Progress], None] = lambda _: None
    ) -> None:
        """Go on with what setting or changing a root has left to be encrypted anew."""
        core = self._core
        for user, user_id in core.ring.given.users():
            async with core.storage.snapshot() as rows:
                kept = await kept_of(rows, core.ring, user)
            if kept is not None and kept.pending:
                await self._encrypt_anew(caller, user_id, kept.root, watch)

    # -- parts ----------------------------------------------------------------------------------

    def _check_seconds(self, seconds: int) -> None:
        most = self._core.limits.user_root_seconds
        if not 1 <= seconds <= most:
            raise InvalidInput(
                f"a user's own root is given for {seconds} seconds",
                hint=f"Give it for 1 to {most} seconds.",
            )

    @staticmethod
    def _check_new(new: NewUserRoot) -> None:
        if len(new.root) != ROOT_ID_BYTES:
            raise InvalidInput(f"the id of a user root key has {ROOT_ID_BYTES} bytes")
        checked_key(new.key).wipe()
        _check_roots(new.roots)

    async def _shown(self, user_id: str) -> UserRootInfo:
        async with self._core.storage.snapshot() as rows:
            return shown(self._core.ring, user_id, await self._kept(rows, user_id))

    async def _tried(self, draft: Draft, root: bytes, work: "Work[object]") -> None:
        """Carry out work that tries a key; one that does not come to count is wiped."""
        core = self._core
        given = bool(core.ring.given.until_us(root))
        try:
            await core.write(draft, work, free=True)
        except BaseException:
            if not given:
                core.ring.given.drop(root)
            raise

    async def _closed(
        self,
        draft: Draft,
        new: NewUserRoot,
        work: "Work[None]",
        watch: Callable[[Progress], None],
        *,
        beside: bytes = b"",
    ) -> UserRootInfo:
        """Close a user's keys by a new root, then encrypt anew what was there before."""
        core = self._core

        async def tried(scope: Scope) -> None:
            try:
                await work(scope)
            except BaseException:
                core.ring.given.drop(new.root)
                raise

        await self._tried(draft, beside or new.root, tried)
        caller = draft.caller
        await self._encrypt_anew(caller, draft.user_id, new.root, watch)
        return await self._shown(draft.user_id)

    async def _close(
        self,
        scope: Scope,
        caller: Caller,
        user_id: str,
        new: NewUserRoot,
        seconds: int,
        action: Action,
    ) -> None:
        core, ring, tx = self._core, self._core.ring, scope.tx
        user = ring.user_index(user_id)
        until_us = scope.now_us + seconds * _SECOND_US
        # The group may still fail: until it is durable the key is on trial, and opens for nobody.
        ring.given.put(user, user_id, new.root, new.key, until_us, trial=True)
        await self._move_keys(scope, user, new.root)
        old = await self._loaded(scope, user, user_id)
        await keychange.rotate_user(tx, ring, old, scope.now_us)
        await keychange.rotate_audit_key(tx, ring, user)
        stored = tuple(KeptRoot(*one[:4], scope.now_us) for one in new.roots)
        held = bool(await core.holds.of(scope, old))
        kept = Kept(user_id, new.root, scope.now_us, stored, pending=True, held=held)
        await put_kept(tx, ring, user, kept)
        keys = await self._loaded(scope, user, user_id)
        scope.after_commit(lambda: ring.given.put(user, user_id, new.root, new.key, until_us))
        core.change_keys(scope, keys)
        kinds = ", ".join(one.kind for one in new.roots) or "a key that the user holds"
        for owner in (None, keys):
            scope.record(Draft(caller, action, owner, user_id, reason=kinds))

    async def _move_keys(self, scope: Scope, user: bytes, root: bytes) -> None:
        ring = self._core.ring
        rows = await scope.tx.user_keys(user)
        await keychange.count_master(scope.tx, ring, len(rows))
        moved = [keychange.close_user_key(ring, row, root) for row in rows]
        await scope.tx.put_user_keys(moved)

    async def _loaded(self, scope: Scope, user: bytes, user_id: str) -> UserKeys:
        keys = await self._core.ring.load_index(scope.tx, user, user_id)
        if keys is None:
            raise UserNotFound("the user has no namespace in this store")
        return keys

    async def _encrypt_anew(
        self, caller: Caller, user_id: str, root: bytes, watch: Callable[[Progress], None]
    ) -> None:
        core = self._core
        await KeyAdmin(core).rewrap(caller, user_id, deep=True, watch=watch)

        async def done(scope: Scope) -> None:
            user = core.ring.user_index(user_id)
            kept = await kept_of(scope.tx, core.ring, user)
            if kept is None or not hmac.compare_digest(kept.root, root):
                raise VersionConflict("the user's own root was changed meanwhile")
            await put_kept(scope.tx, core.ring, user, structs.replace(kept, pending=False))

        draft = Draft(caller, Action.USER_ROOT_SET, user_id=user_id)
        await core.write(draft, done, free=True)
        core.erase_old_pages()


def _check_roots(roots: Sequence[WrappedRoot]) -> None:
    if len(roots) > MAX_WRAPS:
        raise InvalidInput(f"a user's own root has at most {MAX_WRAPS} roots of trust")
    if len({one.slot for one in roots}) != len(roots):
        raise InvalidInput("two roots of trust are in the same slot")
    for one in roots:
        if not 0 < len(one.wrapped) <= MAX_WRAPPED_BYTES:
            raise InvalidInput(f"a wrapped key has 1 to {MAX_WRAPPED_BYTES} bytes")
        size = sum(len(name) + len(text) for name, text in one.described.items())
        if len(one.kind) > 64 or not one.kind or size > 8_192:
            raise InvalidInput("what is told of a root of trust is too long")
