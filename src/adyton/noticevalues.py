"""What users are told of, and the webhooks that it is sent to (``docs/spec/notices.md``)."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from adyton.errors import InvalidInput

MAX_WEBHOOKS: Final = 10
"""Webhooks of one user."""
MAX_KINDS: Final = 32
MAX_URL_CHARS: Final = 1024
MAX_NOTE_CHARS: Final = 256
MAX_DETAILS: Final = 12
MAX_DETAIL_CHARS: Final = 300
MAX_OVERLAP_SECONDS: Final = 30 * 86_400
TEST: Final = "test"
"""The kind of a message that only shows that a webhook works."""

_KIND: Final = re.compile(r"[a-z][a-z0-9-]{0,31}(\.[a-z][a-z0-9-]{0,31}){0,2}", re.ASCII)


class NoticeInfo(NamedTuple):
    """One thing that a user was told of.

    Attributes:
        id: Its id; the same in every delivery of it.
        kind: What happened, such as ``rotation.failed``.
        time: When.
        subject: Name of the secret that it is about, or empty.
        details: What else is known; never a value or a token.
        acknowledged_at: When somebody said that they have seen it; None for not yet.
    """

    id: str
    kind: str
    time: dt.datetime
    subject: str
    details: dict[str, str]
    acknowledged_at: dt.datetime | None

    def __repr__(self) -> str:
        return f"<NoticeInfo {self.kind}>"


class WebhookInfo(NamedTuple):
    """A webhook, without its secret.

    Attributes:
        id: Its id.
        url: Where notices are sent to.
        kinds: Kinds of notices that are sent, each with all below it; empty for all.
        note: What its owner has written down of it.
        created_at: When it was added.
        waiting: Notices that are still to be delivered, or looked at.
        delivered: How many were.
        given_up: How many were not taken for too long, or made room for newer ones.
        attempts: How often in a row it has failed.
        error: Why it failed last; empty once a notice was delivered.
        next_at: When it is tried again; None where nothing waits.
        old_secret_until: Until when the former secret signs as well; None for no longer.
    """

    id: str
    url: str
    kinds: tuple[str, ...]
    note: str
    created_at: dt.datetime
    waiting: int
    delivered: int
    given_up: int
    attempts: int
    error: str
    next_at: dt.datetime | None
    old_secret_until: dt.datetime | None

    def __repr__(self) -> str:
        return "<WebhookInfo>"  # the address may let in whoever has it


class WebhookMade(NamedTuple):
    """A webhook with its secret, which is told this once.

    Attributes:
        webhook: The webhook.
        secret: ``whsec_`` and the key of its signatures.
    """

    webhook: WebhookInfo
    secret: str

    def __repr__(self) -> str:
        return "<WebhookMade>"


class WebhookAnswer(NamedTuple):
    """What came of a message to a webhook.

    Attributes:
        delivered: Whether it was taken: the answer has a status of 200 to 299.
        status: The status; 0 for no answer.
        error: Why it was not taken, or empty.
    """

    delivered: bool
    status: int
    error: str


class DeliveryReport(NamedTuple):
    """What a pass over all webhooks with something to do has done.

    Attributes:
        taken: How many webhooks had something to do.
        delivered: How many notices were taken.
        failed: How often a webhook failed; it is tried again later.
    """

    taken: int
    delivered: int
    failed: int


def check_kind(kind: str) -> str:
    """A kind of notice, such as ``rotation.failed``.

    Raises:
        InvalidInput: It is none.
    """
    if not isinstance(kind, str) or _KIND.fullmatch(kind) is None:
        raise InvalidInput(
            "the kind of notice can't be read", hint="Write it as in rotation or rotation.failed."
        )
    return kind


def check_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """Kinds of notices, sorted, each once.

    Raises:
        InvalidInput: There are too many, or one is none.
    """
    if isinstance(kinds, str):
        raise InvalidInput("kinds are a list of strings, not one string")
    found = tuple(sorted({check_kind(kind) for kind in kinds}))
    if len(found) > MAX_KINDS:
        raise InvalidInput(f"the kinds of notices are more than {MAX_KINDS}")
    return found


def wanted(kind: str, kinds: Iterable[str]) -> bool:
    """Whether a kind is among those, or below one of them; of none given, every one is."""
    listed = tuple(kinds)
    return not listed or any(kind == one or kind.startswith(one + ".") for one in listed)


def check_note(note: str) -> str:
    """What an owner writes down of a webhook.

    Raises:
        InvalidInput: It is too long or has control characters.
    """
    if len(note) > MAX_NOTE_CHARS or not note.isprintable():
        raise InvalidInput(f"the note is longer than {MAX_NOTE_CHARS}, or not printable")
    return note


def check_details(details: Mapping[str, str]) -> dict[str, str]:
    """What is told beside kind and subject, cut to what a notice may hold."""
    cut = list(details.items())[:MAX_DETAILS]
    return {key[:64]: value[:MAX_DETAIL_CHARS] for key, value in cut if value}
