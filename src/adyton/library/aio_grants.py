"""What members of a namespace may do, and why (``docs/spec/grants.md``)."""

import datetime as dt
from collections.abc import Iterable

from adyton.actions import Action
from adyton.grantvalues import NO_CONDITIONS, Conditions, GrantInfo, NewGrant
from adyton.library.aio_base import AsyncFace
from adyton.model import UserId, to_us
from adyton.service.grants.grants import Grants

GrantInfos = list[GrantInfo]


class AsyncAccess:
    """Rights of members: given, taken back, explained."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _grants(self) -> Grants:
        return Grants(self._store._opened.core)

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
        store = self._store
        ends = await store._checked(
            Action.GRANT_CREATE, user, lambda: to_us(expires_at) if expires_at else 0
        )
        new = NewGrant(member, path, role, tuple(rights), deny, ends, conditions)
        return await store._run(self._grants.create(store._caller, user, new))

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
        store = self._store
        ends = await store._checked(Action.GRANT_READ, user, lambda: to_us(before) if before else 0)
        return await store._run(
            self._grants.list(store._caller, user, member=member, path=path, before_us=ends)
        )

    async def revoke(self, user: UserId, grant: str) -> None:
        """Take a grant back; what is under way by it and not recorded yet is refused.

        Raises:
            SecretNotFound: There is no such grant.
        """
        await self._store._run(self._grants.revoke(self._store._caller, user, grant))
