"""The namespaces of a store, for its operator."""

import datetime as dt
from typing import Final, NamedTuple

from adyton.model import Action, Caller, from_us
from adyton.service.core import Core
from adyton.service.journal import Draft

_PAGE: Final = 500


class UserInfo(NamedTuple):
    """One namespace.

    Attributes:
        user: The user id.
        created_at: When the first secret was written, UTC.
        secrets: How many secrets there are.
    """

    user: str
    created_at: dt.datetime
    secrets: int


class Users:
    """Operations on namespaces.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

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
                        keys = await core.ring.load_index(rows, row.user)
                        if keys is not None:
                            count = await rows.count_secrets(row.user)
                            found.append(UserInfo(keys.user_id, from_us(row.created_us), count))
                    after = page[-1].user
        await core.record(draft)
        return sorted(found)
