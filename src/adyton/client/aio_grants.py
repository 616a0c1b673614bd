"""What members of a namespace may do, and why."""

import datetime as dt
from collections.abc import Iterable
from urllib.parse import quote

import msgspec

from adyton.client.aio_base import AsyncClientFace
from adyton.client.grantshapes import WireGrant
from adyton.client.requests import given, of_user, query, read, write
from adyton.client.shapes import Items
from adyton.grantvalues import NO_CONDITIONS, Conditions, GrantInfo
from adyton.model import UserId, to_us

GrantInfos = list[GrantInfo]


class AsyncAccess:
    """Rights of members: given, taken back, explained."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def grant(
        self,
        user: UserId,
        member: str,
        path: str,
        *,
        role: str = "",
        rights: Iterable[str] = (),
        deny: bool = False,
        expires_at: dt.datetime | None = None,
        conditions: Conditions = NO_CONDITIONS,
    ) -> GrantInfo:
        """Give a member rights on a secret, a folder or everything, or take them away.

        Args:
            user: The owner.
            member: Who is to have it.
            path: A secret, a folder with a slash at its end, or ``/`` for everything.
            role: A role's name; or nothing, with ``rights``.
            rights: Rights by name; or none, with ``role``.
            deny: Whether it takes them away, whatever else would give them.
            expires_at: When it ends; None for never.
            conditions: When it holds.

        Raises:
            SecretNotFound: There is no such member.
            InvalidInput: Something breaks a rule.
            LimitExceeded: There are too many grants.
        """
        if expires_at is not None:
            to_us(expires_at)  # a time without a zone is refused here
        body = given(
            member=member, path=path, role=role, rights=list(rights), deny=deny,
            expires_at=expires_at, conditions=msgspec.structs.asdict(conditions),
        )  # fmt: skip
        answer = await self._client._call(write(of_user(user, "grants"), body))
        return answer.parse(WireGrant).public()

    async def grants(
        self,
        user: UserId,
        *,
        member: str = "",
        path: str = "",
        before: dt.datetime | None = None,
    ) -> GrantInfos:
        """Grants, by member and path.

        Args:
            user: The owner.
            member: Of one member; empty for all.
            path: That cover this secret or folder; empty for all.
            before: That end before this time; None for all.
        """
        ends = None if before is None else to_us(before)
        target = of_user(user, "grants") + query(member=member, path=path, before=ends)
        answer = await self._client._call(read(target))
        return [grant.public() for grant in answer.parse(Items[WireGrant]).items]

    async def revoke(self, user: UserId, grant: str) -> None:
        """Take a grant back; what is under way by it and not recorded yet is refused.

        Raises:
            SecretNotFound: There is no such grant.
        """
        target = of_user(user, "grants", quote(grant, safe=""))
        await self._client._call(write(target, method="DELETE"))
