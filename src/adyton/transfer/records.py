"""The value that every format is read into and written from, and the limits of reading.

A :class:`PortableSecret` is checked when it is made, so a format can't hand on a name, tag or time
that the store would refuse, and none of the rules is written twice.
"""

from typing import Final

import msgspec

from adyton.errors import InvalidDocument, InvalidInput
from adyton.model import (
    CONTENT_BYTES,
    CONTENT_JSON,
    CONTENT_TEXT,
    MAX_CONTENT_TYPE_CHARS,
    MAX_VERSIONS_LIMIT,
    State,
    attribute_map,
    secret_name,
    tag_list,
)

MAX_ACTOR_CHARS: Final = 512
MAX_VERSION_NUMBER: Final = 2**53 - 1
"""Greatest version number: every JSON reader keeps integers up to here exact."""
MAX_US: Final = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z, the last time that RFC 3339 can write."""

_DESTROYED: Final = State.DESTROYED
_KNOWN_TYPES: Final = frozenset((CONTENT_BYTES, CONTENT_TEXT, CONTENT_JSON))
_force = msgspec.structs.force_setattr


class TransferLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a document from outside may cost; built once, by whoever knows the store's own limits.

    Attributes:
        document_bytes: Size of a whole document, or of one answer of a server.
        document_commas: Commas in a JSON document; bounds its elements, and so the memory it takes.
        text_bytes: Size of a dotenv or YAML document: YAML is parsed at 30 to 300 KB a second.
        secrets: Secrets in one document.
        versions: Versions of one secret.
        depth: Nesting of objects and arrays in a JSON or YAML document.
        value_bytes: Size of one value.
        scrypt_log_n: Work factor of a bundle under a passphrase; 20 costs 1 GiB of memory.
    """

    document_bytes: int = 512 * 1024 * 1024
    document_commas: int = 32_000_000
    text_bytes: int = 1024 * 1024
    secrets: int = 1_000_000
    versions: int = MAX_VERSIONS_LIMIT
    depth: int = 16
    value_bytes: int = 1024 * 1024
    scrypt_log_n: int = 20

    def check_document(self, data: bytes) -> None:
        """Refuse a document that is too large, before anything is made of it.

        Raises:
            InvalidDocument: It has too many bytes or commas.
        """
        if len(data) > self.document_bytes:
            raise InvalidDocument(
                f"the document has {len(data)} bytes, more than {self.document_bytes}",
                hint="Export in parts, or raise the limit document_bytes.",
            )
        if data.count(b",") > self.document_commas:
            raise InvalidDocument(
                f"the document has more than {self.document_commas} commas",
                hint="Export in parts, or raise the limit document_commas.",
            )


class PortableVersion(msgspec.Struct, frozen=True, gc=False):
    """One version of a secret; checked when it becomes part of a :class:`PortableSecret`.

    Attributes:
        version: Number from 1 upwards.
        created_us: Microseconds since the epoch, UTC.
        created_by: Actor that wrote it, or empty when unknown.
        state: Live, deleted or destroyed.
        content_type: Media type of the value.
        value: The value; None exactly when the version is destroyed.
    """

    version: int
    created_us: int
    created_by: str
    state: State
    content_type: str
    value: bytes | bytearray | None

    def __repr__(self) -> str:
        return f"<PortableVersion {self.version} {self.state.name.lower()}>"


class PortableSecret(msgspec.Struct, frozen=True, gc=False):
    """A secret on its way between a store and a document, independent of both.

    Attributes:
        name: Name, checked by :func:`adyton.model.secret_name`.
        tags: Tags, sorted, each once.
        attributes: Attributes, ordered by key.
        expires_us: When it expires, or None.
        max_versions: Versions to keep; 0 leaves it to the store.
        created_us: When the secret was made.
        updated_us: When it was last changed.
        rotation: Rotation policy, ordered by key.
        versions: Ascending; the last one is the current one.

    Raises:
        InvalidName: The name breaks a rule.
        InvalidInput: Another field does.
    """

    name: str
    tags: tuple[str, ...]
    attributes: dict[str, str]
    expires_us: int | None
    max_versions: int
    created_us: int
    updated_us: int
    rotation: dict[str, str]
    versions: tuple[PortableVersion, ...]

    def __post_init__(self) -> None:
        secret_name(self.name)
        if self.tags:
            _force(self, "tags", tag_list(self.tags))
        if self.attributes:
            _force(self, "attributes", _text_map(self.attributes))
        if self.rotation:
            _force(self, "rotation", _text_map(self.rotation))
        if not (0 <= self.created_us <= MAX_US and 0 <= self.updated_us <= MAX_US):
            raise InvalidInput("a time is before 1970 or after 9999")
        if self.expires_us is not None and not 0 <= self.expires_us <= MAX_US:
            raise InvalidInput("a time is before 1970 or after 9999")
        if not 0 <= self.max_versions <= MAX_VERSIONS_LIMIT:
            raise InvalidInput(f"max_versions is not between 0 and {MAX_VERSIONS_LIMIT}")
        _check_versions(self.versions)

    def __repr__(self) -> str:
        return f"<PortableSecret versions={len(self.versions)}>"

    @property
    def current(self) -> PortableVersion:
        """The current version: the last one."""
        return self.versions[-1]


def single_version(
    name: str,
    value: bytes | bytearray,
    content_type: str,
    *,
    now_us: int,
    created_by: str = "",
    attributes: dict[str, str] | None = None,
) -> PortableSecret:
    """A secret of one live version, as formats without history give it.

    Raises:
        InvalidName: The name breaks a rule.
        InvalidInput: Another field does.
    """
    version = PortableVersion(1, now_us, created_by, State.LIVE, content_type, value)
    return PortableSecret(name, (), attributes or {}, None, 0, now_us, now_us, {}, (version,))


def _check_versions(versions: tuple[PortableVersion, ...]) -> None:
    if not versions:
        raise InvalidInput("a secret has no version")
    last = 0
    for version in versions:
        if not last < version.version <= MAX_VERSION_NUMBER:
            raise InvalidInput("the versions of a secret are not ascending numbers from 1")
        last = version.version
        if not 0 <= version.created_us <= MAX_US:
            raise InvalidInput("a time is before 1970 or after 9999")
        if (version.value is None) != (version.state is _DESTROYED):
            raise InvalidInput("a version has no value exactly when it is destroyed")
        if version.created_by:
            _check_actor(version.created_by)
        if version.content_type not in _KNOWN_TYPES:
            _check_content_type(version.content_type)


def _check_actor(actor: str) -> None:
    if len(actor) > MAX_ACTOR_CHARS:
        raise InvalidInput(f"created_by has more than {MAX_ACTOR_CHARS} characters")
    if not (actor.isascii() or _encodable(actor)):
        raise InvalidInput("created_by has an unpaired surrogate")


def _check_content_type(content_type: str) -> None:
    if not 1 <= len(content_type) <= MAX_CONTENT_TYPE_CHARS:
        raise InvalidInput(f"a content type is empty or over {MAX_CONTENT_TYPE_CHARS} characters")
    if not (content_type.isascii() and content_type.isprintable()):
        raise InvalidInput("a content type is not printable ASCII")


def _text_map(pairs: dict[str, str]) -> dict[str, str]:
    checked = attribute_map(pairs)
    joined = "".join(checked.values())
    if not (joined.isascii() or _encodable(joined)):
        raise InvalidInput("an attribute's value has an unpaired surrogate")
    return checked


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
