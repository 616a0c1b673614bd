"""Doing what is due: notices of what ends, and the end of what was deleted.

A row of ``due`` brings a secret up; what is done, and when it is due next, is written in one unit
of the group commit. So a notice is given once for each period and end, whenever the program was
killed, and what has passed while nobody was there becomes one notice.
"""

import logging
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from typing import Final

from adyton.actions import Action
from adyton.dueports import DueRow
from adyton.errors import AdytonError, StoreError, UserRootAway
from adyton.lifecyclevalues import LifecycleReport
from adyton.model import Caller, State
from adyton.rows import MetaRow
from adyton.service import due, secretmeta
from adyton.service.changing import erase_secret, erase_versions
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.lifecycle import ending, plan
from adyton.service.lifecycle.options import SETTING
from adyton.service.lifecycle.plan import NOTICE, PLAN, RETENTION, SECOND_US
from adyton.service.lifecycle.records import rules_of
from adyton.service.secretmeta import Meta
from adyton.service.sharing.ending import end_gone
from adyton.service.sharing.follow import follow as follow_shares
from adyton.service.userkeys import UserKeys

LIFECYCLE: Final = Caller("adyton:lifecycle")
_BATCH: Final = 500
"""Secrets of a namespace that are planned anew in one unit."""
_USERS: Final = 500
_ASIDE_US: Final = 3600 * SECOND_US
_MOST_NOTICES: Final = 500
"""Notices that one pass gives to one user: half of what an outbox keeps, so that those of the pass
before can be delivered first."""
_LATER_US: Final = 600 * SECOND_US
_TICK: Final = 5.0
_log = logging.getLogger("adyton.lifecycle")

Stopped = Callable[[], bool]


def _never() -> bool:
    return False


class LifecycleWork:
    """What is due in a store.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._given: Counter[bytes] = Counter()

    async def run_due(self, caller: Caller, *, stopped: Stopped = _never) -> LifecycleReport:
        """Do all that is due; what fails comes again an hour later.

        Args:
            caller: An operator.
            stopped: Whether to end before the next unit.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        core = self._core
        async with core.guard(Draft(caller, Action.LIFECYCLE_RUN)):
            core.authorise_operator(caller)
        self._given.clear()
        await self._begin(stopped)
        total = LifecycleReport()
        while not stopped():
            report, taken = await self._step(caller, stopped=stopped)
            total = LifecycleReport(*map(sum, zip(total, report, strict=True)))
            if not taken:
                break
        return total

    async def _step(
        self, caller: Caller, *, stopped: Stopped = _never
    ) -> tuple[LifecycleReport, int]:
        """Do the first of what is due: plans before notices, and these before destruction.

        Returns:
            What was done, and how many rows that were.
        """
        core = self._core
        for kind in (PLAN, NOTICE, RETENTION):
            async with core.storage.snapshot() as rows:
                found = await rows.due(core.clock.now_us(), due.PASS, due.tag(core, kind))
            if not found:
                continue
            total, taken = LifecycleReport(), 0
            found.sort(key=lambda row: row.user)
            for user, group in groupby(found, key=lambda row: row.user):
                if stopped():
                    break
                part = list(group)
                report = await self._user(caller, user, kind, part)
                total = LifecycleReport(*map(sum, zip(total, report, strict=True)))
                taken += len(part)
            return total, taken
        return LifecycleReport(), 0

    async def _user(
        self, caller: Caller, user: bytes, kind: str, rows: list[DueRow]
    ) -> LifecycleReport:
        """Do one kind of what is due to one user, in one unit."""
        core = self._core
        work = {PLAN: self._plan, NOTICE: self._notices, RETENTION: self._destroy}[kind]

        async def unit(scope: Scope) -> LifecycleReport:
            loaded = await core.ring.load_index(scope.tx, user)
            keys = None if loaded is None else await core.keys_in(scope, loaded.user_id)
            if keys is None:
                for row in rows:
                    await scope.tx.put_due(row._replace(ready_us=0))
                return LifecycleReport()
            keys = await core.keys_to_write(scope, caller, keys.user_id, 0)
            return await work(scope, caller, keys, rows)

        try:
            return await core.commit.submit(unit)
        except StoreError:
            raise  # of the store, and not of this user
        except UserRootAway:  # until the user gives the root again
            await self._put_aside(rows)
            return LifecycleReport()
        except AdytonError as error:
            # Neither the name nor the user: the audit log has them.
            _log.error("what is due to a user can't be done: %s", error.message)
            await self._put_aside(rows)
            return LifecycleReport(failed=1)

    async def _put_aside(self, rows: list[DueRow]) -> None:
        async def unit(scope: Scope) -> None:
            for row in rows:
                await scope.tx.put_due(row._replace(ready_us=scope.now_us + _ASIDE_US))

        await self._core.commit.submit(unit)

    # -- plans ----------------------------------------------------------------------------------

    async def _begin(self, stopped: Stopped) -> None:
        """Plan all namespaces anew where the store's options are not those of the last time."""
        core = self._core
        wanted = core.limits.lifecycle.text()
        async with core.storage.snapshot() as rows:
            if await rows.setting(SETTING) == wanted:
                return
        after = b""
        while not stopped():
            async with core.storage.snapshot() as rows:
                page = await rows.users(after, _USERS)
            last = not page
            users = [row.user for row in page]

            async def unit(scope: Scope, users: list[bytes] = users, last: bool = last) -> None:
                for user in users:
                    await plan.plan_anew(core, scope, user)
                if last:
                    await scope.tx.put_setting(SETTING, wanted)

            await core.commit.submit(unit)
            if last:
                return
            after = users[-1]

    async def _plan(
        self, scope: Scope, _caller: Caller, keys: UserKeys, rows: list[DueRow]
    ) -> LifecycleReport:
        """Make the rows of some of a namespace's secrets anew, from where it was broken off."""
        core, tx = self._core, scope.tx
        rules = await rules_of(tx, keys)
        job = plan.job_of(keys.user)
        page = await tx.metadata_page(keys.user, await tx.job(job) or b"", _BATCH)
        for row in page:
            meta = core.opened.open(keys, row)
            for wanted in plan.rows_of(core, keys, row.name, meta, rules, scope.now_us):
                await plan.settle(tx, wanted, scope.now_us)
        if page:
            await tx.put_job(job, page[-1].name)
            return LifecycleReport()
        await ending.plan_others(core, scope, keys, rules)
        await tx.put_job(job, None)
        for each in rows:
            await tx.put_due(each._replace(ready_us=0))
        return LifecycleReport()

    # -- notices --------------------------------------------------------------------------------

    async def _notices(
        self, scope: Scope, caller: Caller, keys: UserKeys, rows: list[DueRow]
    ) -> LifecycleReport:
        rules = await rules_of(scope.tx, keys)
        given = 0
        for row in rows:
            if self._given[keys.user] + given >= _MOST_NOTICES:
                await scope.tx.put_due(row._replace(ready_us=scope.now_us + _LATER_US))
                continue
            end = await ending.end_of(scope.tx, keys, row)
            next_us = 0
            if end is not None:
                periods = rules.periods(end.name, self._core.limits.lifecycle)
                next_us = plan.next_notice(end.expires_us, periods, scope.now_us)
                passed = [
                    period for period in periods
                    if end.expires_us - period * SECOND_US <= scope.now_us
                ]  # fmt: skip
                if passed:
                    await ending.tell(self._core, scope, caller, keys, end, min(passed))
                    given += 1
            await scope.tx.put_due(row._replace(ready_us=next_us))
        self._given[keys.user] += given
        return LifecycleReport(noticed=given)

    # -- retention ------------------------------------------------------------------------------

    async def _destroy(
        self, scope: Scope, caller: Caller, keys: UserKeys, rows: list[DueRow]
    ) -> LifecycleReport:
        core = self._core
        kept = (await rules_of(scope.tx, keys)).kept_seconds(core.limits.lifecycle)
        destroyed = erased = held = 0
        for row in rows:
            meta = await self._deleted(scope, keys, row)
            next_us = 0
            if meta is not None and await core.holds.covers(scope, keys, meta.name):
                held += 1  # planned anew when the hold is released
            elif meta is not None:
                over = _over(meta, kept, scope.now_us)
                if over:
                    await self._destroy_versions(scope, caller, keys, row.ident, meta, over)
                    destroyed += len(over)
                    erased += not _has_values(meta)
                next_us = plan.retention_us(meta, kept)
            await scope.tx.put_due(row._replace(ready_us=next_us))
        return LifecycleReport(destroyed=destroyed, erased=erased, held=held)

    @staticmethod
    async def _deleted(scope: Scope, keys: UserKeys, row: DueRow) -> Meta | None:
        """The metadata of the secret that a row is about; None if it is about none."""
        if row.bucket != plan.bucket(keys, RETENTION):
            return None
        found = await scope.tx.metadata(keys.user, row.ident)
        return None if found is None else secretmeta.open_meta(keys, found)

    async def _destroy_versions(
        self,
        scope: Scope,
        caller: Caller,
        keys: UserKeys,
        index: bytes,
        meta: Meta,
        over: list[int],
    ) -> None:
        """Destroy versions for good; the secret with its name where none has a value left."""
        core, tx = self._core, scope.tx
        before = {version.version: version.state for version in meta.versions}
        for version in meta.versions:
            if version.version in over:
                version.state, version.deleted_us = State.DESTROYED, 0
        shown = ", ".join(map(str, over[:20])) + (" and more" if len(over) > 20 else "")
        draft = Draft(
            caller, Action.SECRET_DESTROY, keys, keys.user_id, meta.name,
            reason=f"retention is over: versions {shown}", name_index=index,
        )  # fmt: skip
        if _has_values(meta):
            await erase_versions(scope, keys, index, meta, before, surplus=False)
            meta.revision += 1
            meta.updated_us = scope.now_us
            sealed, draft.digest = secretmeta.seal(keys, index, meta)
            row = MetaRow(index, meta.current, keys.meta_current, sealed, None)
            await tx.put_metadata(keys.user, [row])
            draft.version = meta.current
        else:
            await erase_secret(core, scope, keys, index, meta)
            await end_gone(core, scope, caller, keys, {meta.name})
        await follow_shares(core, scope, caller, keys, [meta.name])
        scope.record(draft)


def _has_values(meta: Meta) -> bool:
    return any(version.state != State.DESTROYED for version in meta.versions)


def _over(meta: Meta, kept_seconds: int, now_us: int) -> list[int]:
    """Versions whose retention is over."""
    if not kept_seconds:
        return []
    before = now_us - kept_seconds * SECOND_US
    return [
        version.version for version in meta.versions if 0 < plan.ended_us(meta, version) <= before
    ]


def background(core: Core) -> due.Background:
    """Does what is due, on a thread of its own."""

    async def run(stopped: Stopped) -> int:
        await LifecycleWork(core).run_due(LIFECYCLE, stopped=stopped)
        return 0

    return due.Background(core, "lifecycle", run, _TICK)
