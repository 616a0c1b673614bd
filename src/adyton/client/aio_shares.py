"""Sharing between users of a server."""

import datetime as dt
from urllib.parse import quote

from msgspec import UNSET

from adyton.client.aio_base import AsyncClientFace
from adyton.client.payloads import item
from adyton.client.requests import given as members
from adyton.client.requests import of_user, query, read
from adyton.client.requests import write as write_to
from adyton.client.shapes import Items, WireChanged, WireReencrypted, WireShare, shared_of
from adyton.exchange import SharedSecret, ShareInfo
from adyton.model import UserId, Value, secret_name, to_us, user_id

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
        write: bool = False,
        delete: bool = False,
        reshare: int = 0,
        reshares: int = 10,
    ) -> ShareInfo:
        """Offer another user something that the client's token may do itself.

        Args:
            user: The owner.
            receiver: The other user, who has to accept it.
            name: A secret, or a folder with a slash at its end, and all that comes into it.
            version: One version alone; None for the current one, as it changes.
            expires_at: When it ends; None for never.
            write: Whether the receiver may write new versions, and new secrets in a folder.
            delete: Whether the receiver may delete current versions too.
            reshare: Over how many hands it may be passed on, up to 5; 0 for none.
            reshares: How many shares may come of it in all, where it may be passed on.

        Raises:
            SecretNotFound: There is nothing of the name to read.
            InvalidInput: Something breaks a rule.
            LimitExceeded: There are too many shares, or secrets in the folder.
        """
        body = members(
            receiver=user_id(receiver), name=name, version=version, expires_at=_zoned(expires_at),
            write=write, delete=delete, reshare=reshare, reshares=reshares,
        )  # fmt: skip
        answer = await self._client._call(write_to(of_user(user, "shares"), body))
        return answer.parse(WireShare).public()

    async def pass_on(
        self,
        user: UserId,
        share: str,
        receiver: UserId,
        name: str | None = None,
        *,
        version: int | None = None,
        expires_at: dt.datetime | None = None,
        write: bool = False,
        delete: bool = False,
        reshare: int = 0,
        reshares: int = 10,
    ) -> ShareInfo:
        """Offer somebody else what a share gives, or a part of it, if its owner allows that.

        The owner sees it. It ends with the share that it comes of, and allows no more than that.

        Args:
            user: The receiver of the share.
            share: The share's id.
            receiver: The other user, who has to accept it.
            name: A secret or a folder in it; None for all of it.
            version: The current version alone; None for the current one, as it changes.
            expires_at: When it ends; None for when the share ends.
            write: As for a share of one's own.
            delete: Idem.
            reshare: Idem; less than the share allows.
            reshares: Idem; at most what the share allows.

        Raises:
            SecretNotFound: There is no such share, or nothing of the name in it to read.
            AccessDenied: The share may not be passed on, or allows less than is asked for.
            InvalidInput: Something breaks a rule.
            LimitExceeded: There are too many shares, or secrets in the folder.
            RootError: The owner keeps the owner's keys away.
        """
        body = members(
            receiver=user_id(receiver), name=name, version=version, expires_at=_zoned(expires_at),
            write=write, delete=delete, reshare=reshare, reshares=reshares,
        )  # fmt: skip
        answer = await self._client._call(write_to(_of_share(user, share, "shares"), body))
        return answer.parse(WireShare).public()

    async def revoke(self, user: UserId, share: str, *, rotate: bool = False) -> int:
        """End a share, and all that came of it, at once.

        Args:
            user: The owner, or whoever passed it on.
            share: The share's id.
            rotate: Also re-encrypt what was shared under new data keys; for its owner.

        Returns:
            How many versions were re-encrypted.

        Raises:
            SecretNotFound: There is no such share.
            AccessDenied: Somebody else's secrets were to be re-encrypted.
            RootError: The owner keeps the owner's keys away.
        """
        target = of_user(user, "shares", "given", quote(share, safe="")) + query(rotate=rotate)
        answer = await self._client._call(write_to(target, method="DELETE", patient=True))
        return answer.parse(WireReencrypted).reencrypted

    async def given(self, user: UserId) -> ShareInfos:
        """What is shared of a user's, by the user and by whoever passed it on; the newest last."""
        answer = await self._client._call(read(of_user(user, "shares", "given")))
        return [share.public() for share in answer.parse(Items[WireShare]).items]

    async def passed(self, user: UserId) -> ShareInfos:
        """What a user has passed on of what others share, the newest last."""
        answer = await self._client._call(read(of_user(user, "shares", "passed")))
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
        await self._client._call(write_to(_of_share(user, share, "accept")))

    async def refuse(self, user: UserId, share: str) -> None:
        """Refuse a share that was offered to a user, or give it back.

        Raises:
            SecretNotFound: There is no such share.
        """
        await self._client._call(write_to(_of_share(user, share), method="DELETE"))

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
        target = _of_secret(user, share, name) + query(encoding="base64")
        return shared_of(await self._client._call(read(target)))

    async def set(
        self,
        user: UserId,
        share: str,
        value: Value,
        name: str | None = None,
        *,
        content_type: str | None = None,
        cas: int | None = None,
    ) -> int:
        """Write a new version of a shared secret, or a new secret into a shared folder.

        It is the owner's, and keeps the tags, attributes and expiry that the owner has set.

        Args:
            user: The receiver.
            share: The share's id.
            value: Bytes, text, or a JSON object.
            name: Which secret of a folder; not needed for a single one.
            content_type: Media type; by default that of the kind of value.
            cas: The version that has to be the current one (0: there must be none); None for any.

        Returns:
            The new version.

        Raises:
            SecretNotFound: There is no such share, or the secret of it is gone.
            AccessDenied: It is for reading.
            InvalidInput: Something breaks a rule.
            VersionConflict: The check-and-set version is not the current one.
            QuotaExceeded: The owner may not store so much.
            RootError: The owner keeps the owner's keys away.
            IntegrityError: What is stored was changed.
        """
        body = item(value, None, None, UNSET, None, content_type)
        call = write_to(_of_secret(user, share, name), body, method="PUT", cas=cas)
        return (await self._client._call(call)).parse(WireChanged).version

    async def delete(
        self, user: UserId, share: str, name: str | None = None, *, cas: int | None = None
    ) -> int:
        """Mark the current version of a shared secret deleted; its owner can bring it back.

        Args:
            user: The receiver.
            share: The share's id.
            name: Which secret of a folder; not needed for a single one.
            cas: The version that has to be the current one; None for any.

        Returns:
            The version that was deleted.

        Raises:
            SecretNotFound: There is no such share, or nothing of that name in it.
            AccessDenied: It does not allow deleting.
            InvalidInput: The share is a folder and no name is given.
            VersionConflict: The check-and-set version is not the current one.
            RootError: The owner keeps the owner's keys away.
            IntegrityError: What is stored was changed.
        """
        call = write_to(_of_secret(user, share, name), method="DELETE", cas=cas)
        return (await self._client._call(call)).parse(WireChanged).version


def _of_share(user: UserId, share: str, *parts: str) -> str:
    return of_user(user, "shares", "received", quote(share, safe=""), *parts)


def _of_secret(user: UserId, share: str, name: str | None) -> str:
    if name is None:
        return _of_share(user, share, "secret")
    parts = (quote(part, safe="") for part in secret_name(name).split("/"))
    return _of_share(user, share, "secrets", *parts)


def _zoned(time: dt.datetime | None) -> dt.datetime | None:
    """A time as it is sent; one without a zone is refused."""
    if time is not None:
        to_us(time)
    return time
