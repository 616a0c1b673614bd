"""What users are told of, and the webhooks that it is sent to."""

from collections.abc import Iterable

from adyton.library.aio_base import AsyncFace
from adyton.model import UserId
from adyton.noticevalues import (
    DeliveryReport,
    NoticeInfo,
    WebhookAnswer,
    WebhookInfo,
    WebhookMade,
)
from adyton.service.notices.notices import Notices as NoticeService
from adyton.service.notices.webhooks import DAY_SECONDS
from adyton.service.notices.webhooks import Webhooks as WebhookService

NoticeInfos = list[NoticeInfo]
WebhookInfos = list[WebhookInfo]


class AsyncNotices:
    """What users are told of: rotations, unusual reads."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _notices(self) -> NoticeService:
        return NoticeService(self._store._opened.core)

    async def list(
        self,
        user: UserId,
        *,
        kinds: Iterable[str] = (),
        fresh: bool = False,
        limit: int = 100,
    ) -> NoticeInfos:
        """A user's notices, newest first.

        Args:
            user: Whose.
            kinds: Which kinds, each with all below it; none for all.
            fresh: Only those that nobody has acknowledged.
            limit: How many at the most, up to 800.

        Raises:
            InvalidInput: A kind can't be read, or the limit is out of bounds.
        """
        store = self._store
        return await store._run(
            self._notices.list(store._caller, user, kinds=kinds, fresh=fresh, limit=limit)
        )

    async def get(self, user: UserId, notice: str) -> NoticeInfo:
        """One notice.

        Raises:
            SecretNotFound: There is no such notice, or it made room for newer ones.
        """
        store = self._store
        return await store._run(self._notices.get(store._caller, user, notice))

    async def acknowledge(self, user: UserId, notices: Iterable[str] | None = None) -> int:
        """Say that notices were seen; how many had not been before.

        Args:
            user: Whose.
            notices: Their ids; None for all.

        Raises:
            SecretNotFound: One is not there.
        """
        store = self._store
        return await store._run(self._notices.acknowledge(store._caller, user, notices))

    async def deliver(self) -> DeliveryReport:
        """Deliver what waits for webhooks now, of every user.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        store = self._store
        return await store._run(self._notices.deliver(store._caller))


class AsyncWebhooks:
    """Addresses that a user's notices are sent to."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _webhooks(self) -> WebhookService:
        return WebhookService(self._store._opened.core)

    async def add(
        self, user: UserId, url: str, *, kinds: Iterable[str] = (), note: str = ""
    ) -> WebhookMade:
        """Send a user's notices to an address from now on.

        Args:
            user: Whose notices.
            url: Where to, by https.
            kinds: Which, each with all below it; none for all.
            note: To be written down with it.

        Raises:
            InvalidInput: The address, a kind or the note can't be used.
            LimitExceeded: The user has as many webhooks as may be.
        """
        store = self._store
        return await store._run(
            self._webhooks.add(store._caller, user, url, kinds=kinds, note=note)
        )

    async def list(self, user: UserId) -> WebhookInfos:
        """All webhooks of a user, oldest first."""
        store = self._store
        return await store._run(self._webhooks.list(store._caller, user))

    async def get(self, user: UserId, webhook: str) -> WebhookInfo:
        """One webhook.

        Raises:
            SecretNotFound: There is no such webhook.
        """
        store = self._store
        return await store._run(self._webhooks.get(store._caller, user, webhook))

    async def test(self, user: UserId, webhook: str) -> WebhookAnswer:
        """Send a message of the kind ``test`` now, beside what waits, and tell what came of it.

        Raises:
            SecretNotFound: There is no such webhook.
            LimitExceeded: Too many messages are on their way already.
        """
        store = self._store
        return await store._run(self._webhooks.test(store._caller, user, webhook))

    async def rotate(
        self, user: UserId, webhook: str, *, overlap: int = DAY_SECONDS
    ) -> WebhookMade:
        """Give a webhook a new secret.

        Args:
            user: Whose webhook.
            webhook: Its id.
            overlap: Seconds for which the former secret signs as well.

        Raises:
            SecretNotFound: There is no such webhook.
            InvalidInput: The overlap is too long.
        """
        store = self._store
        return await store._run(
            self._webhooks.rotate(store._caller, user, webhook, overlap=overlap)
        )

    async def remove(self, user: UserId, webhook: str) -> None:
        """Send nothing to a webhook any more, what waits included.

        Raises:
            SecretNotFound: There is no such webhook.
        """
        store = self._store
        await store._run(self._webhooks.remove(store._caller, user, webhook))
