"""Attestation evidence as it is bound, carried and taken apart (``docs/spec/attestation.md``).

Here are the values alone: what makes evidence is ``attest/``, what judges it ``attest/verifier/``.
"""

from hashlib import sha512
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from adyton.crypto import context
from adyton.errors import AttestationError

LABEL: Final = b"adyton/v1/attestation"
REPORT_DATA_BYTES: Final = 64
MIN_NONCE_BYTES: Final = 16
MAX_NONCE_BYTES: Final = 64
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024

_Small = Annotated[bytes, Meta(max_length=64 * 1024)]
_Digest = Annotated[bytes, Meta(max_length=64)]
_Key = Annotated[bytes, Meta(max_length=32)]


class Binding(NamedTuple):
    """What evidence is bound to.

    Attributes:
        nonce: The caller's, 16 to 64 bytes that were never used before.
        tls_key: SHA-256 of the SubjectPublicKeyInfo (DER) of the server's TLS certificate; empty
            for a server without TLS of its own.
        log_key: The verifier key of the audit log, ``NAME+ID+KEY``; empty while it is sealed.
    """

    nonce: bytes
    tls_key: bytes
    log_key: str

    def report_data(self) -> bytes:
        """The 64 bytes that the platform signs."""
        encoded = context.encode(LABEL, self.nonce, self.tls_key, self.log_key.encode())
        return sha512(encoded).digest()


class Parts(msgspec.Struct, frozen=True, omit_defaults=True):
    """Evidence of one platform; what a platform has no use for stays empty.

    Attributes:
        quote: What the platform signed: TPMS_ATTEST, SNP report, DCAP quote, COSE_Sign1 document.
        signature: TPMT_SIGNATURE, of a TPM.
        public: TPMT_PUBLIC of the attestation key, of a TPM.
        pcrs: Values of PCRs by ``BANK:NUMBER``, of a TPM.
        event_log: What the firmware measured, of a TPM.
        certificates: Of the key that signed and of its issuers, DER, the leaf first.
        collateral: Intel's collateral, JSON, of a DCAP quote.
    """

    quote: _Small
    signature: _Small = b""
    public: _Small = b""
    pcrs: Annotated[dict[str, _Digest], Meta(max_length=128)] = {}
    event_log: Annotated[bytes, Meta(max_length=1024 * 1024)] = b""
    certificates: Annotated[list[_Small], Meta(max_length=16)] = []
    collateral: Annotated[str, Meta(max_length=512 * 1024)] = ""

    def __repr__(self) -> str:
        return f"<Parts {len(self.quote)}>"


class Document(msgspec.Struct, frozen=True):
    """The answer of ``GET /v1/adyton/attestation``: evidence with what it is bound to."""

    platform: Annotated[str, Meta(max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    nonce: Annotated[bytes, Meta(max_length=MAX_NONCE_BYTES)]
    tls_key: _Key
    log_key: Annotated[str, Meta(max_length=512)]
    evidence: Parts

    @property
    def binding(self) -> Binding:
        """What the server says it is bound to."""
        return Binding(self.nonce, self.tls_key, self.log_key)


_decoder: Final = msgspec.json.Decoder(Document)


def parse_document(data: bytes | bytearray) -> Document:
    """The document that bytes of JSON stand for.

    Raises:
        AttestationError: They stand for none.
    """
    if len(data) > MAX_ANSWER_BYTES:
        raise AttestationError("the evidence is too large", rule="malformed")
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise AttestationError("the evidence is not of its format", rule="malformed") from None
