"""Response wrapping and cubbyholes: values that one token alone may take."""

from typing import Final

from adyton.actions import Action
from adyton.errors import InvalidInput, SecretNotFound
from adyton.model import Caller
from adyton.service.access.batch import BatchToken
from adyton.service.access.gate import Request
from adyton.service.access.records import CUBBYHOLE, TOKENS, CubbyholeEntry, Token
from adyton.service.access.sessions import Session
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.access.tokens import Issued, Tokens
from adyton.service.access.tokentext import parse_token, token_id
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.userkeys import UserKeys

_RESPONSE: Final = "response"
_POLICY: Final = "response-wrapping"
MAX_WRAP_SECONDS: Final = 32 * 86_400


def invalid_wrapping() -> InvalidInput:
    """The one refusal of a wrapping token that was used, has expired, or never was."""
    return InvalidInput("wrapping token is not valid or does not exist")


class Wrapping:
    """Wraps responses, each for one taking.

    Args:
        core: The open store.
        tokens: Makes tokens.
    """

    def __init__(self, core: Core, tokens: Tokens) -> None:
        self._core = core
        self._tokens = tokens

    async def wrap(
        self, caller: Caller, user: str, response: bytes, seconds: int, path: str
    ) -> Issued:
        """Keep a response under a fresh token, which opens it once within its time.

        Raises:
            InvalidInput: The time is not between one second and the limit.
        """
        core = self._core
        draft = Draft(caller, Action.ACCESS_WRAP)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            if not 0 < seconds <= MAX_WRAP_SECONDS:
                raise InvalidInput(f"a wrapping TTL is 1 to {MAX_WRAP_SECONDS} seconds")

        async def work(scope: Scope) -> Issued:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            return await self._put(scope, keys, draft, response, seconds, path)

        return await core.write(draft, work)

    async def _put(
        self,
        scope: Scope,
        keys: UserKeys,
        draft: Draft,
        response: bytes,
        seconds: int,
        path: str,
    ) -> Issued:
        changes = ObjectChanges(scope, keys)
        token = Token(
            "",
            policies=[_POLICY],
            path=path,
            creation_ttl=seconds,
            explicit_max_ttl=seconds,
            num_uses=1,
            renewable=False,
            wraps=path,
        )
        issued = self._tokens.mint(changes, token, now_us=scope.now_us)
        changes.put(CUBBYHOLE, _RESPONSE, CubbyholeEntry(response), token_id(issued.text))
        draft.name = issued.token.accessor
        await changes.write(draft)
        return issued

    async def lookup(self, text: str, origin: Request) -> Token:
        """What is known of a wrapped response; takes nothing of it.

        Raises:
            InvalidInput: It is gone, or never was.
        """
        caller, keys = await self._owner(text, origin)
        async with self._core.storage.snapshot() as rows:
            token = await TOKENS.get(rows, keys, token_id(text))
        draft = Draft(caller, Action.TOKEN_LOOKUP, keys, keys.user_id)
        if token is None or not token.wraps or token.expires_us <= self._core.clock.now_us():
            raise await self._core.refuse(draft, invalid_wrapping())
        draft.name = token.accessor
        await self._core.record(draft)
        return token

    async def unwrap(self, text: str, origin: Request) -> bytes:
        """Take a response; it is gone from the store before it is released.

        Raises:
            InvalidInput: It has been taken, has expired, or never was.
        """
        caller, keys = await self._owner(text, origin)
        draft = Draft(caller, Action.ACCESS_UNWRAP, keys, keys.user_id)

        async def work(scope: Scope) -> bytes:
            response, _ = await self._take(scope, caller, draft, text)
            return response

        return await self._core.write(draft, work)

    async def rewrap(self, text: str, origin: Request) -> Issued:
        """Move a response that nobody has taken under a fresh token, for the same time anew.

        Raises:
            InvalidInput: As :meth:`unwrap`.
        """
        caller, keys = await self._owner(text, origin)
        draft = Draft(caller, Action.ACCESS_WRAP, keys, keys.user_id)

        async def work(scope: Scope) -> Issued:
            taken = Draft(caller, Action.ACCESS_UNWRAP, keys, keys.user_id)
            response, token = await self._take(scope, caller, taken, text)
            now = await self._core.keys_to_write(scope, caller, keys.user_id, 0)
            return await self._put(scope, now, draft, response, token.creation_ttl, token.wraps)

        return await self._core.write(draft, work)

    async def _take(
        self, scope: Scope, caller: Caller, draft: Draft, text: str
    ) -> tuple[bytes, Token]:
        core = self._core
        keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
        ident = token_id(text)
        token = await TOKENS.get(scope.tx, keys, ident)
        if token is None or not token.wraps or token.expires_us <= scope.now_us:
            raise invalid_wrapping()
        kept = await CUBBYHOLE.get(scope.tx, keys, _RESPONSE, ident)
        if kept is None:
            raise invalid_wrapping()
        draft.name = token.accessor
        await self._tokens.revoke_in(scope, keys, ident, draft)
        return kept.data, token

    async def _owner(self, text: str, origin: Request) -> tuple[Caller, UserKeys]:
        core = self._core
        index = parse_token(text)
        if index is None:
            index = core.ring.user_index(OPERATOR_SPACE)
        async with core.storage.snapshot() as rows:
            keys = await core.ring.load_index(rows, index)
        if keys is None:
            caller = _taker(None, origin)
            raise await core.refuse(Draft(caller, Action.ACCESS_UNWRAP), invalid_wrapping())
        return _taker(keys.user_id, origin), keys


def _taker(user: str | None, origin: Request) -> Caller:
    """Whoever holds a wrapping token: it decides by itself."""
    return Caller(
        "(wrapping token)",
        user,
        origin.address,
        origin.request_id,
        decision=f"allow:{_POLICY}",
    )


class Cubbyhole:
    """Values that live and die with one token.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    @staticmethod
    def place_of(session: Session) -> tuple[str, str]:
        """Where a token's own values are: its namespace, and its id.

        Raises:
            InvalidInput: It is a batch token, which has none.
        """
        if isinstance(session.token, BatchToken):
            raise InvalidInput("cubbyhole operations are only supported by 'service' type tokens")
        return session.space.user, session.ident

    async def read(self, caller: Caller, user: str, ident: str, path: str) -> bytes:
        """A value's JSON text.

        Raises:
            SecretNotFound: There is none.
        """
        core = self._core
        draft = Draft(caller, Action.ACCESS_READ, name=f"cubbyhole/{path}")
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            keys = await core.keys(draft.user_id)
            found = None
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await CUBBYHOLE.get(rows, keys, path, ident)
            if found is None:
                raise SecretNotFound("there is no such value")
            draft.keys = keys
        await core.record(draft)
        return found.data

    async def names(self, caller: Caller, user: str, ident: str) -> list[str]:
        """Paths of all values."""
        core = self._core
        draft = Draft(caller, Action.ACCESS_LIST, name="cubbyhole/")
        found: list[str] = []
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = await core.keys(draft.user_id)
            if draft.keys is not None:
                async with core.storage.snapshot() as rows:
                    found = list(await CUBBYHOLE.all(rows, draft.keys, ident))
        await core.record(draft)
        return found

    async def write(
        self, caller: Caller, user: str, ident: str, path: str, data: bytes | None
    ) -> None:
        """Write a value, or erase it (None); no error where there is none."""
        core = self._core
        action = Action.ACCESS_DELETE if data is None else Action.ACCESS_WRITE
        draft = Draft(caller, action, name=f"cubbyhole/{path}")
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            token = await TOKENS.get(scope.tx, keys, ident)
            changes = ObjectChanges(scope, keys)
            if token is not None and data is not None:
                changes.put(CUBBYHOLE, path, CubbyholeEntry(data), ident)
            elif data is None and await CUBBYHOLE.get(scope.tx, keys, path, ident) is not None:
                changes.delete(CUBBYHOLE, path, ident)
            await changes.write(draft)

        await core.write(draft, work)
