"""Members of a namespace, and roles (``docs/spec/grants.md``)."""

from collections.abc import Iterable

from adyton.grantvalues import MemberInfo, MemberKind, RoleInfo
from adyton.library.aio_base import AsyncFace
from adyton.model import UserId
from adyton.service.grants.members import Members as MembersService

MemberInfos = list[MemberInfo]
RoleInfos = list[RoleInfo]


class AsyncMembers:
    """Whom an owner has let into a namespace, and which rights go together."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _members(self) -> MembersService:
        return MembersService(self._store._opened.core)

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
        store = self._store
        return await store._run(
            self._members.add(
                store._caller, user, name, kind=kind, other=other, logins=tuple(logins)
            )
        )

    async def list(self, user: UserId) -> MemberInfos:
        """All members, by name."""
        return await self._store._run(self._members.list(self._store._caller, user))

    async def get(self, user: UserId, name: str) -> MemberInfo:
        """One member.

        Raises:
            SecretNotFound: There is no such member.
        """
        return await self._store._run(self._members.get(self._store._caller, user, name))

    async def remove(self, user: UserId, name: str) -> None:
        """Put a member out, with all grants; at once.

        Raises:
            SecretNotFound: There is no such member.
        """
        await self._store._run(self._members.remove(self._store._caller, user, name))

    async def roles(self, user: UserId) -> RoleInfos:
        """All roles, the built-in ones first."""
        return await self._store._run(self._members.roles(self._store._caller, user))

    async def set_role(self, user: UserId, name: str, rights: Iterable[str]) -> RoleInfo:
        """Make or change a role; grants that give it follow at once.

        Raises:
            InvalidInput: A right is not known, or the name is a built-in role's.
            LimitExceeded: There are too many roles.
        """
        store = self._store
        return await store._run(self._members.put_role(store._caller, user, name, tuple(rights)))

    async def remove_role(self, user: UserId, name: str) -> None:
        """Remove a role that no grant gives.

        Raises:
            SecretNotFound: There is no such role of the owner's.
            InvalidInput: A grant gives it.
        """
        await self._store._run(self._members.remove_role(self._store._caller, user, name))
