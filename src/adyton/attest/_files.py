"""Files that go with evidence: certificates, collateral and logs, read again for each request."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from adyton.errors import ConfigurationError, ServerUnavailable


def content(path: Path, limit: int) -> bytes:
    """A file's content.

    Raises:
        ServerUnavailable: It can't be read, or is larger than the limit.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise unavailable(f"{path} can't be read: {error.strerror}") from None
    if len(data) > limit:
        raise unavailable(f"{path} is larger than {limit} bytes")
    return data


def certificates(path: Path | None) -> list[bytes]:
    """Certificates of a PEM file, as DER; none without a file.

    Raises:
        ConfigurationError: It can't be read, or holds none.
    """
    if path is None:
        return []
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"can't read {path}: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{path} holds no certificates in PEM") from None
    return [each.public_bytes(Encoding.DER) for each in found]


def unavailable(why: str) -> ServerUnavailable:
    """There is no evidence now."""
    return ServerUnavailable(f"there is no evidence now: {why}")
