"""Ending many leases: of a role, of a mount, of a user who is purged."""

from contextlib import suppress
from typing import Final

from adyton.actions import Action
from adyton.dynamicvalues import Revoked
from adyton.errors import LeaseError, RootError
from adyton.model import Caller
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.dynamic.records import (
    CONNECTIONS,
    LEASES,
    REVOKING,
    ROLES,
    Lease,
    count_of,
)
from adyton.service.dynamic.turns import LeaseTurn, Taken
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.userkeys import UserKeys

_AT_ONCE: Final = 16
"""Leases that are revoked together; where all of them fail, the rest is left for later."""

Marked = list[tuple[LeaseTurn, Lease]]


async def revoke_all(core: Core, caller: Caller, user: str, idents: list[str]) -> Revoked:
    """End the credentials of several leases; where that fails it is gone on with later."""
    marked, busy = await _mark(core, caller, user, idents)
    revoked = failed = 0
    while marked:
        part, marked = marked[:_AT_ONCE], marked[_AT_ONCE:]
        waiting = [
            core.rotation.turn(
                lambda turn=turn, lease=lease: core.commit.run_sync(  # type: ignore[misc]
                    turn.finish(lease)
                )
            )
            for turn, lease in part
        ]
        left = 0
        for each in waiting:
            try:
                await each
            except LeaseError:
                left += 1
        revoked, failed = revoked + len(part) - left, failed + left
        if left == len(part) and marked:
            await _leave(core, caller, user, marked)
            failed += len(marked)
            break
    return Revoked(revoked, failed + busy)


async def _mark(core: Core, caller: Caller, user: str, idents: list[str]) -> tuple[Marked, int]:
    """Take leases, and make their end durable before the first is revoked.

    Returns:
        Those that were taken, and how many others are at.
    """
    draft = Draft(caller, Action.LEASE_REVOKE, user_id=user, name="leases", reason="by hand")

    async def work(scope: Scope) -> tuple[Marked, int]:
        keys = draft.keys = await core.keys_in(scope, user)
        if keys is None:
            return [], 0
        changes = ObjectChanges(scope, keys)
        marked, busy = [], 0
        for ident in idents:
            turn = LeaseTurn(core, caller, user, ident)
            lease = await LEASES.get(scope.tx, keys, ident)
            if lease is None:
                continue
            try:
                await turn.free(scope, keys)
            except Taken:
                busy += 1
                continue
            await turn.hold(scope, keys)
            lease.state = REVOKING
            changes.put(LEASES, ident, lease)
            marked.append((turn, lease))
            if len(changes) >= ObjectChanges.MOST:
                await changes.write(Draft(caller, Action.LEASE_REVOKE, None, user, "leases"))
        await changes.write(draft)
        return marked, busy

    await core.own(draft)
    return await core.commit.submit(work, failure=draft)


async def _leave(core: Core, caller: Caller, user: str, marked: Marked) -> None:
    """Let go of leases: they are due, and the background goes on."""
    draft = Draft(caller, Action.LEASE_REVOKE, user_id=user, name="leases")

    async def work(scope: Scope) -> None:
        for turn, _ in marked:
            with suppress(LeaseError):
                keys, lease = await turn.mine(scope)
                await turn.release(scope, keys, lease)

    await core.commit.submit(work, failure=draft)


async def end_leases(core: Core, caller: Caller, user: str) -> None:
    """End all credentials of a user who is about to be purged."""
    with suppress(RootError):  # of keys that can't be opened nothing is known
        keys = await core.keys(user)
        if keys is None:
            return
        async with core.storage.snapshot() as rows:
            idents = list(await LEASES.all(rows, keys))
        if idents:
            await revoke_all(core, caller, user, idents)


async def refuse_leases(scope: Scope, keys: UserKeys) -> None:
    """Pass if a user has no credentials that would be left behind.

    Raises:
        LeaseError: There are some.
    """
    if await count_of(scope.tx, keys):
        raise LeaseError(
            "there are credentials of the user that could not be revoked",
            hint="Try again; 'adyton lease revoke --all --force' forgets them instead.",
        )


def _in(ident: str, folder: str, slashes: int) -> bool:
    return ident.startswith(folder) and ident.removeprefix(folder).count("/") == slashes


async def erase_folder(core: Core, caller: Caller, user: str, folder: str) -> None:
    """Revoke all leases of a folder, then forget its roles and connections.

    Raises:
        LeaseError: Credentials could not be revoked; nothing is forgotten.
    """
    keys = await core.keys(user)
    if keys is None:
        return
    async with core.storage.snapshot() as rows:
        leases = [ident for ident in await LEASES.all(rows, keys) if _in(ident, folder, 1)]
    await revoke_all(core, caller, user, leases)
    draft = Draft(caller, Action.DYNAMIC_DELETE, user_id=user, name="dynamic-roles")

    async def work(scope: Scope) -> None:
        keys = draft.keys = await core.keys_in(scope, user)
        if keys is None:
            return
        if any(_in(ident, folder, 1) for ident in await LEASES.all(scope.tx, keys)):
            raise LeaseError(
                "there are credentials that could not be revoked",
                hint="Try again; sys/leases/revoke-force forgets them instead.",
            )
        changes = ObjectChanges(scope, keys)
        for shelf in (ROLES, CONNECTIONS):
            for ident in await shelf.all(scope.tx, keys):
                if _in(ident, folder, 0):
                    changes.delete(shelf, ident)
                    if len(changes) >= ObjectChanges.MOST:
                        await changes.write(
                            Draft(caller, Action.DYNAMIC_DELETE, None, user, "dynamic-roles")
                        )
        await changes.write(draft)

    await core.write(draft, work)
