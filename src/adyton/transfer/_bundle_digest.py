"""The digests of a bundle's document (``docs/spec/bundle.md``, section 4).

Both cover what the document *means*, not how its JSON is laid out; a reader that understood
something else, such as the other one of two members with the same key, computes something else.
"""

import hashlib
import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from adyton.crypto.context import encode

LABEL_VERSION: Final = b"adyton.bundle.v1/version"

_u32 = struct.Struct(">I").pack
_u64 = struct.Struct(">Q").pack
_sha256 = hashlib.sha256
_VERSION_HEAD: Final = encode(LABEL_VERSION)


@lru_cache(maxsize=1024)
def _middle(version: int, content_type: str) -> bytes:
    """The fields between name and value: few distinct ones occur."""
    return encode(_u64(version), content_type.encode())


def version_digest(name: bytes, version: int, content_type: str, value: bytes | None) -> str:
    """SHA-256 of one version in hexadecimal: label, name, version, content type, value.

    Each field is prefixed by its length as :mod:`adyton.crypto.context` does. A destroyed version
    has no last field, which is not the same as an empty one.
    """
    middle = _middle(version, content_type)
    if value is None:
        return _sha256(_VERSION_HEAD + _u32(len(name)) + name + middle).hexdigest()
    size = len(value)
    head = _VERSION_HEAD + _u32(len(name)) + name + middle + _u32(size)
    if size < 4096:
        return _sha256(head + value).hexdigest()
    digest = _sha256(head)
    digest.update(value)
    return digest.hexdigest()


def whole_digest(head: bytes, texts: Iterable[bytes]) -> str:
    """SHA-256 in hexadecimal of a document's canonical JSON (RFC 8785) without its ``sha256``.

    Args:
        head: The canonical JSON object of the members before ``secrets``.
        texts: The canonical JSON of the elements of ``secrets``, one or more of them a text,
            separated by commas.
    """
    digest = _sha256(head[:-1] + b',"secrets":[')
    separator = b""
    for text in texts:
        digest.update(separator)
        digest.update(text)
        separator = b","
    digest.update(b"]}")
    return digest.hexdigest()
