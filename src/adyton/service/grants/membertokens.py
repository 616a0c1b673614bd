"""Tokens that members act by without a login of their own."""

from adyton.actions import Action
from adyton.errors import InvalidInput
from adyton.model import Caller, UserId
from adyton.service.access.records import DEFAULT_TTL, Token
from adyton.service.access.shaping import TOKEN_METHOD
from adyton.service.access.spaces import DEFAULT_POLICY
from adyton.service.access.tokens import Issued, Tokens
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.grants.members import MEMBERS_PATH
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.secretmeta import not_found

_SHOWN = 128


class MemberTokens:
    """Makes tokens for members.

    Args:
        core: The open store.
        tokens: Makes tokens.
    """

    def __init__(self, core: Core, tokens: Tokens) -> None:
        self._core = core
        self._tokens = tokens

    async def create(self, caller: Caller, user: UserId, name: str, seconds: int = 0) -> Issued:
        """Make a token that is a member's: it has the member's grants, and no policy of its own.

        Args:
            caller: Who asks.
            user: The owner.
            name: The member.
            seconds: How long it lives; 0 for the longest time.

        Raises:
            SecretNotFound: There is no such member.
            InvalidInput: The member is another user, who logs in at home.
        """
        core = self._core
        draft = Draft(caller, Action.TOKEN_CREATE, name=MEMBERS_PATH + name[:_SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> Issued:
            if await core.keys_in(scope, draft.user_id) is None:
                raise not_found()
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            member = (await core.books.in_unit(scope, keys)).members.get(name)
            if member is None:
                raise not_found()
            if not member.entities:
                raise InvalidInput("this member is another user, who logs in at home")
            ttl = min(seconds or DEFAULT_TTL, DEFAULT_TTL)
            token = Token(
                "", policies=[DEFAULT_POLICY], path="auth/token/create", creation_ttl=ttl,
                display_name=f"member-{name}"[:_SHOWN], method=TOKEN_METHOD,
                entity=member.entities[0],
            )  # fmt: skip
            changes = ObjectChanges(scope, keys)
            issued = self._tokens.mint(changes, token, now_us=scope.now_us)
            draft.reason = f"token {token.accessor}"
            await changes.write(draft)
            return issued

        return await core.write(draft, work)
