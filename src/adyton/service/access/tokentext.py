"""The text of a token (``docs/spec/tokens.md``): found and checked by secret scanners."""

import base64
import binascii
import hashlib
import zlib
from typing import Final, NamedTuple

PREFIX: Final = "adt_"
RANDOM_BYTES: Final = 24
INDEX_BYTES: Final = 16
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES: Final = {digit: value for value, digit in enumerate(_DIGITS)}
_BODY: Final = 54
"""Digits of 40 bytes in base 62."""
_CHECK: Final = 6
_LENGTH: Final = len(PREFIX) + _BODY + _CHECK
_LABEL: Final = b"adyton.token.v1\x00"
BATCH_PREFIX: Final = "adb_"
MAX_BATCH: Final = 4_096
"""Characters of a batch token: it goes into a header."""
_HEAD: Final = INDEX_BYTES + 8
_BATCH_DIGITS: Final = b"-_"


class BatchText(NamedTuple):
    """The parts of a batch token's text.

    Attributes:
        user_index: Keyed index of the namespace that it says it belongs to.
        key_version: Version of the namespace's metadata key.
        box: What is sealed under that.
    """

    user_index: bytes
    key_version: int
    box: bytes

    def __repr__(self) -> str:
        return "<BatchText>"


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def make_token(user_index: bytes, random: bytes) -> str:
    """A token's text.

    Args:
        user_index: Keyed index of the namespace that the token belongs to; 16 bytes.
        random: 24 random bytes.
    """
    body = PREFIX + _base62(int.from_bytes(user_index + random, "big"), _BODY)
    return body + _checksum(body)


def parse_token(text: str) -> bytes | None:
    """The keyed index of the namespace that a token names; None if it is not of this form."""
    if len(text) != _LENGTH or not text.startswith(PREFIX):
        return None
    body, check = text[:-_CHECK], text[-_CHECK:]
    if _checksum(body) != check:
        return None
    number = 0
    for digit in body[len(PREFIX) :]:
        value = _VALUES.get(digit)
        if value is None:
            return None
        number = number * 62 + value
    if number >> (8 * (INDEX_BYTES + RANDOM_BYTES)):
        return None
    return number.to_bytes(INDEX_BYTES + RANDOM_BYTES, "big")[:INDEX_BYTES]


def batch_text(user_index: bytes, key_version: int, box: bytes) -> str | None:
    """A batch token's text; None if it would be too long.

    Args:
        user_index: Keyed index of the namespace that the token belongs to; 16 bytes.
        key_version: Version of the key that sealed it.
        box: What is sealed.
    """
    data = user_index + key_version.to_bytes(8, "big") + box
    body = BATCH_PREFIX + base64.b64encode(data, _BATCH_DIGITS).rstrip(b"=").decode()
    text = body + _checksum(body)
    return text if len(text) <= MAX_BATCH else None


def parse_batch(text: str) -> BatchText | None:
    """The parts of a batch token; None for what is not of this form, or is written otherwise."""
    if not text.startswith(BATCH_PREFIX) or len(text) > MAX_BATCH:
        return None
    body, check = text[:-_CHECK], text[-_CHECK:]
    if _checksum(body) != check:
        return None
    digits = body[len(BATCH_PREFIX) :]
    try:
        data = base64.b64decode(digits + "=" * (-len(digits) % 4), _BATCH_DIGITS, validate=True)
    except (binascii.Error, ValueError):
        return None
    # One text for one token: its last digit could be written in several ways.
    if len(data) <= _HEAD or base64.b64encode(data, _BATCH_DIGITS).rstrip(b"=").decode() != digits:
        return None
    return BatchText(
        data[:INDEX_BYTES], int.from_bytes(data[INDEX_BYTES:_HEAD], "big"), data[_HEAD:]
    )


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode("utf-8", "replace")), _CHECK)


def token_id(text: str) -> str:
    """What a token is kept under: SHA-256 of its text, in hexadecimal."""
    return hashlib.sha256(_LABEL + text.encode("utf-8", "surrogatepass")).hexdigest()
