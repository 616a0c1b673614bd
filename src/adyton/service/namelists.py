"""The names of a user's secrets, opened and sorted, for listings.

To open a thousand names takes a thousand times as long as to find the list of them here. A list
holds as long as no name has come or gone, which the storage counts (``Storage.names_version``).
Whoever asks while the list is being made waits for it, rather than making another beside it: each
would hold a reading connection and its pages.
"""

import asyncio
import threading
from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from adyton.ports import Storage
from adyton.service.ticket import Aside, Pause, resolve
from adyton.service.userkeys import UserKeys

_LIMIT: Final = 500_000
"""Names and members of folders kept for all users together."""
_STEP: Final = 2_000


class NameList:
    """All names of one user at one moment.

    Args:
        keys: The user's keys.
        version: What the storage counted before the names were read.
        names: The names, sorted.
    """

    __slots__ = ("_folders", "keys", "names", "size", "version")

    def __init__(self, keys: UserKeys, version: int, names: list[str]) -> None:
        self.keys = keys
        self.version = version
        self.names = names
        self.size = len(names)
        self._folders: dict[str, tuple[int, list[str]]] = {}

    def __repr__(self) -> str:
        return "<NameList>"

    async def folder(self, prefix: str) -> tuple[int, list[str]]:
        """How many names begin with a prefix, and what comes next in them; not to be changed.

        What comes next is the rest of the name, or its first segment with the slash behind it;
        each once, sorted.
        """
        found = self._folders.get(prefix)
        if found is None:
            found = self._folders[prefix] = await self._look(prefix)
            self.size += len(found[1])
        return found

    async def seen(self, prefix: str, visible: Callable[[str], bool]) -> tuple[int, list[str]]:
        """The same of what is visible alone; not kept."""
        return await self._look(prefix, visible)

    async def _look(
        self, prefix: str, visible: Callable[[str], bool] | None = None
    ) -> tuple[int, list[str]]:
        names, heads = self.names, set()
        first = at = bisect_left(names, prefix)
        while at < len(names) and names[at].startswith(prefix):
            if visible is None or visible(names[at]):
                head, slash, _ = names[at][len(prefix) :].partition("/")
                heads.add(head + slash)
            at += 1
            if at % _STEP == 0:
                await Pause()
        return at - first, sorted(heads)


class Turn(Aside[None]):
    """Waiting until another one has made a list.

    Attributes:
        own: Whether it would be for ever: a thread is to wait for what it has under way itself.
    """

    def __init__(self, maker: int) -> None:
        super().__init__()
        self.own = False
        self._maker = maker

    def attach(
        self, waiter: Callable[[], None], loop: asyncio.AbstractEventLoop | None = None
    ) -> bool:
        """As any ticket's; the thread that makes the list is not let wait."""
        self.own = loop is None and threading.get_ident() == self._maker
        return not self.own and super().attach(waiter, loop)


class NameLists:
    """Lists that were made lately.

    Args:
        storage: Counts the changes.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lists: dict[bytes, NameList] = {}
        self._making: dict[bytes, tuple[int, list[Turn]]] = {}
        self._lock = threading.Lock()

    def find(self, keys: UserKeys) -> NameList | None:
        """A user's list, if it still holds."""
        found = self._lists.get(keys.user)
        if found is None or found.keys is not keys:
            return None
        return found if found.version == self._storage.names_version(keys.user) else None

    def begin(self, user: bytes) -> Turn | None:
        """Begin to make a user's list, and :meth:`end` it, whatever happens; or wait for another.

        Returns:
            None to begin, or what to wait for before looking again. If that is one's own, make a
            list beside, without an end.
        """
        with self._lock:
            making = self._making.get(user)
            if making is None:
                self._making[user] = (threading.get_ident(), [])
                return None
            maker, waiting = making
            turn = Turn(maker)
            waiting.append(turn)
            return turn

    def end(self, user: bytes) -> None:
        """Let those look again who wait for a list that was begun."""
        with self._lock:
            _, waiting = self._making.pop(user)
        resolve(waiting)

    def keep(self, made: NameList) -> None:
        """Keep a list."""
        self._lists.pop(made.keys.user, None)
        if sum(kept.size for kept in self._lists.values()) + made.size > _LIMIT:
            self._lists.clear()
        self._lists[made.keys.user] = made

    def clear(self) -> None:
        """Forget all, as when a user's keys are destroyed."""
        self._lists.clear()
