"""What users are told of, and the webhooks that it is sent to."""

from collections.abc import Iterable
from urllib.parse import quote

from adyton.client.aio_base import AsyncClientFace
from adyton.client.noticeshapes import (
    WireAcknowledged,
    WireDelivery,
    WireMadeWebhook,
    WireNotice,
    WireWebhook,
    WireWebhookAnswer,
)
from adyton.client.requests import of_user, query, read, write
from adyton.client.shapes import Items
from adyton.model import UserId
from adyton.noticevalues import (
    DeliveryReport,
    NoticeInfo,
    WebhookAnswer,
    WebhookInfo,
    WebhookMade,
    check_kinds,
)

NoticeInfos = list[NoticeInfo]
WebhookInfos = list[WebhookInfo]
_DAY_SECONDS = 86_400


class AsyncNotices:
    """What users are told of: rotations, unusual reads."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

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
        asked = query(kind=check_kinds(kinds), fresh=fresh, limit=limit)
        answer = await self._client._call(read(of_user(user, "notices") + asked))
        return [each.public() for each in answer.parse(Items[WireNotice]).items]

    async def get(self, user: UserId, notice: str) -> NoticeInfo:
        """One notice.

        Raises:
            SecretNotFound: There is no such notice, or it made room for newer ones.
        """
        answer = await self._client._call(read(of_user(user, "notices", _segment(notice))))
        return answer.parse(WireNotice).public()

    async def acknowledge(self, user: UserId, notices: Iterable[str] | None = None) -> int:
        """Say that notices were seen; how many had not been before.

        Args:
            user: Whose.
            notices: Their ids; None for all.

        Raises:
            SecretNotFound: One is not there.
        """
        body = {"ids": None if notices is None else [*notices]}
        answer = await self._client._call(write(of_user(user, "notices-acknowledge"), body))
        return answer.parse(WireAcknowledged).acknowledged

    async def deliver(self) -> DeliveryReport:
        """Deliver what waits for webhooks now, of every user.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        answer = await self._client._call(write("adyton/notices/deliver", patient=True))
        return answer.parse(WireDelivery).public()


class AsyncWebhooks:
    """Addresses that a user's notices are sent to."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

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
        body = {"url": url, "kinds": check_kinds(kinds), "note": note}
        answer = await self._client._call(write(of_user(user, "webhooks"), body))
        return answer.parse(WireMadeWebhook).public()

    async def list(self, user: UserId) -> WebhookInfos:
        """All webhooks of a user, oldest first."""
        answer = await self._client._call(read(of_user(user, "webhooks")))
        return [each.public() for each in answer.parse(Items[WireWebhook]).items]

    async def get(self, user: UserId, webhook: str) -> WebhookInfo:
        """One webhook.

        Raises:
            SecretNotFound: There is no such webhook.
        """
        answer = await self._client._call(read(of_user(user, "webhooks", _segment(webhook))))
        return answer.parse(WireWebhook).public()

    async def test(self, user: UserId, webhook: str) -> WebhookAnswer:
        """Send a message of the kind ``test`` now, beside what waits, and tell what came of it.

        Raises:
            SecretNotFound: There is no such webhook.
            LimitExceeded: Too many messages are on their way already.
        """
        call = write(of_user(user, "webhooks", _segment(webhook), "test"), patient=True)
        return (await self._client._call(call)).parse(WireWebhookAnswer).public()

    async def rotate(
        self, user: UserId, webhook: str, *, overlap: int = _DAY_SECONDS
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
        call = write(of_user(user, "webhooks", _segment(webhook), "rotate"), {"overlap": overlap})
        return (await self._client._call(call)).parse(WireMadeWebhook).public()

    async def remove(self, user: UserId, webhook: str) -> None:
        """Send nothing to a webhook any more, what waits included.

        Raises:
            SecretNotFound: There is no such webhook.
        """
        target = of_user(user, "webhooks", _segment(webhook))
        await self._client._call(write(target, method="DELETE"))


def _segment(ident: str) -> str:
    return quote(ident, safe="") or "-"
