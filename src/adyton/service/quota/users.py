"""What each user may store and stores: asked by the user, set by the store's operator."""

from typing import Final

from adyton.actions import Action
from adyton.errors import InvalidInput
from adyton.model import Caller, UserId
from adyton.quotavalues import QuotaInfo, StorageAmounts
from adyton.rows import UsageRow
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.quota.own import OWN, OWN_QUOTAS, OWN_QUOTAS_SETTING, OwnQuotas

MOST: Final = 2**53 - 1
_PATH: Final = "adyton/quota"


class UserQuotas:
    """Operations on quotas of users.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def get(self, caller: Caller, user: UserId) -> QuotaInfo:
        """What a user may store, and stores now."""
        core = self._core
        draft = Draft(caller, Action.ACCESS_READ, name=_PATH)
        own, quotas, used = OwnQuotas(), core.limits.quotas, UsageRow(0, 0, 0, 0)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = keys = await core.keys(draft.user_id)
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    own = await OWN_QUOTAS.get(rows, keys, OWN) or own
                    quotas = own.over(quotas)
                    used = await rows.counted(keys.user)
        await core.record(draft)
        return QuotaInfo(
            StorageAmounts(quotas.secrets, quotas.versions, quotas.objects, quotas.bytes),
            StorageAmounts(own.secrets, own.versions, own.objects, own.bytes),
            StorageAmounts(*used),
        )

    async def set(self, caller: Caller, user: UserId, own: OwnQuotas) -> None:
        """Give a user quotas in the place of all former ones; they hold from the answer on.

        The user's namespace is made if there is none. A user who stores more already keeps it,
        and can remove, but not add.

        Raises:
            AccessDenied: The caller does not act for the whole store.
            InvalidInput: A quota is out of range.
        """
        core = self._core
        draft = Draft(caller, Action.ACCESS_WRITE if own.any else Action.ACCESS_DELETE, name=_PATH)
        async with core.guard(draft):
            core.authorise_operator(caller)
            draft.user_id = core.authorise(caller, user)
            for name in ("secrets", "versions", "objects", "bytes"):
                number = getattr(own, name)
                if number is not None and (type(number) is not int or not 0 <= number <= MOST):
                    raise InvalidInput(
                        f"the quota of {name} is not a number from 0 to 2^53 - 1",
                        hint="0 is no quota; leave it out for that of the configuration.",
                    )

        async def work(scope: Scope) -> None:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            changes = ObjectChanges(scope, keys)
            if own.any:
                core.storage.keep_usage()
                await scope.tx.put_setting(OWN_QUOTAS_SETTING, b"\x01")
                scope.after_commit(lambda: setattr(core.own_quotas, "any", True))
                changes.put(OWN_QUOTAS, OWN, own)
            elif await OWN_QUOTAS.get(scope.tx, keys, OWN) is not None:
                changes.delete(OWN_QUOTAS, OWN)
            await changes.write(draft)

        await core.write(draft, work, free=True)
