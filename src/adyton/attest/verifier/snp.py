"""Reports of AMD SEV-SNP (AMD 56860, ATTESTATION_REPORT; AMD 57230, VCEK and VLEK certificates)."""

import datetime as dt
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from adyton.attest.verifier import certificates
from adyton.attest.verifier.claims import Claims, Fact
from adyton.attest.verifier.reading import malformed
from adyton.errors import AttestationError
from adyton.evidence import Parts

ROOTS: Final = frozenset(
    (
        "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",  # ARK-Milan
        "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",  # ARK-Genoa
    )
)
"""SHA-256 of AMD's root certificates."""

REPORT_BYTES: Final = 1184
_SIGNED: Final = 0x2A0
_VERSIONS: Final = frozenset((2, 3, 4, 5))
_ECDSA_P384_SHA384: Final = 1
_FAMILY_MILAN_GENOA: Final = 0x19
_TCB_OIDS: Final = {0: "1", 1: "2", 6: "3", 7: "8"}
"""Place in a TCB version by the last number of the certificate's extension."""
_AMD: Final = "1.3.6.1.4.1.3704.1."
_OCTETS: Final = 0x04
_IA5: Final = 0x16
SIGNERS: Final = {0: "vcek", 1: "vlek"}
_SMT, _MIGRATION, _DEBUG = 1 << 16, 1 << 18, 1 << 19


def verify(parts: Parts, now: dt.datetime, roots: frozenset[str] = ROOTS) -> Claims:
    """Check a report's signature up to a root.

    Args:
        parts: The report, and its certificates in any order behind the leaf.
        now: The time.
        roots: SHA-256 of root certificates.

    Raises:
        AttestationError: Something does not hold.
    """
    report = parts.quote
    if len(report) != REPORT_BYTES:
        raise malformed("the report has not 1184 bytes")
    if _number(report, 0, 4) not in _VERSIONS or _number(report, 0x34, 4) != _ECDSA_P384_SHA384:
        raise malformed("the report is of an unknown version")
    if not parts.certificates:
        raise AttestationError(
            "there is no certificate of the chip with the report",
            rule="chain",
            hint="Give the server AMD's certificates by attestation.certificates.",
        )
    leaf, *others = map(certificates.load, parts.certificates)
    certificates.check_chain(certificates.order(leaf, others), roots, now)
    _check_signature(report, leaf)
    signer = SIGNERS.get(_number(report, 0x48, 4) >> 2 & 7)
    if signer is None:
        raise AttestationError("the report is signed by no key of AMD", rule="signature")
    _check_leaf(report, leaf, signer)
    return _claims(report, leaf, signer)


def _number(report: bytes, at: int, size: int) -> int:
    return int.from_bytes(report[at : at + size], "little")


def _check_signature(report: bytes, leaf: x509.Certificate) -> None:
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise AttestationError("the chip's key is not of P-384", rule="signature")
    if any(report[_SIGNED + 144 :]):
        raise malformed("there are bytes behind the signature")
    signature = encode_dss_signature(
        _number(report, _SIGNED, 72), _number(report, _SIGNED + 72, 72)
    )
    try:
        key.verify(signature, report[:_SIGNED], ec.ECDSA(hashes.SHA384()))
    except (InvalidSignature, ValueError):
        raise AttestationError("the report's signature is wrong", rule="signature") from None


def _check_leaf(report: bytes, leaf: x509.Certificate, signer: str) -> None:
    """The certificate must be for this chip, and for the TCB that the report is signed under."""
    if _number(report, 0, 4) >= 3 and report[0x188] != _FAMILY_MILAN_GENOA:
        raise malformed("the report is of a processor whose TCB is laid out otherwise")
    reported = report[0x180:0x188]
    for place, number in _TCB_OIDS.items():
        if _extension(leaf, f"3.{number}") != _integer(reported[place]):
            raise AttestationError("the certificate is of another TCB", rule="tcb-version")
    name = leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    if [each.value for each in name] != [f"SEV-{signer.upper()}"]:
        raise AttestationError("the certificate is of another kind of key", rule="signer")
    if signer == "vcek" and _extension(leaf, "4") not in {
        report[0x1A0:0x1E0],
        bytes((_OCTETS, 64)) + report[0x1A0:0x1E0],
    }:
        raise AttestationError("the certificate is of another chip", rule="signer")


def _extension(leaf: x509.Certificate, number: str) -> bytes:
    try:
        found = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier(_AMD + number)).value
    except (x509.ExtensionNotFound, *certificates.UNREADABLE):
        raise AttestationError(
            "the certificate lacks what AMD writes in it", rule="chain"
        ) from None
    return found.value if isinstance(found, x509.UnrecognizedExtension) else b""


def _integer(value: int) -> bytes:
    """DER of a number up to 255."""
    return bytes((2, 1, value)) if value < 0x80 else bytes((2, 2, 0, value))


def _claims(report: bytes, leaf: x509.Certificate, signer: str) -> Claims:
    policy = _number(report, 8, 8)
    tcb = report[0x180:0x188]
    facts: dict[str, Fact] = {
        "measurement": report[0x90:0xC0].hex(),
        "host_data": report[0xC0:0xE0].hex(),
        "id_key_digest": report[0xE0:0x110].hex(),
        "author_key_digest": report[0x110:0x140].hex(),
        "family_id": report[0x10:0x20].hex(),
        "image_id": report[0x20:0x30].hex(),
        "guest_svn": _number(report, 4, 4),
        "guest_policy": f"{policy:#x}",
        "smt": bool(policy & _SMT),
        "migration": bool(policy & _MIGRATION),
        "vmpl": _number(report, 0x30, 4),
        "signer": signer,
        "csp_id": "",
        "chip_id": report[0x1A0:0x1E0].hex(),
        "tcb_bootloader": tcb[0],
        "tcb_tee": tcb[1],
        "tcb_snp": tcb[6],
        "tcb_microcode": tcb[7],
    }
    if signer == "vlek":
        found = _extension(leaf, "5")
        if len(found) < 2 or found[0] != _IA5 or found[1] != len(found) - 2:
            raise AttestationError("the certificate names no provider", rule="chain")
        facts["csp_id"] = found[2:].decode("ascii", "replace")
    return Claims("sev-snp", report[0x50:0x90], bool(policy & _DEBUG), facts)
