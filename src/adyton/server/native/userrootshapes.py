"""What requests and answers about users' own roots look like."""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from adyton.server.native.linkshapes import Bytes16, Bytes32
from adyton.server.native.shapes import MAX_NUMBER, Answer, Base64, Shape, Time
from adyton.userroots import DEFAULT_SECONDS, MAX_WRAPS

_BASE64: Final = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
Wrapped: TypeAlias = Annotated[bytes, Meta(extra_json_schema={"pattern": _BASE64})]
Seconds: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
Told: TypeAlias = Annotated[str, Meta(max_length=500)]


class UserRootWrap(Shape, kw_only=True):
    """A user root key as one root of trust of the user has wrapped it, beside the client."""

    slot: Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
    kind: Annotated[str, Meta(min_length=1, max_length=64)]
    described: Annotated[dict[str, Told], Meta(max_length=20)]
    wrapped: Wrapped


Wraps: TypeAlias = Annotated[list[UserRootWrap], Meta(max_length=MAX_WRAPS)]


class SetUserRoot(Shape, kw_only=True):
    """A user root key that is to close a user's keys."""

    root: Bytes16
    key: Bytes32
    roots: Wraps
    seconds: Seconds = DEFAULT_SECONDS


class GiveUserRoot(Shape, kw_only=True):
    """A user root key, given for a time."""

    root: Bytes16
    key: Bytes32
    seconds: Seconds = DEFAULT_SECONDS


class ProveUserRoot(Shape, kw_only=True):
    """A user root key, which shows that whoever asks may."""

    root: Bytes16
    key: Bytes32


class ChangeUserRoot(Shape, kw_only=True):
    """The present user root key, and the one that is to take its place."""

    root: Bytes16
    key: Bytes32
    new_root: Bytes16
    new_key: Bytes32
    roots: Wraps
    seconds: Seconds = DEFAULT_SECONDS


class WrapUserRoot(Shape, kw_only=True):
    """The present user root key, and what is to open it instead of the roots of a revision."""

    root: Bytes16
    key: Bytes32
    roots: Wraps
    revision: Annotated[int, Meta(ge=0, le=MAX_NUMBER)]


class UserRootWrapShown(Answer, kw_only=True):
    """A user root key as a root of trust has wrapped it."""

    slot: int
    kind: str
    described: dict[str, str]
    wrapped: Base64
    added_at: Time | None


class UserRootShown(Answer, kw_only=True):
    """A user's own root; ``root`` is empty where there is none."""

    user: str
    store: Base64
    root: Base64
    roots: list[UserRootWrapShown]
    given: bool
    until: Time | None
    set_at: Time | None
    pending: bool
    revision: int


class UserRootTaken(Answer, kw_only=True):
    """Whether it was given before."""

    taken: bool
