"""Rotation, re-wrapping and destruction of keys (DESIGN section 3).

A rotation makes a new current key at once. The jobs that move older ciphertext over to it work
in bounded batches, each a unit of the group commit, so that reads and writes go on between
them. A job's position is written in the same transaction as its batch: after a crash it goes
on where it was.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from adyton.actions import Action
from adyton.errors import IntegrityError, RootUnavailable, UserNotFound, UserRootAway
from adyton.model import Caller, UserId
from adyton.ports import RootOfTrust, Rows
from adyton.service import keychange
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.deep import DeepPosition, deep_batch
from adyton.service.journal import Draft
from adyton.service.keyring import MASTER_WRAPS
from adyton.service.limits import DAY_US
from adyton.service.rootslots import drop_slot, move_notes
from adyton.service.sharing.follow import move_items
from adyton.service.ticket import Work
from adyton.service.userkeys import Purpose, UserKeys
from adyton.service.userroot import layers
from adyton.service.userroot.records import move_kept
from adyton.values import Progress, RewrapReport

BATCH: Final = 500
"""Keys re-wrapped in one unit of a group: some ten milliseconds."""
_USERS: Final = 100
DEEP_RUN: Final = "deep-run"
"""Job: the last user that a deep job over all users has finished with."""
MASTER_WRAP_LIMIT: Final = 2**31

Watcher = Callable[[Progress], None]


def _not_at_hand(absent: dict[int, str]) -> RootUnavailable:
    named = ", ".join(f"{slot} ({kind})" for slot, kind in sorted(absent.items()))
    return RootUnavailable(
        f"the store has roots that are not at hand, in slots {named}: a new master key can't be "
        "wrapped for them, and they would not open the store any more",
        hint="Name them beside it with --also URI, drop them with --drop-absent, or finish a "
        "change of shares by opening the store with the newest ones.",
    )


def _left_out(count: int) -> str:
    return f"{count} users' own roots are away: left out"


class Position(msgspec.Struct, array_like=True):
    """Where a re-wrap job of one user is."""

    target: int
    older: bool = False
    name: bytes = b""
    version: int = 0
    done: int = 0


def _ignore(_: Progress) -> None:
    return


class KeyAdmin:
    """Operations on keys.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- rotation -------------------------------------------------------------------------------

    async def rotate(
        self,
        caller: Caller,
        user: UserId | None = None,
        *,
        begun_us: int | None = None,
        watch: Watcher = _ignore,
    ) -> int:
        """Make a new current key for one user or all; returns for how many.

        Users whose own root is away are left out, which is recorded, and get theirs when it is due.
        Where it was begun at a time and broken off, keys that were made since stay.
        """
        core = self._core
        draft = Draft(caller, Action.KEYS_ROTATE)
        async with core.guard(draft):
            if user is not None:
                draft.user_id = core.authorise(caller, user)
                keys = await core.keys(draft.user_id)
                if keys is None:
                    raise UserNotFound("the user has no namespace in this store")
                wanted = [keys.user]
            else:
                core.authorise_operator(caller)
                wanted = await self._all_users()
        closed: list[bytes] = []
        for at in range(0, len(wanted), _USERS):
            part = wanted[at : at + _USERS]

            async def work(scope: Scope, part: list[bytes] = part) -> None:
                for index in part:
                    try:
                        found = await self._keys_at(scope, index)
                    except UserRootAway:
                        closed.append(index)
                        continue
                    if found is not None and (begun_us is None or found.created_us < begun_us):
                        await core.rotate_in(scope, caller, found, "on request")

            await core.write(draft, work)
            watch(Progress("rotate", at + len(part), len(wanted)))
        if closed:
            await core.record(Draft(caller, Action.KEYS_ROTATE, reason=_left_out(len(closed))))
        return len(wanted) - len(closed)

    async def _all_users(self) -> list[bytes]:
        found: list[bytes] = []
        async with self._core.storage.snapshot() as rows:
            while page := await rows.users(found[-1] if found else b"", 1_000):
                found.extend(row.user for row in page)
        return found

    async def _keys_at(self, scope: Scope, index: bytes) -> UserKeys | None:
        """A user's keys by the user's index, as the group sees them."""
        loaded = await self._core.ring.load_index(scope.tx, index)
        return None if loaded is None else await self._core.keys_in(scope, loaded.user_id)

    async def _users_left(self) -> list[bytes]:
        """All users, or those that a deep job over all has not come to before it was broken off."""
        async with self._core.storage.snapshot() as rows:
            done = await rows.job(DEEP_RUN)
        return [user for user in await self._all_users() if done is None or user > done]

    async def rotate_master(
        self,
        caller: Caller,
        *,
        roots: Sequence[RootOfTrust] = (),
        drop_absent: bool = False,
        begun_us: int | None = None,
        watch: Watcher = _ignore,
    ) -> int:
        """Make a new master key, re-wrap all user keys under it, destroy the older ones.

        Args:
            caller: An operator.
            roots: Roots of the store that are at hand for this alone; the caller closes them.
            drop_absent: Whether roots that are not at hand cease to open the store.
            begun_us: When it was begun, if it was broken off: a master key made since stays.
            watch: Told of progress.

        Returns:
            The new version.

        Raises:
            RootUnavailable: A root of the store is not at hand, or does not answer.
            RootLocked: One of ``roots`` does not open this store.
        """
        core = self._core
        draft = Draft(caller, Action.MASTER_ROTATE)
        async with core.guard(draft):
            core.authorise_operator(caller)
            async with core.storage.snapshot() as rows:
                masters = await rows.master_keys()
            present = {core.ring.open_slot(masters, root)[0]: root for root in roots}

        async def work(scope: Scope) -> int:
            ring, tx = core.ring, scope.tx
            if begun_us is not None and ring.master_created_us >= begun_us:
                return ring.master_current
            slots = {**present, **core.slots}
            absent = {row.slot: row.kind for row in await tx.master_keys() if row.slot not in slots}
            if absent and not drop_absent:
                raise _not_at_hand(absent)
            for slot, kind in absent.items():
                await drop_slot(tx, slot)
                reason = f"slot {slot}: {kind}, not at hand for a new master key"
                scope.record(Draft(caller, Action.ROOT_REMOVE, reason=reason))
            new = await ring.new_master(tx, slots, scope.now_us)
            await move_notes(tx, ring, new)
            for row in await tx.store_keys():
                with ring.open_store_key(row) as key:
                    await tx.put_store_key(ring.seal_store_key(row.purpose, key, new))
            await tx.put_setting(MASTER_WRAPS, bytes(8))
            scope.after_commit(lambda: ring.adopt(new))
            scope.record(Draft(caller, Action.MASTER_ROTATE, version=new.version))
            return new.version

        version = await core.write(draft, work)
        await self.rewrap_master(caller, watch=watch)
        return version

    async def rewrap_master(self, caller: Caller, *, watch: Watcher = _ignore) -> int:
        """Wrap all user keys under the current master key, then destroy the older versions."""
        core = self._core
        ring = core.ring
        draft = Draft(caller, Action.KEYS_REWRAP)
        async with core.guard(draft):
            core.authorise_operator(caller)
        done = 0

        async def work(scope: Scope) -> int:
            rows = await scope.tx.user_keys_under(ring.master_current, BATCH)
            if rows:
                await keychange.count_master(scope.tx, ring, len(rows))
                await scope.tx.put_user_keys([keychange.rewrap_user_key(ring, row) for row in rows])
                for user in {row.user for row in rows if layers.root_of(row.wrapped)}:
                    await move_kept(scope.tx, ring, user)
                return len(rows)
            for version in {row.version for row in await scope.tx.master_keys()}:
                if version < ring.master_current:
                    await scope.tx.delete_master_key(version)
                    scope.after_commit(lambda gone=version: ring.drop_master(gone))  # type: ignore[misc]
                    scope.record(
                        Draft(caller, Action.KEYS_RETIRE, version=version, reason="master key")
                    )
            return 0

        while count := await core.write(draft, work):
            done += count
            watch(Progress("master", done, done))
        with suppress(RootUnavailable):  # the next opening does it
            async with core.storage.snapshot() as rows:
                await ring.settle(rows, core.slots)
        return done

    # -- re-wrapping ----------------------------------------------------------------------------

    async def rewrap(
        self,
        caller: Caller,
        user: UserId | None = None,
        *,
        deep: bool = False,
        watch: Watcher = _ignore,
    ) -> RewrapReport:
        """Move everything to the current keys, then destroy the older ones.

        Args:
            caller: Who asks.
            user: One user, or None for all.
            deep: Also re-encrypt every value under a new data key, and metadata under a new
                metadata key.
            watch: Told of progress after each batch.
        """
        core = self._core
        draft = Draft(caller, Action.KEYS_REWRAP)
        async with core.guard(draft):
            if user is not None:
                draft.user_id = core.authorise(caller, user)
                keys = await core.keys(draft.user_id)
                if keys is None:
                    raise UserNotFound("the user has no namespace in this store")
                wanted = [keys.user]
            else:
                core.authorise_operator(caller)
                wanted = await (self._users_left() if deep else self._users_with_retired_keys())
            async with core.storage.snapshot() as rows:
                listed, wanted = wanted, await self._open_ones(rows, wanted)
                total = await self._size_of(rows, wanted, whole_store=user is None and deep)
        if user is None:
            await self.rewrap_master(caller)
        moved, left = await self._run(
            caller, draft, wanted, deep=deep, whole=user is None, watch=watch, total=total
        )
        closed = len(listed) - len(wanted) + left
        draft.reason = f"{moved} keys of {len(listed) - closed} users"
        if closed:
            draft.reason += f"; {_left_out(closed)}"

        async def finish(scope: Scope) -> None:
            if deep and user is None:
                await scope.tx.put_job(DEEP_RUN, None)
            scope.record(draft)

        await core.write(draft, finish)
        return RewrapReport(len(listed) - closed, moved, closed)

    async def finish_jobs(self, caller: Caller, *, watch: Watcher = _ignore) -> int:
        """Go on with whatever rotations have left to be re-wrapped; how many keys were moved."""
        draft = Draft(caller, Action.KEYS_REWRAP)
        async with self._core.guard(draft):
            self._core.authorise_operator(caller)
        async with self._core.storage.snapshot() as rows:
            stale_master = bool(await rows.user_keys_under(self._core.ring.master_current, 1))
        if stale_master or len(self._core.ring.masters) > 1:
            await self.rewrap_master(caller, watch=watch)
        wanted = await self._users_with_retired_keys()
        async with self._core.storage.snapshot() as rows:
            wanted = await self._open_ones(rows, wanted)
        moved, _ = await self._run(
            caller, draft, wanted, deep=False, whole=True, watch=watch, total=0
        )
        return moved

    async def _open_ones(self, rows: Rows, users: list[bytes]) -> list[bytes]:
        """Users whose keys can be opened: no root of their own is away."""
        found = []
        for user in users:
            root = layers.common_root(await rows.user_keys(user))
            if not root or self._core.ring.given.until_us(root):
                found.append(user)
        return found

    async def _run(
        self,
        caller: Caller,
        draft: Draft,
        wanted: list[bytes],
        *,
        deep: bool,
        whole: bool,
        watch: Watcher,
        total: int,
    ) -> tuple[int, int]:
        """How many keys were moved, and of how many users the own root was taken away meanwhile."""
        moved = left = 0
        for index in wanted:
            more = True
            while more:
                try:
                    count, more = await self._core.write(
                        draft, self._batch(caller, index, deep=deep, whole=whole)
                    )
                except UserRootAway:
                    if not whole:
                        raise
                    left += 1
                    break
                moved += count
                watch(Progress("re-encrypt" if deep else "re-wrap", moved, max(total, moved)))
        return moved, left

    async def _users_with_retired_keys(self) -> list[bytes]:
        found: list[bytes] = []
        async with self._core.storage.snapshot() as rows:
            while page := await rows.users_with_retired_keys(found[-1] if found else b"", 1_000):
                found.extend(page)
        return found

    @staticmethod
    async def _size_of(rows: Rows, users: list[bytes], *, whole_store: bool) -> int:
        if whole_store or len(users) > _USERS:
            return await rows.count_secrets()
        return sum([await rows.count_secrets(user) for user in users])

    def _batch(
        self, caller: Caller, index: bytes, *, deep: bool, whole: bool
    ) -> Work[tuple[int, bool]]:
        core = self._core
        job = f"{'deep' if deep else 'rewrap'}:{index.hex()}"

        async def work(scope: Scope) -> tuple[int, bool]:
            keys = await self._keys_at(scope, index)
            if keys is None:
                await scope.tx.put_job(job, None)
                return 0, False
            if core.ring.cached(keys.user_id) is None:
                core.change_keys(scope, keys)  # so that the next batch need not open them again
            await core.reserve(scope, keys, BATCH)
            saved = await scope.tx.job(job)
            if deep:
                place = msgspec.msgpack.decode(saved, type=DeepPosition) if saved else None
                count, after = await deep_batch(core, scope, caller, keys, place)
                state = None if after is None else msgspec.msgpack.encode(after)
                more = after is not None
            else:
                position = msgspec.msgpack.decode(saved, type=Position) if saved else None
                if position is None or position.target != keys.current:
                    position = Position(keys.current)
                count, more = await self._move(scope, keys, position)
                state = msgspec.msgpack.encode(position) if more else None
            if not more and (shared := await move_items(scope, caller, keys, BATCH)):
                count, more, state = count + shared, True, saved
            await scope.tx.put_job(job, state)
            if not more:
                await self._retire(scope, caller, index, deep=deep)
                if deep and whole:
                    await scope.tx.put_job(DEEP_RUN, index)
            return count, more

        return work

    async def _move(self, scope: Scope, keys: UserKeys, at: Position) -> tuple[int, bool]:
        """Re-wrap one batch of data keys; whether there may be more."""
        rows = await scope.tx.wraps(
            keys.user, older=at.older, after=(at.name, at.version), limit=BATCH
        )
        stale = [row for row in rows if row.key_version != keys.current]
        await scope.tx.put_wraps(
            keys.user,
            [
                row._replace(
                    key_version=keys.current,
                    wrapped_key=keys.rewrap(
                        row.name, row.version, row.key_version, row.wrapped_key
                    ),
                )
                for row in stale
            ],
            older=at.older,
        )
        at.done += len(stale)
        if rows:
            at.name, at.version = rows[-1].name, rows[-1].version
            return len(stale), True
        if not at.older:
            at.older, at.name, at.version = True, b"", 0
            return 0, True
        return 0, False

    async def _retire(self, scope: Scope, caller: Caller, index: bytes, *, deep: bool) -> None:
        """Destroy a user's older keys, now that nothing is wrapped under them."""
        core = self._core
        keys = await self._keys_at(scope, index)
        if keys is None:
            return
        gone = [version for version in keys.wrapping if version < keys.current]
        await scope.tx.delete_user_keys(index, keys.current)
        if keys.own_root:  # the rows that went may have been the last under an older master key
            await move_kept(scope.tx, core.ring, index)
        if deep:  # only then was the metadata re-sealed too
            await scope.tx.delete_subkeys(index, Purpose.METADATA, keys.meta_current)
        fresh = await core.ring.load_index(scope.tx, index, keys.user_id)
        if fresh is None:
            raise IntegrityError("a user vanished while its keys were re-wrapped")
        fresh.wraps, fresh.wraps_reserved = keys.wraps, keys.wraps_reserved
        core.change_keys(scope, fresh)
        for forget in core.on_retired if deep else ():
            scope.after_commit(partial(forget, keys.user_id))
        for version in gone:
            scope.record(Draft(caller, Action.KEYS_RETIRE, fresh, keys.user_id, "", version))

    # -- due work and destruction ---------------------------------------------------------------

    def master_due(self) -> bool:
        """Whether the master key has come to its age or number of uses."""
        core = self._core
        age_us = core.clock.now_us() - core.ring.master_created_us
        return (
            age_us >= core.limits.master_key_days * DAY_US
            or core.ring.master_wraps >= MASTER_WRAP_LIMIT
        )
