"""One key in a PKCS#11 token: found, made, judged, and what it wraps."""

import os
from types import TracebackType
from typing import Any, Final

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from adyton.crypto.aead import KEY_BYTES, NONCE_BYTES
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, RootLocked, RootUnavailable

_GCM: Final = 0x01
_KEY_WRAP_PAD: Final = 0x02
_TAG_BITS: Final = 128
_NOT_OPENED: Final = (
    pkcs11.EncryptedDataInvalid,
    pkcs11.EncryptedDataLenRange,
    pkcs11.WrappedKeyInvalid,
    pkcs11.WrappedKeyLenRange,
)


class TokenKey:
    """An AES-256 key, by its label or id.

    Attributes:
        label: Its label, or empty.
    """

    def __init__(self, label: str, key_id: bytes | None) -> None:
        self.label = label
        self._id = key_id

    def _find(self, session: pkcs11.Session) -> Any:  # noqa: ANN401 - the binding's types are loose
        try:
            return session.get_key(
                ObjectClass.SECRET_KEY, KeyType.AES, label=self.label or None, id=self._id
            )
        except pkcs11.NoSuchKey:
            raise RootUnavailable(
                "the token has no such key", hint="Check the key's label, or make it with create."
            ) from None
        except pkcs11.MultipleObjectsReturned:
            raise ConfigurationError(
                "the token has several keys of that label", hint="Name the key's id too."
            ) from None

    def check(self, session: pkcs11.Session, *, create: bool) -> None:
        """Refuse a key that is not what a root is for: one that can't leave the token.

        Raises:
            RootUnavailable: There is no such key, and it is not to be made.
            RootLocked: It can leave, or has another length.
        """
        try:
            key = self._find(session)
        except RootUnavailable:
            if not create:
                raise
            key = self._make(session)
        if key.key_length != 8 * KEY_BYTES:
            raise RootLocked(f"the token's key has {key.key_length} bits instead of 256")
        if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
            raise RootLocked(
                "the token's key can leave it, so it is no root of trust",
                hint="Make one with CKA_EXTRACTABLE false and CKA_SENSITIVE true.",
            )

    def _make(self, session: pkcs11.Session) -> Any:  # noqa: ANN401 - idem
        return session.generate_key(
            KeyType.AES,
            8 * KEY_BYTES,
            label=self.label or None,
            id=self._id,
            store=True,
            capabilities=MechanismFlag.ENCRYPT
            | MechanismFlag.DECRYPT
            | MechanismFlag.WRAP
            | MechanismFlag.UNWRAP,
            template={
                Attribute.PRIVATE: True,
                Attribute.SENSITIVE: True,
                Attribute.EXTRACTABLE: False,
            },
        )

    def wrap(self, session: pkcs11.Session, key: SecretBytes, binding: bytes) -> bytes:
        """Wrap a wrapping key: by AES-GCM where the token has it, else by AES key wrap."""
        own = self._find(session)
        if Mechanism.AES_GCM in session.token.slot.get_mechanisms():
            nonce = os.urandom(NONCE_BYTES)
            # The binding takes bytes alone: a copy of the wrapping key that nobody can wipe.
            return bytes((_GCM,)) + nonce + self._gcm(own.encrypt, key.reveal(), nonce, binding)
        with _SessionKey(session, key) as inner:
            wrapped = own.wrap_key(inner, mechanism=Mechanism.AES_KEY_WRAP_PAD)
        return bytes((_KEY_WRAP_PAD,)) + bytes(wrapped)

    def unwrap(self, session: pkcs11.Session, wrapped: bytes, binding: bytes) -> SecretBytes | None:
        """Open a wrapped wrapping key; None if the token does not open it."""
        own = self._find(session)
        way, body = wrapped[0], wrapped[1:]
        if way == _GCM and len(body) > NONCE_BYTES:
            return self._open_gcm(own, body, binding)
        if way == _KEY_WRAP_PAD:
            return self._open_key_wrap(own, body)
        return None

    def _open_gcm(self, own: Any, body: bytes, binding: bytes) -> SecretBytes | None:  # noqa: ANN401
        nonce, sealed = body[:NONCE_BYTES], body[NONCE_BYTES:]
        try:
            return SecretBytes(self._gcm(own.decrypt, sealed, nonce, binding))
        except _NOT_OPENED:
            return None
        except pkcs11.GeneralError:
            # Some modules have no other code for a wrong tag, and it is that of a broken token
            # too. One that still encrypts is not broken.
            self._gcm(own.encrypt, bytes(KEY_BYTES), os.urandom(NONCE_BYTES), b"probe")
            return None

    @staticmethod
    def _gcm(call: Any, data: bytes, nonce: bytes, binding: bytes) -> bytes:  # noqa: ANN401
        parameters = pkcs11.GCMParams(nonce, binding, _TAG_BITS)
        return bytes(call(data, mechanism=Mechanism.AES_GCM, mechanism_param=parameters))

    @staticmethod
    def _open_key_wrap(own: Any, body: bytes) -> SecretBytes | None:  # noqa: ANN401
        template = {
            Attribute.TOKEN: False,
            Attribute.EXTRACTABLE: True,
            Attribute.SENSITIVE: False,
        }
        try:
            inner = own.unwrap_key(
                ObjectClass.SECRET_KEY,
                KeyType.AES,
                body,
                mechanism=Mechanism.AES_KEY_WRAP_PAD,
                template=template,
            )
        except (*_NOT_OPENED, pkcs11.GeneralError):
            return None
        try:
            return SecretBytes(inner[Attribute.VALUE])
        finally:
            inner.destroy()


class _SessionKey:
    """A wrapping key as an object of the session, for as long as the token wraps it."""

    def __init__(self, session: pkcs11.Session, key: SecretBytes) -> None:
        self._object: Any = session.create_object(
            {
                Attribute.CLASS: ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: KeyType.AES,
                Attribute.TOKEN: False,
                Attribute.EXTRACTABLE: True,
                Attribute.VALUE: key.reveal(),
            }
        )

    def __enter__(self) -> Any:  # noqa: ANN401 - an object of the binding
        return self._object

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._object.destroy()
