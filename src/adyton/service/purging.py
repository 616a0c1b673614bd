"""Crypto-shredding: a user's keys are destroyed, and with them all that they open."""

from contextlib import suppress

from adyton.actions import Action
from adyton.errors import UserNotFound, UserRootAway
from adyton.model import Caller, UserId
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.dynamic.many import end_leases, refuse_leases
from adyton.service.grants.leaving import leave_members
from adyton.service.journal import Draft
from adyton.service.lifecycle.held import held
from adyton.service.sharing.ending import leave
from adyton.service.userkeys import Stay, UserKeys
from adyton.service.userroot.records import drop_kept, kept_of


class Purging:
    """Ends users.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def purge(self, caller: Caller, user: UserId) -> int:
        """Destroy a user's keys and rows: crypto-shredding; returns how many secrets went.

        A user whose own root is away can be purged as well. What others have of such a user can't
        be looked up then; it opens nothing any more, as its values are gone.
        """
        core = self._core
        draft = Draft(caller, Action.USER_PURGE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
        await self._check_holds(draft)
        await end_leases(core, caller, draft.user_id)

        async def work(scope: Scope) -> int:
            user = core.ring.user_index(draft.user_id)
            stay = core.ring.stay(user)
            if await scope.tx.user(user) is None:
                raise UserNotFound("the user has no namespace in this store")
            keys: UserKeys | None = None
            with suppress(UserRootAway):
                keys = await core.keys_in(scope, draft.user_id)
            if keys is not None:
                await refuse_leases(scope, keys)
                await core.holds.check_all(scope, keys)
                await leave(core, scope, caller, keys)
                await leave_members(core, scope, caller, keys)
            elif (kept := await kept_of(scope.tx, core.ring, user)) is not None and kept.held:
                raise held("there was a legal hold on the user, whose own root is away")
            count = await scope.tx.delete_user(user)
            await drop_kept(scope.tx, user)
            for job in ("deep", "rewrap", "lifecycle"):
                await scope.tx.put_job(f"{job}:{user.hex()}", None)
            scope.changed[draft.user_id] = None
            scope.after_commit(lambda: self._forget(user, draft.user_id, stay))
            # Under the store's own key, and by index: the user's id is erased with the user.
            scope.record(
                Draft(caller, Action.USER_PURGE, reason=f"{count} secrets", name_index=user)
            )
            return count

        return await core.write(draft, work)

    async def _check_holds(self, draft: Draft) -> None:
        """Refuse what a hold keeps before anything of the user's is ended."""
        core = self._core

        async def work(scope: Scope) -> None:
            with suppress(UserRootAway):
                keys = await core.keys_in(scope, draft.user_id)
                if keys is not None:
                    await core.holds.check_all(scope, keys)

        await core.own(draft)
        await core.commit.submit(work, failure=draft)

    def _forget(self, user: bytes, user_id: str, stay: Stay) -> None:
        core = self._core
        stay.over = True
        core.take_user_root(user, user_id)
        core.commit.state.forget_user(user)
        core.erase_old_pages()
