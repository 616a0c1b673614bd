"""What requests and answers about roots of trust look like."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from adyton.server.native.shapes import MAX_NUMBER, Answer, Shape, Time, User

RootUri: TypeAlias = Annotated[str, Meta(min_length=1, max_length=4_096)]
RootSecret: TypeAlias = Annotated[str, Meta(min_length=1, max_length=4_096)]


class RootNamed(Shape, kw_only=True):
    """A root of trust, and what a person is asked for by it, such as a passphrase."""

    uri: RootUri
    secret: RootSecret | None = None


class RotateBody(Shape, kw_only=True):
    """One user's key, or all users', or the master key.

    For the master key: roots that are at hand for it alone, and whether others are dropped.
    """

    user: User | None = None
    master: bool = False
    roots: Annotated[list[RootNamed], Meta(max_length=16)] = msgspec.field(default_factory=list)
    drop_absent: bool = False


class RootMoved(Shape, kw_only=True):
    """The root to move to, and the slot of the one that it replaces."""

    uri: RootUri
    secret: RootSecret | None = None
    slot: Annotated[int, Meta(ge=0, le=MAX_NUMBER)] | None = None


class RootAsked(Shape, kw_only=True):
    """The root to test; without a URI all that are at hand."""

    uri: RootUri | None = None
    secret: RootSecret | None = None


class RootShown(Answer, kw_only=True):
    """One root of trust."""

    slot: int
    kind: str
    described: dict[str, str]
    opened: bool
    at_hand: bool
    added_at: Time | None
    tested_at: Time | None


class RootList(Answer, kw_only=True):
    """All roots."""

    items: list[RootShown]


class RootAddedShown(Answer, kw_only=True):
    """A root that was added, new shares if it is made of some, and the slot that it replaces."""

    slot: int
    shares: list[str]
    removed: int | None


class RootTestedShown(Answer, kw_only=True):
    """A root that opened the master key, and how long that took."""

    slot: int
    kind: str
    seconds: float


class RootTestedList(Answer, kw_only=True):
    """The roots that were tested."""

    items: list[RootTestedShown]
