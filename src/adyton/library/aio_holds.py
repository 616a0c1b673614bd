"""Legal holds, as an area of a store."""

from adyton.library.aio_base import AsyncFace
from adyton.lifecyclevalues import HoldInfo
from adyton.model import UserId
from adyton.service.lifecycle.holds import LegalHolds

HoldInfos = list[HoldInfo]


class AsyncHolds:
    """Legal holds: what they cover is neither deleted, destroyed, replaced nor purged."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _holds(self) -> LegalHolds:
        return LegalHolds(self._store._opened.core)

    async def add(
        self, user: UserId, reason: str, *, where: str = "", operator: bool = False
    ) -> HoldInfo:
        """Keep a secret, a folder or a whole namespace from being deleted, from the answer on.

        Args:
            user: Whose secrets.
            reason: Why; told to those who list holds.
            where: A secret's name, a folder with its slash, or empty for all.
            operator: Whether the store's operator places it, who alone can release it then.

        Raises:
            AccessDenied: It is to be the operator's, and the caller is not the operator.
            InvalidInput: The place or the reason breaks a rule.
            LimitExceeded: There are too many holds.
        """
        store = self._store
        return await store._run(
            self._holds.add(store._caller, user, where, reason, operator=operator)
        )

    async def list(self, user: UserId) -> HoldInfos:
        """All holds of a user, the oldest first."""
        store = self._store
        return await store._run(self._holds.list(store._caller, user))

    async def release(self, user: UserId, hold: str, *, operator: bool = False) -> None:
        """End a hold; what it alone has kept can be deleted from the answer on.

        Args:
            user: Whose secrets.
            hold: The hold's id.
            operator: Whether the store's operator releases it, who can release any.

        Raises:
            AccessDenied: The hold is the operator's, and is not released as such.
            SecretNotFound: There is none of this id.
        """
        store = self._store
        await store._run(self._holds.release(store._caller, user, hold, operator=operator))
