"""Making, renewing and revoking tokens (DESIGN section 6)."""

import datetime as dt
import secrets
from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import replace

from adyton.actions import Action
from adyton.errors import AccessDenied, InvalidInput
from adyton.model import Caller
from adyton.ports import Rows
from adyton.service.access import batch
from adyton.service.access.batch import BatchToken
from adyton.service.access.gate import Gate, denied
from adyton.service.access.identity import entity_of_login
from adyton.service.access.policy import ROOT_NAME
from adyton.service.access.records import (
    ACCESSORS,
    CHILDREN,
    CUBBYHOLE,
    TOKEN_ROLES,
    TOKENS,
    Token,
    TokenRef,
)
from adyton.service.access.sessions import Session
from adyton.service.access.shaping import (
    TOKEN_METHOD,
    TokenRequest,
    alias_of,
    bounded,
    check,
    shaped,
    times_of,
)
from adyton.service.access.spaces import OPERATOR_SPACE, login_at
from adyton.service.access.tokentext import (
    RANDOM_BYTES,
    make_token,
    parse_batch,
    token_id,
)
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.dynamic.records import end_with_token
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.userkeys import UserKeys

_SECOND_US: Final = 1_000_000


class Issued(msgspec.Struct, frozen=True):
    """A token with its text, told once, and with what its maker should know.

    One that is renewed has no text here.
    """

    text: str
    token: Token
    warnings: list[str] = []

    def __repr__(self) -> str:
        return "<Issued>"


def new_accessor() -> str:
    """A random name for a token."""
    return secrets.token_urlsafe(18)


def seconds_left(token: Token, now_us: int) -> int:
    """Seconds until a token ends, rounded up; 0 for never."""
    if not token.expires_us:
        return 0
    return max(0, -((now_us - token.expires_us) // _SECOND_US))


class Tokens:
    """Operations on tokens.

    Args:
        core: The open store.
        gate: Holds sessions.
    """

    def __init__(self, core: Core, gate: Gate) -> None:
        self._core = core
        self._gate = gate

    # -- making ---------------------------------------------------------------------------------

    def mint(self, changes: ObjectChanges, token: Token, *, text: str = "", now_us: int) -> Issued:
        """Write a token inside a unit; it counts from the unit's commit on.

        Raises:
            InvalidInput: It is a batch token that would be too long.
        """
        keys = changes.keys
        token.created_us = now_us
        if token.creation_ttl:
            token.expires_us = now_us + token.creation_ttl * _SECOND_US
        if isinstance(token, BatchToken):
            return Issued(batch.seal(keys, token), token)
        text = text or make_token(keys.user, secrets.token_bytes(RANDOM_BYTES))
        ident = token_id(text)
        token.accessor = token.accessor or new_accessor()
        changes.put(TOKENS, ident, token)
        changes.put(ACCESSORS, token.accessor, TokenRef(ident))
        if token.parent:
            changes.put(CHILDREN, ident, TokenRef(ident), token.parent)
        return Issued(text, token)

    async def create(self, caller: Caller, parent: Session, request: TokenRequest) -> Issued:
        """Make a token as a child of another, or an orphan.

        The operator may make one in another namespace: always an orphan, with policies of that
        namespace; its ``root`` allows everything there and nothing elsewhere.

        Raises:
            InvalidInput: A policy is not the parent's to give, or a field breaks a rule.
            AccessDenied: The parent is gone, or may not do this.
        """
        core = self._core
        home = parent.space.user
        user = home if caller is None or caller.user is None else caller.user
        draft = Draft(caller, Action.TOKEN_CREATE)

        async def work(scope: Scope) -> Issued:
            givers = await core.keys_in(scope, home)
            giver = None if givers is None else await TOKENS.get(scope.tx, givers, parent.ident)
            if giver is None:
                raise denied()
            keys = await core.keys_to_write(scope, caller, user, 0)
            role = None
            if request.role:
                role = await TOKEN_ROLES.get(scope.tx, keys, request.role)
                if role is None:
                    raise InvalidInput(f"unknown role {request.role}")
            token, told = shaped(
                request, giver, parent.ident, role, times=times_of(method), foreign=user != home
            )
            chosen = "" if isinstance(token, BatchToken) else request.id
            if chosen and await TOKENS.get(scope.tx, keys, token_id(chosen)) is not None:
                raise InvalidInput("cannot create a token with a duplicate ID")
            changes = ObjectChanges(scope, keys)
            alias = alias_of(request, role)
            if alias and method is not None:
                token.entity = await entity_of_login(changes, scope, method, alias, {})
            issued = self.mint(changes, token, text=chosen, now_us=scope.now_us)
            issued = replace(issued, warnings=told)
            draft.name = token.accessor
            draft.reason = f"policies {', '.join(token.policies)}"[:500]
            await changes.write(draft)
            return issued

        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            batch.refuse(parent.token, "create more tokens")
            if home not in {user, OPERATOR_SPACE}:
                raise denied()
            check(request, user)
            method = await self._gate.method_at(user, request.path)
        return await core.write(draft, work)

    async def create_root(self, caller: Caller, *, text: str = "") -> Issued:
        """Make a root token of the operator's namespace; for whoever initialises a store.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        core = self._core
        draft = Draft(caller, Action.TOKEN_CREATE, user_id=OPERATOR_SPACE)
        async with core.guard(draft):
            core.authorise_operator(caller)

        async def work(scope: Scope) -> Issued:
            keys = await core.keys_to_write(scope, caller, OPERATOR_SPACE, 0)
            token = Token(
                "",
                policies=[ROOT_NAME],
                path="auth/token/root",
                display_name="root",
                method=TOKEN_METHOD,
            )
            changes = ObjectChanges(scope, keys)
            issued = self.mint(changes, token, text=text, now_us=scope.now_us)
            ident = token_id(issued.text)
            scope.after_commit(lambda: self._gate.sessions.forget(ident))
            draft.name = token.accessor
            await changes.write(draft)
            return issued

        return await core.write(draft, work)

    # -- finding --------------------------------------------------------------------------------

    async def find(
        self, caller: Caller, user: str, *, text: str = "", accessor: str = ""
    ) -> tuple[str, Token]:
        """A live token of a namespace by its text or accessor, with its id.

        Raises:
            AccessDenied: There is no token of that text.
            InvalidInput: There is none of that accessor.
        """
        core = self._core
        draft = Draft(caller, Action.TOKEN_LOOKUP)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            keys = await core.keys(draft.user_id)
            found = None
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await self._find(rows, keys, text, accessor)
            if found is not None and not await self._gate.sessions.from_here(found[1], user):
                found = None
            if found is None:
                raise InvalidInput("invalid accessor") if accessor else AccessDenied("bad token")
            draft.keys = keys
            draft.name = found[1].accessor
        await core.record(draft)
        return found

    async def record_lookup(self, caller: Caller, session: Session) -> None:
        """Record that a session was told of itself."""
        core = self._core
        draft = Draft(caller, Action.TOKEN_LOOKUP, name=session.token.accessor)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, session.space.user)
            draft.keys = await core.keys(draft.user_id)
        await core.record(draft)

    async def _find(
        self, rows: Rows, keys: UserKeys, text: str, accessor: str
    ) -> tuple[str, Token] | None:
        ident, sealed = token_id(text), parse_batch(text)
        if accessor:
            ref = await ACCESSORS.get(rows, keys, accessor)
            if ref is None:
                return None
            ident, sealed = ref.id, None
        token = await self._gate.sessions.read(rows, keys, ident, text, sealed)
        if token is None or token.num_uses < 0:
            return None
        ends_us = await batch.end_of(rows, keys, token)
        if ends_us and ends_us <= self._core.clock.now_us():
            return None
        return ident, token

    async def accessors(self, caller: Caller, user: str) -> list[str]:
        """Accessors of all live tokens of a namespace."""
        core = self._core
        draft = Draft(caller, Action.ACCESS_LIST, name="auth/token/accessors")
        found: list[str] = []
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = await core.keys(draft.user_id)
            if draft.keys is not None:
                now = core.clock.now_us()
                async with core.storage.snapshot() as rows:
                    tokens = await TOKENS.all(rows, draft.keys)
                found = [
                    t.accessor for t in tokens.values() if not t.expires_us or t.expires_us > now
                ]
        await core.record(draft)
        return sorted(found)

    # -- renewing -------------------------------------------------------------------------------

    async def renew(self, caller: Caller, user: str, ident: str, increment: int) -> Issued:
        """Give a token more time, within its bounds.

        Args:
            caller: Who asks.
            user: Whose namespace.
            ident: The token's id.
            increment: Seconds from now; 0 for as many as it was first given.

        Raises:
            InvalidInput: The token is not renewable.
            AccessDenied: It is gone.
        """
        core = self._core
        draft = Draft(caller, Action.TOKEN_RENEW)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> Issued:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            token = await TOKENS.get(scope.tx, keys, ident)
            now = scope.now_us
            if token is None or (token.expires_us and token.expires_us <= now):
                raise denied()
            if not token.renewable or not token.expires_us:
                raise InvalidInput("lease is not renewable")
            longest = times_of(await login_at(scope.tx, keys, token.path)).longest
            if token.period:
                seconds, told = bounded(token.period, longest, "period")
                end = now + seconds * _SECOND_US
            else:
                seconds, told = bounded(increment or token.creation_ttl, longest)
                end = min(now + seconds * _SECOND_US, token.created_us + longest * _SECOND_US)
            if token.explicit_max_ttl:
                end = min(end, token.created_us + token.explicit_max_ttl * _SECOND_US)
            token.expires_us = max(end, now)
            token.renewed_us = now
            changes = ObjectChanges(scope, keys)
            changes.put(TOKENS, ident, token)
            draft.name = token.accessor
            scope.after_commit(lambda: self._gate.sessions.forget(ident))
            await changes.write(draft)
            return Issued("", token, told)

        return await core.write(draft, work)

    # -- revoking -------------------------------------------------------------------------------

    async def revoke(
        self, caller: Caller, user: str, ident: str, *, orphan_children: bool = False
    ) -> None:
        """End a token with all that it made, or leave its children as orphans.

        No error if it is gone already.
        """
        core = self._core
        draft = Draft(caller, Action.TOKEN_REVOKE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            await self.revoke_in(scope, keys, ident, draft, orphan_children=orphan_children)

        await core.write(draft, work)

    async def revoke_in(
        self,
        scope: Scope,
        keys: UserKeys,
        ident: str,
        draft: Draft,
        *,
        orphan_children: bool = False,
    ) -> None:
        """End a token inside a unit, with one record for it and for each that ends with it."""
        token = await TOKENS.get(scope.tx, keys, ident)
        if token is None:
            scope.record(draft)
            return
        changes = ObjectChanges(scope, keys)
        if token.parent and await CHILDREN.get(scope.tx, keys, ident, token.parent) is not None:
            changes.delete(CHILDREN, ident, token.parent)
        pending = [(ident, token)]
        while pending:
            at, ended = pending.pop()
            for child in await CHILDREN.all(scope.tx, keys, at):
                changes.delete(CHILDREN, child, at)
                found = await TOKENS.get(scope.tx, keys, child)
                if found is None:
                    continue
                if orphan_children:
                    found.parent = ""
                    changes.put(TOKENS, child, found)
                else:
                    pending.append((child, found))
                await self._split(changes, draft)
            for name in await CUBBYHOLE.all(scope.tx, keys, at):
                changes.delete(CUBBYHOLE, name, at)
                await self._split(changes, draft)
            changes.delete(TOKENS, at)
            await end_with_token(scope, keys, at)
            if await ACCESSORS.get(scope.tx, keys, ended.accessor) is not None:
                changes.delete(ACCESSORS, ended.accessor)
            scope.after_commit(lambda gone=at: self._gate.sessions.forget(gone))  # type: ignore[misc]
            await self._split(changes, draft, ended.accessor, force=True)

    @staticmethod
    async def _split(
        changes: ObjectChanges, draft: Draft, accessor: str = "", *, force: bool = False
    ) -> None:
        if force or len(changes) >= ObjectChanges.MOST:
            part = Draft(draft.caller, draft.action, user_id=draft.user_id, name=accessor)
            await changes.write(part)


@lru_cache(maxsize=4_096)
def iso(us: int) -> str | None:
    """A time as Vault writes it; None for never."""
    if not us:
        return None
    return dt.datetime.fromtimestamp(us / _SECOND_US, dt.UTC).isoformat().replace("+00:00", "Z")
