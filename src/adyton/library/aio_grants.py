"""What members of a namespace may do, and why (``docs/spec/grants.md``)."""

import datetime as dt
from collections.abc import Iterable

from adyton.actions import Action
from adyton.grantvalues import (
    EVERYTHING,
    NO_CONDITIONS,
    AccessRequest,
    Conditions,
    Explanation,
    GrantInfo,
    NewGrant,
    Reader,
)
from adyton.library.aio_base import AsyncFace
from adyton.model import Caller, UserId, to_us
from adyton.service.grants.acting import as_member
from adyton.service.grants.explain import Asked, explain
from adyton.service.grants.grants import Grants
from adyton.service.grants.requests import Requests
from adyton.service.grants.who import who

GrantInfos = list[GrantInfo]
Readers = list[Reader]
AccessRequests = list[AccessRequest]


class AsyncAccess:
    """Rights of members: given, taken back, explained."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _grants(self) -> Grants:
        return Grants(self._store._opened.core)

    async def _acting(self, user: UserId) -> Caller:
        store = self._store
        return await store._run(as_member(store._opened.core, store._caller, user))

    @property
    def _requests(self) -> Requests:
        return Requests(self._store._opened.core)

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
        store = self._store
        asked = Asked(actor, action, path, address)
        return await store._run(explain(store._opened.core, store._caller, user, asked))

    async def who(self, user: UserId, path: str = EVERYTHING) -> Readers:
        """All who could read a secret today, or anything in a folder.

        Args:
            user: The owner.
            path: A secret, a folder with its slash, or ``/``.

        Raises:
            InvalidName: The path breaks a rule of names.
        """
        store = self._store
        return await store._run(who(store._opened.core, store._caller, user, path))

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
        store = self._store
        caller = await self._acting(user)
        return await store._run(
            self._requests.create(caller, user, right, path, reason=reason, by=store._caller.member)
        )

    async def requests(self, user: UserId) -> AccessRequests:
        """Requests that are not over: a member's own, and those that it may decide."""
        store = self._store
        caller = await self._acting(user)
        return await store._run(self._requests.list(caller, user, by=store._caller.member))

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
        store = self._store
        caller = await self._acting(user)
        return await store._run(
            self._requests.approve(
                caller, user, request, seconds=seconds, uses=uses, by=store._caller.member
            )
        )

    async def deny(self, user: UserId, request: str) -> AccessRequest:
        """Deny a request.

        Raises:
            SecretNotFound: There is no such request, or whoever asks may not decide it.
            InvalidInput: It is decided already.
        """
        store = self._store
        caller = await self._acting(user)
        return await store._run(self._requests.deny(caller, user, request, by=store._caller.member))

    async def revoke(self, user: UserId, grant: str) -> None:
        """Take a grant back; what is under way by it and not recorded yet is refused.

        Raises:
            SecretNotFound: There is no such grant.
        """
        await self._store._run(self._grants.revoke(self._store._caller, user, grant))
