"""When secrets end, and how long deleted ones are kept, as an area of a store."""

from collections.abc import Iterable

from adyton.library.aio_base import AsyncFace
from adyton.lifecyclevalues import DAY_SECONDS, ExpiringInfo, LifecycleReport, LifecycleRules
from adyton.model import UserId
from adyton.service.lifecycle.ending import Ends
from adyton.service.lifecycle.rules import UserRules
from adyton.service.lifecycle.work import LifecycleWork

ExpiringInfos = list[ExpiringInfo]


class AsyncLifecycle:
    """Notices of what ends, and the retention of what was deleted."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _rules(self) -> UserRules:
        return UserRules(self._store._opened.core)

    async def get(self, user: UserId) -> LifecycleRules:
        """What holds for a user: notice periods, and the retention."""
        return await self._store._run(self._rules.get(self._store._caller, user))

    async def set_notice(
        self, user: UserId, before: Iterable[int] | None, *, where: str = ""
    ) -> LifecycleRules:
        """Set how long before an end there are notices.

        Args:
            user: Whose secrets.
            before: Seconds before the end, 0 for the end itself; none for no notices, None for
                what is set for the folder above, or the store.
            where: A secret's name, a folder with its slash, or empty for all else.

        Raises:
            InvalidInput: The place or a period breaks a rule.
            LimitExceeded: Too many places have periods of their own.
        """
        store = self._store
        periods = None if before is None else list(before)
        return await store._run(self._rules.set_notice(store._caller, user, where, periods))

    async def set_retention(self, user: UserId, seconds: int | None) -> LifecycleRules:
        """Set how long deleted versions can be brought back before they are destroyed.

        Args:
            user: Whose secrets.
            seconds: How long; 0 for ever, None for as long as the store says.

        Raises:
            InvalidInput: The store's operator does not allow it.
        """
        store = self._store
        return await store._run(self._rules.set_retention(store._caller, user, seconds))

    async def expiring(self, user: UserId, *, within: int = 30 * DAY_SECONDS) -> ExpiringInfos:
        """What ends within a time, or has ended and can be renewed; the first to end first.

        Args:
            user: Whose secrets and shares.
            within: Seconds from now.

        Raises:
            InvalidInput: The time is out of range.
        """
        store = self._store
        return await store._run(Ends(store._opened.core).expiring(store._caller, user, within))

    async def run_due(self) -> LifecycleReport:
        """Give the notices that are due, and destroy what was deleted long enough ago.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        store = self._store
        return await store._run(LifecycleWork(store._opened.core).run_due(store._caller))
