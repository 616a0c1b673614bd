"""One-time links of a server: closed and opened here, so that it never sees what opens them."""

import asyncio
from urllib.parse import quote

from adyton.client.aio_base import AsyncClientFace
from adyton.client.payloads import MAX_VALUE_BYTES
from adyton.client.requests import of_user, once, read, write
from adyton.client.settings import Token
from adyton.client.shapes import Items, WireBox, WireLink, WireMadeLink
from adyton.crypto import links
from adyton.exchange import LinkInfo, LinkValue
from adyton.exchange import NewLink as MadeLink
from adyton.model import UserId, Value
from adyton.values import encode_value

LinkInfos = list[LinkInfo]


class AsyncLinks:
    """One-time links: each opens once, for whoever has it."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

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
        """Put a value behind a link that opens once; the server gets what it can't open.

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
        data, kind = encode_value(value, content_type, MAX_VALUE_BYTES)
        closed = await asyncio.to_thread(links.close, data, kind, passphrase)
        body = {
            "id": closed.ident,
            "proof_hash": closed.proof_hash,
            "box": closed.box,
            "seconds": seconds,
            "tries": tries,
            "passphrase": closed.has_passphrase,
            "note": note,
        }
        if secret:
            body["secret"] = secret
        answer = await self._client._call(write(of_user(user, "links"), body))
        made = answer.parse(WireMadeLink)
        text = closed.text(made.user)
        url = f"{self._client.address}/link#{text}"
        return MadeLink(text, url, made.accessor, made.expires_at)

    async def open(self, link: str, *, passphrase: str | None = None) -> LinkValue:
        """Open a link, once and for all: by its text, or the address that ends in it.

        The request has no token: whoever has the link may open it.

        Use the result in a ``with`` block; the value is wiped when the block ends.

        Raises:
            SecretNotFound: It was used, has expired, never was, or the passphrase is wrong.
            InvalidInput: It is not a link, or wants a passphrase.
        """
        found = links.parse_link(link)
        keys = await asyncio.to_thread(links.link_keys, found, passphrase)
        with keys.key:
            body = {"user": found.user, "id": keys.ident, "proof": keys.proof}
            answer = await self._client._send(once("adyton/links/open", body), Token(""))
            return LinkValue(*links.open_link(keys, answer.parse(WireBox).box))

    async def revoke(self, user: UserId, accessor: str) -> None:
        """End a link before anybody opens it.

        Raises:
            SecretNotFound: There is none of this accessor any more.
        """
        target = of_user(user, "links", quote(accessor, safe=""))
        await self._client._call(write(target, method="DELETE"))

    async def list(self, user: UserId) -> LinkInfos:
        """A user's links that can be opened still, the newest last."""
        answer = await self._client._call(read(of_user(user, "links")))
        return [link.public() for link in answer.parse(Items[WireLink]).items]
