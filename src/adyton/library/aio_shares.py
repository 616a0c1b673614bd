"""Sharing between users (``docs/spec/sharing.md``)."""

import datetime as dt

from adyton.actions import Action
from adyton.exchange import SharedSecret, ShareInfo
from adyton.library.aio_base import AsyncFace
from adyton.model import UserId, to_us
from adyton.service.sharing.shares import Shares as SharesService

ShareInfos = list[ShareInfo]
Names = list[str]


class AsyncShares:
    """Secrets that one user lets another read, by the other's own keys."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _shares(self) -> SharesService:
        return SharesService(self._store._opened.core)

    async def create(
        self,
        user: UserId,
        receiver: UserId,
        name: str,
        *,
        version: int | None = None,
        expires_at: dt.datetime | None = None,
    ) -> ShareInfo:
        """Offer another user to read something.

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
        store = self._store
        ends = await store._checked(
            Action.SHARE_CREATE, user, lambda: to_us(expires_at) if expires_at else 0
        )
        return await store._run(
            self._shares.create(
                store._caller, user, receiver, name, version=version, expires_us=ends
            )
        )

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
        store = self._store
        return await store._run(self._shares.revoke(store._caller, user, share, rotate=rotate))

    async def given(self, user: UserId) -> ShareInfos:
        """What a user shares with others, the newest last."""
        store = self._store
        return await store._run(self._shares.given(store._caller, user))

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
        return await store._run(self._shares.names(store._caller, user, share))

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
        return await store._run(self._shares.get(store._caller, user, share, name))
