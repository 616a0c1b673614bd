"""Revocation lists that a policy brings (RFC 5280, section 5): offline, and strict.

Nothing is fetched. Whoever writes a policy puts the lists in it, and new ones before they end.
"""

import datetime as dt
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from adyton.attest.verifier import certificates
from adyton.errors import AttestationError

_KNOWN: Final = (x509.CRLNumber, x509.AuthorityKeyIdentifier)


@lru_cache(maxsize=32)
def parse(pem: str) -> x509.CertificateRevocationList:
    """A list from PEM.

    Raises:
        ValueError: It is none, or one that says more than which certificates are revoked.
    """
    try:
        found = x509.load_pem_x509_crl(pem.encode())
        _ = (found.issuer, found.last_update_utc, found.next_update_utc)
        extensions = list(found.extensions)
    except certificates.UNREADABLE:
        raise ValueError("crls holds what is no revocation list in PEM") from None
    if any(each.critical and not isinstance(each.value, _KNOWN) for each in extensions):
        raise ValueError("crls holds a list for a part of the certificates, or a difference of two")
    return found


def check(found: Sequence[bytes], crls: Sequence[str], now: dt.datetime) -> None:
    """Refuse a chain of which a list names a certificate, and lists that can't tell.

    The chain itself has been checked up to a root that is trusted.

    Args:
        found: Certificates in DER, the leaf first, the others in any order.
        crls: Lists in PEM; one of them must be of an issuer of the chain.
        now: The time.

    Raises:
        AttestationError: A certificate is revoked; or no list is of this chain, is signed by its
            issuer and holds now.
    """
    leaf, *others = map(certificates.load, found)
    chain = certificates.order(leaf, others)
    lists = [parse(pem) for pem in crls]
    covered = False
    for certificate, issuer in pairwise(chain):
        for each in lists:
            if each.issuer == issuer.subject and _signed_by(each, issuer):
                _check_time(each, now)
                covered = True
                if each.get_revoked_certificate_by_serial_number(certificate.serial_number):
                    raise AttestationError(
                        "a certificate of the chain has been revoked", rule="revocation"
                    )
    if not covered:
        raise AttestationError(
            "none of the policy's revocation lists is of an issuer of this chain",
            rule="revocation",
            hint="Put the list of the platform's maker into the policy.",
        )


def _signed_by(each: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return False
    try:
        return each.is_signature_valid(key)
    except (*certificates.UNREADABLE, InvalidSignature):
        return False


def _check_time(each: x509.CertificateRevocationList, now: dt.datetime) -> None:
    ends = each.next_update_utc
    if ends is None or not each.last_update_utc <= now <= ends:
        raise AttestationError(
            "a revocation list of the policy does not hold now",
            rule="revocation",
            hint="Fetch the present one from the platform's maker, and put it into the policy.",
        )
