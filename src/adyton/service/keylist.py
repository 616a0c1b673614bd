"""The keys of a store as they are listed: versions, age and use."""

from typing import Final

from adyton.actions import Action
from adyton.errors import UserRootAway
from adyton.model import Caller, from_us
from adyton.ports import Rows
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.userkeys import UserKeys
from adyton.service.userroot.records import Kept, kept_of
from adyton.values import KeyInfo

_USERS: Final = 100


class KeyList:
    """Lists keys.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def list_keys(self, caller: Caller) -> list[KeyInfo]:
        """The versions of the master key and of every user's keys, with age and use."""
        core = self._core
        draft = Draft(caller, Action.KEYS_LIST)
        found: list[KeyInfo] = []
        async with core.guard(draft):
            core.authorise_operator(caller)
            async with core.storage.snapshot() as rows:
                for master in await rows.master_keys():
                    current = master.version == core.ring.master_current
                    found.append(
                        KeyInfo(
                            "",
                            master.version,
                            from_us(master.created_us),
                            current,
                            core.ring.master_wraps if current else 0,
                            core.limits.master_key_days,
                        )
                    )
                after = b""
                while page := await rows.users(after, _USERS):
                    for user in page:
                        found.extend(await self._user_infos(rows, user.user))
                    after = page[-1].user
        await core.record(draft)
        return found

    async def _user_infos(self, rows: Rows, user: bytes) -> list[KeyInfo]:
        core = self._core
        opened: UserKeys | Kept | None
        try:
            opened = await core.ring.load_index(rows, user)
        except UserRootAway:
            opened = await kept_of(rows, core.ring, user)
        if opened is None:
            return []
        cached = core.ring.cached(opened.user_id)
        return [
            KeyInfo(
                opened.user_id,
                row.version,
                from_us(row.created_us),
                not row.retired,
                cached.wraps if cached and not row.retired else row.wraps,
                core.limits.user_key_days,
            )
            for row in await rows.user_keys(user)
        ]
