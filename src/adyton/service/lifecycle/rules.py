"""Setting when there are notices, and how long what is deleted is kept."""

from collections.abc import Callable, Iterable
from typing import Final

from adyton.actions import Action
from adyton.errors import InvalidInput, LimitExceeded
from adyton.lifecyclevalues import MAX_RULES, LifecycleRules, check_periods, check_where
from adyton.model import Caller, UserId
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.lifecycle.plan import plan_anew
from adyton.service.lifecycle.records import ALL, LIFECYCLE, Rules, rules_of
from adyton.service.objects import ObjectChanges

PATH: Final = "lifecycle"


class UserRules:
    """Operations on what a user has set.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def get(self, caller: Caller, user: UserId) -> LifecycleRules:
        """What holds for a user."""
        core = self._core
        draft = Draft(caller, Action.LIFECYCLE_READ, name=PATH)
        rules = Rules()
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = await core.keys(draft.user_id)
            if draft.keys is not None:
                async with core.storage.snapshot() as rows:
                    rules = await rules_of(rows, draft.keys)
        await core.record(draft)
        return self._shown(rules)

    def _shown(self, rules: Rules) -> LifecycleRules:
        options = self._core.limits.lifecycle
        return LifecycleRules(
            rules.kept_seconds(options),
            rules.retention,
            {where: tuple(periods) for where, periods in sorted(rules.notice.items())},
            options.notice,
        )

    async def set_notice(
        self, caller: Caller, user: UserId, where: str, periods: Iterable[int] | None
    ) -> LifecycleRules:
        """Set how long before an end there are notices.

        Args:
            caller: Who asks.
            user: Whose namespace.
            where: A secret's name, a folder with its slash, or empty for all else.
            periods: Seconds before the end; none for no notices, None for what is set above it.

        Raises:
            InvalidInput: The place or a period breaks a rule.
            LimitExceeded: Too many places have periods of their own.
        """
        draft = Draft(caller, Action.LIFECYCLE_WRITE)
        async with self._core.guard(draft):
            draft.user_id = self._core.authorise(caller, user)
            draft.name = check_where(where)
            checked = None if periods is None else list(check_periods(periods))

        def change(rules: Rules) -> None:
            if checked is None:
                rules.notice.pop(where, None)
            else:
                rules.notice[where] = checked
            if len(rules.notice) > MAX_RULES:
                raise LimitExceeded(f"at most {MAX_RULES} places have notice periods of their own")

        draft.reason = "notice"
        return await self._change(draft, change)

    async def set_retention(
        self, caller: Caller, user: UserId, seconds: int | None
    ) -> LifecycleRules:
        """Set how long deleted versions are kept before they are destroyed.

        Args:
            caller: Who asks.
            user: Whose namespace.
            seconds: How long; 0 for ever, None for as long as the store says.

        Raises:
            InvalidInput: The store's operator does not allow it.
        """
        options = self._core.limits.lifecycle
        draft = Draft(caller, Action.LIFECYCLE_WRITE, name=PATH)
        async with self._core.guard(draft):
            draft.user_id = self._core.authorise(caller, user)
            if seconds is not None and (
                type(seconds) is not int or seconds < 0 or options.bounded(seconds) != seconds
            ):
                most = options.retention_max
                raise InvalidInput(
                    f"a retention is {options.retention_min} seconds or more"
                    + (f", and {most} at the most" if most else ", or 0 for ever"),
                    hint="Leave it to the store, or ask its operator.",
                )

        def change(rules: Rules) -> None:
            rules.retention = seconds

        draft.reason = "retention"
        return await self._change(draft, change)

    async def _change(self, draft: Draft, change: Callable[[Rules], None]) -> LifecycleRules:
        core = self._core

        async def work(scope: Scope) -> LifecycleRules:
            keys = await core.keys_to_write(scope, draft.caller, draft.user_id, 0)
            rules = await rules_of(scope.tx, keys)
            change(rules)
            changes = ObjectChanges(scope, keys)
            changes.put(LIFECYCLE, ALL, rules)
            await changes.write(draft)
            await plan_anew(core, scope, keys.user)
            return self._shown(rules)

        return await core.write(draft, work)
