"""What callers hand in and get back: values to store, secrets that were read, reports.

The embedded store and the client of a server have these in common.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import (
    Any,
    Literal,
    NamedTuple,
    NoReturn,
    Protocol,
    Self,
    SupportsIndex,
    TypeAlias,
    get_args,
)

import msgspec

from adyton.canonical import canonical_json
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import InvalidInput, ValueTooLarge
from adyton.model import (
    CONTENT_BYTES,
    CONTENT_JSON,
    CONTENT_TEXT,
    MAX_CONTENT_TYPE_CHARS,
    SecretMetadata,
    Value,
    VersionInfo,
)

Format: TypeAlias = Literal["bundle", "dotenv", "json", "yaml"]
"""Formats of documents that are exported and imported."""


def check_format(name: str) -> None:
    """Whether a document format exists.

    Raises:
        InvalidInput: It does not.
    """
    if name not in get_args(Format):
        raise InvalidInput(
            "the format is none of " + ", ".join(get_args(Format)), hint="Give one of these."
        )


def encode_value(
    value: Value, content_type: str | None, limit: int
) -> "tuple[bytes | bytearray | memoryview, str]":
    """A value as bytes, with its content type.

    Raises:
        ValueTooLarge: It is over the limit.
        InvalidInput: It is none of bytes, text and JSON object.
    """
    data: bytes | bytearray | memoryview
    if isinstance(value, str):
        data, natural = value.encode("utf-8", "surrogatepass"), CONTENT_TEXT
        try:
            value.encode()
        except UnicodeEncodeError:
            # The exception would carry the value.
            data = b""
            natural = ""
    elif isinstance(value, bytes | bytearray | memoryview):
        data, natural = value, CONTENT_BYTES
    elif isinstance(value, Mapping):
        data, natural = canonical_json(value), CONTENT_JSON
    else:
        raise InvalidInput(
            f"a value is bytes, text or a mapping, not {type(value).__name__}",
            hint="Encode it first.",
        )
    if not natural:
        raise InvalidInput("the text has a lone surrogate and is not valid Unicode")
    size = data.nbytes if isinstance(data, memoryview) else len(data)
    if size > limit:
        raise ValueTooLarge(
            f"the value has {size} bytes, more than the limit of {limit}",
            hint="Store a key here and the data elsewhere, or raise max_value_bytes.",
        )
    if content_type is not None and not 0 < len(content_type) <= MAX_CONTENT_TYPE_CHARS:
        raise InvalidInput(f"a content type has 1 to {MAX_CONTENT_TYPE_CHARS} characters")
    return data, content_type or natural


class KeyInfo(NamedTuple):
    """One version of the master key (``user`` empty) or of a user key.

    Attributes:
        user: Whose key, or empty for the master key.
        version: Its version.
        created_at: When it was made, UTC.
        current: Whether it wraps; otherwise it only opens, until the re-wrap job is through.
        wraps: Upper bound of how often it has wrapped.
        max_days: Age at which it is rotated, in days.
    """

    user: str
    version: int
    created_at: dt.datetime
    current: bool
    wraps: int
    max_days: float

    def __repr__(self) -> str:
        return f"<KeyInfo version={self.version} current={self.current}>"


class Progress(NamedTuple):
    """How far a long operation is."""

    what: str
    done: int
    total: int


Watch: TypeAlias = Callable[[Progress], None]


def no_watch(_: Progress) -> None:
    """Watch nothing."""


class RewrapReport(NamedTuple):
    """What a re-wrap job has done.

    Attributes:
        users: Users whose keys were gone over.
        keys: Keys that were moved.
        closed: Users that were left out, as their own roots are away.
    """

    users: int
    keys: int
    closed: int = 0


class UserInfo(NamedTuple):
    """One namespace.

    Attributes:
        user: The user id.
        created_at: When the first secret was written, UTC.
        secrets: How many secrets there are.
    """

    user: str
    created_at: dt.datetime
    secrets: int

    def __repr__(self) -> str:
        return f"<UserInfo secrets={self.secrets}>"


class Health(NamedTuple):
    """What an operator wants to know of a store at a glance.

    Attributes:
        problems: What the storage engine finds wrong; empty when sound.
        root: What the root of trust says of itself.
        records: Records in the log.
        signed: Size of the newest checkpoint.
        retired_users: Users whose retired keys wait to be re-wrapped.
        master_due: Whether the master key is due for rotation.
    """

    problems: list[str]
    root: dict[str, str]
    records: int
    signed: int
    retired_users: int
    master_due: bool


class VerifyReport(NamedTuple):
    """What a verification has found to be true.

    Attributes:
        records: Records in the tree.
        archived: Of these, read from archive files.
        checkpoints: Signed checkpoints that the tree agrees with, those given included.
        secrets: Secrets whose stored state is the one the log tells.
        users: Namespaces that were checked.
        root: Root hash of the whole tree.
        closed: Namespaces that were left out, as their users' own roots are away: of these only
            the tree was checked.
    """

    records: int
    archived: int
    checkpoints: int
    secrets: int
    users: int
    root: bytes
    closed: int = 0


class ArchiveReport(NamedTuple):
    """What was moved to an archive: leaves from ``first`` up to ``end``, not included."""

    first: int
    end: int
    folder: Path


class ImportReport(msgspec.Struct, frozen=True):
    """What an import did, or would do.

    Attributes:
        created: Names that are new.
        replaced: Names whose secret was replaced, history included.
        new_versions: Names whose secret got a new version.
        skipped: Names that exist and were left alone.
        dry_run: Whether nothing was written.
    """

    created: tuple[str, ...]
    replaced: tuple[str, ...]
    new_versions: tuple[str, ...]
    skipped: tuple[str, ...]
    dry_run: bool

    def __repr__(self) -> str:
        return (
            f"<ImportReport created={len(self.created)} replaced={len(self.replaced)} "
            f"new_versions={len(self.new_versions)} skipped={len(self.skipped)}>"
        )

    def summary(self) -> str:
        """Counts, for the audit record."""
        mode = "dry run: " if self.dry_run else ""
        return (
            f"{mode}{len(self.created)} created, {len(self.replaced)} replaced, "
            f"{len(self.new_versions)} new versions, {len(self.skipped)} skipped"
        )


class SecretPage(msgspec.Struct, frozen=True):
    """A listing, or one page of it.

    Attributes:
        items: Metadata in order of the names.
        cursor: Where the next page begins, or None on the last.
    """

    items: tuple[SecretMetadata, ...]
    cursor: str | None = None

    def __iter__(self) -> Iterator[SecretMetadata]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"<SecretPage of {len(self.items)}>"


class _Version(Protocol):
    def info(self) -> VersionInfo: ...


class Described(Protocol):
    """What a :class:`Secret` asks of the metadata that came with it."""

    name: str
    attributes: dict[str, str]

    def at(self, version: int) -> _Version | None:
        """One version, or None."""

    def public(self, accessed_us: int | None) -> SecretMetadata:
        """The public value."""


class Secret:
    """One version's value in locked memory, with what is known of it.

    Use it in a ``with`` block: the value is wiped when the block ends.

    Attributes:
        name: The secret's name.
        version: The version that was read.
        content_type: Media type of the value.
        value: The value's bytes, locked.
    """

    __slots__ = ("_accessed_us", "_meta", "content_type", "name", "value", "version")

    def __init__(
        self,
        value: SecretBytes,
        meta: Described,
        version: int,
        content_type: str,
        accessed: int | None,
    ) -> None:
        self.value = value
        self.name = meta.name
        self.version = version
        self.content_type = content_type
        self._meta = meta
        self._accessed_us = accessed

    @property
    def info(self) -> VersionInfo:
        """What is known of the version that was read.

        Raises:
            ValueError: Never for a secret that a store gave.
        """
        return self.described.info()

    @property
    def described(self) -> _Version:
        """As :attr:`info`, in the form that the metadata have.

        Raises:
            ValueError: Never for a secret that a store gave.
        """
        found = self._meta.at(self.version)
        if found is None:
            raise ValueError("the version is not in its metadata")
        return found

    @property
    def attributes(self) -> dict[str, str]:
        """The secret's attributes; not to be changed."""
        return self._meta.attributes

    @property
    def metadata(self) -> SecretMetadata:
        """Everything about the secret but its values."""
        return self._meta.public(self._accessed_us)

    def reveal(self) -> bytes:
        """The value as ``bytes``, a copy that can't be wiped.

        Raises:
            SecretWiped: The block has ended.
        """
        return self.value.reveal()

    def text(self) -> str:
        """The value as text, a copy that can't be wiped.

        Raises:
            SecretWiped: The block has ended.
            ValueError: The value is not UTF-8.
        """
        return self.value.text()

    def json(self) -> Any:  # noqa: ANN401 - JSON is any value
        """The value parsed as JSON, a copy that can't be wiped.

        Raises:
            SecretWiped: The block has ended.
            ValueError: The value is not JSON.
        """
        with self.value.borrow() as view:
            try:
                return msgspec.json.decode(view)
            except msgspec.MsgspecError:
                pass
        raise ValueError("the value is not JSON; use reveal()")

    def wipe(self) -> None:
        """Wipe the value now."""
        self.value.wipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.value.wipe()

    def __repr__(self) -> str:
        return f"<Secret version={self.version}>"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a Secret can't be pickled or copied; use reveal()")
