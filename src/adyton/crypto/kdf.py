"""Key derivation and keyed indexes (``docs/spec/envelope.md``, sections 4 and 5)."""

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from adyton.crypto.secretbytes import SecretBytes

INDEX_BYTES: Final = 16
"""Length of a keyed index: HMAC-SHA-256 cut to 128 bits (RFC 2104, section 5)."""

_sha256: Final = SHA256()


class IndexKey:
    """HMAC-SHA-256 under one key: finds names and user ids without storing them."""

    __slots__ = ("_hmac",)

    def __init__(self, key: SecretBytes) -> None:
        with key.borrow() as view:
            # HMAC keeps its keyed state, not the key; each index works on a copy of that.
            self._hmac = HMAC(view, _sha256)

    def index(self, text: str) -> bytes:
        """The 16-byte index of a text, equal only for equal texts under this key."""
        mac = self._hmac.copy()
        mac.update(text.encode())
        return mac.finalize()[:INDEX_BYTES]

    def __repr__(self) -> str:
        return "<IndexKey>"


def expand(key: SecretBytes, info: bytes, size: int = 32) -> SecretBytes:
    """HKDF-Expand with SHA-256 (RFC 5869, section 2.3) of a uniformly random key."""
    out = SecretBytes.sized(size)
    with key.borrow() as view:
        HKDFExpand(algorithm=_sha256, length=size, info=info).derive_into(view, out.writable())
    return out


def hkdf(key: SecretBytes, info: bytes, size: int = 32) -> SecretBytes:
    """HKDF with SHA-256 and no salt (RFC 5869, section 2), as browsers have it."""
    out = SecretBytes.sized(size)
    with key.borrow() as view:
        HKDF(algorithm=_sha256, length=size, salt=None, info=info).derive_into(view, out.writable())
    return out


def argon2id(
    passphrase: SecretBytes, salt: bytes, *, memory_kib: int, iterations: int, lanes: int
) -> SecretBytes:
    """A 256-bit key from a passphrase by Argon2id (RFC 9106).

    Args:
        passphrase: The passphrase's bytes.
        salt: At least 16 random bytes, stored beside what the key wraps.
        memory_kib: Memory in KiB.
        iterations: Passes over the memory.
        lanes: Degree of parallelism.
    """
    out = SecretBytes.sized(32)
    derive = Argon2id(
        salt=salt, length=32, iterations=iterations, lanes=lanes, memory_cost=memory_kib
    )
    with passphrase.borrow() as view:
        derive.derive_into(view, out.writable())  # type: ignore[arg-type] # takes any buffer
    return out
