"""What requests and answers about one-time links look like."""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from adyton.server.native.shapes import Answer, Base64, Name, Shape, Time
from adyton.service.links import MAX_NOTE_CHARS, MAX_SECONDS, MAX_TRIES

_BASE64_16: Final = "^[A-Za-z0-9+/]{21}[AQgw]==$"
_BASE64_32: Final = "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$"
_BOX: Final = "^(?:[A-Za-z0-9+/]{4}){11,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

Bytes16: TypeAlias = Annotated[bytes, Meta(extra_json_schema={"pattern": _BASE64_16})]
Bytes32: TypeAlias = Annotated[bytes, Meta(extra_json_schema={"pattern": _BASE64_32})]
Box: TypeAlias = Annotated[bytes, Meta(extra_json_schema={"pattern": _BOX})]


class CreateLinkBody(Shape, kw_only=True):
    """A link that is to be made: what its maker has closed, and by what it is found."""

    id: Bytes16
    proof_hash: Bytes32
    box: Box
    seconds: Annotated[int, Meta(ge=1, le=MAX_SECONDS)] = 86_400
    tries: Annotated[int, Meta(ge=1, le=MAX_TRIES)] = 5
    passphrase: bool = False
    note: Annotated[str, Meta(max_length=MAX_NOTE_CHARS)] = ""
    secret: Name | None = None


class OpenLinkBody(Shape, kw_only=True):
    """What shows that whoever asks has a link, and opens nothing."""

    user: Bytes16
    id: Bytes16
    proof: Bytes32


class LinkMade(Answer, kw_only=True):
    """A link that was made; ``user`` belongs into its text."""

    user: Base64
    accessor: str
    expires_at: Time


class LinkOpened(Answer, kw_only=True):
    """A link's ciphertext, which is gone from the server."""

    box: Base64


class LinkShown(Answer, kw_only=True):
    """A link that can be opened still."""

    accessor: str
    created_at: Time
    expires_at: Time
    tries: int
    passphrase: bool
    size: int
    note: str
    secret: str


class LinkList(Answer, kw_only=True):
    """A user's links."""

    items: list[LinkShown]
