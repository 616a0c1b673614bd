"""The age format at its edge: texts of keys in, our errors out (``docs/spec/bundle.md`` 1).

``pyrage`` names a cause only by the text of its exception, so the texts are mapped here and nowhere
else. Its exceptions are dropped (``from None``): one that quotes a header or a key must not travel.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import pyrage

from adyton.errors import InvalidDocument, InvalidInput

# pyrage has no type hints; these are its Recipient and Identity objects, or a passphrase.
Keys: TypeAlias = "str | list[Any]"

_MAGIC: Final = b"age-encryption.org/v1\n"
_ARMOR: Final = b"-----BEGIN AGE ENCRYPTED FILE-----"
_SCRYPT: Final = re.compile(
    rb"age-encryption\.org/v1\n-> scrypt [A-Za-z0-9+/]{1,64} ([0-9]{1,3})\n"
)
_DAMAGED_HINT: Final = "Fetch it again from where it was exported; no part of it can be trusted."


def recipients_of(recipients: Sequence[str] | None, passphrase: str | None) -> Keys:
    """Parse whom to encrypt to: recipients or a passphrase, exactly one of the two.

    Raises:
        InvalidInput: A recipient does not parse, or not exactly one way was given.
    """
    if bool(recipients) == bool(passphrase) or isinstance(recipients, str):
        raise InvalidInput(
            "a bundle needs a list of recipients, or a passphrase, and not both",
            hint="Give age or SSH public keys, or a passphrase.",
        )
    return (
        _text(passphrase)
        if passphrase
        else [_recipient(text, position) for position, text in enumerate(recipients or (), 1)]
    )


def identities_of(identities: Sequence[str] | None, passphrase: str | None) -> Keys:
    """Parse what to decrypt with: identities or a passphrase, exactly one of the two.

    Raises:
        InvalidInput: An identity does not parse, or not exactly one way was given.
    """
    if bool(identities) == bool(passphrase) or isinstance(identities, str):
        raise InvalidInput(
            "a bundle opens by a list of identities, or a passphrase, and not both",
            hint="Give the private keys, or the passphrase it was made under.",
        )
    return (
        _text(passphrase)
        if passphrase
        else [_identity(text, position) for position, text in enumerate(identities or (), 1)]
    )


def new_key() -> tuple[str, str]:
    """A fresh X25519 key of age: identity and recipient."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def encrypt(plaintext: bytes, keys: Keys) -> bytes:
    """Encrypt to recipients or under a passphrase.

    Raises:
        InvalidInput: The recipients can't be used together.
    """
    try:
        if isinstance(keys, str):
            return bytes(pyrage.passphrase.encrypt(plaintext, keys))
        return bytes(pyrage.encrypt(plaintext, keys))
    except pyrage.EncryptError:
        raise InvalidInput("the recipients can't be used together") from None


def decrypt(data: bytes, keys: Keys, scrypt_log_n: int) -> bytes:
    """Open an age file, binary or armored.

    Raises:
        InvalidDocument: No identity opens it, the passphrase is wrong, or it is damaged.
    """
    if not data.startswith((_MAGIC, _ARMOR)):
        raise InvalidDocument(
            "this is not an age file, or its beginning is damaged",
            hint="Give the bundle as it was exported.",
        )
    try:
        if not isinstance(keys, str):
            return bytes(pyrage.decrypt(data, keys))
        _check_work(data, scrypt_log_n)
        return bytes(pyrage.passphrase.decrypt(data, keys))
    except pyrage.DecryptError as error:
        raise _refusal(str(error), by_passphrase=isinstance(keys, str)) from None


def _check_work(data: bytes, limit: int) -> None:
    """Refuse a file under a passphrase whose work factor would take gigabytes of memory.

    The factor can be read in a binary file only, so an armored one is refused.
    """
    found = _SCRYPT.match(data)
    if found is None:
        raise InvalidDocument(
            "this is not a binary age file under a passphrase",
            hint="Open it by its identities, or remove the armor.",
        )
    if int(found[1]) > limit:
        raise InvalidDocument(
            f"the bundle's scrypt work factor is over {limit}",
            hint="Raise the limit scrypt_log_n if you trust its origin; 22 takes 4 GiB of memory.",
        )


def _refusal(text: str, *, by_passphrase: bool) -> InvalidDocument:
    if text == "No matching keys found":
        return InvalidDocument(
            "none of the given identities opens this bundle",
            hint="Give the identity of a recipient it was exported to; "
            "if it is the right one, the header is damaged.",
        )
    if text == "Decryption failed" and by_passphrase:
        return InvalidDocument(
            "the passphrase does not open this bundle",
            hint="Give the passphrase it was exported under; "
            "if it is the right one, the header is damaged.",
        )
    if text.startswith("Excessive work"):
        return InvalidDocument("opening the bundle would take too long on this machine")
    return InvalidDocument("the bundle is damaged or truncated", hint=_DAMAGED_HINT)


def _text(passphrase: str) -> str:
    try:
        passphrase.encode()
    except UnicodeEncodeError:
        raise InvalidInput("the passphrase has an unpaired surrogate") from None
    return passphrase


def _recipient(text: str, position: int) -> object:
    try:
        text = _text(text).strip()
        if text.startswith("age1"):
            return pyrage.x25519.Recipient.from_str(text)
        if text.startswith(("ssh-ed25519 ", "ssh-rsa ")):
            return pyrage.ssh.Recipient.from_str(text)
    except (pyrage.RecipientError, InvalidInput):
        pass
    raise InvalidInput(
        f"recipient {position} is not a public key that age knows",
        hint="Give 'age1...', 'ssh-ed25519 ...' or 'ssh-rsa ...'.",
    )


def _identity(text: str, position: int) -> object:
    try:
        text = _text(text).strip()
        if text.startswith("AGE-SECRET-KEY-1"):
            return pyrage.x25519.Identity.from_str(text)
        if text.startswith("-----BEGIN"):
            return pyrage.ssh.Identity.from_buffer(text.encode() + b"\n")
    except pyrage.IdentityError as error:
        if "must be decrypted first" in str(error):
            raise InvalidInput(
                f"identity {position} is an SSH key under a passphrase",
                hint="Write a copy without one: ssh-keygen -p -N '' -f COPY.",
            ) from None
    except InvalidInput:
        pass
    raise InvalidInput(
        f"identity {position} is not a private key that age knows",
        hint="Give 'AGE-SECRET-KEY-1...', or the text of an OpenSSH ed25519 or RSA private key.",
    )
