"""Values that every room shares: identities, names, metadata, records. Nothing here does work.

Naming rules are DESIGN section 4 and ``docs/spec/names.md``.
"""

import datetime as dt
import enum
import re
import unicodedata
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from adyton.errors import InvalidInput, InvalidName

UserId: TypeAlias = str | int
"""What callers may pass as a user id; :func:`user_id` makes it canonical."""

Value: TypeAlias = "bytes | bytearray | memoryview | str | Mapping[str, object]"
"""What callers may store: bytes, text, or a JSON object."""

OnConflict: TypeAlias = Literal["fail", "skip", "replace", "new-version"]
"""What an import does with a name that exists already."""

MAX_NAME_CHARS: Final = 512
MAX_USER_CHARS: Final = 128
MAX_TAGS: Final = 64
MAX_TAG_CHARS: Final = 128
MAX_ATTRIBUTES: Final = 64
MAX_ATTRIBUTE_KEY_CHARS: Final = 128
MAX_ATTRIBUTE_VALUE_CHARS: Final = 1024
MAX_VERSIONS_LIMIT: Final = 1000
MAX_CONTENT_TYPE_CHARS: Final = 128

CONTENT_BYTES: Final = "application/octet-stream"
CONTENT_TEXT: Final = "text/plain; charset=utf-8"
CONTENT_JSON: Final = "application/json"


class State(enum.IntEnum):
    """State of one version. The numbers are stored (``docs/spec/store.md``)."""

    LIVE = 0
    DELETED = 1
    DESTROYED = 2


class TokenMark(NamedTuple):
    """What is known of the token that acts, for what depends on it.

    Attributes:
        user: The namespace that it belongs to.
        stay: How long that namespace's keys may be used: another one after a purge.
        stored: Whether the store keeps it; what it asks for then ends with it.
        parent: Id of the token that made it, with which it ends; empty for none.
        ends_us: When it ends by itself; 0 for never. Its parent's end is not in it, as that may be
            put off: what a token of ``parent`` asks for ends with the parent.
    """

    user: str
    stay: object
    stored: bool
    parent: str
    ends_us: int


class Caller(msgspec.Struct, frozen=True):
    """Who asks. Every operation of the service needs one; there is no default identity.

    Attributes:
        actor: Stable name of the identity, for the audit record (an accessor, never a token).
        user: The only user whose namespace this caller may touch, or None for the operator.
        address: Network address of the caller, or empty.
        request_id: Identifier that ties the record to a request, or empty.
        method: How the identity was shown: type and mount of a login method, or empty.
        accessor: Accessor of the token that acts, or empty.
        decision: What decided that the caller may or may not do this (``docs/spec/audit.md``,
            section 2), or empty where no policy was asked.
        member: A member of the user's namespace whom it acts for, with the rights that the member
            was given, or empty for the owner.
        spend: What is still to be done in the commit of what a grant has allowed.
        token: What is known of the token that acts, or None without one.
    """

    actor: str
    user: str | None = None
    address: str = ""
    request_id: str = ""
    method: str = ""
    accessor: str = ""
    decision: str = ""
    member: str = ""
    spend: Callable[[Any], Coroutine[Any, Any, None]] | None = None
    token: TokenMark | None = None

    def __post_init__(self) -> None:
        if self.member and self.user is None:
            raise InvalidInput("a member needs the user whose namespace it is of")
        if not self.actor:
            raise InvalidInput("a caller needs an actor", hint="Name who acts, as in 'cli:alice'.")


class VersionInfo(msgspec.Struct, frozen=True, array_like=True):
    """What is known of one version without opening its value.

    Attributes:
        version: Number from 1 upwards, never used twice for one name.
        created_at: Microseconds since the epoch, UTC.
        created_by: Actor that wrote it.
        state: Live, deleted (can be undone) or destroyed (can't).
        size: Bytes of the value.
        content_type: Media type of the value.
        deleted_us: From when on it counts as deleted, in microseconds since the epoch; 0 for
            never.
    """

    version: int
    created_us: int
    created_by: str
    state: State
    size: int
    content_type: str
    deleted_us: int = 0

    @property
    def created_at(self) -> dt.datetime:
        """Time of writing, timezone-aware UTC."""
        return from_us(self.created_us)

    def info(self) -> "VersionInfo":
        """Itself: metadata is made of these, or of what they are made from."""
        return self


class _Version(Protocol):
    @property
    def version(self) -> int: ...

    def info(self) -> VersionInfo: ...


class SecretMetadata:
    """Everything about a secret but its values.

    Times and versions are made when they are asked for: a listing has thousands of these.

    Attributes:
        name: The secret's name.
        version: The current version's number.
        tags: Tags, sorted.
        attributes: Attributes, ordered by key.
        max_versions: How many versions are kept.
        rotation: The rotation policy.
        engine: Settings of an API's own, such as those of KV version 2.
    """

    __slots__ = (
        "_accessed_us",
        "_created_us",
        "_expires_us",
        "_updated_us",
        "_versions",
        "attributes",
        "engine",
        "max_versions",
        "name",
        "rotation",
        "tags",
        "version",
    )

    def __init__(
        self,
        name: str,
        version: int,
        created_us: int,
        updated_us: int,
        accessed_us: int | None,
        expires_us: int | None,
        tags: tuple[str, ...],
        attributes: dict[str, str],
        max_versions: int,
        rotation: dict[str, str],
        versions: Sequence[_Version],
        engine: dict[str, str],
    ) -> None:
        self.engine = engine
        self.name = name
        self.version = version
        self._created_us = created_us
        self._updated_us = updated_us
        self._accessed_us = accessed_us
        self._expires_us = expires_us
        self.tags = tags
        self.attributes = attributes
        self.max_versions = max_versions
        self.rotation = rotation
        self._versions = versions

    @property
    def created_at(self) -> dt.datetime:
        """When the secret was made, UTC."""
        return from_us(self._created_us)

    @property
    def updated_at(self) -> dt.datetime:
        """When it was last changed, UTC."""
        return from_us(self._updated_us)

    @property
    def accessed_at(self) -> dt.datetime | None:
        """When a value was last read, UTC; None before the first time."""
        return None if self._accessed_us is None else from_us(self._accessed_us)

    @property
    def expires_at(self) -> dt.datetime | None:
        """When it ends to be readable, UTC; None for never."""
        return None if self._expires_us is None else from_us(self._expires_us)

    @property
    def versions(self) -> tuple[VersionInfo, ...]:
        """What is known of each version that is kept, oldest first."""
        return tuple(version.info() for version in self._versions)

    @property
    def current(self) -> VersionInfo:
        """The current version's information."""
        return next(v for v in reversed(self._versions) if v.version == self.version).info()

    def __repr__(self) -> str:
        # Names, tags and attributes are private: a repr ends up in logs and tracebacks.
        return f"<SecretMetadata version={self.version} versions={len(self._versions)}>"

    def _key(self) -> tuple[object, ...]:
        return (
            *(getattr(self, field) for field in self.__slots__ if field != "_versions"),
            self.versions,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretMetadata) and self._key() == other._key()

    __hash__ = None  # type: ignore[assignment] # it has dictionaries


class AuditEntry(msgspec.Struct, frozen=True):
    """One opened audit record (``docs/spec/audit.md``, section 2).

    Attributes:
        index: Leaf index in the log.
        timestamp: When the operation was recorded, UTC.
        actor: Who asked.
        user: Whose namespace it was about, or empty for the store itself.
        secret_name: Name of the secret, or empty.
        version: Version of the secret, or 0.
        action: What was done; see :class:`Action`.
        success: Whether it was done.
        reason: Why not, or a detail of how; never a value.
        request_id: The caller's request id, or empty.
        address: The caller's address, or empty.
        method: The login method that the caller's token came from, such as
            ``approle auth/approle/``, or empty.
        accessor: The token's accessor, or empty.
        decision: Which policies decided, or empty where none was asked.
        outcome: The class of the answer, such as ``ok`` or ``denied``; empty in records of
            format 1.
    """

    index: int
    timestamp: dt.datetime
    actor: str
    user: str
    secret_name: str
    version: int
    action: str
    success: bool
    reason: str
    request_id: str
    address: str
    method: str = ""
    accessor: str = ""
    decision: str = ""
    outcome: str = ""

    def __repr__(self) -> str:
        return f"<AuditEntry index={self.index} action={self.action} success={self.success}>"


def from_us(us: int) -> dt.datetime:
    """Microseconds since the epoch as a timezone-aware UTC time, exactly."""
    seconds, micro = divmod(us, 1_000_000)
    return dt.datetime.fromtimestamp(seconds, dt.UTC).replace(microsecond=micro)


def to_us(time: dt.datetime) -> int:
    """A timezone-aware time as microseconds since the epoch.

    Raises:
        InvalidInput: The time has no timezone.
    """
    if time.tzinfo is None:
        raise InvalidInput(
            f"the time {time.isoformat()} has no timezone",
            hint="Give a timezone-aware time, such as datetime.now(timezone.utc).",
        )
    delta = time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _check_text(text: str, what: str, limit: int) -> None:
    if not text:
        raise InvalidName(f"{what} is empty", hint=f"Give 1 to {limit} characters.")
    if len(text) > limit:
        raise InvalidName(
            f"{what} has {len(text)} characters, more than {limit}", hint="Shorten it."
        )
    if text.isascii() and text.isprintable():
        return
    for position, char in enumerate(text):
        category = unicodedata.category(char)
        if category in {"Cc", "Cs", "Cn", "Zl", "Zp"} or char in _FORMAT_CONTROLS:
            raise InvalidName(
                f"{what} has a control or unassigned character "
                f"(U+{ord(char):04X}) at position {position}",
                hint="Remove it.",
            )
    if not unicodedata.is_normalized("NFC", text):
        raise InvalidName(
            f"{what} is not in Unicode normalization form C",
            hint="Normalize it: unicodedata.normalize('NFC', text).",
        )


# Bidirectional overrides and isolates can make two names look alike or run backwards.
_FORMAT_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)


# Printable ASCII without empty, '.' or '..' segments: nearly every name, decided at once.
_PLAIN_NAME: Final = re.compile(
    r"(?!\.{1,2}(?:/|\Z))[ -.0-~]+(?:/(?!\.{1,2}(?:/|\Z))[ -.0-~]+)*", re.ASCII
)
_PLAIN_USER: Final = re.compile(r"(?!\.{1,2}\Z)[ -.0-~]+", re.ASCII)


def secret_name(name: str) -> str:
    """Check a secret name and return it unchanged.

    Raises:
        InvalidName: It breaks a rule; the text says which.
    """
    if not isinstance(name, str):
        raise InvalidName(f"a secret name is text, not {type(name).__name__}")
    if len(name) <= MAX_NAME_CHARS and _PLAIN_NAME.fullmatch(name):
        return name
    _check_text(name, "the secret name", MAX_NAME_CHARS)
    if "/" in name or name in {".", ".."}:
        for segment in name.split("/"):
            if segment in {"", ".", ".."}:
                shown = f"'{segment}'" if segment else "empty"
                raise InvalidName(
                    f"the secret name has a segment that is {shown}",
                    hint="Separate folders by single slashes; no leading or trailing slash.",
                )
    return name


def user_id(user: UserId) -> str:
    """Check a user id and return its canonical text; integers become decimal digits.

    Raises:
        InvalidName: It breaks a rule; the text says which.
    """
    if isinstance(user, bool) or not isinstance(user, str | int):
        raise InvalidName(f"a user id is text or an integer, not {type(user).__name__}")
    text = str(user) if isinstance(user, int) else user
    if len(text) <= MAX_USER_CHARS and _PLAIN_USER.fullmatch(text):
        return text
    _check_text(text, "the user id", MAX_USER_CHARS)
    if "/" in text or text in {".", ".."}:
        raise InvalidName("the user id is '.', '..' or has a '/'", hint="Remove it.")
    return text


def tag_list(tags: Iterable[str]) -> tuple[str, ...]:
    """Check tags; return them sorted, each once.

    Raises:
        InvalidInput: A tag is not text, too long or has control characters, or there are too many.
    """
    if isinstance(tags, str):
        raise InvalidInput("tags are a list of strings, not one string", hint="Put it into a list.")
    unique = set(tags)
    if len(unique) > MAX_TAGS:
        raise InvalidInput(f"{len(unique)} tags are more than {MAX_TAGS}")
    for tag in unique:
        if not isinstance(tag, str):
            raise InvalidInput(f"a tag is text, not {type(tag).__name__}")
        _check_text(tag, "a tag", MAX_TAG_CHARS)
    return tuple(sorted(unique))


def attribute_map(attributes: Mapping[str, str]) -> dict[str, str]:
    """Check attributes; return a copy ordered by key.

    Raises:
        InvalidInput: A key or value is not text or too long, or there are too many.
    """
    if len(attributes) > MAX_ATTRIBUTES:
        raise InvalidInput(f"{len(attributes)} attributes are more than {MAX_ATTRIBUTES}")
    for key, value in attributes.items():
        if not (isinstance(key, str) and isinstance(value, str)):  # callers may not type-check
            raise InvalidInput("attributes map text to text")
        _check_text(key, "an attribute's key", MAX_ATTRIBUTE_KEY_CHARS)
        if len(value) > MAX_ATTRIBUTE_VALUE_CHARS:
            raise InvalidInput(
                f"an attribute's value has {len(value)} characters, "
                f"more than {MAX_ATTRIBUTE_VALUE_CHARS}"
            )
    return dict(sorted(attributes.items()))


def check_max_versions(number: int) -> int:
    """How many versions a secret keeps.

    Raises:
        InvalidInput: It is not between 1 and the limit.
    """
    if not 1 <= number <= MAX_VERSIONS_LIMIT:
        raise InvalidInput(f"max_versions is {number}, not between 1 and {MAX_VERSIONS_LIMIT}")
    return number


def check_cas(cas: int | None) -> int | None:
    """A version that is to be the current one, 0 for none, None for any, as given by a caller.

    Raises:
        InvalidInput: It is no version number.
    """
    if cas is not None and (type(cas) is not int or cas < 0):
        raise InvalidInput("cas is a version number, or 0 for none")
    return cas


def check_versions(versions: Iterable[int] | None) -> list[int] | None:
    """Version numbers as given by a caller.

    Raises:
        InvalidInput: There is none, or one is not a positive integer.
    """
    if versions is None:
        return None
    checked = list(dict.fromkeys(versions))
    if not checked or not all(type(number) is int and number > 0 for number in checked):
        raise InvalidInput("versions are positive integers, one or more")
    return checked
