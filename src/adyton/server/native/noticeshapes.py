"""What requests and answers about notices and webhooks look like."""

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from adyton.noticevalues import (
    MAX_KINDS,
    MAX_NOTE_CHARS,
    MAX_OVERLAP_SECONDS,
    MAX_URL_CHARS,
    NoticeInfo,
    WebhookInfo,
    WebhookMade,
)
from adyton.server.native.shapes import MAX_NUMBER, Answer, Shape, Time
from adyton.service.notices.records import MAX_KEPT
from adyton.service.notices.webhooks import DAY_SECONDS

_Kind: TypeAlias = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}(\.[a-z][a-z0-9-]{0,31}){0,2}$")
]
_Kinds: TypeAlias = Annotated[list[_Kind], Meta(max_length=MAX_KINDS)]
_Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
_Count: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]


class NoticeQuery(Shape, kw_only=True):
    """Which notices."""

    kind: _Kinds = msgspec.field(default_factory=list)
    fresh: bool = False
    limit: Annotated[int, Meta(ge=1, le=MAX_KEPT)] = 100


class AcknowledgeBody(Shape, kw_only=True):
    """Which notices were seen; null for all."""

    ids: Annotated[list[_Id], Meta(min_length=1, max_length=MAX_KEPT)] | None = None


class WebhookBody(Shape, kw_only=True):
    """A webhook that is to be added."""

    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL_CHARS)]
    kinds: _Kinds = msgspec.field(default_factory=list)
    note: Annotated[str, Meta(max_length=MAX_NOTE_CHARS)] = ""


class WebhookRotateBody(Shape, kw_only=True):
    """For how many seconds a webhook's former secret signs as well."""

    overlap: Annotated[int, Meta(ge=0, le=MAX_OVERLAP_SECONDS)] = DAY_SECONDS


class NoticeShown(Answer, kw_only=True):
    """A notice."""

    id: str
    kind: str
    time: Time
    subject: str
    details: dict[str, str]
    acknowledged_at: Time | None


class NoticeList(Answer, kw_only=True):
    """A user's notices, newest first."""

    items: list[NoticeShown]


class Acknowledged(Answer, kw_only=True):
    """How many notices had not been acknowledged before."""

    acknowledged: _Count


class DeliveryShown(Answer, kw_only=True):
    """What a pass over all webhooks has done."""

    taken: _Count
    delivered: _Count
    failed: _Count


class WebhookShown(Answer, kw_only=True):
    """A webhook, without its secret."""

    id: str
    url: str
    kinds: list[str]
    note: str
    created_at: Time
    waiting: _Count
    delivered: _Count
    given_up: _Count
    attempts: _Count
    error: str
    next_at: Time | None
    old_secret_until: Time | None


class WebhookList(Answer, kw_only=True):
    """A user's webhooks, oldest first."""

    items: list[WebhookShown]


class WebhookSecretShown(Answer, kw_only=True):
    """A webhook with its secret, which is told this once."""

    webhook: WebhookShown
    secret: str


class WebhookAnswerShown(Answer, kw_only=True):
    """What came of a message to a webhook."""

    delivered: bool
    status: Annotated[int, Meta(ge=0, le=999)]
    error: str


def shown_notice(info: NoticeInfo) -> NoticeShown:
    """A notice."""
    return NoticeShown(**info._asdict())


def shown_webhook(info: WebhookInfo) -> WebhookShown:
    """A webhook."""
    return WebhookShown(**(info._asdict() | {"kinds": list(info.kinds)}))


def shown_made(made: WebhookMade) -> WebhookSecretShown:
    """A webhook with its secret."""
    return WebhookSecretShown(webhook=shown_webhook(made.webhook), secret=made.secret)
