"""A certificate signed by itself, for development: nobody has vouched for it."""

import datetime as dt
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from adyton import durable
from adyton.errors import InvalidInput

LOCAL_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
_LABEL: Final = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_HOST: Final = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class SelfSigned:
    """A certificate and its key, as files.

    Attributes:
        cert: The certificate, PEM, which clients have to trust.
        key: Its private key, PEM, readable by its owner alone.
        fingerprint: SHA-256 of the certificate, in hexadecimal digits.
        not_after: When it ends.
    """

    cert: Path
    key: Path
    fingerprint: str
    not_after: dt.datetime


def make_self_signed(folder: Path, hosts: Sequence[str] = (), *, days: int = _DAYS) -> SelfSigned:
    """Make an ECDSA P-256 key and a certificate for this machine's own names and others.

    Args:
        folder: Where ``tls.crt`` and ``tls.key`` are written; made if it is missing.
        hosts: Names and addresses beside ``localhost``, ``127.0.0.1`` and ``::1``.
        days: How long it lasts.

    Raises:
        InvalidInput: A host is neither a name nor an address, or the files exist or can't be
            written.
    """
    names = [_name(host) for host in dict.fromkeys((*LOCAL_HOSTS, *hosts))]
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Adyton development")])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    cert_path, key_path = folder / "tls.crt", folder / "tls.key"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.create(key_path, private)
        durable.create(cert_path, made.public_bytes(pem), mode=0o644)
    except OSError as error:
        raise InvalidInput(
            f"can't write {error.filename or folder}: {error.strerror}",
            hint="Name a folder in which there is no tls.crt and no tls.key.",
        ) from None
    return SelfSigned(
        cert_path, key_path, made.fingerprint(hashes.SHA256()).hex(), made.not_valid_after_utc
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        if len(host) <= 253 and _HOST.fullmatch(host):
            return x509.DNSName(host)
        raise InvalidInput(
            f"{host!r} is not a host", hint="Give a name such as dev.example.org, or an address."
        ) from None
