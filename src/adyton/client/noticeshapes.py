"""Shapes of notices and webhooks in the native API (``docs/spec/native-api.md``, section 3)."""

import msgspec

from adyton.client.shapes import Time
from adyton.noticevalues import (
    DeliveryReport,
    NoticeInfo,
    WebhookAnswer,
    WebhookInfo,
    WebhookMade,
)


class WireNotice(msgspec.Struct):
    """A notice."""

    id: str
    kind: str
    time: Time
    subject: str
    details: dict[str, str]
    acknowledged_at: Time | None

    def public(self) -> NoticeInfo:
        """The public value."""
        return NoticeInfo(*(getattr(self, name) for name in self.__struct_fields__))


class WireAcknowledged(msgspec.Struct):
    """How many notices had not been acknowledged before."""

    acknowledged: int


class WireDelivery(msgspec.Struct):
    """What a pass over all webhooks has done."""

    taken: int
    delivered: int
    failed: int

    def public(self) -> DeliveryReport:
        """The public value."""
        return DeliveryReport(self.taken, self.delivered, self.failed)


class WireWebhook(msgspec.Struct):
    """A webhook."""

    id: str
    url: str
    kinds: tuple[str, ...]
    note: str
    created_at: Time
    waiting: int
    delivered: int
    given_up: int
    attempts: int
    error: str
    next_at: Time | None
    old_secret_until: Time | None

    def __repr__(self) -> str:
        return "<WireWebhook>"

    def public(self) -> WebhookInfo:
        """The public value."""
        return WebhookInfo(*(getattr(self, name) for name in self.__struct_fields__))


class WireMadeWebhook(msgspec.Struct):
    """A webhook with its secret."""

    webhook: WireWebhook
    secret: str

    def __repr__(self) -> str:
        return "<WireMadeWebhook>"

    def public(self) -> WebhookMade:
        """The public value."""
        return WebhookMade(self.webhook.public(), self.secret)


class WireWebhookAnswer(msgspec.Struct):
    """What came of a message."""

    delivered: bool
    status: int
    error: str

    def public(self) -> WebhookAnswer:
        """The public value."""
        return WebhookAnswer(delivered=self.delivered, status=self.status, error=self.error)
