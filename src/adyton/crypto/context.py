"""The associated data of every AEAD call (``docs/spec/envelope.md``, section 2).

A context is a label and fields, each prefixed by its length as a 32-bit big-endian number, so
that no two different lists of fields encode alike. The label names the format and its version;
a ciphertext moved to another place, store, user, name or version fails to open.
"""

import struct
from typing import Final

LABEL_VALUE: Final = b"adyton/v1/value"
LABEL_DATA_KEY: Final = b"adyton/v1/data-key"
LABEL_SHARED_KEY: Final = b"adyton/v1/shared-key"
LABEL_METADATA: Final = b"adyton/v1/metadata"
LABEL_OBJECT: Final = b"adyton/v1/object"
LABEL_BATCH_TOKEN: Final = b"adyton/v1/batch-token"
LABEL_USER_KEY: Final = b"adyton/v1/user-key"
LABEL_OWN_USER_KEY: Final = b"adyton/v1/own-user-key"
LABEL_OWN_OUTER: Final = b"adyton/v1/own-user-key-outer"
LABEL_USER_ROOT: Final = b"adyton/v1/user-root"
LABEL_USER_SUBKEY: Final = b"adyton/v1/user-subkey"
LABEL_USER_ID: Final = b"adyton/v1/user-id"
LABEL_STORE_KEY: Final = b"adyton/v1/store-key"
LABEL_STORE_SETTING: Final = b"adyton/v1/store-setting"
LABEL_MASTER_KEY: Final = b"adyton/v1/master-key"
LABEL_LINK: Final = b"adyton/v1/link"
LABEL_AUDIT_RECORD: Final = b"adyton/v1/audit-record"

_u32 = struct.Struct(">I").pack
u64 = struct.Struct(">Q").pack
"""A number as 8 bytes, big-endian."""


def encode(label: bytes, *fields: bytes) -> bytes:
    """The unambiguous encoding of a label and fields."""
    return b"".join(_u32(len(part)) + part for part in (label, *fields))


LEN8: Final = _u32(8)
"""Length prefix of an 8-byte field, for contexts that are put together on the hot path."""
LEN16: Final = _u32(16)
"""Length prefix of a 16-byte field."""


def secret_tail(name_index: bytes, version: int) -> bytes:
    """The fields after store and user: name index and version.

    Equal to the tail of :func:`encode`; split off because store and user are the same for a
    whole namespace.
    """
    return LEN16 + name_index + LEN8 + u64(version)
