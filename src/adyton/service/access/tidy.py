"""Removing what has ended: tokens with all they hold, SecretIDs, links, shares, grants, answers."""

from typing import Final

from adyton.actions import Action
from adyton.model import Caller
from adyton.service.access.records import (
    APPROLES,
    SECRET_ACCESSORS,
    SECRET_IDS,
    TOKENS,
)
from adyton.service.access.spaces import Spaces
from adyton.service.access.tokens import Tokens
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.grants.leaving import forget_grants
from adyton.service.journal import Draft
from adyton.service.links import forget_links
from adyton.service.objects import ObjectChanges
from adyton.service.once import forget_answers
from adyton.service.sharing.tidying import forget_shares
from adyton.service.userkeys import UserKeys

_PAGE: Final = 200
_BATCH: Final = 50


class Tidy:
    """Goes over all namespaces.

    Args:
        core: The open store.
        spaces: Their mounts.
        tokens: Ends tokens.
    """

    def __init__(self, core: Core, spaces: Spaces, tokens: Tokens) -> None:
        self._core = core
        self._spaces = spaces
        self._tokens = tokens

    async def run(self, caller: Caller) -> int:
        """Remove what has ended, in bounded batches.

        A token whose uses are over has ended too. Each removal is recorded.

        Returns:
            How many tokens, SecretIDs, links, shares, grants and answers were removed.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        core = self._core
        core.authorise_operator(caller)
        removed = 0
        after = b""
        while True:
            async with core.storage.snapshot() as rows:
                page = await rows.users(after, _PAGE)
            if not page:
                return removed
            for row in page:
                async with core.storage.snapshot() as rows:
                    keys = await core.ring.load_open(rows, row.user)
                if keys is not None:
                    removed += await self._user(caller, keys)
            after = page[-1].user

    async def space(self, caller: Caller, user: str) -> int:
        """Remove what has ended in one namespace; how much it was."""
        core = self._core
        draft = Draft(caller, Action.TOKEN_REVOKE, reason="tidy")
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = await core.keys(draft.user_id)
        await core.record(draft)
        return 0 if draft.keys is None else await self._user(caller, draft.keys)

    async def _user(self, caller: Caller, keys: UserKeys) -> int:
        core = self._core
        now = core.clock.now_us()
        async with core.storage.snapshot() as rows:
            tokens = await TOKENS.all(rows, keys)
        ended = [
            ident
            for ident, token in tokens.items()
            if token.num_uses < 0 or 0 < token.expires_us <= now
        ]
        for at in range(0, len(ended), _BATCH):
            await self._end_tokens(caller, keys.user_id, ended[at : at + _BATCH])
        count = len(ended)
        space = await self._spaces.get(keys.user_id)
        for mount in space.table.logins:
            if mount.type == "approle":
                count += await self._secret_ids(caller, keys, mount.accessor)
        count += await forget_links(core, caller, keys.user_id)
        count += await forget_shares(core, caller, keys.user_id)
        count += await forget_grants(core, caller, keys.user_id)
        return count + await forget_answers(core, caller, keys.user_id)

    async def _end_tokens(self, caller: Caller, user: str, idents: list[str]) -> None:
        core = self._core

        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, user)
            for ident in idents if keys is not None else ():
                draft = Draft(caller, Action.TOKEN_REVOKE, keys, user, reason="ended")
                token = await TOKENS.get(scope.tx, keys, ident) if keys is not None else None
                # It may have been renewed meanwhile.
                over = token and (token.num_uses < 0 or 0 < token.expires_us <= scope.now_us)
                if keys is not None and over:
                    await self._tokens.revoke_in(scope, keys, ident, draft)

        await core.write(Draft(caller, Action.TOKEN_REVOKE, user_id=user), work)

    async def _secret_ids(self, caller: Caller, keys: UserKeys, accessor: str) -> int:
        core = self._core
        count = 0
        async with core.storage.snapshot() as rows:
            roles = list(await APPROLES.all(rows, keys, accessor))
        for role in roles:
            folder = f"{accessor}/{role}"
            async with core.storage.snapshot() as rows:
                found = await SECRET_IDS.all(rows, keys, folder)
            now = core.clock.now_us()
            ended = [ident for ident, secret in found.items() if 0 < secret.expires_us <= now]
            for at in range(0, len(ended), _BATCH):
                batch = ended[at : at + _BATCH]
                await self._end_secret_ids(caller, keys.user_id, folder, batch)
            count += len(ended)
        return count

    async def _end_secret_ids(
        self, caller: Caller, user: str, folder: str, idents: list[str]
    ) -> None:
        core = self._core
        draft = Draft(caller, Action.ACCESS_DELETE, user_id=user, reason="ended SecretIDs")

        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, user)
            if keys is None:
                return
            changes = ObjectChanges(scope, keys)
            for ident in idents:
                secret = await SECRET_IDS.get(scope.tx, keys, ident, folder)
                if secret is not None:
                    changes.delete(SECRET_IDS, ident, folder)
                    changes.delete(SECRET_ACCESSORS, secret.accessor, folder)
            await changes.write(draft)

        await core.write(draft, work)
