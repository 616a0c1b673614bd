"""Placing, listing and releasing legal holds (``docs/spec/lifecycle.md``, section 4)."""

from typing import Final

from adyton.actions import Action
from adyton.errors import AccessDenied, LimitExceeded, SecretNotFound
from adyton.lifecyclevalues import MAX_HOLDS, HoldInfo, check_reason, check_where
from adyton.model import Caller, UserId, from_us
from adyton.service.access.tokens import new_accessor
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.lifecycle.held import HOLDS, Hold, held, meets, places_of
from adyton.service.lifecycle.plan import plan_anew
from adyton.service.objects import ObjectChanges
from adyton.service.userroot.records import mark_held

PATH: Final = "holds/"


class LegalHolds:
    """Operations on legal holds.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def add(
        self, caller: Caller, user: UserId, where: str, reason: str, *, operator: bool = False
    ) -> HoldInfo:
        """Keep a secret, a folder or a whole namespace from being deleted, from the answer on.

        Args:
            caller: Who asks.
            user: Whose namespace.
            where: A secret's name, a folder with its slash, or empty for all.
            reason: Why.
            operator: Whether the store's operator places it, who alone can release it then.

        Raises:
            AccessDenied: It is to be the operator's, and the caller is not the operator.
            InvalidInput: The place or the reason breaks a rule.
            LimitExceeded: There are too many holds.
        """
        core = self._core
        draft = Draft(caller, Action.HOLD_ADD)
        async with core.guard(draft):
            if operator:
                core.authorise_operator(caller)
            draft.user_id = core.authorise(caller, user)
            check_where(where)
            check_reason(reason)

        async def work(scope: Scope) -> HoldInfo:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            if len(await HOLDS.all(scope.tx, keys)) >= MAX_HOLDS:
                raise LimitExceeded(
                    f"a user has at most {MAX_HOLDS} legal holds", hint="Hold a folder instead."
                )
            ident = new_accessor()
            hold = Hold(where, reason, scope.now_us, caller.actor, operator)
            core.holds.change(scope, keys)
            changes = ObjectChanges(scope, keys)
            changes.put(HOLDS, ident, hold)
            draft.name, draft.reason = where, f"hold {ident}"
            await changes.write(draft)
            await mark_held(scope.tx, core.ring, keys)
            return _shown(ident, hold)

        return await core.write(draft, work, free=True)

    async def list(self, caller: Caller, user: UserId) -> list[HoldInfo]:
        """All holds of a user, the oldest first."""
        core = self._core
        draft = Draft(caller, Action.HOLD_LIST, name=PATH)
        found: dict[str, Hold] = {}
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = await core.keys(draft.user_id)
            if draft.keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await HOLDS.all(rows, draft.keys)
        await core.record(draft)
        shown = [_shown(ident, hold) for ident, hold in found.items()]
        return sorted(shown, key=lambda each: (each.created_at, each.id))

    async def release(
        self, caller: Caller, user: UserId, ident: str, *, operator: bool = False
    ) -> None:
        """End a hold; what it alone has kept can be deleted from the answer on.

        Args:
            caller: Who asks.
            user: Whose namespace.
            ident: The hold.
            operator: Whether the store's operator releases it, who can release any.

        Raises:
            AccessDenied: The hold is the operator's, and is not released as such.
            SecretNotFound: There is none of this id.
        """
        core = self._core
        draft = Draft(caller, Action.HOLD_RELEASE)
        async with core.guard(draft):
            if operator:
                core.authorise_operator(caller)
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, draft.user_id)
            hold = None if keys is None else await HOLDS.get(scope.tx, keys, ident)
            if keys is None or hold is None:
                raise SecretNotFound(
                    "there is no such legal hold", hint="List them with 'adyton hold list'."
                )
            draft.name, draft.reason = hold.where, f"hold {ident}"
            if hold.operator and not operator:
                raise AccessDenied("the store's operator has placed the hold, and can release it")
            core.holds.change(scope, keys)
            changes = ObjectChanges(scope, keys)
            changes.delete(HOLDS, ident)
            await changes.write(draft)
            await plan_anew(core, scope, keys.user)  # what was due meanwhile is so now

        await core.write(draft, work, free=True)

    async def check_below(self, caller: Caller, user: str, prefix: str, apart: str) -> None:
        """Refuse to destroy all names of a prefix, before the first one is.

        Args:
            caller: Who asks.
            user: Whose namespace.
            prefix: The names' prefix.
            apart: Prefix of names that are left alone all the same; empty for none.

        Raises:
            LegalHold: A hold covers one, or would if there were one.
        """
        core = self._core
        draft = Draft(caller, Action.SECRET_DESTROY)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            keys = await core.keys(draft.user_id)
            if keys is None:
                return
            async with core.storage.snapshot() as rows:
                places = await places_of(rows, keys)
            counted = [where for where in places if not apart or not where.startswith(apart)]
            if meets(counted, prefix):
                raise held("a legal hold keeps secrets below this path: nothing was removed")


def _shown(ident: str, hold: Hold) -> HoldInfo:
    return HoldInfo(
        ident, hold.where, hold.reason, from_us(hold.created_us), hold.created_by, hold.operator
    )
