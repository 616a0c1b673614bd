"""Shares as people hold them, and what a store knows of them (``docs/spec/roots.md``, section 5).

A share says which set it is of and carries a checksum, so that a slip of the pen is told from a
share of another set. The store keeps a commitment to each share, the hash of 256 bits that are
random to everybody but the holder: a share is known to be right or wrong at once, and the
commitments tell nothing of the key.
"""

import base64
import hmac
import struct
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from adyton.crypto import shamir
from adyton.crypto.aead import KEY_BYTES, new_key
from adyton.crypto.context import encode
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import InvalidInput

SET_BYTES: Final = 8
COMMITMENT_BYTES: Final = 16
CHECK_BYTES: Final = 4
FORMAT: Final = 0x01
PREFIX: Final = "ads1"

_HEAD: Final = struct.Struct(f">B{SET_BYTES}sB")
_SIZE: Final = _HEAD.size + KEY_BYTES + 1 + CHECK_BYTES
_Y: Final = slice(_HEAD.size, _HEAD.size + KEY_BYTES)
_X: Final = _HEAD.size + KEY_BYTES
_LABEL_CHECK: Final = b"adyton/v1/share-check"
_LABEL_COMMITMENT: Final = b"adyton/v1/share-commitment"
_BASE32: Final = b"abcdefghijklmnopqrstuvwxyz234567"
_HEX: Final = b"0123456789abcdef"
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_MAX_TEXT: Final = 256
_GROUP: Final = 4


class Share:
    """One share.

    Args:
        set_id: Which set it is of.
        threshold: How many shares of the set are needed.
        point: Its number in the set, from 1.
        value: The 32 bytes at that point; owned by the share from now on.
    """

    __slots__ = ("point", "set_id", "threshold", "value")

    def __init__(self, set_id: bytes, threshold: int, point: int, value: SecretBytes) -> None:
        self.set_id = set_id
        self.threshold = threshold
        self.point = point
        self.value = value

    def __repr__(self) -> str:
        return "<Share>"

    def wipe(self) -> None:
        """Wipe the value."""
        self.value.wipe()

    def pack(self) -> SecretBytes:
        """The share's bytes."""
        out = SecretBytes.sized(_SIZE)
        view = out.writable()
        _HEAD.pack_into(view, 0, FORMAT, self.set_id, self.threshold)
        view[_Y] = self.value.writable()
        view[_X] = self.point
        view[_X + 1 :] = _check(view[: _X + 1])
        return out

    def text(self) -> str:
        """The share as it is written down; an ordinary text that can't be wiped."""
        with self.pack() as packed, packed.borrow() as view:
            text = base64.b32encode(view).decode().rstrip("=").lower()
        return "-".join([PREFIX, *(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))])

    def hex(self) -> str:
        """The share in hexadecimal, as Vault's clients hold keys."""
        with self.pack() as packed, packed.borrow() as view:
            return view.hex()

    def base64(self) -> str:
        """The share in base64, as Vault's clients hold keys."""
        with self.pack() as packed, packed.borrow() as view:
            return base64.b64encode(view).decode()


class ShareSet(NamedTuple):
    """What a store knows of a set of shares; nothing of it is secret.

    Attributes:
        set_id: Random name of the set.
        threshold: How many shares are needed.
        commitments: One for each share, by its number.
    """

    set_id: bytes
    threshold: int
    commitments: tuple[bytes, ...]

    @property
    def total(self) -> int:
        """How many shares there are."""
        return len(self.commitments)

    def holds(self, share: Share) -> bool:
        """Whether a share is one of this set, and unchanged."""
        if not 1 <= share.point <= self.total:
            return False
        return hmac.compare_digest(_commitment(share), self.commitments[share.point - 1])

    def pack(self) -> bytes:
        """The set's bytes."""
        head = bytes((self.threshold, self.total))
        return self.set_id + head + b"".join(self.commitments)

    @classmethod
    def unpack(cls, data: bytes) -> "tuple[ShareSet, bytes] | None":
        """A set at the beginning of some bytes, and what follows it; None if there is none."""
        if len(data) < SET_BYTES + 2:
            return None
        threshold, count = data[SET_BYTES : SET_BYTES + 2]
        end = SET_BYTES + 2 + count * COMMITMENT_BYTES
        if not 1 <= threshold <= count or len(data) < end:
            return None
        commitments = tuple(
            data[at : at + COMMITMENT_BYTES] for at in range(SET_BYTES + 2, end, COMMITMENT_BYTES)
        )
        return cls(data[:SET_BYTES], threshold, commitments), data[end:]


def check_numbers(threshold: int, count: int) -> None:
    """Check how many shares there are to be, and how many of them are to be needed.

    Raises:
        InvalidInput: The numbers make no sense.
    """
    if count < 1:
        raise InvalidInput("shares must be at least one")
    if count > shamir.MAX_SHARES:
        raise InvalidInput("shares must be less than 256")
    if threshold < 1:
        raise InvalidInput("threshold must be at least one")
    if threshold > count:
        raise InvalidInput("threshold cannot be larger than shares")
    if threshold == 1 < count:
        raise InvalidInput("threshold must be greater than one for multiple shares")


def deal(
    key: SecretBytes, threshold: int, count: int, *, set_id: bytes, coefficients: SecretBytes
) -> tuple[ShareSet, list[Share]]:
    """Split a key into a set of shares.

    Args:
        key: 32 bytes.
        threshold: How many shares are needed.
        count: How many are made.
        set_id: 8 random bytes.
        coefficients: ``32 * (threshold - 1)`` random bytes.
    """
    values = shamir.split(key, threshold, count, coefficients)
    shares = [Share(set_id, threshold, at, value) for at, value in enumerate(values, 1)]
    return ShareSet(set_id, threshold, tuple(map(_commitment, shares))), shares


def new_set(threshold: int, count: int, set_id: bytes) -> tuple[SecretBytes, ShareSet, list[Share]]:
    """A fresh random key and its shares.

    Raises:
        InvalidInput: The numbers make no sense.
    """
    check_numbers(threshold, count)
    key = new_key()
    with SecretBytes.random(KEY_BYTES * (threshold - 1)) as coefficients:
        known, shares = deal(key, threshold, count, set_id=set_id, coefficients=coefficients)
    return key, known, shares


def combine(shares: Sequence[Share]) -> SecretBytes:
    """The key that some shares of one set make."""
    return shamir.combine([(share.point, share.value) for share in shares])


def parse(text: "bytes | bytearray | memoryview") -> Share:
    """Read a share in any of its written forms, leaving no copy of it in ordinary memory.

    Args:
        text: The form with the prefix, hexadecimal, or base64; white space does not count.

    Raises:
        InvalidInput: It is none of these, or a character is missing or wrong.
    """
    with SecretBytes.sized(_SIZE) as packed:
        view = packed.writable()
        if len(text) > _MAX_TEXT or not _decode(text, view):
            raise InvalidInput(
                "that is not a share: it is neither of the form 'ads1-...' nor the hexadecimal or "
                "base64 form of one",
                hint="Enter the share whole, as it was handed out.",
            )
        found = _HEAD.unpack_from(view)
        if found[0] != FORMAT or not hmac.compare_digest(view[_X + 1 :], _check(view[: _X + 1])):
            raise InvalidInput(
                "the share's checksum is wrong: a character is missing or mistyped",
                hint="Compare it with what was handed out, and enter it again.",
            )
        return Share(found[1], found[2], view[_X], SecretBytes(view[_Y]))


def _decode(text: "bytes | bytearray | memoryview", out: memoryview) -> bool:
    """Decode a written form into a buffer of exactly its size."""
    begin = next((at for at, char in enumerate(text) if not _is_space(char)), 0)
    text = text[begin:]
    if sum(1 for char in text if not _is_space(char)) == 2 * len(out):
        return _unbits(text, out, _HEX, 4, fold=True)
    if bytes(text[: len(PREFIX)]).lower() == PREFIX.encode():  # public; the share follows it
        return _unbits(text[len(PREFIX) :], out, _BASE32, 5, fold=True)
    return _unbits(text, out, _BASE64, 6, fold=False)


def _unbits(
    text: "bytes | bytearray | memoryview",
    out: memoryview,
    alphabet: bytes,
    bits: int,
    *,
    fold: bool,
) -> bool:
    """Characters of so many bits each into bytes; spaces, and padding at the end, do not count."""
    held = value = at = 0
    for char in text:
        if _is_space(char) or char == 0x3D or (char == 0x2D and bits == 5):
            continue
        folded = char | 0x20 if fold and 0x41 <= char <= 0x5A else char
        digit = alphabet.find(folded)
        if digit < 0 or at == len(out):
            return False
        value = value << bits | digit
        held += bits
        if held >= 8:
            held -= 8
            out[at] = value >> held
            value &= (1 << held) - 1
            at += 1
    return at == len(out) and value == 0


def _is_space(char: int) -> bool:
    return char in {0x20, 0x09, 0x0A, 0x0D}


def _check(data: memoryview) -> bytes:
    digest = sha256(encode(_LABEL_CHECK))
    digest.update(data)
    return digest.digest()[:CHECK_BYTES]


def _commitment(share: Share) -> bytes:
    digest = sha256(encode(_LABEL_COMMITMENT, share.set_id, bytes((share.threshold, share.point))))
    with share.value.borrow() as view:
        digest.update(view)
    return digest.digest()[:COMMITMENT_BYTES]
