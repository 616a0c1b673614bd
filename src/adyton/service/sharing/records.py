"""What is kept of shares, as sealed objects of both sides (``docs/spec/sharing.md``, section 2)."""

from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from adyton.service.objects import Shelf

Kind: TypeAlias = Literal["version", "secret", "folder"]
Answer: TypeAlias = Literal["offered", "accepted", "refused", "revoked"]

OWN: Final = ""
"""Stands for the owner where a share tells who has made it, or from which other one it comes."""


class Terms(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What a share is of, and what it allows; the same on all sides.

    Attributes:
        kind: One version, a secret as it evolves, or a folder with all that comes into it.
        name: Name of the secret, or of the folder with its slash.
        version: The version that is shared; 0 for the current one.
        created_us: When it was offered.
        expires_us: When it ends; 0 for never.
        write: Whether the receiver may write new versions, and new secrets in a folder.
        delete: Whether the receiver may delete current versions too.
        reshare: Over how many hands it may be passed on; 0 for none.
        reshares: How many shares may come of it in all.
    """

    kind: Kind
    name: str
    version: int = 0
    created_us: int = 0
    expires_us: int = 0
    write: bool = False
    delete: bool = False
    reshare: int = 0
    reshares: int = 0

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def covers(self, name: str) -> bool:
        """Whether a secret of the owner's is in it."""
        return name.startswith(self.name) if self.kind == "folder" else name == self.name

    def over(self, now_us: int) -> bool:
        """Whether its time is over."""
        return 0 < self.expires_us <= now_us


class Given(Terms, kw_only=True):
    """A share, as its owner has it.

    Attributes:
        receiver: The receiver's user id.
        answer: What the receiver has said; ``revoked`` while what the receiver had could not be
            erased yet.
        parent: The share that it was passed on from; empty where the owner made it.
        by: Who passed it on; empty where the owner made it.
        behind: Whether it changed while the receiver's keys could not be opened.
    """

    receiver: str
    answer: Answer = "offered"
    parent: str = OWN
    by: str = OWN
    behind: bool = False

    def open_at(self, now_us: int) -> bool:
        """Whether it is in force, or may come to be."""
        return self.answer in {"offered", "accepted"} and not self.over(now_us)


class Received(Terms, kw_only=True):
    """A share, as its receiver has it.

    Attributes:
        owner: The owner's user id.
        owner_index: Its keyed index.
        accepted: Whether the receiver took it.
        by: Who passed it on; empty where the owner made it.
    """

    owner: str
    owner_index: bytes
    accepted: bool = False
    by: str = OWN


class Passed(Terms, kw_only=True):
    """A share that was passed on, as whoever did so has it.

    Attributes:
        owner: The owner's user id.
        receiver: The receiver's.
        parent: The share that it comes of.
        answer: What the receiver has said.
    """

    owner: str
    receiver: str
    parent: str
    answer: Answer = "offered"


class Ended(msgspec.Struct):
    """That a share was revoked while its receiver's keys were away, as its owner has it.

    An earlier ``Given`` that is put back meanwhile would bring the share up to date, and be
    written over by it. This stands beside it, and its absence is found by verification.

    Attributes:
        ended_us: When.
    """

    ended_us: int


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
PASSED: Final = Shelf("share-passed", Passed)
ENDED: Final = Shelf("share-ended", Ended)
ITEMS: Final = Shelf("share-item", Item)
"""By the secret's name, in a folder for each share."""
