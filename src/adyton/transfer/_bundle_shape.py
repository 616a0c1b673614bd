"""The shape of a bundle's document (``docs/spec/bundle.md``, section 2), and its decoding.

Field names and types are the format; every rule beyond them is in ``_bundle_doc``.
"""

import re
from typing import Annotated, Final, Literal

import msgspec

from adyton.errors import InvalidDocument

FORMAT_ID: Final = "adyton.bundle.v1"

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
_Pairs = tuple[tuple[str, str], ...]


# The fields stand in the order of their names, so that what msgspec encodes is canonical JSON.
class WireVersion(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """One version; ``value`` is base64, or null when destroyed."""

    content_type: str
    created_at: str
    created_by: str
    sha256: str
    state: Literal["live", "deleted", "destroyed"]
    value: bytes | None
    version: _Count


class WireSecret(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """One secret with its versions, oldest first."""

    attributes: _Pairs
    created_at: str
    expires_at: str | None
    max_versions: _Count
    name: str
    rotation: _Pairs
    tags: tuple[str, ...]
    updated_at: str
    versions: tuple[WireVersion, ...]


class WireDocument(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """The whole document."""

    count: _Count
    created_at: str
    format: Literal["adyton.bundle.v1"]
    secrets: list[WireSecret]
    sha256: str


class WireHead(msgspec.Struct):
    """The members before ``secrets``."""

    count: int
    created_at: str
    format: str = FORMAT_ID


class _FormatOnly(msgspec.Struct):
    format: str


_decoder = msgspec.json.Decoder(WireDocument)
encoder = msgspec.json.Encoder()
"""Canonical JSON (RFC 8785) for these types, which have no floats and sorted ASCII keys."""


def decode(data: bytes) -> WireDocument:
    """Decode a document, with every field present and of its type, and no other.

    Raises:
        InvalidDocument: It is not JSON, or not of this shape.
    """
    try:
        return _decoder.decode(data)
    except msgspec.ValidationError as error:
        raise _misshapen(data, str(error)) from None
    except (ValueError, RecursionError):  # msgspec's DecodeError, or text that is not UTF-8
        raise InvalidDocument(
            "the document is not JSON in UTF-8", hint="Give the bundle as it was exported."
        ) from None


def _misshapen(data: bytes, text: str) -> InvalidDocument:
    """Say where a document differs from the format, without quoting it.

    msgspec's own text may show an unknown key or a value, so only the parts that consist of our
    own words are taken from it.
    """
    try:
        version = msgspec.json.decode(data, type=_FormatOnly).format
    except (ValueError, RecursionError):
        return InvalidDocument("the document is not an Adyton bundle: it has no format id")
    if version != FORMAT_ID:
        return InvalidDocument(
            "the bundle's format is not known", hint="A newer Adyton may read it."
        )
    index = re.search(r"\$\.secrets\[(\d+)\]", text)
    where = f"secret {int(index[1]) + 1}: " if index else ""
    shape = re.match(r"Expected `[a-z0-9 |<>=*-]+`, got `[a-z]+`|Invalid base64", text)
    missing = re.match(r"Object missing required field `[a-z0-9_]+`", text)
    if text.startswith("Object contains unknown field"):
        what = "there is a field that the format does not have"
    elif missing or shape:
        what = (missing or shape or [""])[0].replace("`", "'")
    else:
        what = "a field is not as the format demands"
    return InvalidDocument(f"{where}{what}", hint="The rules are in docs/spec/bundle.md.")
