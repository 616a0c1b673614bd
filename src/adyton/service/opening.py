"""Making and opening a store: from storage and a root of trust to a :class:`Core`."""

import hmac
import os
from typing import Final

from adyton.actions import Action
from adyton.errors import AuditError, IntegrityError, StoreExists, StoreNotFound
from adyton.model import Caller
from adyton.ports import Clock, RootOfTrust, Rows, Storage
from adyton.rows import MasterKeyRow
from adyton.service.commit import CommitMode, GroupCommit, Scope
from adyton.service.core import LOG, Core
from adyton.service.journal import Draft, Journal
from adyton.service.keyring import SYSTEM_USER, Keyring
from adyton.service.lifecycle.options import SETTING as LIFECYCLE_SETTING
from adyton.service.limits import Limits
from adyton.service.logstate import LogState
from adyton.service.quota.own import OWN_QUOTAS_SETTING
from adyton.service.rootslots import Note, drop_slot, put_note
from adyton.service.ticket import run_now
from adyton.service.userkeys import UserKeys
from adyton.translog import NoteSigner, origin_of, verify_checkpoint

STORE_ID: Final = "store-id"
PENDING: Final = "init-pending"
"""Setting: not empty until a store whose makers were told how to open it was opened by that."""
SHARES: Final = "shamir"
"""The kind of root whose slots replace each other."""
_PAGE: Final = 1_000


async def is_initialised(storage: Storage) -> bool:
    """Whether a store was made in this storage."""
    async with storage.snapshot() as rows:
        return await rows.setting(STORE_ID) is not None


async def create(
    storage: Storage,
    root: RootOfTrust,
    clock: Clock,
    limits: Limits,
    caller: Caller,
    *,
    pending: bool = False,
) -> None:
    """Make a store: its id, the master key, its own keys, and the first record of its log.

    Args:
        storage: Where.
        root: Wraps the master key.
        clock: Tells the time.
        limits: Limits and intervals.
        caller: Who makes it.
        pending: The store counts once :func:`settle` has seen that its makers can open it.

    Raises:
        StoreExists: There is one already.
        RootError: The root refuses or fails.
    """
    if await is_initialised(storage):
        raise StoreExists("there is a store already", hint="Open it, or give another path.")
    store_id = os.urandom(16)
    ring = Keyring(store_id, clock=clock)
    tx = await storage.begin()
    try:
        await tx.put_setting(STORE_ID, store_id)
        await tx.put_setting(PENDING, b"\x01" if pending else b"")
        await tx.put_setting(LIFECYCLE_SETTING, limits.lifecycle.text())
        await ring.create(tx, root, clock.now_us())
        await put_note(tx, ring, 0, Note(root.describe(), clock.now_us()))
        await tx.commit()
    except BaseException:
        await tx.rollback()
        raise
    core = await load(storage, root, clock, limits, "auto")
    core.commit.run_sync(core.record(Draft(caller, Action.STORE_INIT)))
    core.commit.close(_nothing)


async def _nothing(scope: Scope) -> None:
    scope.sign = True


async def load(
    storage: Storage, root: RootOfTrust, clock: Clock, limits: Limits, mode: CommitMode
) -> Core:
    """Open a store.

    Raises:
        StoreNotFound: The storage holds none.
        RootError: The root refuses or fails.
        IntegrityError: Keys are missing or were changed.
        AuditError: The log's end is missing, or does not fit its newest checkpoint.
    """
    async with storage.snapshot() as rows:
        own_quotas = bool(await rows.setting(OWN_QUOTAS_SETTING))
        if own_quotas or limits.quotas.any:
            storage.keep_usage()
        store_id = await rows.setting(STORE_ID)
        if store_id is None:
            raise StoreNotFound(
                "the file holds no store yet", hint="Make one with 'adyton init' or create=True."
            )
        ring = Keyring(store_id, cached_users=limits.cached_users, clock=clock)
        slot = await ring.unlock(rows, root)
        with ring.signing_seed as seed, seed.borrow() as view:
            signer = NoteSigner(origin_of(store_id, LOG), view)
        state = await LogState.load(rows, LOG, signer)
        await _check_newest(rows, state)
        journal = Journal(store_id, LOG, ring.system)
        await _replay_access(rows, ring, journal, state)
        await ring.settle(rows, {slot: root})
    commit = GroupCommit(storage, journal, state, clock, mode)
    core = Core(storage, ring, commit, journal, clock, limits, {slot: root})
    core.own_quotas.any = own_quotas
    return core


async def _check_newest(rows: Rows, state: LogState) -> None:
    """The log must not be shorter than its newest checkpoint, nor differ where it ends there."""
    stored = await rows.checkpoints(LOG)
    if not stored:
        return
    newest = verify_checkpoint(stored[-1].note, [state.signer.verifier])
    if newest.size > state.size or (
        newest.size == state.size and not hmac.compare_digest(newest.root, state.builder.root())
    ):
        raise AuditError(
            "the audit log does not fit its newest checkpoint: records were dropped or changed",
            hint="Keep the damaged store as evidence and restore a backup.",
        )


async def _replay_access(rows: Rows, ring: Keyring, journal: Journal, state: LogState) -> None:
    """Take times of access from the records that a crash has kept from reaching the rows."""
    first, _ = await rows.log_range(LOG)
    at = max(state.flushed_size, first)
    keys: dict[bytes, UserKeys | None] = {SYSTEM_USER: None}
    while at < state.size:
        page = await rows.entries(LOG, at, _PAGE)
        if not page:
            return
        for row in page:
            if row.user not in keys:
                keys[row.user] = await ring.load_open(rows, row.user)
            owner = keys[row.user]
            if owner is None:
                continue
            try:
                body, _ = journal.open(owner, row.leaf, row.record)
            except IntegrityError:
                continue  # of a purged life of the user; or changed, which verify() tells
            if body.success and body.action == Action.SECRET_GET.value:
                state.accessed[owner.user, owner.index(body.name)] = body.time_us
            elif body.success and body.action == Action.SECRET_DESTROY.value and not body.digest:
                state.forget_access((owner.user, body.name_index))
        at = page[-1].leaf + 1


def close(core: Core) -> None:
    """Write what is pending, sign a last checkpoint, and release everything.

    Raises:
        StoreError: The last write failed; what was acknowledged before is safe.
    """
    try:
        core.commit.close(_nothing)
    finally:
        core.storage.close()
        for root in core.roots:
            root.close()
        core.ring.wipe()
        core.opened.clear()
    core.names.clear()


async def look(storage: Storage) -> tuple[bool, bool, list[MasterKeyRow]]:
    """Whether a store was made, whether it is pending, and its wrapped master keys."""
    async with storage.snapshot() as rows:
        exists = await rows.setting(STORE_ID) is not None
        return exists, bool(await rows.setting(PENDING)), await rows.master_keys()


async def settle(core: Core, caller: Caller) -> None:
    """Tell that a store was opened by its root, which ends what was kept in case it would not be.

    A store that was pending counts from now on. Slots of older sets of shares are deleted once
    the newest set has opened the store.
    """
    async with core.storage.snapshot() as rows:
        pending = await rows.setting(PENDING)
        older = older_slots(await rows.master_keys(), max(core.slots))
    if not pending and not older:
        return

    async def work(scope: Scope) -> None:
        if pending:
            await scope.tx.put_setting(PENDING, b"")
        for slot in older:
            await drop_slot(scope.tx, slot)
        if older:
            scope.record(Draft(caller, Action.ROOT_REKEY, reason="older shares have ended"))

    await core.write(Draft(caller, Action.ROOT_REKEY), work)


def older_slots(masters: list[MasterKeyRow], opened: int) -> set[int]:
    """Slots of sets of shares that the set in an opened slot has replaced."""
    kinds = {row.slot: row.root for row in masters}
    if kinds.get(opened) != SHARES:
        return set()
    return {slot for slot, kind in kinds.items() if kind == SHARES and slot < opened}


def is_initialised_now(storage: Storage) -> bool:
    """:func:`is_initialised` over an embedded storage."""
    return run_now(is_initialised(storage))


def create_now(
    storage: Storage,
    root: RootOfTrust,
    clock: Clock,
    limits: Limits,
    caller: Caller,
    *,
    pending: bool = False,
) -> None:
    """:func:`create` over an embedded storage."""
    run_now(create(storage, root, clock, limits, caller, pending=pending))


def load_now(
    storage: Storage, root: RootOfTrust, clock: Clock, limits: Limits, mode: CommitMode
) -> Core:
    """:func:`load` over an embedded storage."""
    return run_now(load(storage, root, clock, limits, mode))
