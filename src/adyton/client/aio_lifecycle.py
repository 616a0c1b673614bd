"""When secrets end, and how long deleted ones are kept, as an area of a client."""

from collections.abc import Iterable

from adyton.client.aio_base import AsyncClientFace
from adyton.client.lifecycleshapes import WireExpiring, WireLifecycle, WireLifecycleReport
from adyton.client.requests import of_user, query, read, write
from adyton.client.shapes import Items
from adyton.lifecyclevalues import DAY_SECONDS, ExpiringInfo, LifecycleReport, LifecycleRules
from adyton.model import UserId

ExpiringInfos = list[ExpiringInfo]


class AsyncLifecycle:
    """Notices of what ends, and the retention of what was deleted."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def get(self, user: UserId) -> LifecycleRules:
        """What holds for a user: notice periods, and the retention."""
        answer = await self._client._call(read(of_user(user, "lifecycle")))
        return answer.parse(WireLifecycle).public()

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
        body = {"before": None if before is None else list(before), "where": where}
        call = write(of_user(user, "lifecycle", "notice"), body, method="PUT")
        return (await self._client._call(call)).parse(WireLifecycle).public()

    async def set_retention(self, user: UserId, seconds: int | None) -> LifecycleRules:
        """Set how long deleted versions can be brought back before they are destroyed.

        Args:
            user: Whose secrets.
            seconds: How long; 0 for ever, None for as long as the store says.

        Raises:
            InvalidInput: The store's operator does not allow it.
        """
        call = write(of_user(user, "lifecycle", "retention"), {"seconds": seconds}, method="PUT")
        return (await self._client._call(call)).parse(WireLifecycle).public()

    async def expiring(self, user: UserId, *, within: int = 30 * DAY_SECONDS) -> ExpiringInfos:
        """What ends within a time, or has ended and can be renewed; the first to end first.

        Args:
            user: Whose secrets and shares.
            within: Seconds from now.

        Raises:
            InvalidInput: The time is out of range.
        """
        target = of_user(user, "expiring") + query(within=within)
        answer = await self._client._call(read(target))
        return [each.public() for each in answer.parse(Items[WireExpiring]).items]

    async def run_due(self) -> LifecycleReport:
        """Give the notices that are due, and destroy what was deleted long enough ago.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        answer = await self._client._call(write("adyton/lifecycle/run-due", patient=True))
        return answer.parse(WireLifecycleReport).public()
