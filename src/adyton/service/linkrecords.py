"""What is stored of one-time links (``docs/spec/links.md``, section 3)."""

from typing import Final

import msgspec

from adyton.service.access.records import TokenRef
from adyton.service.objects import Shelf


class Link(msgspec.Struct, omit_defaults=True):
    """A link that has not been opened, without its ciphertext.

    Attributes:
        accessor: Names it without giving the right to open it.
        proof_hash: SHA-256 of the proof.
        created_us: When it was made.
        expires_us: When it ends.
        tries: Wrong proofs that are left.
        size: Bytes of the ciphertext.
        passphrase: Whether it wants a passphrase.
        note: For its maker.
        secret: Name of the secret whose value is behind it, as its maker said; empty where it said
            nothing, and of links that are older than this field.
    """

    accessor: str
    proof_hash: bytes
    created_us: int
    expires_us: int
    tries: int
    size: int
    passphrase: bool = False
    note: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return "<Link>"


class LinkBox(msgspec.Struct):
    """What is behind a link, sealed under a key that the store never has."""

    box: bytes

    def __repr__(self) -> str:
        return "<LinkBox>"


class Misses(msgspec.Struct):
    """How often something was asked for that is not there."""

    count: int


PATH: Final = "links/"
"""What the name of a link in records and notices begins with; its accessor follows."""
LINKS: Final = Shelf("link", Link)
LINK_BOXES: Final = Shelf("link-box", LinkBox)
LINK_ACCESSORS: Final = Shelf("link-accessor", TokenRef)
LINK_MISSES: Final = Shelf("link-misses", Misses)
