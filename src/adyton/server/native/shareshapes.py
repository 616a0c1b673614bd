"""What requests and answers about shares look like."""

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from adyton.model import MAX_NAME_CHARS
from adyton.server.native.shapes import Answer, Encoding, Shape, Time, User, ValueShape, Version
from adyton.service.sharing.ending import MAX_DEPTH
from adyton.service.sharing.offers import MAX_RECEIVERS

_NAME: Final = {"format": "secret-name"}
ShareName: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=MAX_NAME_CHARS + 1, extra_json_schema=_NAME)
]

Reshare: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_DEPTH)]
Reshares: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_RECEIVERS)]


class _Allowed(Shape, kw_only=True):
    """What a new share allows."""

    receiver: User
    version: Version | None = None
    expires_at: Time | None = None
    write: bool = False
    delete: bool = False
    reshare: Reshare = 0
    reshares: Reshares = 10


class CreateShareBody(_Allowed, kw_only=True):
    """What is offered to whom; a folder's name has a slash at its end."""

    name: ShareName


class PassOnBody(_Allowed, kw_only=True):
    """What of a share is offered to whom; all of it where no name is given."""

    name: ShareName | None = None


class SharedWriteBody(Shape, kw_only=True):
    """A new version of somebody else's secret."""

    value: ValueShape


class RevokeQuery(Shape, kw_only=True):
    """How a share is ended."""

    rotate: bool = False


class SharedQuery(Shape, kw_only=True):
    """How a shared value is shown."""

    encoding: Encoding = "auto"


class ShareShown(Answer, kw_only=True):
    """A share, as either side sees it."""

    id: str
    owner: str
    receiver: str
    kind: Literal["version", "secret", "folder"]
    name: str
    version: int
    created_at: Time
    expires_at: Time | None
    answer: Literal["offered", "accepted", "refused", "revoked"]
    write: bool
    delete: bool
    reshare: int
    reshares: int
    parent: str
    by: str


class ShareList(Answer, kw_only=True):
    """Shares, the newest last."""

    items: list[ShareShown]


class SharedNames(Answer, kw_only=True):
    """Names of the secrets in a share."""

    items: list[str]


class Revoked(Answer, kw_only=True):
    """How many versions were re-encrypted."""

    reencrypted: int


class Changed(Answer, kw_only=True):
    """The version that was written or deleted."""

    version: int


class SharedShown(Answer, kw_only=True):
    """A secret of somebody else's."""

    owner: str
    name: str
    version: int
    value: ValueShape
