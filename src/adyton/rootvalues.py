"""What is told of roots of trust; the embedded store and the client have it in common."""

import datetime as dt
from typing import NamedTuple


class RootInfo(NamedTuple):
    """One root of trust of a store.

    Attributes:
        slot: Its number in the store.
        kind: Its kind, such as ``keyfile``.
        described: What it said of itself when it was added.
        opened: Whether it has opened the store this time.
        at_hand: Whether it can be asked now; only then a new master key can be wrapped for it.
        added_at: When it was added, UTC; None where nobody wrote that down.
        tested_at: When it last opened the master key on request, UTC; None for never.
    """

    slot: int
    kind: str
    described: dict[str, str]
    opened: bool
    at_hand: bool
    added_at: dt.datetime | None
    tested_at: dt.datetime | None


class RootTested(NamedTuple):
    """A root that opened the master key.

    Attributes:
        slot: Its number in the store.
        kind: Its kind.
        seconds: How long that took.
    """

    slot: int
    kind: str
    seconds: float


class RootAdded(NamedTuple):
    """A root that was added.

    Attributes:
        slot: Its number in the store.
        shares: New shares as text, which are nowhere else; none for other kinds.
        removed: The slot of the root that it replaces, or None.
    """

    slot: int
    shares: tuple[str, ...] = ()
    removed: int | None = None

    def __repr__(self) -> str:
        return f"<RootAdded slot={self.slot}>"
