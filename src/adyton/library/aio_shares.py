"""Sharing between users (``docs/spec/sharing.md``)."""

import datetime as dt

from adyton.actions import Action
from adyton.exchange import SharedSecret, ShareInfo
from adyton.library import arguments
from adyton.library.aio_base import AsyncFace
from adyton.model import UserId, Value, to_us
from adyton.service.sharing.offers import Offer, Offers
from adyton.service.sharing.reading import SharedReads
from adyton.service.sharing.shares import Shares as SharesService
from adyton.service.sharing.through import SharedWrites

ShareInfos = list[ShareInfo]
Names = list[str]


class AsyncShares:
    """Secrets that one user lets another read, by the other's own keys."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _shares(self) -> SharesService:
        return SharesService(self._store._opened.core)

    @property
    def _offers(self) -> Offers:
        return Offers(self._store._opened.core)

    @property
    def _reads(self) -> SharedReads:
        return SharedReads(self._store._opened.core)

    @property
    def _writes(self) -> SharedWrites:
        return SharedWrites(self._store._opened.core)

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
        """Offer another user something.

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
        store = self._store
        ends = await _ends(store, user, expires_at)
        offer = Offer(receiver, name, version, ends, write, delete, reshare, reshares)
        return await store._run(self._offers.create(store._caller, user, offer))

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
        store = self._store
        ends = await _ends(store, user, expires_at)
        offer = Offer(receiver, name or "", version, ends, write, delete, reshare, reshares)
        return await store._run(self._offers.pass_on(store._caller, user, share, offer))

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
        store = self._store
        return await store._run(self._shares.revoke(store._caller, user, share, rotate=rotate))

    async def given(self, user: UserId) -> ShareInfos:
        """What is shared of a user's, by the user and by whoever passed it on; the newest last."""
        store = self._store
        return await store._run(self._shares.given(store._caller, user))

    async def passed(self, user: UserId) -> ShareInfos:
        """What a user has passed on of what others share, the newest last."""
        store = self._store
        return await store._run(self._shares.passed(store._caller, user))

    async def received(self, user: UserId) -> ShareInfos:
        """What others share with a user, the newest last."""
        store = self._store
        return await store._run(self._shares.received(store._caller, user))

    async def accept(self, user: UserId, share: str) -> None:
        """Take a share that was offered to a user; only then can it be read.

        Raises:
            SecretNotFound: There is no such share.
        """
        store = self._store
        await store._run(self._shares.accept(store._caller, user, share))

    async def refuse(self, user: UserId, share: str) -> None:
        """Refuse a share that was offered to a user, or give it back.

        Raises:
            SecretNotFound: There is no such share.
        """
        store = self._store
        await store._run(self._shares.refuse(store._caller, user, share))

    async def names(self, user: UserId, share: str) -> Names:
        """Names of the secrets in a share that a user has accepted.

        Raises:
            SecretNotFound: There is no such share.
        """
        store = self._store
        return await store._run(self._reads.names(store._caller, user, share))

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
        store = self._store
        return await store._run(self._reads.get(store._caller, user, share, name))

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
        store = self._store
        limits = store._opened.core.limits
        item = await store._checked(
            Action.SHARE_WRITE,
            user,
            lambda: arguments.value_item(limits, name, value, content_type=content_type, cas=cas),
        )
        return await store._run(self._writes.set(store._caller, user, share, item, name=name))

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
        store = self._store
        return await store._run(self._writes.delete(store._caller, user, share, name=name, cas=cas))


async def _ends(store: AsyncFace, user: UserId, expires_at: dt.datetime | None) -> int:
    return await store._checked(
        Action.SHARE_CREATE, user, lambda: 0 if expires_at is None else to_us(expires_at)
    )
