"""A notice as the message that a webhook gets (``docs/spec/notices.md``, section 4)."""

from collections.abc import Sequence
from typing import Final

import msgspec

from adyton.canonical import canonical_json
from adyton.crypto.webhooks import signature
from adyton.model import from_us
from adyton.service.notices.records import Notice

_SECOND_US: Final = 1_000_000


class Message(msgspec.Struct, frozen=True):
    """What is posted."""

    headers: dict[str, str]
    body: bytes

    def __repr__(self) -> str:
        return "<Message>"


def message(notice: Notice, user: str, keys: Sequence[bytes], now_us: int) -> Message:
    """The message of a notice, signed now: body and id are the same each time."""
    time = from_us(notice.time_us).isoformat(timespec="microseconds").replace("+00:00", "Z")
    body = canonical_json(
        {
            "type": notice.kind,
            "timestamp": time,
            "data": {"user": user, "subject": notice.subject, "details": notice.details},
        }
    )
    seconds = now_us // _SECOND_US
    headers = {
        "content-type": "application/json",
        "user-agent": "Adyton",
        "webhook-id": notice.id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": signature(keys, notice.id, seconds, body),
    }
    return Message(headers, body)
