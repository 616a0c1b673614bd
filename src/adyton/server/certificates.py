"""Certificates and keys for TLS as they were read at one moment, checked before they are used."""

import contextlib
import datetime as dt
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from adyton import durable
from adyton.config import TlsSettings
from adyton.errors import ConfigurationError
from adyton.server import trial

_MAX_BYTES: Final = 1024 * 1024
_UNREADABLE: Final = (ValueError, TypeError, IndexError, UnsupportedAlgorithm)
_TRIAL_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Certificates:
    """A certificate chain, its key, and the authorities of clients, in memory.

    Attributes:
        fingerprint: SHA-256 of the serving certificate, in hexadecimal digits.
        not_after: When it ends.
        key_digest: SHA-256 of its SubjectPublicKeyInfo, which evidence is bound to.
        digest: Of everything that was read; another one means another content.
    """

    fingerprint: str
    not_after: dt.datetime
    key_digest: bytes
    digest: bytes
    _files: tuple[int, ...]

    @property
    def cert_path(self) -> str:
        """Where the chain can be read by this process."""
        return f"/proc/self/fd/{self._files[0]}"

    @property
    def key_path(self) -> str:
        """Where the key can be read by this process."""
        return f"/proc/self/fd/{self._files[1]}"

    @property
    def client_ca_path(self) -> str | None:
        """Where the authorities of clients can be read by this process."""
        return f"/proc/self/fd/{self._files[2]}" if len(self._files) > 2 else None

    @property
    def fds(self) -> tuple[int, ...]:
        """Descriptors of what the paths name."""
        return self._files

    def __repr__(self) -> str:
        return f"<Certificates {self.fingerprint[:16]}>"

    def close(self) -> None:
        """Release the memory."""
        for fd in self._files:
            with contextlib.suppress(OSError):
                os.close(fd)


def stamp(settings: TlsSettings) -> tuple[object, ...]:
    """What changes when one of the files does, however it is replaced."""
    found: list[object] = []
    for path in _paths(settings):
        try:
            at = path.stat()
            found.append((at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns))
        except OSError as error:
            found.append(error.errno)
    return tuple(found)


def read(settings: TlsSettings) -> Certificates:
    """Read the files that the settings name, and check that they fit each other.

    Raises:
        ConfigurationError: They don't, or can't be read; the text says which and why.
    """
    contents = [_content(path) for path in _paths(settings)]
    try:
        leaf = x509.load_pem_x509_certificates(contents[0])[0]
        certified = leaf.public_key()
    except _UNREADABLE:
        raise ConfigurationError(f"{settings.cert} holds no certificate in PEM") from None
    try:
        public = load_pem_private_key(contents[1], None).public_key()
    except _UNREADABLE:
        raise ConfigurationError(
            f"{settings.key} holds no private key in PEM, or one with a passphrase"
        ) from None
    if public != certified:
        raise ConfigurationError(f"{settings.key} is not the key of {settings.cert}")
    if len(contents) > 2:
        try:
            x509.load_pem_x509_certificates(contents[2])
        except _UNREADABLE:
            raise ConfigurationError(f"{settings.client_ca} holds no certificate in PEM") from None
    sums = b"".join(hashlib.sha256(content).digest() for content in contents)
    return Certificates(
        leaf.fingerprint(hashes.SHA256()).hex(),
        leaf.not_valid_after_utc,
        hashlib.sha256(
            certified.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).digest(),
        hashlib.sha256(sums).digest(),
        _in_memory(contents),
    )


def try_out(certificates: Certificates) -> None:
    """Try certificates on the HTTP server's TLS, in a process of its own.

    Raises:
        ConfigurationError: It does not take them, or could not be asked.
    """
    paths = [certificates.cert_path, certificates.key_path]
    if certificates.client_ca_path is not None:
        paths.append(certificates.client_ca_path)
    program = [sys.executable, "-I", str(Path(trial.__file__)), *paths]
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, our own file
            program, pass_fds=certificates.fds, env={}, stdin=subprocess.DEVNULL,
            capture_output=True, check=False, timeout=_TRIAL_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(
            f"the certificate and its key could not be tried out: {type(error).__name__}"
        ) from None
    if done.returncode != 0:
        raise ConfigurationError(
            "the HTTP server does not take the certificate and its key, or an authority of clients",
            hint="Keys are ECDSA P-256 or P-384, Ed25519, or RSA of 2,048 bits or more.",
        )


def _paths(settings: TlsSettings) -> Iterator[Path]:
    for path in (settings.cert, settings.key, settings.client_ca):
        if path is not None:
            yield path


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"can't read {path}: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise ConfigurationError(f"{path} is too large for a PEM file")
    return data


def _in_memory(contents: list[bytes]) -> tuple[int, ...]:
    # What was checked is what is served: the files may be replaced between the two.
    made: list[int] = []
    try:
        for content in contents:
            made.append(os.memfd_create("adyton-tls", os.MFD_CLOEXEC))
            durable.write_all(made[-1], content)
    except OSError as error:
        for fd in made:
            os.close(fd)
        raise ConfigurationError(
            f"certificates can't be held in memory: {error.strerror}"
        ) from None
    return tuple(made)
