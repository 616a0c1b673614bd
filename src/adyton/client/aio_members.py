"""Members of a namespace, and roles."""

from collections.abc import Iterable
from urllib.parse import quote

from adyton.client.aio_base import AsyncClientFace
from adyton.client.grantshapes import WireMember, WireRole, WireToken
from adyton.client.requests import given, of_user, once, read, write
from adyton.client.results import Grant
from adyton.client.shapes import Items
from adyton.grantvalues import MemberInfo, MemberKind, RoleInfo
from adyton.model import UserId, user_id

MemberInfos = list[MemberInfo]
RoleInfos = list[RoleInfo]


class AsyncMembers:
    """Whom an owner has let into a namespace, and which rights go together."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def add(
        self,
        user: UserId,
        name: str,
        *,
        kind: MemberKind = "person",
        other: UserId = "",
        logins: Iterable[str] = (),
    ) -> MemberInfo:
        """Let somebody into a namespace; without grants it may do nothing there.

        Args:
            user: The owner.
            name: The owner's name for the member.
            kind: A person, a machine, or another user of the store.
            other: The other user's id.
            logins: Logins that are the member's, as ``MOUNT:NAME``, such as ``userpass:alice``.

        Raises:
            InvalidInput: Something breaks a rule, or is somebody else's already.
            LimitExceeded: There are too many members.
        """
        there = user_id(other) if other != "" else None
        body = given(kind=kind, user=there, logins=list(logins))
        answer = await self._client._call(write(_member(user, name), body, method="PUT"))
        return answer.parse(WireMember).public()

    async def list(self, user: UserId) -> MemberInfos:
        """All members, by name."""
        answer = await self._client._call(read(of_user(user, "members")))
        return [member.public() for member in answer.parse(Items[WireMember]).items]

    async def get(self, user: UserId, name: str) -> MemberInfo:
        """One member.

        Raises:
            SecretNotFound: There is no such member.
        """
        answer = await self._client._call(read(_member(user, name)))
        return answer.parse(WireMember).public()

    async def remove(self, user: UserId, name: str) -> None:
        """Put a member out, with all grants; at once.

        Raises:
            SecretNotFound: There is no such member.
        """
        await self._client._call(write(_member(user, name), method="DELETE"))

    async def token(self, user: UserId, name: str, *, seconds: int = 0) -> Grant:
        """Make a token for a member: it has the member's grants, and no policy of its own.

        Args:
            user: The owner.
            name: The member.
            seconds: How long it lives; 0 for the longest time.

        Raises:
            SecretNotFound: There is no such member.
            InvalidInput: The member is another user, who logs in at home.
        """
        target = f"{_member(user, name)}/token"
        answer = await self._client._call(once(target, {"seconds": seconds}))
        made = answer.parse(WireToken)
        return Grant(made.token, made.accessor, (), made.seconds, True)

    async def roles(self, user: UserId) -> RoleInfos:
        """All roles, the built-in ones first."""
        answer = await self._client._call(read(of_user(user, "roles")))
        return [role.public() for role in answer.parse(Items[WireRole]).items]

    async def set_role(self, user: UserId, name: str, rights: Iterable[str]) -> RoleInfo:
        """Make or change a role; grants that give it follow at once.

        Raises:
            InvalidInput: A right is not known, or the name is a built-in role's.
            LimitExceeded: There are too many roles.
        """
        body = {"rights": list(rights)}
        answer = await self._client._call(write(_role(user, name), body, method="PUT"))
        return answer.parse(WireRole).public()

    async def remove_role(self, user: UserId, name: str) -> None:
        """Remove a role that no grant gives.

        Raises:
            SecretNotFound: There is no such role of the owner's.
            InvalidInput: A grant gives it.
        """
        await self._client._call(write(_role(user, name), method="DELETE"))


def _member(user: UserId, name: str) -> str:
    return of_user(user, "members", quote(user_id(name), safe=""))


def _role(user: UserId, name: str) -> str:
    return of_user(user, "roles", quote(user_id(name), safe=""))
