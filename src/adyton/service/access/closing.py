"""What ends with a login method that is disabled: its tokens, and all it kept."""

from typing import Final

from adyton.actions import Action
from adyton.model import Caller
from adyton.service.access.leases import Leases
from adyton.service.access.records import (
    APPROLE_IDS,
    APPROLES,
    ENTITY_ALIASES,
    PASSWORD_USERS,
    SECRET_ACCESSORS,
    SECRET_IDS,
    Mount,
)
from adyton.service.access.tokens import Tokens
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges, Shelf

_OF_MOUNT: Final[tuple[Shelf[object], ...]] = (
    APPROLES, APPROLE_IDS, PASSWORD_USERS, ENTITY_ALIASES,
)  # type: ignore[assignment] # fmt: skip
_OF_ROLE: Final[tuple[Shelf[object], ...]] = (SECRET_IDS, SECRET_ACCESSORS)  # type: ignore[assignment]


async def close_login(core: Core, tokens: Tokens, caller: Caller, user: str, mount: Mount) -> None:
    """End the tokens that a login method gave, and erase what it kept."""
    draft = Draft(caller, Action.ACCESS_DELETE, name=f"auth/{mount.path}")
    async with core.guard(draft):
        draft.user_id = core.authorise(caller, user)

    async def work(scope: Scope) -> None:
        keys = await core.keys_in(scope, draft.user_id)
        if keys is None:
            return
        changes = ObjectChanges(scope, keys)
        places = [(shelf, mount.accessor) for shelf in _OF_MOUNT]
        for role in await APPROLES.all(scope.tx, keys, mount.accessor):
            places += [(shelf, f"{mount.accessor}/{role}") for shelf in _OF_ROLE]
        for shelf, folder in places:
            for ident in await shelf.all(scope.tx, keys, folder):
                changes.delete(shelf, ident, folder)
                if len(changes) >= ObjectChanges.MOST:
                    await changes.write(
                        Draft(caller, Action.ACCESS_DELETE, user_id=user, name=draft.name)
                    )
        await changes.write(draft)

    await core.write(draft, work)
    # Behind that: from here on nobody logs in, so none of the method's tokens is missed.
    await Leases(core, tokens).revoke_prefix(caller, user, f"auth/{mount.path}")
