"""Keyed hashes, for what logs and traces must tell apart and never show.

The key is random and lives as long as the process: hashes of one run can be compared with each
other, and with nothing else. The audit log, found by the request's id, has the plain text.
"""

import hmac
import os
from typing import Final

_KEY: Final = os.urandom(32)
_BYTES: Final = 8


def hashed(*parts: str) -> str:
    """A short keyed hash (HMAC-SHA-256, RFC 2104) of some texts."""
    data = b"".join(
        len(part).to_bytes(4, "big") + part.encode("utf-8", "replace") for part in parts
    )
    return hmac.digest(_KEY, data, "sha256")[:_BYTES].hex()
