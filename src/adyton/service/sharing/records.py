"""What is kept of shares, as sealed objects of both sides (``docs/spec/sharing.md``, section 2)."""

from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from adyton.service.objects import Shelf

Kind: TypeAlias = Literal["version", "secret", "folder"]
Answer: TypeAlias = Literal["offered", "accepted", "refused"]


class Given(msgspec.Struct, omit_defaults=True):
    """A share, as its owner has it.

    Attributes:
        receiver: The receiver's user id.
        kind: One version, a secret as it evolves, or a folder with all that comes into it.
        name: Name of the secret, or of the folder with its slash.
        version: The version that is shared; 0 for the current one.
        created_us: When it was offered.
        expires_us: When it ends; 0 for never.
        answer: What the receiver has said.
    """

    receiver: str
    kind: Kind
    name: str
    version: int = 0
    created_us: int = 0
    expires_us: int = 0
    answer: Answer = "offered"

    def __repr__(self) -> str:
        return "<Given>"

    def covers(self, name: str) -> bool:
        """Whether a secret of the owner's is in it."""
        return name.startswith(self.name) if self.kind == "folder" else name == self.name

    def open_at(self, now_us: int) -> bool:
        """Whether it is in force, or may come to be."""
        return self.answer != "refused" and not 0 < self.expires_us <= now_us


class Received(msgspec.Struct, omit_defaults=True):
    """A share, as its receiver has it.

    Attributes:
        owner: The owner's user id.
        owner_index: Its keyed index.
        kind: As the owner has it.
        name: Idem.
        version: Idem.
        created_us: Idem.
        expires_us: Idem.
        accepted: Whether the receiver took it.
    """

    owner: str
    owner_index: bytes
    kind: Kind
    name: str
    version: int = 0
    created_us: int = 0
    expires_us: int = 0
    accepted: bool = False

    def __repr__(self) -> str:
        return "<Received>"


class Item(msgspec.Struct, omit_defaults=True):
    """One secret in a share, as its receiver can open it.

    Attributes:
        share: The share's id.
        name: The secret's name.
        index: Its keyed index, under the owner's index key.
        version: The version that is shared now.
        key_version: The receiver's user key that wraps the data key.
        wrapped: The data key.
        tag: The last 16 bytes of the value's box.
        meta: SHA-256 of the box of the secret's metadata as it was when this was written.
        content_type: Media type of the value.
        ends_us: From when on it can't be read; 0 for never.
    """

    share: str
    name: str
    index: bytes
    version: int
    key_version: int
    wrapped: bytes
    tag: bytes
    meta: bytes
    content_type: str
    ends_us: int = 0

    def __repr__(self) -> str:
        return "<Item>"


class Place(NamedTuple):
    """What a data key that is handed over belongs to.

    Attributes:
        owner: The owner's keyed index.
        name: The secret's keyed index.
        version: The version.
        share: The share's id.
    """

    owner: bytes
    name: bytes
    version: int
    share: str


GIVEN: Final = Shelf("share-given", Given)
RECEIVED: Final = Shelf("share-received", Received)
ITEMS: Final = Shelf("share-item", Item)
"""By the secret's name, in a folder for each share."""
