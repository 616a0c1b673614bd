"""Sharing between users of a server."""

import datetime as dt
from urllib.parse import quote

from adyton.client.aio_base import AsyncClientFace
from adyton.client.requests import given as members
from adyton.client.requests import of_user, query, read, write
from adyton.client.shapes import Items, WireReencrypted, WireShare, shared_of
from adyton.exchange import SharedSecret, ShareInfo
from adyton.model import UserId, secret_name, to_us, user_id

ShareInfos = list[ShareInfo]
Names = list[str]


class AsyncShares:
    """Secrets that one user lets another read, by the other's own keys."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def create(
        self,
        user: UserId,
        receiver: UserId,
        name: str,
        *,
        version: int | None = None,
        expires_at: dt.datetime | None = None,
    ) -> ShareInfo:
        """Offer another user to read something that the client's token may read.

        Args:
            user: The owner.
            receiver: The other user, who has to accept it.
            name: A secret, or a folder with a slash at its end, and all that comes into it.
            version: One version alone; None for the current one, as it changes.
            expires_at: When it ends; None for never.

        Raises:
            SecretNotFound: There is nothing of the name to read.
            InvalidInput: Something breaks a rule.
            LimitExceeded: There are too many shares, or secrets in the folder.
        """
        if expires_at is not None:
            to_us(expires_at)  # a time without a zone is refused here
        body = members(
            receiver=user_id(receiver), name=name, version=version, expires_at=expires_at
        )
        answer = await self._client._call(write(of_user(user, "shares"), body))
        return answer.parse(WireShare).public()

    async def revoke(self, user: UserId, share: str, *, rotate: bool = False) -> int:
        """End a share at once.

        Args:
            user: The owner.
            share: The share's id.
            rotate: Also re-encrypt what was shared under new data keys.

        Returns:
            How many versions were re-encrypted.

        Raises:
            SecretNotFound: There is no such share.
        """
        target = of_user(user, "shares", "given", quote(share, safe="")) + query(rotate=rotate)
        answer = await self._client._call(write(target, method="DELETE", patient=True))
        return answer.parse(WireReencrypted).reencrypted

    async def given(self, user: UserId) -> ShareInfos:
        """What a user shares with others, the newest last."""
        answer = await self._client._call(read(of_user(user, "shares", "given")))
        return [share.public() for share in answer.parse(Items[WireShare]).items]

    async def received(self, user: UserId) -> ShareInfos:
        """What others share with a user, the newest last."""
        answer = await self._client._call(read(of_user(user, "shares", "received")))
        return [share.public() for share in answer.parse(Items[WireShare]).items]

    async def accept(self, user: UserId, share: str) -> None:
        """Take a share that was offered to a user; only then can it be read.

        Raises:
            SecretNotFound: There is no such share.
        """
        await self._client._call(write(_of_share(user, share, "accept")))

    async def refuse(self, user: UserId, share: str) -> None:
        """Refuse a share that was offered to a user, or give it back.

        Raises:
            SecretNotFound: There is no such share.
        """
        await self._client._call(write(_of_share(user, share), method="DELETE"))

    async def names(self, user: UserId, share: str) -> Names:
        """Names of the secrets in a share that a user has accepted.

        Raises:
            SecretNotFound: There is no such share.
        """
        answer = await self._client._call(read(_of_share(user, share, "secrets")))
        return answer.parse(Items[str]).items

    async def get(self, user: UserId, share: str, name: str | None = None) -> SharedSecret:
        """Open a shared secret by its receiver's keys; recorded on both sides.

        Use the result in a ``with`` block; the value is wiped when the block ends.

        Args:
            user: The receiver.
            share: The share's id.
            name: Which secret of a folder; not needed for a single one.

        Raises:
            SecretNotFound: There is no such share, or nothing of that name can be read by it.
            IntegrityError: What is stored was changed.
        """
        parts = ["secret"]
        if name is not None:
            parts = ["secrets", *(quote(part, safe="") for part in secret_name(name).split("/"))]
        target = _of_share(user, share, *parts) + query(encoding="base64")
        return shared_of(await self._client._call(read(target)))


def _of_share(user: UserId, share: str, *parts: str) -> str:
    return of_user(user, "shares", "received", quote(share, safe=""), *parts)
