"""What the roots that hold their key in this process share (``docs/spec/roots.md``).

A wrapped key is a header, whose first two bytes are the kind of root and the format's version,
and an AEAD box. The whole header is authenticated beside the caller's context.
"""

import os
from typing import Final, NoReturn, SupportsIndex

from adyton.crypto import context as ctx
from adyton.crypto.aead import AeadKey
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import DecryptionFailed, RootLocked, RootUnavailable

KIND_KEYFILE: Final = 0x01
KIND_PASSPHRASE: Final = 0x02
KIND_DEV: Final = 0x03
KIND_SHAMIR: Final = 0x04
KIND_TRANSIT: Final = 0x05
KIND_AWSKMS: Final = 0x06
KIND_AGE: Final = 0x07
KIND_CREDENTIAL: Final = 0x08
KIND_GRAMINE: Final = 0x09
KIND_PKCS11: Final = 0x0A
KIND_TPM2: Final = 0x0B
VERSION: Final = 0x01

_NAMES: Final = {
    KIND_KEYFILE: "keyfile",
    KIND_PASSPHRASE: "passphrase",
    KIND_DEV: "dev",
    KIND_SHAMIR: "shamir",
    KIND_TRANSIT: "transit",
    KIND_AWSKMS: "awskms",
    KIND_AGE: "age",
    KIND_CREDENTIAL: "credential",
    KIND_GRAMINE: "gramine",
    KIND_PKCS11: "pkcs11",
    KIND_TPM2: "tpm2",
}
_LABEL: Final = b"adyton/v1/root"
_MARK: Final = b"adyton/v1/root-source"


class LocalRoot:
    """Base of a root whose key is in this process: it can be closed, and ends at a fork.

    Secret memory reads as zeros in a forked child. A root that went on there would wrap the
    master key under a key that everybody knows, so it refuses instead.
    """

    _kind_byte: int

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._closed = False

    @property
    def kind(self) -> str:
        """Short stable name of the kind of root."""
        return _NAMES[self._kind_byte]

    def close(self) -> None:
        """Forget what is held in memory. May be called again."""
        self._closed = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("an open root of trust can't be copied or pickled; open it again")

    def _check_usable(self) -> None:
        if self._closed:
            raise self._was_closed()
        if os.getpid() != self._pid:
            raise RootUnavailable(
                f"the {self.kind} root was opened before this process was forked",
                hint="Open the root and the store after the fork, in the process that uses them.",
            )

    def _header(self, rest: bytes = b"") -> bytes:
        return bytes((self._kind_byte, VERSION)) + rest

    def _split(self, wrapped: bytes, rest_size: int = 0) -> tuple[bytes, bytes]:
        """Header and box of a wrapped key.

        Raises:
            RootLocked: Another kind of root or another version made it, or it is too short.
        """
        if len(wrapped) < 2 + rest_size:
            raise self._locked()
        kind, version = wrapped[0], wrapped[1]
        if kind != self._kind_byte and kind in _NAMES:
            raise RootLocked(
                f"the master key was wrapped by a root of kind {_NAMES[kind]}, not {self.kind}",
                hint=f"Name the root that made it, as in '{_NAMES[kind]}:...'.",
            )
        if kind != self._kind_byte or version != VERSION:
            raise self._locked()
        return wrapped[: 2 + rest_size], wrapped[2 + rest_size :]

    def _seal(self, key: AeadKey, header: bytes, secret: SecretBytes, context: bytes) -> bytes:
        with secret.borrow() as view:
            return header + key.seal(view, ctx.encode(_LABEL, header, context))

    def _open(self, key: AeadKey, header: bytes, box: bytes, context: bytes) -> SecretBytes:
        """Open the box of a wrapped key.

        Raises:
            RootLocked: Wrong key or context, or damaged bytes.
        """
        try:
            return key.open_secret(box, ctx.encode(_LABEL, header, context))
        except DecryptionFailed:
            raise self._locked() from None

    def _was_closed(self) -> RootUnavailable:
        return RootUnavailable(f"the {self.kind} root has been closed", hint="Open it again.")

    def _locked(self) -> RootLocked:
        """The one text for every cause that can't be told apart."""
        return RootLocked(
            f"the {self.kind} root does not open the master key",
            hint="Check that this root belongs to this store; else restore the store's key rows.",
        )


class OneKeyRoot(LocalRoot):
    """Base of a root that has one AEAD key for all that it wraps; its header has no more fields.

    Args:
        key: A 256-bit key; the caller keeps and wipes it.
    """

    def __init__(self, key: SecretBytes) -> None:
        super().__init__()
        self._key: AeadKey | None = AeadKey(key)
        self._mark = self._key.seal(b"", _MARK)

    def wrap(self, key: SecretBytes, context: bytes) -> bytes:
        """Wrap a key.

        Raises:
            RootUnavailable: The root was closed, or opened before a fork.
        """
        return self._seal(self._cipher(), self._header(), key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        """Open a wrapped key into locked memory; the caller wipes it.

        Raises:
            RootLocked: Another root's key or context, or damaged bytes.
            RootUnavailable: The root was closed, or opened before a fork.
        """
        cipher = self._cipher()
        header, box = self._split(wrapped)
        return self._open(cipher, header, box, context)

    def _compare(self, key: SecretBytes) -> None:
        """Check that a key which was read again is the one that this root has.

        Raises:
            RootLocked: It is another one.
        """
        try:
            AeadKey(key).open(self._mark, _MARK)
        except DecryptionFailed:
            raise RootLocked(
                f"the key of the {self.kind} root is another one than at the start",
                hint="Put the key back: the store would not open by this one.",
            ) from None

    def close(self) -> None:
        """Forget the key. May be called again."""
        super().close()
        self._key = None

    def _cipher(self) -> AeadKey:
        key = self._key
        self._check_usable()
        if key is None:  # another thread closes the root at this moment
            raise self._was_closed()
        return key
