"""What requests and answers look like; the description for machines is made from these.

Formats and patterns tell clients what the rules of names are; the rules themselves are the
service's (``model.py``).
"""

import datetime as dt
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from adyton.model import (
    MAX_ATTRIBUTE_KEY_CHARS,
    MAX_ATTRIBUTE_VALUE_CHARS,
    MAX_ATTRIBUTES,
    MAX_CONTENT_TYPE_CHARS,
    MAX_NAME_CHARS,
    MAX_TAG_CHARS,
    MAX_TAGS,
    MAX_USER_CHARS,
    MAX_VERSIONS_LIMIT,
)

MAX_BATCH: Final = 1_000
MAX_PAGE: Final = 1_000
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""Bytes of values in one answer, as many as a body may bring."""
MAX_PAGE_VERSIONS: Final = 20_000
"""Versions that a page of metadata tells of."""
MAX_NUMBER: Final = 2**53 - 1
"""The largest number that every reader of JSON has exactly."""

_BASE64: Final = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"

Name: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=MAX_NAME_CHARS, extra_json_schema={"format": "secret-name"})
]
User: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=MAX_USER_CHARS, extra_json_schema={"format": "user-id"})
]
Tag: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=MAX_TAG_CHARS, extra_json_schema={"format": "tag"})
]
Prefix: TypeAlias = Annotated[
    str, Meta(max_length=MAX_NAME_CHARS, extra_json_schema={"format": "name-prefix"})
]
Tags: TypeAlias = Annotated[list[Tag], Meta(max_length=MAX_TAGS)]
_KEYS: Final = {
    "propertyNames": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_ATTRIBUTE_KEY_CHARS,
        "format": "attribute-key",
    },
    "maxProperties": MAX_ATTRIBUTES,
}
Text: TypeAlias = Annotated[str, Meta(max_length=MAX_ATTRIBUTE_VALUE_CHARS)]
Attributes: TypeAlias = Annotated[dict[str, Text], Meta(extra_json_schema=_KEYS)]
AttributesPatch: TypeAlias = Annotated[dict[str, Text | None], Meta(extra_json_schema=_KEYS)]
Version: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_NUMBER)]
Versions: TypeAlias = Annotated[list[Version], Meta(min_length=1, max_length=MAX_VERSIONS_LIMIT)]
Kept: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_VERSIONS_LIMIT)]
Time: TypeAlias = Annotated[dt.datetime, Meta(tz=True)]
Limit: TypeAlias = Annotated[int, Meta(ge=1, le=MAX_PAGE)]
Base64: TypeAlias = Annotated[bytes, Meta(extra_json_schema={"pattern": _BASE64})]
ContentType: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_CONTENT_TYPE_CHARS,
        pattern=r"^[ -~]+$",
        extra_json_schema={"description": "Media type of the value."},
    ),
]
Encoding: TypeAlias = Literal["auto", "base64"]
DocumentFormat: TypeAlias = Literal["bundle", "dotenv", "json", "yaml"]


class Shape(msgspec.Struct, forbid_unknown_fields=True):
    """What comes in: nothing that is not known, and nothing shown by accident."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class Answer(msgspec.Struct):
    """What goes out."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


# -- values -------------------------------------------------------------------------------------


class Utf8Value(Shape, kw_only=True, tag_field="encoding", tag="utf-8"):
    """A text."""

    data: str
    content_type: ContentType | None = None


class Base64Value(Shape, kw_only=True, tag_field="encoding", tag="base64"):
    """Bytes, in base64."""

    data: Base64
    content_type: ContentType | None = None


class JsonValue(Shape, kw_only=True, tag_field="encoding", tag="json"):
    """A JSON object."""

    data: Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]
    content_type: ContentType | None = None


ValueShape: TypeAlias = Utf8Value | Base64Value | JsonValue


# -- requests -----------------------------------------------------------------------------------


class NoQuery(Shape, kw_only=True):
    """No parameters."""


class ListQuery(Shape, kw_only=True):
    """Which secrets to list."""

    prefix: Prefix = ""
    tag: Tags = []
    limit: Limit = 100
    cursor: str | UnsetType = UNSET
    include_deleted: bool = False


class ReadQuery(Shape, kw_only=True):
    """Which version to read, and how to show it."""

    version: Version | UnsetType = UNSET
    encoding: Encoding = "auto"


class VersionsQuery(Shape, kw_only=True):
    """Which versions to delete; the current one by default."""

    versions: Annotated[list[Version], Meta(max_length=100)] = []


class PageQuery(Shape, kw_only=True):
    """Which page."""

    limit: Limit = 100
    cursor: str | UnsetType = UNSET


class AuditQuery(PageQuery, kw_only=True):
    """Which records."""

    name: Prefix | UnsetType = UNSET
    action: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    success: bool | UnsetType = UNSET
    below: Annotated[int, Meta(ge=0, le=MAX_NUMBER)] | UnsetType = UNSET


class WriteBody(Shape, kw_only=True):
    """A new version; what is left out stays as it is."""

    value: ValueShape
    tags: Tags | UnsetType = UNSET
    attributes: Attributes | UnsetType = UNSET
    expires_at: Time | None | UnsetType = UNSET
    max_versions: Kept | UnsetType = UNSET


class WriteItem(WriteBody, kw_only=True):
    """One secret of a batch; ``cas`` writes only if this is the current version, 0 for none."""

    name: Name
    cas: Annotated[int, Meta(ge=0, le=MAX_NUMBER)] | None = None


class BatchWriteBody(Shape, kw_only=True):
    """Secrets to write: all or none."""

    items: Annotated[list[WriteItem], Meta(min_length=1, max_length=MAX_BATCH)]


class BatchReadBody(Shape, kw_only=True):
    """Secrets to read."""

    names: Annotated[list[Name], Meta(min_length=1, max_length=MAX_BATCH)]
    encoding: Encoding = "auto"


class UndeleteBody(Shape, kw_only=True):
    """Versions to bring back; null: the current one."""

    versions: Versions | None = None


class DestroyBody(Shape, kw_only=True):
    """Versions to erase for good; null: the secret with its name and history."""

    versions: Versions | None


class RollbackBody(Shape, kw_only=True):
    """The version whose value becomes a new version."""

    version: Version


class MetadataFields(Shape, kw_only=True):
    """What both ways to change metadata have."""

    expires_at: Time | None | UnsetType = UNSET
    max_versions: Kept | None | UnsetType = UNSET


class MetadataBody(MetadataFields, kw_only=True):
    """What to change; what is left out stays, null is the default."""

    attributes: Attributes | None | UnsetType = UNSET
    rotation: Attributes | None | UnsetType = UNSET


class MetadataMergeBody(MetadataFields, kw_only=True):
    """What to change, key by key; null is the default, or removes a key."""

    attributes: AttributesPatch | None | UnsetType = UNSET
    rotation: AttributesPatch | None | UnsetType = UNSET


class TagsBody(Shape, kw_only=True):
    """Tags to set, then to add, then to remove."""

    set: Tags | UnsetType = UNSET
    add: Tags = []
    remove: Tags = []


class ExportBody(Shape, kw_only=True):
    """What to export, and how."""

    format: DocumentFormat = "bundle"
    recipients: Annotated[list[str], Meta(min_length=1, max_length=100)] | None = None
    prefix: Prefix = ""
    names: Annotated[list[Name], Meta(min_length=1, max_length=100_000)] | None = None
    all_versions: bool = False


class ImportBody(Shape, kw_only=True):
    """A document to import."""

    format: DocumentFormat = "bundle"
    data: Base64
    identities: Annotated[list[str], Meta(min_length=1, max_length=100)] | None = None
    prefix: Prefix = ""
    flatten: bool = False
    on_conflict: Literal["fail", "skip", "replace", "new-version"] = "fail"
    dry_run: bool = False


class RewrapBody(Shape, kw_only=True):
    """One user's keys, or all; deep: values are encrypted anew."""

    user: User | None = None
    deep: bool = False


class VerifyBody(Shape, kw_only=True):
    """Signed checkpoints that were kept outside the store."""

    checkpoints: Annotated[list[str], Meta(max_length=1_000)] = []


# -- answers ------------------------------------------------------------------------------------


class VersionShown(Answer, kw_only=True):
    """What is known of one version."""

    version: int
    created_at: Time
    created_by: str
    state: Literal["live", "deleted", "destroyed"]
    size: int
    content_type: str
    deleted_at: Time | None


class MetadataShown(Answer, kw_only=True):
    """Everything about a secret but its values."""

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
    engine: dict[str, str]
    versions: list[VersionShown]


class SecretShown(Answer, kw_only=True):
    """One version of a secret."""

    name: str
    version: int
    value: ValueShape
    metadata: MetadataShown


class MetadataPage(Answer, kw_only=True):
    """A page of secrets."""

    items: list[MetadataShown]
    next_cursor: str | None


class SecretList(Answer, kw_only=True):
    """Secrets that were read."""

    items: list[SecretShown]


class MetadataList(Answer, kw_only=True):
    """Secrets that were written."""

    items: list[MetadataShown]


class RecordShown(Answer, kw_only=True):
    """An audit record."""

    index: int
    timestamp: Time
    actor: str
    user: str
    secret_name: str
    version: int
    action: str
    success: bool
    reason: str
    request_id: str
    address: str
    method: str
    accessor: str
    decision: str
    outcome: str


class RecordPage(Answer, kw_only=True):
    """A page of audit records, newest first."""

    items: list[RecordShown]
    next_cursor: str | None


class ExportShown(Answer, kw_only=True):
    """A document."""

    format: DocumentFormat
    data: Base64


class ImportShown(Answer, kw_only=True):
    """What an import did, or would do: names."""

    created: list[str]
    replaced: list[str]
    new_versions: list[str]
    skipped: list[str]
    dry_run: bool


class VkeyShown(Answer, kw_only=True):
    """The log's verifier key."""

    vkey: str


class UserShown(Answer, kw_only=True):
    """A namespace."""

    user: str
    created_at: Time
    secrets: int


class UserPage(Answer, kw_only=True):
    """A page of namespaces, in order of the user id."""

    items: list[UserShown]
    next_cursor: str | None


class PurgeShown(Answer, kw_only=True):
    """How many secrets went."""

    secrets: int


class CheckpointShown(Answer, kw_only=True):
    """A signed note (C2SP)."""

    checkpoint: str


class VerifyShown(Answer, kw_only=True):
    """What a verification has found to be true."""

    records: int
    archived: int
    checkpoints: int
    secrets: int
    users: int
    root: Base64
    closed: int


class KeyShown(Answer, kw_only=True):
    """One version of the master key (no user) or of a user key."""

    user: str
    version: int
    created_at: Time
    current: bool
    wraps: int
    max_days: float


class KeyList(Answer, kw_only=True):
    """All keys."""

    items: list[KeyShown]


class RotateShown(Answer, kw_only=True):
    """How many user keys were rotated, or the new version of the master key."""

    rotated: int
    master_version: int | None


class RewrapShown(Answer, kw_only=True):
    """How many users were gone over, and how many keys were moved; users whose roots are away."""

    users: int
    keys: int
    closed: int


class StoreShown(Answer, kw_only=True):
    """The state of the store."""

    problems: list[str]
    root: dict[str, Any]
    records: int
    signed: int
    retired_users: int
    master_due: bool


class HealthShown(Answer, kw_only=True):
    """Whether requests are answered."""

    status: Literal["ok"]


class OpenApiShown(Answer, kw_only=True):
    """This description."""

    openapi: str


class ProofShown(Answer, kw_only=True):
    """A self-contained proof of one record (``docs/spec/translog.md``)."""
