"""Signed notes (C2SP signed-note; ``docs/spec/translog.md``, section 3), with Ed25519 keys."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from adyton.errors import AuditError, InvalidDocument

ED25519: Final = 0x01
MAX_NOTE: Final = 64 * 1024
MAX_SIGNATURES: Final = 64
_DASH: Final = "\u2014 "


class Signature(NamedTuple):
    """One signature line: the key's name, its 4-byte id and the signature."""

    name: str
    key_id: bytes
    signature: bytes


class Note(NamedTuple):
    """A text, ending in a newline, and its signatures, not yet checked."""

    text: str
    signatures: tuple[Signature, ...]


def _b64decode(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data or base64.b64encode(data).decode() != text:
        raise InvalidDocument(f"{what} is not canonical base64")
    return data


def _unfit(char: str) -> bool:
    """Whether a note can't have the character: ASCII controls, and what UTF-8 can't encode."""
    return char < " " or "\ud800" <= char <= "\udfff"


def check_key_name(name: str) -> str:
    """A key name: not empty, no white space, no plus sign.

    Raises:
        InvalidDocument: It breaks a rule.
    """
    # No stricter than the standard: a strange name of an unknown key must not spoil a note.
    if not name or "+" in name or any(char.isspace() or _unfit(char) for char in name):
        raise InvalidDocument("a key's name is empty or has a space, plus or control character")
    return name


def key_id(name: str, public_key: bytes) -> bytes:
    """``SHA-256(name || LF || 0x01 || public key)[:4]``."""
    return sha256(name.encode() + b"\n" + bytes([ED25519]) + public_key).digest()[:4]


class NoteVerifier:
    """Checks signatures of one key.

    Args:
        name: The key's name.
        public_key: 32 bytes of Ed25519.
    """

    def __init__(self, name: str, public_key: bytes) -> None:
        self.name = check_key_name(name)
        if len(public_key) != 32:
            raise InvalidDocument("an Ed25519 public key has 32 bytes")
        self.public_key = public_key
        self.key_id = key_id(name, public_key)
        self._key = Ed25519PublicKey.from_public_bytes(public_key)

    @classmethod
    def parse(cls, vkey: str) -> "NoteVerifier":
        """A verifier key as text: ``name+hex key id+base64(0x01 || public key)``.

        Raises:
            InvalidDocument: It is not of that form.
        """
        parts = vkey.strip().split("+", 2)
        if len(parts) != 3:
            raise InvalidDocument("a verifier key has the form name+id+key")
        name, hex_id, encoded = parts
        data = _b64decode(encoded, "the verifier key")
        if data[0] != ED25519 or len(data) != 33:
            raise InvalidDocument("the verifier key is not an Ed25519 key")
        verifier = cls(name, data[1:])
        if verifier.key_id.hex() != hex_id:
            raise InvalidDocument("the verifier key's id is not that of its name and key")
        return verifier

    def vkey(self) -> str:
        """The verifier key as text, for people to keep."""
        encoded = base64.b64encode(bytes([ED25519]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    def verify(self, text: str, signature: bytes) -> bool:
        """Whether the signature is this key's over the text."""
        try:
            self._key.verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


class NoteSigner:
    """Signs notes with one key.

    Args:
        name: The key's name.
        seed: 32 bytes of an Ed25519 private key (RFC 8032); may be wiped afterwards.
    """

    def __init__(self, name: str, seed: "bytes | bytearray | memoryview") -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.verifier = NoteVerifier(name, public)
        self.name = name

    def __repr__(self) -> str:
        return "<NoteSigner>"

    def sign(self, text: str) -> Signature:
        """Sign a note's text."""
        return Signature(self.name, self.verifier.key_id, self._key.sign(text.encode()))


def format_note(text: str, signatures: Iterable[Signature]) -> str:
    """A note as it is sent and stored."""
    lines = [
        f"{_DASH}{line.name} {base64.b64encode(line.key_id + line.signature).decode()}\n"
        for line in signatures
    ]
    return text + "\n" + "".join(lines)


def parse_note(data: "bytes | str") -> Note:
    """Parse a note strictly.

    Raises:
        InvalidDocument: It is too large, not UTF-8, has control characters or malformed lines.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(raw) > MAX_NOTE:
        raise InvalidDocument(f"the note is larger than {MAX_NOTE} bytes")
    try:
        whole = raw.decode()
    except UnicodeDecodeError:
        raise InvalidDocument("the note is not UTF-8") from None
    if any(ord(char) < 0x20 and char != "\n" for char in whole):
        raise InvalidDocument("the note has a control character")
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not text or not lines.endswith("\n"):
        raise InvalidDocument("the note has no signatures, or is cut short")
    found = [_signature_line(line) for line in lines[:-1].split("\n")]
    if len(found) > MAX_SIGNATURES:
        raise InvalidDocument(f"the note has more than {MAX_SIGNATURES} signatures")
    return Note(text + "\n", tuple(found))


def _signature_line(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise InvalidDocument("a signature line does not begin with a dash")
    name, space, encoded = line[len(_DASH) :].partition(" ")
    if not space:
        raise InvalidDocument("a signature line has no signature")
    data = _b64decode(encoded, "a signature")
    if len(data) < 5:
        raise InvalidDocument("a signature is too short")
    return Signature(check_key_name(name), data[:4], data[4:])


def open_note(data: "bytes | str", verifiers: Sequence[NoteVerifier]) -> str:
    """The text of a note that at least one known key has signed; unknown keys are ignored.

    Raises:
        InvalidDocument: The note does not parse.
        AuditError: No known key has signed it, or a known key's signature is wrong.
    """
    note = parse_note(data)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    valid = 0
    for line in note.signatures:
        verifier = known.get((line.name, line.key_id))
        if verifier is None:
            continue
        if not verifier.verify(note.text, line.signature):
            raise AuditError("a checkpoint's signature is wrong: it was changed or forged")
        valid += 1
    if not valid:
        raise AuditError("no known key has signed the checkpoint")
    return note.text
