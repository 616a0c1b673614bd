"""The text of a token (``docs/spec/tokens.md``): found and checked by secret scanners."""

import hashlib
import zlib
from typing import Final

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
    return body + _base62(zlib.crc32(body.encode()), _CHECK)


def parse_token(text: str) -> bytes | None:
    """The keyed index of the namespace that a token names; None if it is not of this form."""
    if len(text) != _LENGTH or not text.startswith(PREFIX):
        return None
    body, check = text[:-_CHECK], text[-_CHECK:]
    if _base62(zlib.crc32(body.encode("utf-8", "replace")), _CHECK) != check:
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


def token_id(text: str) -> str:
    """What a token is kept under: SHA-256 of its text, in hexadecimal."""
    return hashlib.sha256(_LABEL + text.encode("utf-8", "surrogatepass")).hexdigest()
