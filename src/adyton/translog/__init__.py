"""A transparency log's pure parts: tree, tiles, signed notes, checkpoints, proofs.

``docs/spec/translog.md``; RFC 6962, C2SP tlog-tiles, signed-note and tlog-checkpoint.
"""

from adyton.translog.checkpoint import (
    Checkpoint,
    origin_of,
    sign_checkpoint,
    verify_checkpoint,
)
from adyton.translog.merkle import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from adyton.translog.note import NoteSigner, NoteVerifier, open_note, parse_note
from adyton.translog.proof import AuditProof, check_proof, write_proof
from adyton.translog.tiles import (
    TileBuilder,
    decode_bundle,
    encode_bundle,
    entries_path,
    parse_tile_path,
    tile_path,
)

__all__ = [
    "EMPTY_ROOT",
    "AuditProof",
    "Checkpoint",
    "NoteSigner",
    "NoteVerifier",
    "TileBuilder",
    "check_proof",
    "consistency_proof",
    "decode_bundle",
    "encode_bundle",
    "entries_path",
    "inclusion_proof",
    "leaf_hash",
    "node_hash",
    "open_note",
    "origin_of",
    "parse_note",
    "parse_tile_path",
    "root",
    "sign_checkpoint",
    "tile_path",
    "verify_checkpoint",
    "verify_consistency",
    "verify_inclusion",
    "write_proof",
]
