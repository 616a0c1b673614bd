"""Attestation documents of AWS Nitro enclaves: COSE_Sign1 (RFC 9052) under AWS's root."""

import datetime as dt
import io
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from msgspec import Meta

from adyton.attest.verifier import certificates, libraries
from adyton.attest.verifier.claims import Claims
from adyton.attest.verifier.reading import malformed
from adyton.errors import AttestationError
from adyton.evidence import Parts

ROOTS: Final = frozenset(("641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",))
"""SHA-256 of AWS's root certificate of Nitro enclaves."""

_ES384: Final = {1: -35}
_COSE_SIGN1: Final = 18
_HALF: Final = 48
_Certificate = Annotated[bytes, Meta(min_length=1, max_length=4096)]


class _Payload(msgspec.Struct):
    """The signed map (AWS, "Attestation document specification")."""

    module_id: Annotated[str, Meta(min_length=1, max_length=256)]
    digest: str
    timestamp: Annotated[int, Meta(ge=1, le=2**53)]
    pcrs: Annotated[dict[int, bytes], Meta(min_length=1, max_length=32)]
    certificate: _Certificate
    cabundle: Annotated[list[_Certificate], Meta(min_length=1, max_length=7)]
    public_key: bytes | None = None
    user_data: bytes | None = None
    nonce: bytes | None = None


def verify(parts: Parts, now: dt.datetime, roots: frozenset[str] = ROOTS) -> Claims:
    """Check a document's signature up to a root.

    Args:
        parts: The document.
        now: The time; the leaf lives for some three hours.
        roots: SHA-256 of root certificates.

    Raises:
        AttestationError: Something does not hold.
    """
    protected, payload, signature = _open(parts.quote)
    if _map(protected) != _ES384 or len(signature) != 2 * _HALF:
        raise malformed("the document is not signed by ES384")
    try:
        found = msgspec.convert(_map(payload), _Payload)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
        raise malformed("the document lacks what it must hold") from None
    if found.digest != "SHA384" or any(len(value) != _HALF for value in found.pcrs.values()):
        raise malformed("the document's PCRs are not of SHA-384")
    leaf = certificates.load(found.certificate)
    issuers = [certificates.load(each) for each in reversed(found.cabundle)]
    certificates.check_chain([leaf, *issuers], roots, now)
    key = leaf.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise AttestationError("the enclave's key is not of P-384", rule="signature")
    numbers = (int.from_bytes(signature[:_HALF], "big"), int.from_bytes(signature[_HALF:], "big"))
    signed = libraries.cbor2().dumps(["Signature1", protected, b"", payload])
    try:
        key.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(hashes.SHA384()))
    except (InvalidSignature, ValueError):
        raise AttestationError("the document's signature is wrong", rule="signature") from None
    try:
        issued_at = dt.datetime.fromtimestamp(found.timestamp / 1000, dt.UTC)
    except (OverflowError, ValueError, OSError):
        raise malformed("the document is of no time") from None
    pcrs = {str(number): value.hex() for number, value in sorted(found.pcrs.items())}
    # An enclave in debug mode measures nothing but zeros.
    debug = not any(found.pcrs.get(0, b""))
    facts = {"module_id": found.module_id}
    return Claims("nitro", found.user_data or b"", debug, facts, issued_at=issued_at, pcrs=pcrs)


def _open(data: bytes) -> tuple[bytes, bytes, bytes]:
    document = _decode(data)
    if getattr(document, "tag", None) == _COSE_SIGN1:
        document = document.value
    if not isinstance(document, list | tuple) or len(document) != 4:
        raise malformed("the document is no COSE_Sign1")
    protected, unprotected, payload, signature = document
    parts = (protected, payload, signature)
    if unprotected != {} or not all(isinstance(part, bytes) for part in parts):
        raise malformed("the document is no COSE_Sign1")
    return protected, payload, signature


def _map(data: bytes) -> Mapping[Any, Any]:
    found = _decode(data)
    if not isinstance(found, Mapping):
        raise malformed("a map is wanted in the document")
    return found


def _decode(data: bytes) -> Any:  # noqa: ANN401 - any value of CBOR
    library = libraries.cbor2()
    file = io.BytesIO(data)
    try:
        decoded = library.load(file)
    except Exception:  # noqa: BLE001 - cbor2 raises what its many types raise
        raise malformed("the document is not CBOR") from None
    if file.read(1):
        raise malformed("the document has bytes left over")
    return decoded
