"""One-time links: what is in a link, and what is derived from it (``docs/spec/links.md``).

The link's text alone opens what was put behind it. A store is told an id and a proof, both made
from the text one-way, and keeps a box that neither of them opens.
"""

import base64
import binascii
import hmac
from hashlib import sha256
from os import urandom
from typing import Final, NamedTuple

from adyton.crypto import context as ctx
from adyton.crypto.aead import open_once, seal_once
from adyton.crypto.kdf import argon2id, hkdf
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import DecryptionFailed, InvalidInput

FORMAT: Final = 0x01
USER_BYTES: Final = 16
ID_BYTES: Final = 16
PROOF_BYTES: Final = 32
_SECRET_BYTES: Final = 32
_TEXT_BYTES: Final = 2 + USER_BYTES + _SECRET_BYTES
_HAS_PASSPHRASE: Final = 0x01
MAX_PASSPHRASE_BYTES: Final = 1_024

# RFC 9106, section 4, second recommended option; part of the format.
_MEMORY_KIB: Final = 64 * 1024
_PASSES: Final = 3
_LANES: Final = 4


class LinkText(NamedTuple):
    """What the text of a link says.

    Attributes:
        user: Keyed index of whoever made it.
        secret: 32 random bytes.
        has_passphrase: Whether a passphrase is wanted as well.
    """

    user: bytes
    secret: bytes
    has_passphrase: bool

    def __repr__(self) -> str:
        return "<LinkText>"

    @property
    def text(self) -> str:
        """The text, which stands behind the ``#`` of a link."""
        head = bytes((FORMAT, _HAS_PASSPHRASE if self.has_passphrase else 0))
        return base64.urlsafe_b64encode(head + self.user + self.secret).decode().rstrip("=")


class LinkKeys(NamedTuple):
    """What is derived from a link and its passphrase.

    Attributes:
        ident: What the store finds the box by.
        proof: Shows the store that whoever asks has the link and its passphrase.
        key: Opens the box.
    """

    ident: bytes
    proof: bytes
    key: SecretBytes

    def __repr__(self) -> str:
        return "<LinkKeys>"


def parse_link(text: str) -> LinkText:
    """What a link says: of its text, or of a whole address that ends in it.

    Raises:
        InvalidInput: It is not the text of a link.
    """
    text = text.strip().rpartition("#")[2]
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        data = b""
    if len(data) != _TEXT_BYTES or data[0] != FORMAT or data[1] & ~_HAS_PASSPHRASE:
        raise InvalidInput("this is not a one-time link", hint="Copy the whole link.")
    return LinkText(data[2:18], data[18:], bool(data[1]))


def link_keys(link: LinkText, passphrase: str | None) -> LinkKeys:
    """What a link opens by; see :func:`derive`.

    Raises:
        InvalidInput: The link wants a passphrase and there is none, or the other way round.
    """
    if link.has_passphrase is (passphrase is None):
        wants = "wants a passphrase" if link.has_passphrase else "has no passphrase"
        raise InvalidInput(f"the link {wants}")
    return derive(link.secret, passphrase)


def derive(secret: bytes, passphrase: str | None) -> LinkKeys:
    """Derive from a link's secret; with a passphrase it takes some hundred milliseconds.

    Raises:
        InvalidInput: The passphrase is empty or too long.
    """
    given = b"" if passphrase is None else passphrase.encode()
    if passphrase is not None and not 0 < len(given) <= MAX_PASSPHRASE_BYTES:
        raise InvalidInput(f"a passphrase has 1 to {MAX_PASSPHRASE_BYTES} bytes")
    with SecretBytes(secret) as held:
        ident = _public(held, b"adyton/v1/link-id", ID_BYTES)
        with _material(held, given) as material:
            proof = _public(material, b"adyton/v1/link-proof", PROOF_BYTES)
            return LinkKeys(ident, proof, hkdf(material, b"adyton/v1/link-key"))


def _public(key: SecretBytes, info: bytes, size: int) -> bytes:
    with hkdf(key, info, size) as made:
        return made.reveal()


def _material(secret: SecretBytes, passphrase: bytes) -> SecretBytes:
    """The link's secret, and the stretched passphrase behind it if there is one."""
    if not passphrase:
        return SecretBytes(secret.writable())
    salt = _public(secret, b"adyton/v1/link-salt", 16)
    with (
        SecretBytes(passphrase) as held,
        argon2id(held, salt, memory_kib=_MEMORY_KIB, iterations=_PASSES, lanes=_LANES) as long,
    ):
        material = SecretBytes.sized(len(secret) + len(long))
        view = material.writable()
        view[: len(secret)] = secret.writable()
        view[len(secret) :] = long.writable()
        return material


def proof_hash(proof: bytes) -> bytes:
    """What the store keeps of a proof."""
    return sha256(proof).digest()


def is_proof(proof: bytes, kept: bytes) -> bool:
    """Whether a proof is the one of which the store keeps the hash."""
    return hmac.compare_digest(proof_hash(proof), kept)


def seal_link(keys: LinkKeys, value: "bytes | bytearray | memoryview", content_type: str) -> bytes:
    """The box of a value with its media type, under a key that seals nothing else."""
    kind = content_type.encode()
    with SecretBytes.sized(2 + len(kind) + len(value)) as content, keys.key.borrow() as key:
        view = content.writable()
        view[:2] = len(kind).to_bytes(2, "big")
        view[2 : 2 + len(kind)] = kind
        view[2 + len(kind) :] = value
        return seal_once(key, view, ctx.encode(ctx.LABEL_LINK, keys.ident))


def open_link(keys: LinkKeys, box: bytes) -> tuple[SecretBytes, str]:
    """A box's value, in locked memory, and its media type.

    Raises:
        DecryptionFailed: The box is not this link's, or was changed.
    """
    with keys.key.borrow() as key:
        content = open_once(key, box, ctx.encode(ctx.LABEL_LINK, keys.ident))
    with content:
        view = content.writable()
        size = int.from_bytes(view[:2], "big")
        if len(view) < 2 + size:
            raise DecryptionFailed("what was behind the link is not of a known form")
        return SecretBytes(view[2 + size :]), bytes(view[2 : 2 + size]).decode("utf-8", "replace")


class ClosedLink(NamedTuple):
    """A value that was put behind a link.

    Attributes:
        secret: The link's secret.
        has_passphrase: Whether a passphrase is wanted as well.
        ident: What the store finds the box by.
        proof_hash: What it knows the proof by.
        box: The box.
    """

    secret: bytes
    has_passphrase: bool
    ident: bytes
    proof_hash: bytes
    box: bytes

    def __repr__(self) -> str:
        return "<ClosedLink>"

    def text(self, user: bytes) -> str:
        """The link's text, once it is known whose it is."""
        return LinkText(user, self.secret, self.has_passphrase).text


def close(
    value: "bytes | bytearray | memoryview", content_type: str, passphrase: str | None
) -> ClosedLink:
    """Put a value behind a fresh link.

    Raises:
        InvalidInput: The passphrase is empty or too long.
    """
    secret = urandom(_SECRET_BYTES)
    keys = derive(secret, passphrase)
    with keys.key:
        box = seal_link(keys, value, content_type)
    return ClosedLink(secret, passphrase is not None, keys.ident, proof_hash(keys.proof), box)
