"""Shapes of the native API (``docs/spec/native-api.md``, section 3), and what they become.

Members that are not named here are left alone, so that a newer server can say more.
"""

import binascii
import datetime as dt
from typing import Annotated, Final, Generic, Literal, TypeAlias, TypeVar

import msgspec

from adyton.client.answers import Answer, strange
from adyton.crypto.secretbytes import SecretBytes
from adyton.exchange import LinkInfo, SharedSecret, ShareInfo
from adyton.model import SecretMetadata, State, VersionInfo, to_us
from adyton.quotavalues import QuotaInfo, StorageAmounts
from adyton.rootvalues import RootAdded, RootInfo, RootTested
from adyton.values import (
    Health,
    ImportReport,
    KeyInfo,
    RewrapReport,
    Secret,
    UserInfo,
    VerifyReport,
)

T = TypeVar("T")
Time: TypeAlias = Annotated[dt.datetime, msgspec.Meta(tz=True)]

_QUANTUM: Final = 4_096
"""Characters of base64 that are opened at once: what is in between is small, and soon reused."""


class Page(msgspec.Struct, Generic[T]):
    """One page of a listing."""

    items: list[T]
    next_cursor: str | None = None


class Items(msgspec.Struct, Generic[T]):
    """All of a listing."""

    items: list[T]


class WireBox(msgspec.Struct):
    """The ciphertext of a one-time link."""

    box: bytes

    def __repr__(self) -> str:
        return "<WireBox>"


class WireMadeLink(msgspec.Struct):
    """A one-time link that was made, and the keyed index of its user."""

    user: bytes
    accessor: str
    expires_at: Time


class WireLink(msgspec.Struct):
    """A one-time link."""

    accessor: str
    created_at: Time
    expires_at: Time
    tries: int
    passphrase: bool
    size: int
    note: str
    secret: str = ""

    def public(self) -> LinkInfo:
        """The public value."""
        return LinkInfo(*msgspec.structs.astuple(self))


class WireVersion(msgspec.Struct):
    """One version."""

    version: int
    created_at: Time
    created_by: str
    state: Literal["live", "deleted", "destroyed"]
    size: int
    content_type: str
    deleted_at: Time | None = None

    def info(self) -> VersionInfo:
        """The public value."""
        return VersionInfo(
            self.version,
            to_us(self.created_at),
            self.created_by,
            State[self.state.upper()],
            self.size,
            self.content_type,
            _us(self.deleted_at) or 0,
        )


class WireMetadata(msgspec.Struct):
    """A secret's metadata."""

    name: str
    version: int
    created_at: Time
    updated_at: Time
    accessed_at: Time | None
    expires_at: Time | None
    tags: list[str]
    attributes: dict[str, str]
    max_versions: int
    rotation: dict[str, str]
    versions: list[WireVersion]
    engine: dict[str, str] = {}

    def public(self, accessed_us: int | None = None) -> SecretMetadata:
        """The public value."""
        return SecretMetadata(
            self.name,
            self.version,
            to_us(self.created_at),
            to_us(self.updated_at),
            _us(self.accessed_at) if accessed_us is None else accessed_us,
            _us(self.expires_at),
            tuple(self.tags),
            self.attributes,
            self.max_versions,
            self.rotation,
            [version.info() for version in self.versions],
            self.engine,
        )

    def at(self, version: int) -> WireVersion | None:
        """One version, or None."""
        return next((found for found in self.versions if found.version == version), None)


class WireValue(msgspec.Struct):
    """A value in base64, still as it stands in the answer."""

    encoding: str
    data: msgspec.Raw
    content_type: str

    def open(self) -> SecretBytes:
        """The value in locked memory.

        Raises:
            ServerUnavailable: It is not in base64.
        """
        if self.encoding != "base64":
            raise strange("has a value that is not in base64, as was asked for")
        return _opened(memoryview(self.data))


class WireSecret(msgspec.Struct):
    """A secret with its value."""

    name: str
    version: int
    value: WireValue
    metadata: WireMetadata

    def open(self) -> Secret:
        """The public value.

        Raises:
            ServerUnavailable: The value is not in base64, or its version is not known.
        """
        if self.metadata.at(self.version) is None:
            raise strange("has a version that is not in its metadata")
        return Secret(self.value.open(), self.metadata, self.version, self.value.content_type, None)


class WireReencrypted(msgspec.Struct):
    """How many versions were re-encrypted."""

    reencrypted: int


class WireShare(msgspec.Struct):
    """A share."""

    id: str
    owner: str
    receiver: str
    kind: str
    name: str
    version: int
    created_at: Time
    expires_at: Time | None
    answer: str
    write: bool
    delete: bool
    reshare: int
    reshares: int
    parent: str
    by: str

    def public(self) -> ShareInfo:
        """The public value."""
        return ShareInfo(*msgspec.structs.astuple(self))


class WireKey(msgspec.Struct):
    """One version of a key."""

    user: str
    version: int
    created_at: Time
    current: bool
    wraps: int
    max_days: float

    def public(self) -> KeyInfo:
        """The public value."""
        return KeyInfo(*msgspec.structs.astuple(self))


class WireRoot(msgspec.Struct):
    """One root of trust."""

    slot: int
    kind: str
    described: dict[str, str]
    opened: bool
    at_hand: bool
    added_at: Time | None
    tested_at: Time | None

    def public(self) -> RootInfo:
        """The public value."""
        return RootInfo(*msgspec.structs.astuple(self))


class WireRootAdded(msgspec.Struct):
    """A root that was added."""

    slot: int
    shares: list[str]
    removed: int | None

    def public(self) -> RootAdded:
        """The public value."""
        return RootAdded(self.slot, tuple(self.shares), self.removed)


class WireRootTested(msgspec.Struct):
    """A root that opened the master key."""

    slot: int
    kind: str
    seconds: float

    def public(self) -> RootTested:
        """The public value."""
        return RootTested(self.slot, self.kind, self.seconds)


class WireUser(msgspec.Struct):
    """One namespace."""

    user: str
    created_at: Time
    secrets: int

    def public(self) -> UserInfo:
        """The public value."""
        return UserInfo(*msgspec.structs.astuple(self))


class WireHealth(msgspec.Struct):
    """The state of the store."""

    problems: list[str]
    root: dict[str, str]
    records: int
    signed: int
    retired_users: int
    master_due: bool

    def public(self) -> Health:
        """The public value."""
        return Health(*msgspec.structs.astuple(self))


class WireVerified(msgspec.Struct):
    """What a verification has found."""

    records: int
    archived: int
    checkpoints: int
    secrets: int
    users: int
    root: bytes
    closed: int = 0

    def public(self) -> VerifyReport:
        """The public value."""
        return VerifyReport(*msgspec.structs.astuple(self))


class WireAmounts(msgspec.Struct):
    """Numbers of what a user stores, or may."""

    secrets: int | None = None
    versions: int | None = None
    objects: int | None = None
    bytes: int | None = None

    def public(self) -> StorageAmounts:
        """The public value."""
        return StorageAmounts(*msgspec.structs.astuple(self))


class WireQuota(msgspec.Struct):
    """What one user may store, and stores."""

    quota: WireAmounts
    own: WireAmounts
    used: WireAmounts

    def public(self) -> QuotaInfo:
        """The public value."""
        return QuotaInfo(self.quota.public(), self.own.public(), self.used.public())


class WireRewrapped(msgspec.Struct):
    """What a re-wrap job has done."""

    users: int
    keys: int
    closed: int = 0

    def public(self) -> RewrapReport:
        """The public value."""
        return RewrapReport(self.users, self.keys, self.closed)


class Rotated(msgspec.Struct):
    """What a rotation has done."""

    rotated: int | None = None
    master_version: int | None = None


class Document(msgspec.Struct):
    """An exported document; ``data`` is in base64 on the wire."""

    data: bytes


class Count(msgspec.Struct):
    """How many secrets a purge has destroyed."""

    secrets: int


class Vkey(msgspec.Struct):
    """The log's verifier key."""

    vkey: str


class Checkpoint(msgspec.Struct):
    """A signed checkpoint."""

    checkpoint: str


def metadata_of(answer: Answer) -> SecretMetadata:
    """An answer that is a secret's metadata.

    Raises:
        ServerUnavailable: It is not.
    """
    return answer.parse(WireMetadata).public()


def secret_of(answer: Answer) -> Secret:
    """An answer that is one secret; the answer itself is wiped.

    Raises:
        ServerUnavailable: It is not.
    """
    try:
        return _decoded(answer, WireSecret).open()
    finally:
        answer.wipe()


class WireChanged(msgspec.Struct):
    """The version that was written or deleted."""

    version: int


class WireShared(msgspec.Struct):
    """A secret of somebody else's, its value in base64."""

    owner: str
    name: str
    version: int
    value: WireValue


def shared_of(answer: Answer) -> SharedSecret:
    """An answer that is one shared secret; the answer itself is wiped.

    Raises:
        ServerUnavailable: It is not.
    """
    try:
        found = _decoded(answer, WireShared)
        value = found.value
        return SharedSecret(
            value.open(), value.content_type, found.owner, found.name, found.version
        )
    finally:
        answer.wipe()


def secrets_of(answer: Answer) -> list[Secret]:
    """An answer that is several secrets; the answer itself is wiped.

    Raises:
        ServerUnavailable: It is not.
    """
    opened: list[Secret] = []
    try:
        for found in _decoded(answer, Items[WireSecret]).items:
            opened.append(found.open())  # noqa: PERF401 - what was opened is wiped on failure
    except BaseException:
        for secret in opened:
            secret.wipe()
        raise
    finally:
        answer.wipe()
    return opened


def report_of(answer: Answer) -> ImportReport:
    """An answer that is an import's report.

    Raises:
        ServerUnavailable: It is not.
    """
    return answer.parse(ImportReport)


def _decoded(answer: Answer, kind: type[T]) -> T:
    """The body as JSON of a shape; views of it stay in what is returned."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    raise strange("is not of the shape that it should be")


def _opened(text: memoryview) -> SecretBytes:
    """A JSON string of base64 (RFC 4648, section 4) as locked bytes, without a copy of the whole.

    Raises:
        ServerUnavailable: It is malformed.
    """
    if len(text) < 2 or text[0] != 0x22 or (len(text) - 2) % 4:
        raise strange("has a value that is not base64")
    body = text[1:-1]
    padding = bytes(body[-2:]).count(b"=") if body else 0
    secret = SecretBytes.sized(len(body) // 4 * 3 - padding)
    out, at = secret.writable(), 0
    try:
        for start in range(0, len(body), _QUANTUM):
            part = binascii.a2b_base64(body[start : start + _QUANTUM], strict_mode=True)
            out[at : at + len(part)] = part
            at += len(part)
        if at == len(secret):
            return secret
    except (binascii.Error, ValueError):
        pass
    secret.wipe()
    raise strange("has a value that is not base64")


def _us(time: dt.datetime | None) -> int | None:
    return None if time is None else to_us(time)
