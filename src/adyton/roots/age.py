"""The root ``age:``: identities of age, one of which opens what was wrapped to their recipients.

An identity may be an X25519 key in a file, or one that a plug-in of age keeps in hardware.
"""

from pathlib import Path
from typing import Final, Self

import pyrage

from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, RootError, RootLocked
from adyton.roots import _asking
from adyton.roots._asking import Ask
from adyton.roots._local import KIND_AGE
from adyton.roots._parameters import parameters
from adyton.roots._remote import RemoteRoot

_PREFIX: Final = "AGE-SECRET-KEY-1"
_MAX_RECIPIENTS: Final = 16


class AgeRoot(RemoteRoot):
    """Wraps to the recipient of an identity, and to others that can open it as well.

    Args:
        identity: Lines of an identity file: one or more ``AGE-SECRET-KEY-1...`` and comments; the
            caller keeps and wipes it.
        recipients: Further recipients, ``age1...``.

    Raises:
        RootLocked: The file holds no identity, or one that does not parse.
        ConfigurationError: A recipient does not parse, or there are too many.
    """

    _kind_byte = KIND_AGE

    def __init__(self, identity: SecretBytes, recipients: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._file = ""
        self._identities = _identities(identity)
        own = [each.to_public() for each in self._identities]
        if len(own) + len(recipients) > _MAX_RECIPIENTS:
            raise ConfigurationError(f"the root 'age:' has more than {_MAX_RECIPIENTS} recipients")
        try:
            others = [pyrage.x25519.Recipient.from_str(each) for each in recipients]
        except pyrage.RecipientError:
            raise ConfigurationError(
                "a recipient of the root 'age:' does not parse", hint="Write 'age1...'."
            ) from None
        self._recipients = [*own, *others]

    @classmethod
    def from_uri(cls, rest: str, *, create: bool, ask: Ask | None) -> Self:  # noqa: ARG003
        """Open ``age:identity=PATH&recipients=age1...,age1...``.

        Raises:
            ConfigurationError: The URI is wrong.
            RootError: As :class:`AgeRoot`, or the file can't be read.
        """
        given = parameters("age", rest, ("identity", "recipients"))
        if "identity" not in given:
            raise ConfigurationError(
                "the root 'age:' needs a file of identities", hint="Write 'age:identity=PATH'."
            )
        recipients = tuple(filter(None, given.get("recipients", "").split(",")))
        with _asking.from_file(given["identity"], what="identity") as identity:
            made = cls(identity, recipients)
        made._file = str(Path(given["identity"]).absolute())
        return made

    def check_source(self) -> None:
        """Read the file again, where the identities came from one.

        Raises:
            RootUnavailable: It is not there, or can't be read.
            RootLocked: It holds other identities, or none.
        """
        if not self._file:
            return
        with _asking.from_file(self._file, what="identity") as identity:
            found = [str(each.to_public()) for each in _identities(identity)]
        if found != [str(each.to_public()) for each in self._identities]:
            raise RootLocked(
                "the file of identities holds others than at the start", hint="Put it back."
            )

    def describe(self) -> dict[str, str]:
        """Kind and recipients."""
        return {"kind": self.kind, "recipients": ", ".join(map(str, self._recipients))}

    def close(self) -> None:
        """Forget the identities. May be called again."""
        super().close()
        self._identities = []

    def _wrap_remotely(self, key: SecretBytes, binding: bytes) -> bytes:
        try:
            return bytes(pyrage.encrypt(binding + key.reveal(), self._recipients))
        except pyrage.EncryptError:
            raise RootError("age can't wrap the master key to these recipients") from None

    def _unwrap_remotely(self, wrapped: bytes, binding: bytes) -> SecretBytes:
        identities = self._identities
        if not identities:
            raise self._was_closed()
        try:
            plain = bytearray(pyrage.decrypt(wrapped, identities))
        except pyrage.DecryptError:
            raise self._locked() from None
        with SecretBytes.take(plain) as opened:
            view = opened.writable()
            with SecretBytes(view[: len(binding)]) as bound:
                if not bound.equals(binding):
                    raise self._locked()
            return SecretBytes(view[len(binding) :])


def _identities(text: SecretBytes) -> "list[pyrage.x25519.Identity]":
    found = []
    for line in text.text().splitlines():
        if line.startswith(_PREFIX):
            try:
                found.append(pyrage.x25519.Identity.from_str(line.strip()))
            except pyrage.IdentityError:
                raise _no_identity() from None
        elif line.strip() and not line.startswith("#"):
            raise _no_identity()
    if not found:
        raise _no_identity()
    return found


def _no_identity() -> RootLocked:
    return RootLocked(
        "the identity file holds no identity of age, or one that does not parse",
        hint="Make one by 'age-keygen -o PATH', or restore it from its backup.",
    )
