"""The JSON document inside a bundle (``docs/spec/bundle.md``, sections 2 to 4)."""

import datetime as dt
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, Literal

from adyton.errors import AdytonError, InvalidDocument, InvalidInput
from adyton.model import State, to_us
from adyton.transfer._bundle_digest import version_digest, whole_digest
from adyton.transfer._bundle_shape import (
    WireHead,
    WireSecret,
    WireVersion,
    decode,
    encoder,
)
from adyton.transfer.records import (
    MAX_US,
    PortableSecret,
    PortableVersion,
    TransferLimits,
)

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_from_iso = dt.datetime.fromisoformat
_MICROSECOND: Final = dt.timedelta(microseconds=1)
_STATES: Final = {"live": State.LIVE, "deleted": State.DELETED, "destroyed": State.DESTROYED}
_STATE_NAMES: Final[dict[State, Literal["live", "deleted", "destroyed"]]] = {
    State.LIVE: "live",
    State.DELETED: "deleted",
    State.DESTROYED: "destroyed",
}
_NO_TIME_HINT: Final = "Write UTC as 2026-01-31T23:59:59.000000Z."
_WHOLE_HINT: Final = "Secrets or their metadata were changed, moved or left out; export again."


def write_document(secrets: Iterable[PortableSecret], *, now: dt.datetime) -> bytes:
    """The plaintext document of a bundle, one secret a line.

    Raises:
        InvalidInput: A name comes twice, or the time has no timezone or is before 1970.
    """
    created_us = to_us(now)
    if not 0 <= created_us <= MAX_US:
        raise InvalidInput("the time of the export is before 1970")
    names: set[str] = set()
    texts: list[bytes] = []
    for position, secret in enumerate(secrets, 1):
        if secret.name in names:
            raise InvalidInput(f"secret {position}: its name is that of an earlier one")
        names.add(secret.name)
        texts.append(encoder.encode(_compose(secret)))
    head = encoder.encode(WireHead(len(texts), _time_text(created_us)))
    digest = whole_digest(head, texts)
    body = b",\n".join(texts)
    return b"".join(
        (head[:-1], b',"secrets":[\n', body, b'\n],"sha256":"', digest.encode(), b'"}\n')
    )


def read_document(data: bytes, *, limits: TransferLimits) -> list[PortableSecret]:
    """Parse the plaintext document of a bundle.

    Raises:
        InvalidDocument: It breaks a rule of the format.
    """
    limits.check_document(data)
    document = decode(data)
    count = len(document.secrets)
    if document.count != count:
        raise InvalidDocument(
            "the bundle's count of secrets is wrong",
            hint="Secrets were added or left out after it was written; export again.",
        )
    if count > limits.secrets:
        raise InvalidDocument(f"the bundle has {count} secrets, more than {limits.secrets}")
    _time_us(document.created_at)
    _check_unique([secret.name for secret in document.secrets])
    found: list[PortableSecret] = []
    try:
        for secret in document.secrets:
            found.append(_read_secret(secret, limits))  # noqa: PERF401 - its length is the place
    except AdytonError as error:
        # Built anew, and without its cause: the frames of that one hold a value.
        text = f"secret {len(found) + 1}: {error.message}"
        raise InvalidDocument(text, hint=error.hint) from None
    head = encoder.encode(WireHead(count, document.created_at))
    if whole_digest(head, _canonical(document.secrets)) != document.sha256:
        raise InvalidDocument("the digest of the whole bundle does not match", hint=_WHOLE_HINT)
    return found


def _check_unique(names: list[str]) -> None:
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    for position, name in enumerate(names, 1):  # pragma: no branch - one is there
        if name in seen:
            raise InvalidDocument(
                f"secret {position}: its name is that of an earlier one",
                hint="A bundle has each name once; export again.",
            )
        seen.add(name)


def _time_us(text: str) -> int:
    # Exactly 2026-01-31T23:59:59.000000Z. fromisoformat takes other forms of the same length, so
    # the separators are checked; a week date has a W where the month begins.
    try:
        if len(text) == 27 and text[10::9] == "T." and text[26] == "Z" and text[5] != "W":
            since = _from_iso(text) - _EPOCH
            us = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
            if us >= 0:
                return us
    except ValueError:
        pass
    raise InvalidDocument("a time is not RFC 3339 with microseconds in UTC", hint=_NO_TIME_HINT)


@lru_cache(maxsize=16)  # a secret's own times are mostly the same one
def _time_text(us: int) -> str:
    return (_EPOCH + us * _MICROSECOND).isoformat("T", "microseconds")[:26] + "Z"


def _canonical(secrets: list[WireSecret]) -> Iterator[bytes]:
    # In slices: quick, and without a second copy of the whole document in memory.
    for start in range(0, len(secrets), 512):
        yield encoder.encode(secrets[start : start + 512])[1:-1]


def _read_secret(secret: WireSecret, limits: TransferLimits) -> PortableSecret:
    if len(secret.versions) > limits.versions:
        raise InvalidDocument(f"it has more than {limits.versions} versions")
    created = secret.created_at
    created_us = _time_us(created)
    updated_us = created_us if secret.updated_at == created else _time_us(secret.updated_at)
    expires_us = None if secret.expires_at is None else _time_us(secret.expires_at)
    name = secret.name.encode()
    versions: list[PortableVersion] = []
    for v in secret.versions:
        value = v.value
        if value is not None and len(value) > limits.value_bytes:
            raise InvalidDocument(f"its value is over {limits.value_bytes} bytes")
        if version_digest(name, v.version, v.content_type, value) != v.sha256:
            raise InvalidDocument(
                f"the digest of version {v.version} does not match",
                hint="Its name, version, content type or value was changed; export again.",
            )
        at = v.created_at
        us = (
            updated_us if at == secret.updated_at else created_us if at == created else _time_us(at)
        )
        versions.append(
            PortableVersion(v.version, us, v.created_by, _STATES[v.state], v.content_type, value)
        )
    found = PortableSecret(
        secret.name,
        secret.tags,
        dict(secret.attributes) if secret.attributes else {},
        expires_us,
        secret.max_versions,
        created_us,
        updated_us,
        dict(secret.rotation) if secret.rotation else {},
        tuple(versions),
    )
    # Making the record sorted and deduplicated what it was given: any difference was a fault.
    if secret.tags and found.tags != secret.tags:
        raise InvalidDocument("its tags are not sorted, each once")
    if secret.attributes and tuple(found.attributes.items()) != secret.attributes:
        raise InvalidDocument("its attributes are not sorted by key, each once")
    if secret.rotation and tuple(found.rotation.items()) != secret.rotation:
        raise InvalidDocument("its rotation is not sorted by key, each once")
    return found


def _compose(secret: PortableSecret) -> WireSecret:
    name = secret.name.encode()
    versions: list[WireVersion] = []
    for v in secret.versions:
        value = None if v.value is None else bytes(v.value)
        versions.append(
            WireVersion(
                v.content_type,
                _time_text(v.created_us),
                v.created_by,
                version_digest(name, v.version, v.content_type, value),
                _STATE_NAMES[v.state],
                value,
                v.version,
            )
        )
    return WireSecret(
        tuple(secret.attributes.items()),
        _time_text(secret.created_us),
        None if secret.expires_us is None else _time_text(secret.expires_us),
        secret.max_versions,
        secret.name,
        tuple(secret.rotation.items()),
        secret.tags,
        _time_text(secret.updated_us),
        tuple(versions),
    )
