"""Signatures of webhooks by the Standard Webhooks specification (``docs/spec/notices.md``, 4).

What is signed is ``id.timestamp.body``, by HMAC-SHA-256.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from adyton.errors import InvalidInput

PREFIX: Final = "whsec_"
KEY_BYTES: Final = 32
_LEAST, _MOST = 24, 64
"""Bytes of a key, by the specification."""


def secret_text(key: bytes) -> str:
    """A key as it is handed to the receiver."""
    return PREFIX + base64.b64encode(key).decode()


def secret_key(text: str) -> bytes:
    """The key in the text of a secret.

    Raises:
        InvalidInput: It is not one.
    """
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not _LEAST <= len(key) <= _MOST:
        raise InvalidInput(
            "the webhook's secret can't be read",
            hint=f"It is {PREFIX} and {_LEAST} to {_MOST} bytes in base64.",
        )
    return key


def signature(keys: Iterable[bytes], ident: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``: one signature for each key, separated by spaces."""
    signed = f"{ident}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode() for key in keys
    )


def verifies(keys: Iterable[bytes], ident: str, timestamp: int, body: bytes, given: str) -> bool:
    """Whether one of several signatures was made by one of these keys."""
    found = False
    for one in signature(keys, ident, timestamp, body).split():
        for other in given.split():
            found |= hmac.compare_digest(one.encode(), other.encode())
    return found
