"""What is stored of notices and webhooks (``docs/spec/notices.md``, section 2)."""

from typing import Final

import msgspec

from adyton.model import from_us
from adyton.noticevalues import NoticeInfo, WebhookInfo
from adyton.service.objects import Shelf

MAX_KEPT: Final = 800
"""Notices of one user; the oldest make room for newer ones."""


class Notice(msgspec.Struct, omit_defaults=True):
    """One notice.

    Attributes:
        id: As it is sent.
        kind: What happened.
        time_us: When.
        subject: Name of the secret that it is about, or empty.
        details: What else is known.
        acked_us: When somebody has seen it; 0 for not yet.
    """

    id: str
    kind: str
    time_us: int
    subject: str = ""
    details: dict[str, str] = {}
    acked_us: int = 0

    def __repr__(self) -> str:
        return "<Notice>"

    def info(self) -> NoticeInfo:
        """The public value."""
        return NoticeInfo(
            self.id,
            self.kind,
            from_us(self.time_us),
            self.subject,
            self.details,
            from_us(self.acked_us) if self.acked_us else None,
        )


class Outbox(msgspec.Struct, omit_defaults=True):
    """Which numbers notices have: from ``first`` up to, not including, ``next``."""

    first: int = 1
    next: int = 1


class Webhook(msgspec.Struct, omit_defaults=True):
    """A webhook.

    Attributes:
        url: Where to.
        created_us: When it was added.
        position: Number of the notice that is to be delivered next.
        key: Key of the signature.
        kinds: Kinds that are sent; none for all.
        note: What its owner has written down.
        old_key: The former key, or empty.
        old_until_us: Until when it signs as well.
        attempts: How often in a row it has failed.
        failing_us: When the first of them was; 0 for none.
        error: Why the last one has.
        delivered: How many notices were delivered.
        given_up: How many were given up.
    """

    url: str
    created_us: int
    position: int
    key: bytes
    kinds: tuple[str, ...] = ()
    note: str = ""
    old_key: bytes = b""
    old_until_us: int = 0
    attempts: int = 0
    failing_us: int = 0
    error: str = ""
    delivered: int = 0
    given_up: int = 0

    def __repr__(self) -> str:
        return "<Webhook>"

    def keys(self, now_us: int) -> list[bytes]:
        """The keys that sign now."""
        return [self.key, *([self.old_key] if self.old_until_us > now_us else [])]

    def info(self, ident: str, box: Outbox, ready_us: int, now_us: int) -> WebhookInfo:
        """The public value."""
        return WebhookInfo(
            ident,
            self.url,
            self.kinds,
            self.note,
            from_us(self.created_us),
            max(0, box.next - max(self.position, box.first)),
            self.delivered,
            self.given_up,
            self.attempts,
            self.error,
            from_us(ready_us) if ready_us else None,
            from_us(self.old_until_us) if self.old_until_us > now_us else None,
        )


NOTICES: Final = Shelf("notice", Notice)
OUTBOX: Final = Shelf("notice-outbox", Outbox)
WEBHOOKS: Final = Shelf("webhook", Webhook)
ALL: Final = "all"
"""The id of a user's outbox."""


def at_number(number: int) -> str:
    """The id of the object that holds a notice."""
    return f"{number:012x}"


def number_of(ident: str) -> int:
    """The number in a notice's id; 0 for one that can't be read."""
    parts = ident.split("_")
    if len(parts) != 3 or parts[0] != "msg" or len(parts[1]) != 12:
        return 0
    try:
        return int(parts[1], 16)
    except ValueError:
        return 0
