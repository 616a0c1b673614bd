"""Shares that were opened lately, found by their exact ciphertexts.

What is kept is used only for the same boxes at the same places under the same keys: opening those
again could give nothing else. What is in here is shared, and never changed.
"""

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias

from adyton.rows import ObjectRow
from adyton.service.sharing.records import ITEMS, RECEIVED, Item, Received
from adyton.service.sharing.wraps import Contexts, contexts_of
from adyton.service.userkeys import UserKeys

_LIMIT: Final = 16_384

_Load: TypeAlias = Callable[[bytes, bytes, bytes], Awaitable[ObjectRow | None]]
_Place: TypeAlias = tuple[bytes, bytes]


class Found(NamedTuple):
    """A secret of a share, as its receiver has it.

    Attributes:
        received: The share.
        item: The secret in it.
        contexts: What its data key and value are bound to.
    """

    received: Received
    item: Item
    contexts: Contexts


class _Kept(NamedTuple):
    """What was found, where, and from which boxes."""

    share_place: _Place
    item_place: _Place
    share_row: ObjectRow
    item_row: ObjectRow
    found: Found


class OpenedShares:
    """Shares by their receiver's keys, their ids and the secret's name."""

    def __init__(self) -> None:
        self._kept: dict[tuple[UserKeys, str, str], _Kept] = {}

    async def find(self, load: _Load, keys: UserKeys, share: str, name: str) -> Found | None:
        """A share with one of its secrets, if it was opened before and is what it was then.

        Args:
            load: Reads a stored object.
            keys: The receiver's keys.
            share: The share's id.
            name: The secret's name; empty where the share is of one.
        """
        kept = self._kept.get((keys, share, name))
        if kept is None:
            return None
        user = keys.user
        if await load(user, *kept.share_place) != kept.share_row:
            return None
        if await load(user, *kept.item_place) != kept.item_row:
            return None
        return kept.found

    def keep(
        self,
        keys: UserKeys,
        share: str,
        name: str,
        rows: tuple[ObjectRow, ObjectRow],
        received: Received,
        item: Item,
    ) -> Found:
        """Keep a share with one of its secrets, as it was opened from two rows."""
        found = Found(received, item, contexts_of(keys, received.owner_index, item))
        if len(self._kept) >= _LIMIT:
            self._kept.clear()
        self._kept[keys, share, name] = _Kept(
            RECEIVED.place(keys, share), ITEMS.place(keys, item.name, share), *rows, found
        )
        return found

    def clear(self) -> None:
        """Forget all, as when a user's keys are destroyed."""
        self._kept.clear()
