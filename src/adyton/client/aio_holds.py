"""Legal holds, as an area of a client."""

from urllib.parse import quote

from adyton.client.aio_base import AsyncClientFace
from adyton.client.lifecycleshapes import WireHold
from adyton.client.requests import of_user, read, write
from adyton.client.shapes import Items
from adyton.lifecyclevalues import HoldInfo
from adyton.model import UserId

HoldInfos = list[HoldInfo]


class AsyncHolds:
    """Legal holds: what they cover is neither deleted, destroyed, replaced nor purged."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

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
        call = write(of_user(user, _kind(operator)), {"reason": reason, "where": where})
        return (await self._client._call(call)).parse(WireHold).public()

    async def list(self, user: UserId) -> HoldInfos:
        """All holds of a user, the oldest first."""
        answer = await self._client._call(read(of_user(user, "holds")))
        return [each.public() for each in answer.parse(Items[WireHold]).items]

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
        target = of_user(user, _kind(operator), quote(hold, safe=""))
        await self._client._call(write(target, method="DELETE"))


def _kind(operator: bool) -> str:
    return "operator-holds" if operator else "holds"
