"""A secret's sealed metadata (``docs/spec/store.md``, section 3).

One body per secret holds its name, tags, attributes and the state of every version, with the
GCM tag of each version's box: a value that was put back from an older copy of the database does
not fit. The audit record of each change holds the SHA-256 of the body, so that a body that was
put back does not fit the log.
"""

import hashlib
from typing import Final

import msgspec

from adyton.errors import IntegrityError, SecretNotFound
from adyton.model import SecretMetadata, State, VersionInfo
from adyton.rows import MetaRow, SecretRow
from adyton.service.userkeys import UserKeys

FORMAT: Final = 2
"""What is written; bodies of format 1 lack the last field of a version and of the body."""
DEFAULT_MAX_VERSIONS: Final = 10


class Version(msgspec.Struct, array_like=True):
    """One version, as sealed."""

    version: int
    created_us: int
    created_by: str
    state: int
    size: int
    content_type: str
    tag: bytes
    deleted_us: int = 0

    def gone(self, now_us: int) -> bool:
        """Whether it can't be read: deleted, destroyed, or its time is over."""
        return self.state != State.LIVE or 0 < self.deleted_us <= now_us

    def info(self) -> VersionInfo:
        """The public value."""
        return VersionInfo(
            self.version,
            self.created_us,
            self.created_by,
            State(self.state),
            self.size,
            self.content_type,
            self.deleted_us,
        )


class Meta(msgspec.Struct, array_like=True):
    """The body. The order of fields is the format; versions are oldest first.

    A secret that has metadata and no version yet is at version 0.
    """

    format: int
    name: str
    revision: int
    current: int
    created_us: int
    updated_us: int
    expires_us: int | None
    max_versions: int
    tags: list[str]
    attributes: dict[str, str]
    rotation: dict[str, str]
    versions: list[Version]
    engine: dict[str, str] = {}

    def at(self, version: int) -> Version | None:
        """One version, or None."""
        if not self.versions:
            return None
        newest = self.versions[-1]
        if newest.version == version:
            return newest
        return next((found for found in self.versions if found.version == version), None)

    def live(self, now_us: int) -> bool:
        """Whether the current version can be read."""
        current = self.at(self.current)
        return (
            current is not None
            and not current.gone(now_us)
            and (self.expires_us is None or self.expires_us > now_us)
        )

    def readable(self, version: int | None, now_us: int) -> Version:
        """The version to read: live, and of a secret that has not expired.

        Raises:
            SecretNotFound: There is none.
        """
        found = self.at(self.current if version is None else version)
        if (
            found is None
            or found.gone(now_us)
            or (self.expires_us is not None and self.expires_us <= now_us)
        ):
            raise not_found()
        return found

    def public(self, accessed_us: int | None) -> SecretMetadata:
        """The public value."""
        return SecretMetadata(
            self.name,
            self.current,
            self.created_us,
            self.updated_us,
            accessed_us,
            self.expires_us,
            tuple(self.tags),
            self.attributes,
            self.max_versions,
            self.rotation,
            self.versions,
            self.engine,
        )


_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(Meta).decode


def not_found() -> SecretNotFound:
    """The one refusal for all that is absent, deleted, destroyed, expired or another user's."""
    return SecretNotFound("there is no such secret", hint="List names with 'adyton list'.")


def empty(name: str, now_us: int) -> Meta:
    """The metadata of a secret that has no version yet."""
    return Meta(FORMAT, name, 0, 0, now_us, now_us, None, DEFAULT_MAX_VERSIONS, [], {}, {}, [])


def seal(keys: UserKeys, name: bytes, meta: Meta) -> tuple[bytes, bytes]:
    """Seal a body under the user's current metadata key.

    Returns:
        The box, and the body's SHA-256 for the audit record.
    """
    meta.format = FORMAT
    body = _encode(meta)
    return keys.seal_meta(name, body), hashlib.sha256(body).digest()


def open_body(keys: UserKeys, row: "SecretRow | MetaRow") -> bytes:
    """The exact bytes of a sealed body.

    Raises:
        IntegrityError: It was changed, moved or cut.
    """
    return keys.open_meta(row.name, row.meta_version, row.meta)


def open_meta(keys: UserKeys, row: "SecretRow | MetaRow") -> Meta:
    """Open and check a body.

    Raises:
        IntegrityError: It was changed, moved or cut, or the row's version is not the body's.
    """
    return parse(keys.open_meta(row.name, row.meta_version, row.meta), row)


class OpenedCache:
    """Metadata that was opened lately, found by its exact ciphertext.

    An entry is used only for the same box at the same place under the same key: opening that
    again could give nothing else. What is in here is shared, and never changed.
    """

    LIMIT: Final = 16_384

    def __init__(self) -> None:
        self._opened: dict[tuple[bytes, bytes], tuple[UserKeys, int, bytes, Meta]] = {}
        self._indexes: dict[tuple[UserKeys, str], bytes] = {}

    def index(self, keys: UserKeys, name: str) -> bytes | None:
        """The index of a name that :meth:`open` has met, which makes it a valid one; or None."""
        return self._indexes.get((keys, name))

    def open(self, keys: UserKeys, row: "SecretRow | MetaRow") -> Meta:
        """As :func:`open_meta`.

        Raises:
            IntegrityError: As there.
        """
        place = (keys.user, row.name)
        found = self._opened.get(place)
        if found is not None:
            by, version, box, meta = found
            same = by is keys and version == row.meta_version and box == row.meta
            if same and meta.current == row.current:
                return meta
        meta = open_meta(keys, row)
        if len(self._opened) >= self.LIMIT:
            self._opened.clear()
        self._opened[place] = (keys, row.meta_version, row.meta, meta)
        if len(self._indexes) >= self.LIMIT:
            self._indexes.clear()
        self._indexes[keys, meta.name] = row.name
        return meta

    def clear(self) -> None:
        """Forget all, as when a user's keys are destroyed."""
        self._opened.clear()
        self._indexes.clear()


def parse(body: bytes, row: "SecretRow | MetaRow") -> Meta:
    """Parse and check an opened body.

    Raises:
        IntegrityError: It does not parse, or the row's version is not the body's.
    """
    try:
        meta = _decode(body)
    except msgspec.MsgspecError:
        raise IntegrityError("a secret's metadata does not parse") from None
    if meta.current != row.current:
        raise IntegrityError(
            "a secret's current version is not the one in its metadata: a row was changed",
            hint="Run 'adyton audit verify'.",
        )
    return meta
