"""Leases of tokens: the same tokens, named by where they were made and by their accessor.

Nothing else here has a lease. A lease's id gives no right: it is looked up among the tokens of
one namespace, and only tokens that end have one.
"""

from typing import Final

from adyton.actions import Action
from adyton.errors import AdytonError, InvalidInput
from adyton.model import Caller
from adyton.service.access.records import TOKENS, Token
from adyton.service.access.shelves import record_path
from adyton.service.access.tokens import Tokens
from adyton.service.core import Core
from adyton.service.journal import Draft

NOT_FOUND: Final = "lease not found"


class Leases:
    """Operations on leases.

    Args:
        core: The open store.
        tokens: Ends tokens.
    """

    def __init__(self, core: Core, tokens: Tokens) -> None:
        self._core = core
        self._tokens = tokens

    async def names(self, caller: Caller, user: str, prefix: str, path: str) -> list[str]:
        """What a listing of a folder of leases shows.

        Args:
            caller: Who asks.
            user: Whose namespace.
            prefix: The folder; empty for all.
            path: The request's path, for the record.
        """
        await record_path(self._core, caller, user, Action.ACCESS_LIST, path)
        folder = prefix.strip("/") + "/" if prefix.strip("/") else ""
        found = set()
        for lease in await self._all(caller, user):
            if lease.startswith(folder):
                head, slash, _ = lease[len(folder) :].partition("/")
                found.add(head + slash)
        return sorted(found)

    async def find(self, caller: Caller, user: str, lease: str) -> tuple[str, Token]:
        """The live token of a lease, with its id.

        Raises:
            InvalidInput: There is none.
        """
        path, _, accessor = lease.rpartition("/")
        try:
            ident, token = await self._tokens.find(caller, user, accessor=accessor or "?")
        except InvalidInput:
            raise InvalidInput("invalid lease") from None
        if token.path != path or not token.expires_us:
            raise InvalidInput("invalid lease")
        return ident, token

    async def refuse_renewal(self, caller: Caller, user: str, lease: str) -> AdytonError:
        """Why a lease is not renewed: a token renews itself, or by its own endpoint.

        A right on leases is a part of the default policy; it must not keep others' tokens alive.
        """
        try:
            await self.find(caller, user, lease)
        except InvalidInput:
            return InvalidInput(NOT_FOUND)
        return InvalidInput("tokens cannot be renewed through this endpoint")

    async def revoke(self, caller: Caller, user: str, lease: str) -> None:
        """End a lease's token with all that it made. No error if there is none."""
        try:
            ident, _ = await self.find(caller, user, lease)
        except InvalidInput:
            return
        await self._tokens.revoke(caller, user, ident)

    async def revoke_prefix(self, caller: Caller, user: str, prefix: str) -> None:
        """End all tokens that were made at a path, or below it."""
        folder = prefix.strip("/") + "/"
        core = self._core
        draft = Draft(caller, Action.TOKEN_REVOKE, name=f"{folder}*"[:500])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
        await core.record(draft)
        for lease, ident in (await self._all(caller, user)).items():
            if lease.startswith(folder):
                await self._tokens.revoke(caller, user, ident)

    async def _all(self, caller: Caller, user: str) -> dict[str, str]:
        """Ids of tokens by their leases."""
        core = self._core
        keys = await core.keys(core.authorise(caller, user))
        if keys is None:
            return {}
        now = core.clock.now_us()
        async with core.storage.snapshot() as rows:
            tokens = await TOKENS.all(rows, keys)
        return {
            f"{token.path}/{token.accessor}": ident
            for ident, token in tokens.items()
            if token.expires_us > now and not token.wraps
        }
