"""The namespaces of a store, for its operator."""

from typing import Final

from adyton.actions import Action
from adyton.errors import UserRootAway
from adyton.model import Caller, from_us
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.keyadmin import KeyAdmin
from adyton.service.userkeys import UserKeys
from adyton.service.userroot.records import Kept, kept_of
from adyton.values import Health, UserInfo

_PAGE: Final = 500


class Users:
    """Operations on namespaces.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def health(self, caller: Caller) -> Health:
        """A look at the store; reads no user's data."""
        core = self._core
        draft = Draft(caller, Action.STORE_HEALTH)
        async with core.guard(draft):
            core.authorise_operator(caller)
            problems = await core.storage.check()
            async with core.storage.snapshot() as rows:
                retired = len(await rows.users_with_retired_keys(b"", 1_000_000))
            state = core.commit.state
            found = Health(
                problems,
                core.root.describe(),
                state.size,
                state.checkpoint_size,
                retired,
                KeyAdmin(core).master_due(),
            )
        await core.record(draft)
        return found

    async def list_users(self, caller: Caller) -> list[UserInfo]:
        """All namespaces, in order of the user id."""
        core = self._core
        draft = Draft(caller, Action.USER_LIST)
        found: list[UserInfo] = []
        async with core.guard(draft):
            core.authorise_operator(caller)
            async with core.storage.snapshot() as rows:
                after = b""
                while page := await rows.users(after, _PAGE):
                    for row in page:
                        keys: UserKeys | Kept | None
                        try:
                            keys = await core.ring.load_index(rows, row.user)
                        except UserRootAway:
                            keys = await kept_of(rows, core.ring, row.user)
                        if keys is not None:
                            count = await rows.count_secrets(row.user)
                            found.append(UserInfo(keys.user_id, from_us(row.created_us), count))
                    after = page[-1].user
        await core.record(draft)
        return sorted(found)
