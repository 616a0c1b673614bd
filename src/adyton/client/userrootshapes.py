"""Shapes of the routes of users' own roots, and what they become."""

import msgspec

from adyton.client.shapes import Time
from adyton.userroots import NewUserRoot, UserRootInfo, WrappedRoot


class WireWrap(msgspec.Struct):
    """A user root key as a root of trust has wrapped it."""

    slot: int
    kind: str
    described: dict[str, str]
    wrapped: bytes
    added_at: Time | None = None

    def __repr__(self) -> str:
        return "<WireWrap>"


class WireUserRoot(msgspec.Struct):
    """A user's own root."""

    user: str
    store: bytes
    root: bytes
    roots: list[WireWrap]
    given: bool
    until: Time | None = None
    set_at: Time | None = None
    pending: bool = False
    revision: int = 0

    def __repr__(self) -> str:
        return "<WireUserRoot>"

    def public(self) -> UserRootInfo:
        """The public value."""
        roots = tuple(WrappedRoot(*msgspec.structs.astuple(one)) for one in self.roots)
        return UserRootInfo(
            self.user,
            self.store,
            self.root,
            roots,
            self.given,
            self.until,
            self.set_at,
            self.pending,
            self.revision,
        )


class WireTaken(msgspec.Struct):
    """Whether it was given before."""

    taken: bool


def sent(roots: tuple[WrappedRoot, ...]) -> list[dict[str, object]]:
    """Wrapped keys as a request brings them."""
    return [
        {
            "slot": one.slot,
            "kind": one.kind,
            "described": one.described,
            "wrapped": one.wrapped,
        }
        for one in roots
    ]


def brought(new: NewUserRoot) -> dict[str, object]:
    """A new user root key as a request brings it."""
    return {"root": new.root, "key": new.key.reveal(), "roots": sent(new.roots)}
