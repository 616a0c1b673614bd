"""The gate: from a token's text to the caller that may do one thing (DESIGN section 6).

The server gets a :class:`Caller` nowhere else, and no operation of the service works without
one. A token that is absent, unknown, expired or used up, and a refusal by policy, look alike.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

from adyton.actions import Action
from adyton.errors import AccessDenied, AdytonError, IntegrityError, LimitExceeded, UserRootAway
from adyton.model import Caller
from adyton.service.access.policy import Capability
from adyton.service.access.records import TOKENS, Mount, Token
from adyton.service.access.sessions import Session, Sessions
from adyton.service.access.spaces import OPERATOR_SPACE, Spaces
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.grants.deciding import Deciding
from adyton.service.grants.permits import Permit
from adyton.service.journal import Draft, outcome_of
from adyton.service.objects import ObjectChanges
from adyton.service.quota.networks import is_within
from adyton.service.secretmeta import not_found
from adyton.service.userkeys import UserKeys

_DECISIONS: Final = 4_096
"""Decisions kept for tokens of the same policies."""
_ASKED: Final = [one for one in Capability if one not in {Capability.DENY, Capability.SUDO}]


def denied() -> AccessDenied:
    """The one refusal, whatever the cause."""
    return AccessDenied("permission denied")


class Origin(Protocol):
    """What tells where a request comes from."""

    @property
    def address(self) -> str:
        """The client's network address."""

    @property
    def request_id(self) -> str:
        """The request's identifier."""


class Request:
    """Where a request comes from, for its records."""

    __slots__ = ("address", "request_id")

    def __init__(self, address: str, request_id: str) -> None:
        self.address = address
        self.request_id = request_id


class Gate:
    """Lets tokens in and decides what they may do.

    Args:
        core: The open store.
        spaces: Mounts and policies.

    Attributes:
        grants: Decides what members of a namespace may do.
        sessions: The tokens that have been let in.
        count: Counts a request whose token was not in memory, as those of others are counted
            before they come here: the seconds after which it may come again, or 0.
    """

    def __init__(self, core: Core, spaces: Spaces) -> None:
        self._core = core
        self._spaces = spaces
        self.grants: Final = Deciding(core, spaces)
        self.sessions: Final = Sessions(core, spaces, self.grants)
        self.count: Callable[[Session], int] = _uncounted

    # -- letting in -----------------------------------------------------------------------------

    async def enter(self, text: str, request: Request) -> Session:
        """Let a token in; a use is taken from one whose uses are counted.

        Raises:
            AccessDenied: The token is absent, unknown, expired or used up, or is not for this
                address.
            LimitExceeded: It comes too often, or its user's tokens do.
        """
        session = self.sessions.known(text)
        is_new = session is None
        if session is None and text:
            try:
                session = await self.sessions.load(text)
            except UserRootAway as error:
                raise await self._refuse(request, "UserRootAway", error) from None
        if session is not None and session.token.wraps:
            session = None  # it opens its response and nothing else
        if session is None or not is_within(request.address, session.token.cidrs):
            raise await self._refuse(request, "no such token", denied())
        if is_new and (wait := self.count(session)):
            # Whoever makes tokens to use each once would be under no rate but the network's.
            too_often = LimitExceeded(
                "request rate limit exceeded", hint="Ask again a while later."
            )
            too_often.again_seconds = wait
            raise too_often
        if session.token.num_uses:
            await self._take_use(session, request)
        return session

    async def _take_use(self, session: Session, request: Request) -> None:
        """Count a use before anything is done; the last one leaves a token that is refused."""
        core = self._core
        user = session.space.user
        caller = self.caller(session, user, request, "")
        draft = Draft(caller, Action.TOKEN_USE, user_id=user, name=session.token.accessor)

        async def work(scope: Scope) -> Token:
            keys: UserKeys = await core.keys_to_write(scope, caller, user, 0)
            token = await TOKENS.get(scope.tx, keys, session.ident)
            if token is None or token.num_uses < 0:
                raise denied()
            token.num_uses = token.num_uses - 1 or -1
            changes = ObjectChanges(scope, keys)
            changes.put(TOKENS, session.ident, token)
            scope.after_commit(lambda: self.sessions.forget(session.ident))
            await changes.write(draft)
            return token

        session.token = await core.write(draft, work)

    async def _refuse(self, request: Request, reason: str, error: AdytonError) -> AdytonError:
        caller = Caller("(no token)", None, request.address, request.request_id, decision="deny")
        await self._core.record(Draft(caller, Action.ACCESS_DENY).failed(reason, outcome_of(error)))
        error.recorded = True
        return error

    # -- deciding -------------------------------------------------------------------------------

    def decide(
        self,
        session: Session,
        user: str,
        path: str,
        operation: Capability,
        *,
        body: Mapping[str, object] | None = None,
        wrap_ttl: int | None = None,
        address: str = "",
        spend: bool = False,
    ) -> str:
        """Which policies or grants allow an operation on a path of a namespace; empty if none does.

        Args:
            session: Who asks.
            user: The namespace.
            path: The path.
            operation: What is asked.
            body: The request's parameters.
            wrap_ttl: Seconds for which the response is to be wrapped; None if it is not.
            address: Where the request comes from, for grants that are bound to networks.
            spend: Whether the caller that is made of the decision does this one thing and no
                other: then it may be one that is counted, or was approved.
        """
        seen = self._path_seen(session, user, path)
        if seen is None or session.member is not None:
            return self.grants.decide(
                session, user, path, operation,
                body=body, wrap_ttl=wrap_ttl, address=address, spend=spend,
            )  # fmt: skip
        if body or wrap_ttl is not None:
            return session.acl.decision(seen, operation, body=body, wrap_ttl=wrap_ttl)
        key = (seen, int(operation))
        found = session.decisions.get(key)
        if found is None:
            found = session.acl.decision(seen, operation)
            if len(session.decisions) >= _DECISIONS:
                session.decisions.clear()
            session.decisions[key] = found
        return found

    @staticmethod
    def _path_seen(session: Session, user: str, path: str) -> str | None:
        """A path as the session's own policies write it; None for what they can't name."""
        own = session.space.user
        if user == own:
            return path
        return f"{user}/{path}" if own == OPERATOR_SPACE else None

    def capabilities(self, session: Session, user: str, path: str) -> list[str]:
        """What a session may do to a path, by name."""
        seen = self._path_seen(session, user, path)
        if seen is None or session.member is not None:
            found = [
                str(capability.name).lower()
                for capability in _ASKED
                if self.decide(session, user, path, capability)
            ]
            return sorted(found) or ["deny"]
        return session.acl.capabilities(seen)

    @staticmethod
    def reaches(session: Session, user: str) -> bool:
        """Whether policies of a session can name anything in a namespace."""
        return session.space.user in {user, OPERATOR_SPACE}

    async def method_at(self, user: str, path: str) -> Mount | None:
        """The login method of a namespace that serves a path, as it is tuned now."""
        found = (await self._spaces.get(user)).mount_at(path)
        return None if found is None else found[1]

    def any_under(self, session: Session, user: str, prefix: str) -> bool:
        """Whether a session may do anything below a path."""
        seen = self._path_seen(session, user, prefix)
        return (seen is not None and session.acl.any_under(seen)) or self.grants.any_in(
            session, user, prefix
        )

    def visible(
        self, session: Session, user: str, address: str, folder: Callable[[str], str]
    ) -> Callable[[str], bool] | None:
        """Which secrets a session may see in lists; None for all.

        Args:
            session: Who asks.
            user: The namespace.
            address: Where the request comes from.
            folder: The path on which policies give ``list`` for a secret.
        """
        own, acl = session.space.user, session.acl
        if acl.root and own in {user, OPERATOR_SPACE}:
            return None
        if self._path_seen(session, user, "") is not None and session.member is None:
            return lambda name: bool(self.decide(session, user, folder(name), Capability.LIST))
        before = "" if own == user else f"{user}/"

        def listed(name: str) -> bool:
            return bool(acl.decision(before + folder(name), Capability.LIST))

        def hidden(name: str) -> bool:
            return acl.denies(before + folder(name), Capability.LIST)

        return self.grants.visible(session, user, address, listed, hidden)

    def shown(
        self, session: Session, user: str, address: str, caller: Caller
    ) -> Callable[[str], bool] | None:
        """Which secrets of a folder that may be listed are shown; None for all.

        Args:
            session: Who asks.
            user: The namespace.
            address: Where the request comes from.
            caller: What was made of the decision: of a grant's, or a policy's.
        """
        if session.acl.root and session.space.user == user:
            return None
        if caller.spend is None and self.grants.actor_in(session, user) is None:
            return None
        # What policies say of the folder was asked for the whole of it.
        by_policy = caller.spend is None or session.space.user != user
        return self.grants.visible(session, user, address, lambda _: by_policy, lambda _: False)

    async def reach(self, session: Session, user: str) -> None:
        """Before a session is decided on in another namespace: have what decides in memory."""
        await self._spaces.get(user)
        for one in (session.space.user, user):
            with suppress(IntegrityError, UserRootAway):  # then nobody is a member there
                await self._core.books.get(one)

    def member_name(self, session: Session, user: str) -> str:
        """The member of a namespace that a session is; empty for its owner, and for operators."""
        found = self.grants.actor_in(session, user)
        return "" if found is None else found.name

    def manages(
        self, session: Session, user: str, address: str, caller: Caller
    ) -> Callable[[str], bool] | None:
        """Which paths' grants whoever was let through may see; None for all.

        Args:
            session: Who asks.
            user: The namespace.
            address: Where the request comes from.
            caller: What was made of the decision: of a grant's, or a policy's.
        """
        if caller.spend is None:
            hidden = self.grants.hidden(session, user, ("admin", "audit"), address)
            return None if hidden is None else lambda path: not hidden(path)
        audits = self.grants.seeing(session, user, "audit", address)
        admits = self.grants.seeing(session, user, "admin", address)
        return lambda path: audits(path) or admits(path)

    @staticmethod
    def caller(session: Session, user: str, request: Origin, decision: str = "allow") -> Caller:
        """The caller of what has been allowed, bound to one namespace.

        Args:
            session: Who asks.
            user: The namespace.
            request: Where the request comes from.
            decision: What has allowed it, as :meth:`decide` tells.
        """
        if type(decision) is Permit:
            return permitted(session, user, request, decision)
        return Caller(
            session.actor,
            user,
            request.address,
            request.request_id,
            session.method,
            session.token.accessor,
            decision,
            token=session.mark,
        )

    @staticmethod
    def operator(session: Session, request: Request, decision: str) -> Caller:
        """The caller of what has been allowed and concerns the whole store.

        Args:
            session: Who asks.
            request: Where the request comes from.
            decision: What has allowed it, as :meth:`decide` tells.

        Raises:
            AccessDenied: The token is not of the operator's namespace.
        """
        if session.space.user != OPERATOR_SPACE:
            raise denied()
        return Caller(
            session.actor,
            None,
            request.address,
            request.request_id,
            session.method,
            session.token.accessor,
            decision,
        )

    async def refuse(
        self, session: Session, user: str, path: str, operation: Capability, request: Request
    ) -> AdytonError:
        """Record that policies refuse; give back the error to raise.

        A member without any right on what is asked for is told that it is not there.
        """
        core = self._core
        seen = self._path_seen(session, user, path)
        refusal = "deny" if seen is None else session.acl.refusal(seen, operation)
        caller = self.caller(session, session.space.user, request, refusal)
        keys = await core.keys(session.space.user)
        draft = Draft(caller, Action.ACCESS_DENY, keys, session.space.user, f"{user}: {path}"[:700])
        error: AdytonError = denied()
        if not self.grants.may_know(session, user, path, operation, request.address):
            error = not_found()
        await core.record(draft.failed("no policy allows it", outcome_of(error)))
        error.recorded = True
        return error


def _uncounted(_: Session) -> int:
    return 0


def permitted(session: Session, user: str, request: Origin, permit: Permit) -> Caller:
    """The caller of what a grant has allowed, which is judged once more in its commit."""
    made = Caller(
        session.actor,
        user,
        request.address,
        request.request_id,
        session.method,
        session.token.accessor,
        str(permit),
        spend=permit.spend,
        token=session.mark,
    )
    permit.spend.caller = made
    return made
