"""What users may store, as an area of a store."""

from adyton.library.aio_base import AsyncFace
from adyton.model import UserId
from adyton.quotavalues import QuotaInfo
from adyton.service.quota.own import OwnQuotas
from adyton.service.quota.users import UserQuotas


class AsyncQuotas:
    """What each user may store."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _quotas(self) -> UserQuotas:
        return UserQuotas(self._store._opened.core)

    async def get(self, user: UserId) -> QuotaInfo:
        """What a user may store, and stores now."""
        return await self._store._run(self._quotas.get(self._store._caller, user))

    async def set(
        self,
        user: UserId,
        *,
        secrets: int | None = None,
        versions: int | None = None,
        objects: int | None = None,
        bytes: int | None = None,
    ) -> None:
        """Give a user quotas, in the place of all former ones; they hold from now on.

        Args:
            user: Whose quotas.
            secrets: Names; 0 for no quota, None for that of the configuration, as for the others.
            versions: Versions of all secrets together.
            objects: Tokens, policies, roles and what else access control keeps.
            bytes: Sealed values and objects.

        Raises:
            AccessDenied: The caller does not act for the whole store.
            InvalidInput: A quota is out of range.
        """
        own = OwnQuotas(secrets, versions, objects, bytes)
        await self._store._run(self._quotas.set(self._store._caller, user, own))

    async def clear(self, user: UserId) -> None:
        """Let a user have the quotas of the configuration again.

        Raises:
            AccessDenied: The caller does not act for the whole store.
        """
        await self._store._run(self._quotas.set(self._store._caller, user, OwnQuotas()))
