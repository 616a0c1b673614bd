"""What is stored of what a user has set (``docs/spec/lifecycle.md``, section 2)."""

from collections.abc import Iterable
from typing import Final

import msgspec

from adyton.ports import Rows
from adyton.service.lifecycle.options import LifecycleOptions
from adyton.service.objects import Shelf
from adyton.service.userkeys import UserKeys

ALL: Final = "all"
"""The id of the one object."""


class Rules(msgspec.Struct, omit_defaults=True):
    """What one user has set.

    Attributes:
        retention: Seconds for which deleted versions are kept, 0 for ever; None for the store's.
        notice: Notice periods in seconds, the longest first, by place; none for no notices.
    """

    retention: int | None = None
    notice: dict[str, list[int]] = {}

    def __repr__(self) -> str:
        return "<Rules>"

    def periods(self, name: str, options: LifecycleOptions) -> Iterable[int]:
        """Notice periods of a secret or folder: its own, of its nearest folder, or of all."""
        if not self.notice:
            return options.notice
        where = name
        while where:
            if where in self.notice:
                return self.notice[where]
            where = where[: where.rstrip("/").rfind("/") + 1]
        return self.notice.get("", options.notice)

    def kept_seconds(self, options: LifecycleOptions) -> int:
        """How long deleted versions are kept; 0 for ever."""
        wanted = options.retention if self.retention is None else self.retention
        return options.bounded(wanted)


LIFECYCLE: Final = Shelf("lifecycle", Rules)


async def rules_of(rows: Rows, keys: UserKeys) -> Rules:
    """What a user has set.

    Raises:
        IntegrityError: It was changed.
    """
    return await LIFECYCLE.get(rows, keys, ALL) or Rules()
