"""A user's webhooks: adding, trying, changing their secrets, removing."""

import secrets
from collections.abc import Iterable
from typing import Final

from adyton.actions import Action
from adyton.crypto.webhooks import KEY_BYTES, secret_text
from adyton.dueports import DueRow
from adyton.errors import InvalidInput, LimitExceeded, SecretNotFound
from adyton.model import Caller, UserId
from adyton.noticevalues import (
    MAX_OVERLAP_SECONDS,
    MAX_WEBHOOKS,
    TEST,
    WebhookAnswer,
    WebhookInfo,
    WebhookMade,
    check_kinds,
    check_note,
)
from adyton.ports import Rows
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.notices.messages import message
from adyton.service.notices.records import ALL, OUTBOX, WEBHOOKS, Notice, Outbox, Webhook
from adyton.service.objects import ObjectChanges
from adyton.service.userkeys import UserKeys

DAY_SECONDS: Final = 86_400
_SHOWN: Final = 64


def _gone() -> SecretNotFound:
    return SecretNotFound("there is no such webhook", hint="List them with 'adyton webhook list'.")


class Webhooks:
    """Operations on webhooks.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def add(
        self, caller: Caller, user: UserId, url: str, *, kinds: Iterable[str] = (), note: str = ""
    ) -> WebhookMade:
        """Send a user's notices to an address from now on.

        Args:
            caller: Who asks.
            user: Whose notices.
            url: Where to, by https.
            kinds: Which, each with all below it; none for all.
            note: To be written down with it.

        Raises:
            InvalidInput: The address, a kind or the note can't be used.
            LimitExceeded: The user has as many webhooks as may be.
        """
        core = self._core
        draft = Draft(caller, Action.WEBHOOK_WRITE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            address = core.notices.sender.check(url)
            listed, remark = check_kinds(kinds), check_note(note)
        key = secrets.token_bytes(KEY_BYTES)
        ident = f"whk_{secrets.token_hex(12)}"

        async def work(scope: Scope) -> WebhookMade:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            if len(await WEBHOOKS.some(scope.tx, keys, MAX_WEBHOOKS)) >= MAX_WEBHOOKS:
                raise LimitExceeded(
                    f"a user has at most {MAX_WEBHOOKS} webhooks", hint="Remove one."
                )
            box = await OUTBOX.get(scope.tx, keys, ALL) or Outbox()
            hook = Webhook(address, scope.now_us, box.next, key, listed, remark)
            info = hook.info(ident, box, 0, scope.now_us)
            await _put(scope, keys, ident, hook, draft)
            return WebhookMade(info, secret_text(key))

        return await core.write(draft, work)

    async def list(self, caller: Caller, user: UserId) -> "list[WebhookInfo]":
        """All webhooks of a user, oldest first."""
        core = self._core
        draft = Draft(caller, Action.WEBHOOK_READ)
        found: list[WebhookInfo] = []
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = await core.keys(draft.user_id)
            if draft.keys is not None:
                async with core.storage.snapshot() as rows:
                    hooks = await WEBHOOKS.all(rows, draft.keys)
                    found = [
                        await self._info(rows, draft.keys, ident, hook)
                        for ident, hook in hooks.items()
                    ]
        await core.record(draft)
        return sorted(found, key=lambda info: (info.created_at, info.id))

    async def get(self, caller: Caller, user: UserId, ident: str) -> WebhookInfo:
        """One webhook.

        Raises:
            SecretNotFound: There is no such webhook.
        """
        core = self._core
        draft = Draft(caller, Action.WEBHOOK_READ, reason=ident[:_SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = await core.keys(draft.user_id)
            async with core.storage.snapshot() as rows:
                hook = await self._found(rows, draft.keys, ident)
                info = await self._info(rows, draft.keys, ident, hook)
        await core.record(draft)
        return info

    @staticmethod
    async def _found(rows: Rows, keys: UserKeys | None, ident: str) -> Webhook:
        hook = None if keys is None else await WEBHOOKS.get(rows, keys, ident)
        if hook is None:
            raise _gone()
        return hook

    async def _info(
        self, rows: Rows, keys: UserKeys | None, ident: str, hook: Webhook
    ) -> WebhookInfo:
        if keys is None:
            raise _gone()
        box = await OUTBOX.get(rows, keys, ALL) or Outbox()
        row = await rows.due_of(keys.user, *WEBHOOKS.place(keys, ident))
        return hook.info(ident, box, 0 if row is None else row.ready_us, self._core.clock.now_us())

    async def rotate(
        self, caller: Caller, user: UserId, ident: str, *, overlap: int = DAY_SECONDS
    ) -> WebhookMade:
        """Give a webhook a new secret.

        Args:
            caller: Who asks.
            user: Whose webhook.
            ident: Its id.
            overlap: Seconds for which the former secret signs as well.

        Raises:
            SecretNotFound: There is no such webhook.
            InvalidInput: The overlap is too long.
        """
        core = self._core
        draft = Draft(caller, Action.WEBHOOK_WRITE, reason=f"{ident[:_SHOWN]} secret")
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            if not 0 <= overlap <= MAX_OVERLAP_SECONDS:
                raise InvalidInput(f"the overlap is not 0 to {MAX_OVERLAP_SECONDS} seconds")
        key = secrets.token_bytes(KEY_BYTES)

        async def work(scope: Scope) -> WebhookMade:
            keys = await core.keys_in(scope, draft.user_id)
            hook = await self._found(scope.tx, keys, ident)
            if keys is None:
                raise _gone()
            hook.old_key = hook.key if overlap else b""
            hook.old_until_us = scope.now_us + overlap * 1_000_000 if overlap else 0
            hook.key = key
            info = await self._info(scope.tx, keys, ident, hook)
            await _put(scope, keys, ident, hook, draft)
            return WebhookMade(info, secret_text(key))

        return await core.write(draft, work)

    async def remove(self, caller: Caller, user: UserId, ident: str) -> None:
        """Send nothing to a webhook any more, what waits included.

        Raises:
            SecretNotFound: There is no such webhook.
        """
        core = self._core
        draft = Draft(caller, Action.WEBHOOK_DELETE, reason=ident[:_SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, draft.user_id)
            await self._found(scope.tx, keys, ident)
            if keys is None:
                raise _gone()
            await scope.tx.put_due(DueRow(keys.user, *WEBHOOKS.place(keys, ident), 0, b""))
            changes = ObjectChanges(scope, keys)
            changes.delete(WEBHOOKS, ident)
            await changes.write(draft)

        await core.write(draft, work)

    async def test(self, caller: Caller, user: UserId, ident: str) -> WebhookAnswer:
        """Send a message of the kind ``test`` now, beside what waits, and tell what came of it.

        Raises:
            SecretNotFound: There is no such webhook.
            LimitExceeded: Too many messages are on their way already.
        """
        core = self._core
        draft = Draft(caller, Action.WEBHOOK_TEST, reason=ident[:_SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = await core.keys(draft.user_id)
            async with core.storage.snapshot() as rows:
                hook = await self._found(rows, draft.keys, ident)
            now = core.clock.now_us()
            notice = Notice(f"msg_test_{secrets.token_hex(8)}", TEST, now)
            sent = message(notice, draft.user_id, hook.keys(now), now)
            room = core.notices
            await core.record(draft)  # before anything is sent
            return await room.run(lambda: room.sender.post(hook.url, sent.headers, sent.body))


async def _put(scope: Scope, keys: UserKeys, ident: str, hook: Webhook, draft: Draft) -> None:
    draft.reason = draft.reason or ident
    changes = ObjectChanges(scope, keys)
    changes.put(WEBHOOKS, ident, hook)
    await changes.write(draft)
