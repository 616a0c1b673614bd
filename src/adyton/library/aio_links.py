"""One-time links, for people without an account (``docs/spec/links.md``)."""

import asyncio

from adyton.actions import Action
from adyton.crypto import links
from adyton.exchange import LinkInfo, LinkValue
from adyton.exchange import NewLink as MadeLink
from adyton.library.aio_base import AsyncFace
from adyton.model import UserId, Value
from adyton.service.links import Asked, NewLink
from adyton.service.links import Links as LinkService
from adyton.values import encode_value

LinkInfos = list[LinkInfo]


class AsyncLinks:
    """One-time links: each opens once, for whoever has it."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _links(self) -> LinkService:
        return LinkService(self._store._opened.core)

    async def create(
        self,
        user: UserId,
        value: Value,
        *,
        seconds: int = 86_400,
        passphrase: str | None = None,
        tries: int = 5,
        note: str = "",
        content_type: str | None = None,
        secret: str = "",
    ) -> MadeLink:
        """Put a value behind a link that opens once; the store keeps what it can't open.

        Args:
            user: Who makes it; purging the user ends it.
            value: Bytes, text, or a mapping that is sent as canonical JSON.
            seconds: How long it can be opened, up to 30 days.
            passphrase: What whoever opens it has to know as well, sent by another way.
            tries: After how many wrong attempts it ends.
            note: For :meth:`list`.
            content_type: Media type; by default that of the value's kind.
            secret: The secret of the user's whose value it is, so that ``access.who`` tells of the
                link; empty where it is of none.

        Raises:
            InvalidInput: Something breaks a rule.
            LimitExceeded: The user has too many links.
        """
        store = self._store
        most = store._opened.core.limits.max_value_bytes
        index = await store._checked(
            Action.LINK_CREATE, user, lambda: self._links.user_index(store._caller, user)
        )
        data, kind = await store._checked(
            Action.LINK_CREATE, user, lambda: encode_value(value, content_type, most)
        )
        closed = await asyncio.to_thread(links.close, data, kind, passphrase)
        new = NewLink(
            closed.ident,
            closed.proof_hash,
            closed.box,
            seconds,
            tries,
            passphrase is not None,
            note,
            secret,
        )
        info = await store._run(self._links.create(store._caller, user, new))
        return MadeLink(closed.text(index), "", info.accessor, info.expires_at)

    async def open(self, link: str, *, passphrase: str | None = None) -> LinkValue:
        """Open a link, once and for all: by its text, or the address that ends in it.

        Use the result in a ``with`` block; the value is wiped when the block ends.

        Raises:
            SecretNotFound: It was used, has expired, never was, or the passphrase is wrong.
            InvalidInput: It is not a link, or wants a passphrase.
        """
        found = links.parse_link(link)
        keys = await asyncio.to_thread(links.link_keys, found, passphrase)
        store = self._store
        with keys.key:
            asked = Asked(found.user, keys.ident, keys.proof)
            box = await store._run(self._links.open(store._caller, asked))
            return LinkValue(*links.open_link(keys, box))

    async def revoke(self, user: UserId, accessor: str) -> None:
        """End a link before anybody opens it.

        Raises:
            SecretNotFound: There is none of this accessor any more.
        """
        store = self._store
        await store._run(self._links.revoke(store._caller, user, accessor))

    async def list(self, user: UserId) -> LinkInfos:
        """A user's links that can be opened still, the newest last."""
        store = self._store
        return await store._run(self._links.list(store._caller, user))
