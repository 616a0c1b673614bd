"""Certificate chains of platforms: read leniently, checked strictly, at a time that is given."""

import datetime as dt
import threading
import warnings
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adyton.attest.verifier.reading import malformed
from adyton.errors import AttestationError

_MOST: Final = 8
_quiet: Final = threading.Lock()
UNREADABLE: Final = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip


def load(data: bytes) -> x509.Certificate:
    """A certificate from DER.

    Raises:
        AttestationError: It is none.
    """
    try:
        # AMD's certificates of chips have the serial number 0, of which cryptography warns, as it
        # does of names that are too long.
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = x509.load_der_x509_certificate(data)
            # Parsed when they are first asked for: so here, once, and not in many places.
            _ = (found.subject, found.issuer, found.extensions, found.public_key())
            _ = (found.not_valid_before_utc, found.not_valid_after_utc)
    except UNREADABLE:
        raise malformed("a certificate does not parse") from None
    return found


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate, in hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def key_info(certificate: x509.Certificate) -> bytes:
    """The DER of a certificate's SubjectPublicKeyInfo.

    Raises:
        AttestationError: Its key is of no known kind.
    """
    try:
        return certificate.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    except UNREADABLE:
        raise malformed("a certificate's key does not parse") from None


def check_chain(chain: Sequence[x509.Certificate], roots: frozenset[str], now: dt.datetime) -> None:
    """Check a chain from the leaf to a root.

    Args:
        chain: The leaf first, the root last.
        roots: SHA-256 of the roots that are trusted, in hexadecimal digits.
        now: The time.

    Raises:
        AttestationError: A link does not hold, or the root is not one of these.
    """
    if not 1 <= len(chain) <= _MOST:
        raise AttestationError("there is no chain of certificates", rule="chain")
    if fingerprint(chain[-1]) not in roots:
        raise AttestationError(
            "the chain of certificates ends in a root that is not trusted", rule="root"
        )
    for at, certificate in enumerate(chain):
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise AttestationError("a certificate of the chain is not valid now", rule="expired")
        issuer = chain[min(at + 1, len(chain) - 1)]
        try:
            certificate.verify_directly_issued_by(issuer)
            if at:
                bounds = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
                ca, length = bounds.value.ca, bounds.value.path_length
                if not ca or (length is not None and length < at - 1):
                    raise AttestationError("an issuer is not an authority", rule="chain")
        except (*UNREADABLE, InvalidSignature, x509.ExtensionNotFound):
            raise AttestationError(
                "the chain of certificates does not hold", rule="chain"
            ) from None


def order(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """A chain in order, by the names of subjects and issuers; where it ends is not judged."""
    chain = [leaf]
    while len(chain) <= _MOST and chain[-1].issuer != chain[-1].subject:
        found = [each for each in others if each.subject == chain[-1].issuer]
        if not found:
            break
        chain.append(found[0])
    return chain
