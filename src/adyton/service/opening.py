"""Making and opening a store: from storage and a root of trust to a :class:`Core`."""

import hmac
import os
from typing import Final

from adyton.errors import AuditError, IntegrityError, StoreExists, StoreNotFound
from adyton.model import Action, Caller
from adyton.ports import Clock, RootOfTrust, Rows, Storage
from adyton.service.commit import CommitMode, GroupCommit, Scope
from adyton.service.core import LOG, Core
from adyton.service.journal import Draft, Journal
from adyton.service.keyring import SYSTEM_USER, Keyring
from adyton.service.limits import Limits
from adyton.service.logstate import LogState
from adyton.service.ticket import run_now
from adyton.service.userkeys import UserKeys
from adyton.translog import NoteSigner, origin_of, verify_checkpoint

STORE_ID: Final = "store-id"
_PAGE: Final = 1_000


async def is_initialised(storage: Storage) -> bool:
    """Whether a store was made in this storage."""
    async with storage.snapshot() as rows:
        return await rows.setting(STORE_ID) is not None


async def create(
    storage: Storage, root: RootOfTrust, clock: Clock, limits: Limits, caller: Caller
) -> None:
    """Make a store: its id, the master key, its own keys, and the first record of its log.

    Raises:
        StoreExists: There is one already.
        RootError: The root refuses or fails.
    """
    if await is_initialised(storage):
        raise StoreExists("there is a store already", hint="Open it, or give another path.")
    store_id = os.urandom(16)
    ring = Keyring(store_id)
    tx = await storage.begin()
    try:
        await tx.put_setting(STORE_ID, store_id)
        await ring.create(tx, [root], clock.now_us())
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
        store_id = await rows.setting(STORE_ID)
        if store_id is None:
            raise StoreNotFound(
                "the file holds no store yet", hint="Make one with 'adyton init' or create=True."
            )
        ring = Keyring(store_id, cached_users=limits.cached_users)
        await ring.unlock(rows, root)
        with ring.signing_seed as seed, seed.borrow() as view:
            signer = NoteSigner(origin_of(store_id, LOG), view)
        state = await LogState.load(rows, LOG, signer)
        await _check_newest(rows, state)
        journal = Journal(store_id, LOG, ring.system)
        await _replay_access(rows, ring, journal, state)
    commit = GroupCommit(storage, journal, state, clock, mode)
    return Core(storage, ring, commit, journal, clock, limits, [root])


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
                keys[row.user] = await ring.load_index(rows, row.user)
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
        core.ring.forget()
        core.storage.close()
        for root in core.roots:
            root.close()


def is_initialised_now(storage: Storage) -> bool:
    """:func:`is_initialised` over an embedded storage."""
    return run_now(is_initialised(storage))


def create_now(
    storage: Storage, root: RootOfTrust, clock: Clock, limits: Limits, caller: Caller
) -> None:
    """:func:`create` over an embedded storage."""
    run_now(create(storage, root, clock, limits, caller))


def load_now(
    storage: Storage, root: RootOfTrust, clock: Clock, limits: Limits, mode: CommitMode
) -> Core:
    """:func:`load` over an embedded storage."""
    return run_now(load(storage, root, clock, limits, mode))
