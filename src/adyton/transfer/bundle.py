"""The native bundle: an age file that holds one JSON document (``docs/spec/bundle.md``).

The age file keeps the content secret and unchanged between its writer and whoever holds the key;
the digests inside let anyone who has the document check it after it has been opened, piece by
piece, whatever program opened it.
"""

import datetime as dt
from collections.abc import Iterable, Sequence

from adyton.transfer import _age
from adyton.transfer._bundle_doc import read_document, write_document
from adyton.transfer._bundle_shape import FORMAT_ID
from adyton.transfer.records import PortableSecret, TransferLimits

__all__ = [
    "FORMAT_ID",
    "check_addressees",
    "one_use_key",
    "read_bundle",
    "read_document",
    "readdress_bundle",
    "write_bundle",
    "write_document",
]


def write_bundle(
    secrets: Iterable[PortableSecret],
    *,
    recipients: Sequence[str] | None = None,
    passphrase: str | None = None,
    now: dt.datetime,
) -> bytes:
    """Compose a bundle.

    Args:
        secrets: What to export, each name once; the order is kept.
        recipients: Public keys: ``age1...``, ``ssh-ed25519 ...`` or ``ssh-rsa ...``.
        passphrase: Instead of recipients.
        now: Time of the export, timezone-aware.

    Raises:
        InvalidInput: A recipient does not parse, not exactly one of recipients and passphrase was
            given, a name comes twice, or the time has no timezone or is before 1970.
    """
    keys = _age.recipients_of(recipients, passphrase)
    return _age.encrypt(write_document(secrets, now=now), keys)


def read_bundle(
    data: bytes,
    *,
    identities: Sequence[str] | None = None,
    passphrase: str | None = None,
    limits: TransferLimits | None = None,
) -> list[PortableSecret]:
    """Open and parse a bundle; every digest, name and limit has been checked when it returns.

    Args:
        data: The age file, binary or armored.
        identities: ``AGE-SECRET-KEY-1...`` or the text of an OpenSSH private key, any number.
        passphrase: Instead of identities; for a binary file only.
        limits: What it may cost.

    Raises:
        InvalidInput: An identity does not parse, or not exactly one of identities and passphrase
            was given.
        InvalidDocument: It does not open, is damaged, or breaks a rule of the format. The text
            counts secrets from 1 and never shows a name or a value.
    """
    limits = limits or TransferLimits()
    keys = _age.identities_of(identities, passphrase)
    # age does not compress: the document is smaller than its file, so this bounds both.
    limits.check_document(data)
    return read_document(_age.decrypt(bytes(data), keys, limits.scrypt_log_n), limits=limits)


def check_addressees(recipients: Sequence[str] | None, passphrase: str | None) -> None:
    """Whether a bundle can be written for them.

    Raises:
        InvalidInput: A recipient does not parse, or there is not exactly one way.
    """
    _age.recipients_of(recipients, passphrase)


def one_use_key() -> tuple[str, str]:
    """A fresh age key: its identity, which is a secret, and its recipient."""
    return _age.new_key()


def readdress_bundle(
    data: bytes,
    *,
    identities: Sequence[str] | None = None,
    passphrase: str | None = None,
    recipients: Sequence[str] | None = None,
    new_passphrase: str | None = None,
    limits: TransferLimits | None = None,
) -> bytes:
    """Open a bundle and close it for others, without a look at what is in it.

    Raises:
        InvalidInput: A key does not parse, or there is not exactly one way in and one out.
        InvalidDocument: It does not open, is damaged, or is too large.
    """
    limits = limits or TransferLimits()
    inward = _age.identities_of(identities, passphrase)
    outward = _age.recipients_of(recipients, new_passphrase)
    limits.check_document(data)
    return _age.encrypt(_age.decrypt(bytes(data), inward, limits.scrypt_log_n), outward)
