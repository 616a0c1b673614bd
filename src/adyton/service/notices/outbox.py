"""Putting a notice into a user's outbox, in the commit of what it tells of.

Nothing is sent here, and nothing waits: a few rows are written. Who delivers finds them by the
rows of ``due`` that name the webhooks with something to do.
"""

import secrets
from collections.abc import Mapping
from typing import Final

import msgspec

from adyton.actions import Action
from adyton.dueports import DueRow
from adyton.model import Caller
from adyton.noticevalues import check_details, check_kind, wanted
from adyton.service import due
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.notices.records import (
    ALL,
    MAX_KEPT,
    NOTICES,
    OUTBOX,
    WEBHOOKS,
    Notice,
    Outbox,
    Webhook,
    at_number,
)
from adyton.service.objects import ObjectChanges
from adyton.service.userkeys import UserKeys

DELIVERY: Final = "notices"
"""The kind of the rows of ``due``."""
_EVICTED: Final = 64
"""Old notices that one new one removes at the most; there is one too many, save after a change."""


async def put_notice(
    core: Core,
    scope: Scope,
    caller: Caller,
    keys: UserKeys,
    kind: str,
    subject: str = "",
    details: Mapping[str, str] | None = None,
) -> str:
    """Tell a user of something, if and only if this unit's work is kept.

    A record of its own tells it in the audit log, and takes it to the log's sinks.

    Args:
        core: The open store.
        scope: The group.
        caller: Who acts.
        keys: The user's keys.
        kind: What happened, such as ``rotation.failed``.
        subject: Name of the secret that it is about, or empty.
        details: What else is known: no value, no token, and no name, which sinks would get in the
            clear.

    Returns:
        The notice's id.
    """
    box = await OUTBOX.get(scope.tx, keys, ALL) or Outbox()
    number = box.next
    ident = f"msg_{at_number(number)}_{secrets.token_hex(8)}"
    told = check_details(details or {})
    notice = Notice(ident, check_kind(kind), scope.now_us, subject, told)
    changes = ObjectChanges(scope, keys)
    changes.put(NOTICES, at_number(number), notice)
    box.next = number + 1
    oldest = max(box.first, min(box.next - MAX_KEPT, box.first + _EVICTED))
    hooks = await WEBHOOKS.all(scope.tx, keys)
    for gone in range(box.first, oldest):
        await _evict(scope, changes, gone, hooks)
    box.first = oldest
    changes.put(OUTBOX, ALL, box)
    await changes.write(
        Draft(caller, Action.NOTICE_PUT, None, keys.user_id, subject, reason=_reason(notice))
    )
    for name, hook in hooks.items():
        if wanted(kind, hook.kinds):
            await wake(core, scope, keys, name)
    return ident


async def _evict(
    scope: Scope, changes: ObjectChanges, number: int, hooks: Mapping[str, Webhook]
) -> None:
    """Erase an old notice; webhooks that have not had it never will, and count that."""
    notice = await NOTICES.get(scope.tx, changes.keys, at_number(number))
    for name, hook in hooks.items():
        if hook.position <= number:
            hook.position = number + 1
            hook.given_up += notice is not None and wanted(notice.kind, hook.kinds)
            changes.put(WEBHOOKS, name, hook)
    if notice is not None:
        changes.delete(NOTICES, at_number(number))


async def wake(core: Core, scope: Scope, keys: UserKeys, webhook: str) -> None:
    """See to it that a webhook is looked at, unless it waits already, or somebody is at it."""
    place = WEBHOOKS.place(keys, webhook)
    if await scope.tx.due_of(keys.user, *place) is None:
        tag = due.tag(core, DELIVERY)
        await scope.tx.put_due(DueRow(keys.user, *place, scope.now_us, b"", tag))


def _reason(notice: Notice) -> str:
    return f"{notice.kind} {notice.id} {msgspec.json.encode(notice.details).decode()}"


def told_in(reason: str) -> dict[str, object]:
    """Kind, id and details of a notice, from the reason of its record."""
    kind, _, rest = reason.partition(" ")
    ident, _, details = rest.partition(" ")
    try:
        return {"id": ident, "kind": kind, "details": msgspec.json.decode(details)}
    except msgspec.DecodeError:
        return {}
