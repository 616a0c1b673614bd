"""Between the shapes of requests and answers and the values of the service."""

from typing import assert_never

import msgspec

from adyton.canonical import parse_exact
from adyton.errors import InvalidInput
from adyton.model import (
    CONTENT_BYTES,
    CONTENT_JSON,
    AuditEntry,
    SecretMetadata,
    Value,
    VersionInfo,
    from_us,
)
from adyton.server.native.shapes import (
    Base64Value,
    Encoding,
    JsonValue,
    MetadataShown,
    RecordShown,
    SecretShown,
    Utf8Value,
    ValueShape,
    VersionShown,
)
from adyton.values import Secret


def value_of(shape: ValueShape) -> Value:
    """The value that a request brings.

    Raises:
        InvalidInput: A JSON value is not an object, or not JSON.
    """
    if isinstance(shape, Utf8Value | Base64Value):
        return shape.data
    if isinstance(shape, JsonValue):
        found = parse_exact(bytes(shape.data))
        if not isinstance(found, dict):
            raise InvalidInput(
                "the value is not a JSON object",
                hint="Send other JSON as text, with the content type application/json.",
            )
        return found
    assert_never(shape)


def shown_value(data: bytes, content_type: str, encoding: Encoding) -> ValueShape:
    """A value in the clearest form that is exact."""
    if encoding == "auto":
        if content_type == CONTENT_JSON and _is_object(data):
            return JsonValue(data=msgspec.Raw(data), content_type=content_type)
        if content_type.startswith("text/"):
            try:
                return Utf8Value(data=data.decode(), content_type=content_type)
            except UnicodeDecodeError:
                pass
    return Base64Value(data=data, content_type=content_type or CONTENT_BYTES)


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(data), dict)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return False


def shown_secret(secret: Secret, encoding: Encoding) -> SecretShown:
    """A secret that was read; wiped here."""
    with secret:
        value = shown_value(secret.reveal(), secret.content_type, encoding)
        return SecretShown(
            name=secret.name,
            version=secret.version,
            value=value,
            metadata=shown_metadata(secret.metadata),
        )


def shown_metadata(meta: SecretMetadata) -> MetadataShown:
    """A secret's metadata."""
    return MetadataShown(
        name=meta.name,
        version=meta.version,
        created_at=meta.created_at,
        updated_at=meta.updated_at,
        accessed_at=meta.accessed_at,
        expires_at=meta.expires_at,
        tags=list(meta.tags),
        attributes=meta.attributes,
        max_versions=meta.max_versions,
        rotation=meta.rotation,
        engine=meta.engine,
        versions=[_shown_version(info) for info in meta.versions],
    )


def _shown_version(info: VersionInfo) -> VersionShown:
    return VersionShown(
        version=info.version,
        created_at=info.created_at,
        created_by=info.created_by,
        state=info.state.name.lower(),  # type: ignore[arg-type] # one of three names
        size=info.size,
        content_type=info.content_type,
        deleted_at=from_us(info.deleted_us) if info.deleted_us else None,
    )


def shown_record(entry: AuditEntry) -> RecordShown:
    """An audit record."""
    return RecordShown(**msgspec.structs.asdict(entry))
