"""What the roots share whose key is elsewhere: a service, a file of age identities.

Each wrap makes a key of its own, the *wrapping key*. The root wraps that one, and it wraps the
master key here (``docs/spec/roots.md``, section 6). So the service and its connection never carry
the master key, and the caller's context is bound by our own AEAD, however lenient the service is.
"""

from abc import abstractmethod
from hashlib import sha256
from typing import Final

from adyton.crypto import context as ctx
from adyton.crypto.aead import KEY_BYTES, AeadKey, new_key
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import RootLocked
from adyton.roots._local import LocalRoot

MAX_WRAPPED_BYTES: Final = 8_192
"""Longest wrapped wrapping key: the services' own are below 6 KiB."""
_LABEL: Final = b"adyton/v1/root-wrapping-key"
_LENGTH_AT: Final = 2
_BLOB_AT: Final = 4


class RemoteRoot(LocalRoot):
    """Base of a root that wraps a wrapping key somewhere else."""

    @abstractmethod
    def _wrap_remotely(self, key: SecretBytes, binding: bytes) -> bytes:
        """Wrap a wrapping key.

        Args:
            key: 32 bytes.
            binding: 32 bytes for the service to bind beside it, where it can.

        Raises:
            RootError: The service refuses or does not answer.
        """

    @abstractmethod
    def _unwrap_remotely(self, wrapped: bytes, binding: bytes) -> SecretBytes:
        """Open a wrapped wrapping key; the caller wipes it.

        Raises:
            RootLocked: The service does not open it.
            RootUnavailable: The service does not answer.
        """

    def wrap(self, key: SecretBytes, context: bytes) -> bytes:
        """Wrap a key.

        Raises:
            RootUnavailable: The root was closed, opened before a fork, or does not answer.
            RootError: It refuses.
        """
        self._check_usable()
        with new_key() as wrapping:
            blob = self._wrap_remotely(wrapping, self._binding(context))
            if not 0 < len(blob) <= MAX_WRAPPED_BYTES:
                raise self._locked()
            header = self._header(len(blob).to_bytes(2, "big") + blob)
            return self._seal(AeadKey(wrapping), header, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        """Open a wrapped key into locked memory; the caller wipes it.

        Raises:
            RootLocked: Another root's key or context, or damaged bytes.
            RootUnavailable: The root was closed, opened before a fork, or does not answer.
        """
        self._check_usable()
        self._split(wrapped, _BLOB_AT - _LENGTH_AT)
        size = int.from_bytes(wrapped[_LENGTH_AT:_BLOB_AT], "big")
        if not 0 < size <= MAX_WRAPPED_BYTES:
            raise self._locked()
        header, box = self._split(wrapped, _BLOB_AT - _LENGTH_AT + size)
        with self._unwrap_remotely(header[_BLOB_AT:], self._binding(context)) as wrapping:
            if len(wrapping) != KEY_BYTES:
                raise self._locked()
            return self._open(AeadKey(wrapping), header, box, context)

    def _binding(self, context: bytes) -> bytes:
        """What stands for the context at the service: it tells nothing of the store."""
        return sha256(ctx.encode(_LABEL, self._header(), context)).digest()

    def _refused(self, why: str, hint: str) -> RootLocked:
        return RootLocked(f"the {self.kind} root does not open the master key: {why}", hint=hint)
