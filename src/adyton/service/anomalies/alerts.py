"""A user's settings for unusual reads: sensitivity, mutes, and looking at new records now."""

import secrets

from adyton.actions import Action
from adyton.alertvalues import (
    MAX_MUTES,
    AlertSettings,
    MuteInfo,
    ScanReport,
    check_mute,
    check_sensitivity,
)
from adyton.errors import InvalidInput, LimitExceeded, SecretNotFound
from adyton.model import Caller, UserId, from_us
from adyton.service.anomalies.baseline import ACTOR_SHARDS, SECRET_SHARDS
from adyton.service.anomalies.records import (
    ALL,
    PROGRESS,
    SETTINGS,
    Mute,
    Progress,
    Settings,
    actor_shard,
    secret_shard,
)
from adyton.service.anomalies.watch import Watch
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges

_SHOWN = 64


class Alerts:
    """Operations on how unusual reads are looked for.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def settings(self, caller: Caller, user: UserId) -> AlertSettings:
        """How a user's reads are looked at, and what is known of them."""
        core = self._core
        draft = Draft(caller, Action.ALERT_READ)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            keys = draft.keys = await core.keys(draft.user_id)
            found, progress = Settings(), Progress()
            secrets_ = actors = 0
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await SETTINGS.get(rows, keys, ALL) or found
                    progress = await PROGRESS.get(rows, keys, ALL) or progress
                    for number in range(SECRET_SHARDS):
                        secrets_ += len((await secret_shard(rows, keys, number)).lines)
                    for number in range(ACTOR_SHARDS):
                        actors += len((await actor_shard(rows, keys, number)).lines)
        await core.record(draft)
        return AlertSettings(
            check_sensitivity(found.sensitivity or core.alerts.sensitivity),
            bool(found.sensitivity),
            secrets_,
            actors,
            from_us(progress.since_us) if progress.since_us else None,
            [mute.info(ident) for ident, mute in sorted(found.mutes.items())],
        )

    async def set_sensitivity(self, caller: Caller, user: UserId, sensitivity: str | None) -> None:
        """Look at a user's reads more or less closely, or with ``off`` not at all.

        Args:
            caller: Who asks.
            user: Whose reads.
            sensitivity: ``off``, ``low``, ``medium``, ``high``; None for what is configured.

        Raises:
            InvalidInput: It is none of them.
        """
        core = self._core
        draft = Draft(caller, Action.ALERT_WRITE, reason="sensitivity")
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            level = "" if sensitivity is None else check_sensitivity(sensitivity)

        async def work(scope: Scope) -> None:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            found = await SETTINGS.get(scope.tx, keys, ALL) or Settings()
            found.sensitivity = level
            changes = ObjectChanges(scope, keys)
            changes.put(SETTINGS, ALL, found)
            draft.reason = f"sensitivity {level or 'as configured'}"
            await changes.write(draft)

        await core.write(draft, work)

    async def mute(
        self,
        caller: Caller,
        user: UserId,
        *,
        rule: str = "",
        secret: str = "",
        actor: str = "",
        until_us: int = 0,
        note: str = "",
    ) -> MuteInfo:
        """Tell nothing of some reads from now on; they are learned all the same.

        Args:
            caller: Who asks.
            user: Whose reads.
            rule: Which rule; empty for all.
            secret: Name of a secret, or of a folder with its slash; empty for all.
            actor: Who reads, as notices name it; empty for all.
            until_us: When the mute ends; 0 for never.
            note: Why.

        Raises:
            InvalidInput: Nothing is named, the rule is none, or the mute would have ended.
            LimitExceeded: There are too many.
        """
        core = self._core
        draft = Draft(caller, Action.ALERT_WRITE, reason="mute")
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            check_mute(rule, secret, actor, note)
        ident = f"mute_{secrets.token_hex(6)}"

        async def work(scope: Scope) -> MuteInfo:
            if 0 < until_us <= scope.now_us:
                raise InvalidInput("the mute would have ended already")
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            found = await SETTINGS.get(scope.tx, keys, ALL) or Settings()
            found.mutes = {
                i: m for i, m in found.mutes.items() if not 0 < m.until_us <= scope.now_us
            }
            if len(found.mutes) >= MAX_MUTES:
                raise LimitExceeded(f"a user has at most {MAX_MUTES} mutes", hint="Remove some.")
            found.mutes[ident] = Mute(rule, secret, actor, until_us, note)
            changes = ObjectChanges(scope, keys)
            changes.put(SETTINGS, ALL, found)
            draft.reason = f"mute {ident}"
            await changes.write(draft)
            return found.mutes[ident].info(ident)

        return await core.write(draft, work)

    async def unmute(self, caller: Caller, user: UserId, ident: str) -> None:
        """Tell again.

        Raises:
            SecretNotFound: There is no such mute.
        """
        core = self._core
        draft = Draft(caller, Action.ALERT_WRITE, reason=f"unmute {ident[:_SHOWN]}")
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, draft.user_id)
            found = None if keys is None else await SETTINGS.get(scope.tx, keys, ALL)
            if keys is None or found is None or ident not in found.mutes:
                raise SecretNotFound(
                    "there is no such mute", hint="List them with 'adyton alert settings'."
                )
            del found.mutes[ident]
            changes = ObjectChanges(scope, keys)
            changes.put(SETTINGS, ALL, found)
            await changes.write(draft)

        await core.write(draft, work)

    async def scan(self, caller: Caller, user: UserId) -> ScanReport:
        """Look at a user's new records now; a server does so by itself."""
        core = self._core
        draft = Draft(caller, Action.ALERT_WATCH, reason="asked for")
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            keys = draft.keys = await core.keys(draft.user_id)
        await core.record(draft)
        return ScanReport(0, 0) if keys is None else await Watch(core).scan(keys, caller)
