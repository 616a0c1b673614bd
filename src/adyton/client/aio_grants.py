"""What members of a namespace may do, and why."""

import datetime as dt
from collections.abc import Iterable
from urllib.parse import quote

import msgspec

from adyton.client.aio_base import AsyncClientFace
from adyton.client.grantshapes import WireExplanation, WireGrant, WireReader, WireRequest
from adyton.client.requests import given, of_user, query, read, write
from adyton.client.shapes import Items
from adyton.grantvalues import (
    EVERYTHING,
    NO_CONDITIONS,
    AccessRequest,
    Conditions,
    Explanation,
    GrantInfo,
    Reader,
)
from adyton.model import UserId, to_us

GrantInfos = list[GrantInfo]
Readers = list[Reader]
AccessRequests = list[AccessRequest]


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

    async def explain(
        self, user: UserId, actor: str, action: str, path: str, *, address: str = ""
    ) -> Explanation:
        """Say whether an actor may do something now, which rule decides, and why.

        Args:
            user: The owner.
            actor: A member's name, ``user:ID`` or ``token:ACCESSOR``.
            action: A right by name, or a verb that needs one, such as ``get``.
            path: A secret, a folder with its slash, or ``/``.
            address: Where a request would come from, for grants that ask for that.

        Raises:
            SecretNotFound: There is no such actor.
            InvalidInput: The action is not known, or the path breaks a rule of names.
        """
        asked = query(actor=actor, action=action, path=path, address=address)
        answer = await self._client._call(read(of_user(user, "access", "explain") + asked))
        return answer.parse(WireExplanation).public()

    async def who(self, user: UserId, path: str = EVERYTHING) -> Readers:
        """All who could read a secret today, or anything in a folder.

        Args:
            user: The owner.
            path: A secret, a folder with its slash, or ``/``.

        Raises:
            InvalidName: The path breaks a rule of names.
        """
        target = of_user(user, "access", "who") + query(path=path)
        answer = await self._client._call(read(target))
        return [reader.public() for reader in answer.parse(Items[WireReader]).items]

    async def request(
        self, user: UserId, right: str, path: str, *, reason: str = ""
    ) -> AccessRequest:
        """Ask for one right on one secret that a grant gives with approval; for members.

        Args:
            user: The owner.
            right: A right by name.
            path: A secret.
            reason: Why, in words.

        Raises:
            SecretNotFound: No grant of the member's gives this with approval.
            InvalidInput: Something breaks a rule, or no member asks.
            LimitExceeded: There are too many requests.
        """
        body = {"right": right, "path": path, "reason": reason}
        answer = await self._client._call(write(of_user(user, "access", "requests"), body))
        return answer.parse(WireRequest).public()

    async def requests(self, user: UserId) -> AccessRequests:
        """Requests that are not over: a member's own, and those that it may decide."""
        answer = await self._client._call(read(of_user(user, "access", "requests")))
        return [request.public() for request in answer.parse(Items[WireRequest]).items]

    async def approve(
        self, user: UserId, request: str, *, seconds: int = 3_600, uses: int = 1
    ) -> AccessRequest:
        """Approve a request: from now on, for so long and so many times.

        Args:
            user: The owner.
            request: The request's id.
            seconds: For how long.
            uses: How often what is asked for may be done.

        Raises:
            SecretNotFound: There is no such request, or whoever asks may not decide it.
            InvalidInput: It is decided already, or a number is out of its bounds.
        """
        body = {"seconds": seconds, "uses": uses}
        answer = await self._client._call(write(_request(user, request, "approve"), body))
        return answer.parse(WireRequest).public()

    async def deny(self, user: UserId, request: str) -> AccessRequest:
        """Deny a request.

        Raises:
            SecretNotFound: There is no such request, or whoever asks may not decide it.
            InvalidInput: It is decided already.
        """
        answer = await self._client._call(write(_request(user, request, "deny")))
        return answer.parse(WireRequest).public()

    async def revoke(self, user: UserId, grant: str) -> None:
        """Take a grant back; what is under way by it and not recorded yet is refused.

        Raises:
            SecretNotFound: There is no such grant.
        """
        target = of_user(user, "grants", quote(grant, safe=""))
        await self._client._call(write(target, method="DELETE"))


def _request(user: UserId, request: str, verb: str) -> str:
    return of_user(user, "access", "requests", quote(request, safe=""), verb)
