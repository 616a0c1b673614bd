"""What one-time links and shares are to those who make and use them."""

import datetime as dt
from types import TracebackType
from typing import NamedTuple, Self

from adyton.crypto.secretbytes import SecretBytes


class LinkInfo(NamedTuple):
    """A one-time link that can be opened still, as its maker sees it.

    Attributes:
        accessor: Names it without giving the right to open it.
        created_at: When it was made.
        expires_at: When it ends.
        tries: Wrong attempts that are left.
        passphrase: Whether it wants a passphrase.
        size: Bytes of its ciphertext.
        note: What its maker noted.
        secret: The secret whose value is behind it, as its maker said; empty where it said nothing.
    """

    accessor: str
    created_at: dt.datetime
    expires_at: dt.datetime
    tries: int
    passphrase: bool
    size: int
    note: str
    secret: str = ""


class NewLink(NamedTuple):
    """A one-time link that was made. Whoever has the text can open it: treat it as a secret.

    Attributes:
        text: What opens it; its maker's store can't tell it again.
        url: The page that opens it in a browser, with the text behind ``#``; empty where there
            is no server.
        accessor: Names it without giving the right to open it.
        expires_at: When it ends.
    """

    text: str
    url: str
    accessor: str
    expires_at: dt.datetime

    def __repr__(self) -> str:
        return "<NewLink>"


class LinkValue:
    """What was behind a one-time link, in locked memory; use it in a ``with`` block.

    Attributes:
        value: The bytes, locked.
        content_type: Their media type.
    """

    __slots__ = ("content_type", "value")

    def __init__(self, value: SecretBytes, content_type: str) -> None:
        self.value = value
        self.content_type = content_type

    def reveal(self) -> bytes:
        """The value as ``bytes``, a copy that can't be wiped.

        Raises:
            SecretWiped: The block has ended.
        """
        return self.value.reveal()

    def text(self) -> str:
        """The value as text, a copy that can't be wiped.

        Raises:
            SecretWiped: The block has ended.
            ValueError: The value is not UTF-8.
        """
        return self.value.text()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.value.wipe()

    def __repr__(self) -> str:
        return "<LinkValue>"


class ShareInfo(NamedTuple):
    """A share, as either side sees it.

    Attributes:
        id: Names it.
        owner: Whose secrets they are.
        receiver: Who may read them.
        kind: ``version``, ``secret`` or ``folder``.
        name: The secret's name, or the folder's with a slash at its end.
        version: The version that is shared; 0 for the current one, as it changes.
        created_at: When it was offered.
        expires_at: When it ends; None for never.
        answer: ``offered``, ``accepted`` or ``refused``; ``revoked`` while a receiver who keeps the
            keys away still has what can't be opened any more.
        write: Whether the receiver may write new versions, and new secrets in a folder.
        delete: Whether the receiver may delete current versions too.
        reshare: Over how many hands it may be passed on.
        reshares: How many shares may come of it.
        parent: The share that it comes of, where whoever asks may know; otherwise empty.
        by: Who passed it on; empty where its owner made it.
    """

    id: str
    owner: str
    receiver: str
    kind: str
    name: str
    version: int
    created_at: dt.datetime
    expires_at: dt.datetime | None
    answer: str
    write: bool = False
    delete: bool = False
    reshare: int = 0
    reshares: int = 0
    parent: str = ""
    by: str = ""

    def __repr__(self) -> str:
        return "<ShareInfo>"


class SharedSecret(LinkValue):
    """A secret of somebody else's, in locked memory; use it in a ``with`` block.

    Attributes:
        value: The bytes, locked.
        content_type: Their media type.
        owner: Whose secret it is.
        name: The name that its owner gave it.
        version: The version that was read.
    """

    __slots__ = ("name", "owner", "version")

    def __init__(
        self, value: SecretBytes, content_type: str, owner: str, name: str, version: int
    ) -> None:
        super().__init__(value, content_type)
        self.owner = owner
        self.name = name
        self.version = version

    def __repr__(self) -> str:
        return f"<SharedSecret version={self.version}>"
