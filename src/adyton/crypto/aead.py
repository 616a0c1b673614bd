"""AES-256-GCM as Adyton uses it (``docs/spec/envelope.md``, section 3).

A *box* is ``0x01 || nonce (12) || ciphertext || tag (16)``: SP 800-38D with a random 96-bit
nonce. One key seals at most 2^31 boxes (DESIGN section 3), so the chance of a repeated nonce
stays below 2^-34.
"""

from os import urandom
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import DecryptionFailed

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD: Final = 1 + NONCE_BYTES + TAG_BYTES
BOX_V1: Final = 0x01
_V1: Final = b"\x01"


def _failed() -> DecryptionFailed:
    return DecryptionFailed(
        "stored data does not open under its key and place: it was changed, moved or "
        "belongs to another key",
        hint="Run 'adyton audit verify', and restore the store from a backup if it was changed.",
    )


class AeadKey:
    """One AES-256-GCM key with its cipher object, which is made once and kept.

    The cipher holds the key on OpenSSL's heap until this object is collected
    (``docs/limitations.md``); the caller's buffer may be wiped at once.
    """

    __slots__ = ("_decrypt", "_decrypt_into", "_encrypt")

    def __init__(self, key: SecretBytes) -> None:
        if len(key) != KEY_BYTES:  # the cipher would take 16 bytes as AES-128
            raise ValueError(f"a key has {KEY_BYTES} bytes, not {len(key)}")
        cipher = AESGCM(key.writable())
        self._encrypt = cipher.encrypt
        self._decrypt = cipher.decrypt
        self._decrypt_into = cipher.decrypt_into

    def seal(
        self, plaintext: "bytes | bytearray | memoryview", context: bytes, *, nonce: bytes = b""
    ) -> bytes:
        """Seal a plaintext under a context and return the box.

        Args:
            plaintext: What to seal.
            context: Associated data, made by :mod:`adyton.crypto.context`.
            nonce: For test vectors only; a fresh random one otherwise.
        """
        nonce = nonce or urandom(NONCE_BYTES)
        return _V1 + nonce + self._encrypt(nonce, plaintext, context)

    def seal_parts(self, nonce: bytes, plaintext: bytes, context: bytes) -> bytes:
        """Seal where the nonce is kept beside the ciphertext, not in a box.

        Args:
            nonce: Fresh and random; whoever seals many at once draws it for all of them.
            plaintext: What to seal.
            context: Associated data, made by :mod:`adyton.crypto.context`.
        """
        return self._encrypt(nonce, plaintext, context)

    def open(self, box: bytes, context: bytes) -> bytes:
        """Open a box of metadata, not of a value or key, into ordinary bytes.

        Raises:
            DecryptionFailed: Changed, moved, truncated, another key or an unknown format.
        """
        try:
            if len(box) >= OVERHEAD and box[0] == BOX_V1:
                return self._decrypt(box[1:13], box[13:], context)
        except (InvalidTag, TypeError):  # a tamperer may change a cell's type as well
            pass
        raise _failed()

    def open_parts(self, nonce: bytes, sealed: bytes, context: bytes) -> bytes:
        """Open a ciphertext with its tag where the nonce is kept beside it, not in a box.

        Raises:
            DecryptionFailed: Changed, moved, truncated or another key.
        """
        try:
            return self._decrypt(nonce, sealed, context)
        except (InvalidTag, ValueError, TypeError):
            raise _failed() from None

    def open_secret(self, box: bytes, context: bytes) -> SecretBytes:
        """Open a box into a locked buffer, without an ordinary copy.

        Raises:
            DecryptionFailed: Changed, moved, truncated, another key or an unknown format.
        """
        size = len(box) - OVERHEAD
        if size < 0 or box[0] != BOX_V1:
            raise _failed()
        secret = SecretBytes.sized(size)
        try:
            self._decrypt_into(box[1:13], box[13:], context, secret._view)  # noqa: SLF001
        except InvalidTag:
            # decrypt_into leaves unauthenticated plaintext behind when the tag is wrong.
            secret.wipe()
            raise _failed() from None
        return secret

    def open_into(self, box: bytes, context: bytes, buffer: memoryview) -> None:
        """Open a box into a locked buffer of exactly its plaintext's size.

        Raises:
            DecryptionFailed: As :meth:`open`; the buffer is zero then.
        """
        if len(box) != len(buffer) + OVERHEAD or box[0] != BOX_V1:
            buffer[:] = bytes(len(buffer))
            raise _failed()
        try:
            self._decrypt_into(box[1:13], box[13:], context, buffer)
        except InvalidTag:
            buffer[:] = bytes(len(buffer))
            raise _failed() from None

    def __repr__(self) -> str:
        return "<AeadKey>"

    def __reduce__(self) -> str:
        raise TypeError("a key can't be pickled or copied")


def seal_once(
    key: memoryview, plaintext: "bytes | bytearray | memoryview", context: bytes
) -> bytes:
    """Seal under a key that seals nothing else; see :meth:`AeadKey.seal`."""
    nonce = urandom(NONCE_BYTES)
    return _V1 + nonce + AESGCM(key).encrypt(nonce, plaintext, context)


def open_once(key: memoryview, box: bytes, context: bytes) -> SecretBytes:
    """Open what :func:`seal_once` sealed; see :meth:`AeadKey.open_secret`.

    Raises:
        DecryptionFailed: Changed, moved, truncated, another key or an unknown format.
    """
    size = len(box) - OVERHEAD
    if size < 0 or box[0] != BOX_V1:
        raise _failed()
    secret = SecretBytes.sized(size)
    try:
        AESGCM(key).decrypt_into(box[1:13], box[13:], context, secret.writable())
    except InvalidTag:
        # decrypt_into leaves unauthenticated plaintext behind when the tag is wrong.
        secret.wipe()
        raise _failed() from None
    return secret


def new_key() -> SecretBytes:
    """A fresh random 256-bit key in locked memory."""
    return SecretBytes.random(KEY_BYTES)
