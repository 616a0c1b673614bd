"""What users may store, as an area of a client."""

from adyton.client.aio_base import AsyncClientFace
from adyton.client.requests import given, of_user, read, write
from adyton.client.shapes import WireQuota
from adyton.model import UserId
from adyton.quotavalues import QuotaInfo


class AsyncQuotas:
    """What each user may store."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def get(self, user: UserId) -> QuotaInfo:
        """What a user may store, and stores now."""
        answer = await self._client._call(read(of_user(user, "quota")))
        return answer.parse(WireQuota).public()

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
            AccessDenied: No policy of the token allows it.
            InvalidInput: A quota is out of range.
        """
        body = given(secrets=secrets, versions=versions, objects=objects, bytes=bytes)
        await self._client._call(write(of_user(user, "quota"), body, method="PUT"))

    async def clear(self, user: UserId) -> None:
        """Let a user have the quotas of the configuration again.

        Raises:
            AccessDenied: No policy of the token allows it.
        """
        await self._client._call(write(of_user(user, "quota"), method="DELETE"))
