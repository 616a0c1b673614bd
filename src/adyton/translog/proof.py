"""The self-contained proof of one audit record (``docs/spec/translog.md``, section 5).

It shows, without the store and without any key of the user, that a record with this content is
a leaf of a log whose root hash was signed. Only this one record is opened: its commitment is a
salted hash, and the salt is in the proof.
"""

import hmac
import json
from hashlib import sha256
from typing import Annotated, Final, Literal

import msgspec

from adyton.errors import AuditError, InvalidDocument
from adyton.translog.checkpoint import Checkpoint, verify_checkpoint
from adyton.translog.merkle import MAX_PROOF, MAX_SIZE, leaf_hash, verify_inclusion
from adyton.translog.note import NoteVerifier

FORMAT: Final = "adyton.audit-proof.v1"
MAX_PROOF_BYTES: Final = 256 * 1024
COMMITMENT_OFFSET: Final = 21
COMMIT_LABEL: Final = b"adyton.audit-commit.v1\x00"
SALT_BYTES: Final = 16

Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    format: Literal["adyton.audit-proof.v1"]
    index: Annotated[int, msgspec.Meta(ge=0, le=MAX_SIZE)]
    leaf: bytes
    inclusion: Annotated[list[Hash], msgspec.Meta(max_length=MAX_PROOF)]
    checkpoint: str
    vkey: str
    salt: Annotated[bytes, msgspec.Meta(min_length=SALT_BYTES, max_length=SALT_BYTES)]
    body: bytes


class AuditProof(msgspec.Struct, frozen=True):
    """A proof that held.

    Attributes:
        index: Leaf index of the record.
        body: The record's content, MessagePack, exactly as committed.
        checkpoint: The signed statement that it leads to.
        vkey: The key that signed.
        key_was_trusted: Whether that key is the caller's, and not only the proof's own claim.
    """

    index: int
    body: bytes
    checkpoint: Checkpoint
    vkey: str
    key_was_trusted: bool

    def __repr__(self) -> str:
        return f"<AuditProof index={self.index}>"


def write_proof(
    *,
    index: int,
    leaf: bytes,
    inclusion: list[bytes],
    checkpoint: bytes,
    vkey: str,
    salt: bytes,
    body: bytes,
) -> bytes:
    """A proof as a JSON document, one field a line."""
    document = _Document(
        "adyton.audit-proof.v1", index, leaf, inclusion, checkpoint.decode(), vkey, salt, body
    )
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a field that is given twice: of two readers each could believe another one."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field is given twice")
    return fields


def _parse(document: bytes) -> _Document:
    """Parse a proof strictly; ValueError and msgspec's errors say that it is none."""
    parsed = msgspec.json.decode(document, type=_Document)
    # One text for each proof: base64 has spellings that decode to the same bytes.
    if json.loads(document, object_pairs_hook=_each_once) != json.loads(
        msgspec.json.encode(parsed)
    ):
        raise ValueError("base64 is not canonical")
    return parsed


def check_proof(document: bytes, *, vkey: str | None = None) -> AuditProof:
    """Check a proof offline.

    Args:
        document: The JSON document.
        vkey: The log's verifier key as the caller knows it. Without it the proof is checked
            against the key it brings itself, which proves nothing about who made it.

    Raises:
        InvalidDocument: It does not parse.
        AuditError: It parses, and does not show what it claims.
    """
    if len(document) > MAX_PROOF_BYTES:
        raise InvalidDocument(f"the proof is larger than {MAX_PROOF_BYTES} bytes")
    try:
        parsed = _parse(document)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise InvalidDocument(
            "the proof is not a JSON document of the format adyton.audit-proof.v1",
            hint="Make it again with 'adyton audit prove'.",
        ) from None
    trusted = NoteVerifier.parse(vkey if vkey is not None else parsed.vkey)
    if parsed.vkey != trusted.vkey():
        raise AuditError("the proof is of a log with another key than the one given")
    checkpoint = verify_checkpoint(parsed.checkpoint, [trusted])
    verify_inclusion(
        leaf_hash(parsed.leaf), parsed.index, checkpoint.size, parsed.inclusion, checkpoint.root
    )
    wanted = parsed.leaf[COMMITMENT_OFFSET : COMMITMENT_OFFSET + 32]
    found = sha256(COMMIT_LABEL + parsed.salt + parsed.body).digest()
    if not hmac.compare_digest(found, wanted):
        raise AuditError("the content in the proof is not that of the record in the log")
    return AuditProof(parsed.index, parsed.body, checkpoint, trusted.vkey(), vkey is not None)
