"""Checkpoints (C2SP tlog-checkpoint; ``docs/spec/translog.md``, section 4)."""

import base64
import binascii
from collections.abc import Sequence
from typing import NamedTuple

from adyton.errors import AuditError, InvalidDocument
from adyton.translog.merkle import EMPTY_ROOT, MAX_SIZE
from adyton.translog.note import NoteSigner, NoteVerifier, format_note, open_note


class Checkpoint(NamedTuple):
    """What a signed checkpoint states: which log, how many leaves, which root hash."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The body of the note."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Parse a note's text strictly; extension lines are allowed and ignored.

        Raises:
            InvalidDocument: It is not a checkpoint.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise InvalidDocument("a checkpoint has an origin, a size and a root hash, each a line")
        origin, digits, encoded = lines[:3]
        if not (digits.isascii() and digits.isdigit()) or str(int(digits[:20])) != digits:
            # No longer than a 64-bit number: int() of a megabyte of digits takes long.
            raise InvalidDocument("a checkpoint's size is not a plain decimal number")
        if int(digits) > MAX_SIZE:
            raise InvalidDocument("a checkpoint's size is larger than any log's")
        try:
            root = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            root = b""
        if len(root) != 32 or base64.b64encode(root).decode() != encoded:
            raise InvalidDocument("a checkpoint's root hash is not 32 bytes in canonical base64")
        return cls(origin, int(digits), root)


def origin_of(store_id: bytes, log: int) -> str:
    """The origin line of a log, also the name of its key."""
    return f"adyton/{store_id.hex()}/{log}"


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[NoteSigner]) -> bytes:
    """A checkpoint as a signed note.

    Raises:
        InvalidDocument: It would not be read back as it is, or nobody signs it.
    """
    text = checkpoint.text()
    if Checkpoint.parse(text) != checkpoint or not signers:
        raise InvalidDocument("a checkpoint needs an origin of one line and a signer")
    return format_note(text, [signer.sign(text) for signer in signers]).encode()


def verify_checkpoint(
    note: "bytes | str", verifiers: Sequence[NoteVerifier], origin: str | None = None
) -> Checkpoint:
    """Check a signed checkpoint.

    Args:
        note: The signed note.
        verifiers: Known keys.
        origin: The log it must be of; by default that of the first verifier's name.

    Raises:
        InvalidDocument: It does not parse, or is of another log.
        AuditError: No known key has signed it, a signature is wrong, or it gives an empty log a
            root hash that no empty log has.
    """
    checkpoint = Checkpoint.parse(open_note(note, verifiers))
    wanted = origin if origin is not None else verifiers[0].name
    if checkpoint.origin != wanted:
        raise InvalidDocument("the checkpoint is of another log")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise AuditError("the checkpoint of an empty log has the root hash of another")
    return checkpoint
