"""Making reports: who may, what is counted first, and which there are."""

import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias

from adyton.actions import Action
from adyton.errors import InvalidInput
from adyton.model import Caller, UserId, from_us, to_us
from adyton.reportvalues import Asked, Report, ReportInfo
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.reports import accesses, anomalies, secrets, sharing, storage
from adyton.service.reports.counting import DAY_US
from adyton.service.reports.folding import Folding, recount
from adyton.service.reports.making import Made, Making, StoreMaking
from adyton.service.reports.records import ALL, KEPT_DAYS, STATES, State, day_id
from adyton.service.userkeys import UserKeys
from adyton.values import Progress, Watch, no_watch

_LAST_US: Final = to_us(dt.datetime.max.replace(tzinfo=dt.UTC))
"""The last time that can be told."""

Maker: TypeAlias = Callable[[Making], Awaitable[Made]]
StoreMaker: TypeAlias = Callable[[StoreMaking], Awaitable[Made]]


class Kind(NamedTuple):
    """A report that there is.

    Attributes:
        info: What it is called.
        maker: Makes it for one user.
        of_store: Makes it for the whole store, where there is such a one.
        counted: Whether it is made of counts of the log, over a range.
    """

    info: ReportInfo
    maker: Maker
    of_store: StoreMaker | None = None
    counted: bool = False


def _kind(
    name: str,
    title: str,
    about: str,
    maker: Maker,
    of_store: StoreMaker | None = None,
    *,
    counted: bool = False,
) -> Kind:
    info = ReportInfo(name, title, about, of_store is not None)
    return Kind(info, maker, of_store, counted)


KINDS: Final = {
    kind.info.name: kind
    for kind in (
        _kind(
            "access", "Accesses", "Who did what: by secret, actor, action, hour and network.",
            accesses.access, counted=True,
        ),
        _kind(
            "failures", "Failed and denied", "What was tried and not done, by whom, from where.",
            accesses.failures, counted=True,
        ),
        _kind("unused", "Never read", "Secrets whose value nobody has read.", secrets.unused),
        _kind("stale", "Stale", "Secrets that nobody has read for 90 days.", secrets.stale),
        _kind("expiring", "Expiring", "What ends within 30 days, or has ended.", secrets.expiring),
        _kind(
            "rotation", "Rotation", "Secrets that are overdue, and which are rotated at all.",
            sharing.rotation,
        ),
        _kind("sharing", "Sharing", "Secrets that other users are let read.", sharing.sharing),
        _kind(
            "weak", "Weakly protected", "Secrets that are old, short, not rotated, read by many.",
            secrets.weak, counted=True,
        ),
        _kind(
            "anomalies", "Unusual reads", "Who read what never before, from where, or too much.",
            anomalies.anomalies,
        ),
        _kind(
            "keys", "Keys", "Ages of keys, and how much is under the current ones.",
            storage.keys, storage.store_keys,
        ),
        _kind(
            "usage", "Storage and quotas", "What is stored, what may be, and the largest secrets.",
            storage.usage, storage.store_usage,
        ),
        _kind(
            "review", "Access review", "Who can read what, by any way, and who did.",
            sharing.review, counted=True,
        ),
    )
}  # fmt: skip
"""The reports that there are, by name."""


def infos() -> list[ReportInfo]:
    """The reports that there are: the same in every store."""
    return [kind.info for kind in KINDS.values()]


class Reporting:
    """Operations on reports.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def make(
        self,
        caller: Caller,
        user: UserId | None,
        name: str,
        asked: Asked,
        *,
        most: int | None = None,
        watch: Watch = no_watch,
    ) -> Report:
        """One report, of a user's secrets with all that happened before, or of the whole store.

        Args:
            caller: Who asks.
            user: Whose secrets; None for the whole store.
            name: Which report.
            asked: What of it.
            most: How many records are counted for it at the most, or None for all.
            watch: Told of progress.

        Raises:
            InvalidInput: There is no such report, or what is asked for can't be.
            AccessDenied: It is of the whole store, and the caller is bound to one user.
        """
        core = self._core
        draft = Draft(caller, Action.REPORT_READ)
        async with core.guard(draft):
            if user is None:
                core.authorise_operator(caller)
            else:
                draft.user_id = core.authorise(caller, user)
            kind = KINDS.get(name)
            if kind is None or (user is None and kind.of_store is None):
                raise no_report(kind)
            draft.reason = name
            now_us = core.clock.now_us()
            range_us = asked.range_us(now_us)
            if user is None:
                report = await self._of_store(kind, asked, now_us)
            else:
                draft.keys = keys = await core.keys(draft.user_id)
                if keys is None:
                    nothing = Made((), (), ("There are no records.",))
                    report = _report(kind, draft.user_id, now_us, nothing)
                else:
                    whole = not kind.counted or await self._count(keys, most, watch)
                    report = await self._of_user(kind, keys, asked, now_us, range_us, whole=whole)
        await core.record(draft)
        return report

    async def _of_store(self, kind: Kind, asked: Asked, now_us: int) -> Report:
        if kind.of_store is None:
            raise no_report(kind)
        async with self._core.storage.snapshot() as rows:
            made = await kind.of_store(StoreMaking(self._core, rows, asked, now_us))
        return _report(kind, "", now_us, made)

    async def _of_user(
        self,
        kind: Kind,
        keys: UserKeys,
        asked: Asked,
        now_us: int,
        range_us: tuple[int, int],
        *,
        whole: bool,
    ) -> Report:
        core = self._core
        async with core.storage.snapshot() as rows:
            state = await STATES.get(rows, keys, ALL) or State()
            begin, end = _kept(state, *range_us, now_us)
            made = await kind.maker(Making(core, rows, keys, asked, now_us, begin, end))
        if not kind.counted:
            return _report(kind, keys.user_id, now_us, made)
        made = made._replace(
            notes=[*made.notes, *_on_counts(state, range_us[0], now_us, whole=whole)]
        )
        # Of a range before or after all counts what was asked for is told, not the day of it that
        # was read.
        if begin > now_us:
            until = min(range_us[1], _LAST_US)
            return _report(kind, keys.user_id, now_us, made, range_us[0], until)
        since = range_us[0] if end <= state.oldest * DAY_US else begin
        return _report(kind, keys.user_id, now_us, made, since, min(end, now_us))

    async def _count(self, keys: UserKeys, most: int | None, watch: Watch) -> bool:
        size = self._core.commit.state.size

        def see(done: int) -> None:
            watch(Progress("count", done, max(size, done)))

        return await Folding(self._core).count(keys, most=most, watch=see)

    async def check(self, caller: Caller, user: UserId) -> int:
        """Hold the counts that reports are made of against the audit log; how many days.

        Raises:
            IntegrityError: They are not those of the log's records.
        """
        core = self._core
        draft = Draft(caller, Action.REPORT_READ, reason="check")
        days = 0
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = keys = await core.keys(draft.user_id)
            if keys is not None:
                days = await recount(core, keys)
        await core.record(draft)
        return days


def no_report(kind: Kind | None) -> InvalidInput:
    """The refusal of a name that is no report's, or none of the whole store's."""
    if kind is None:
        return InvalidInput("there is no such report", hint="There are " + ", ".join(KINDS) + ".")
    names = [name for name, each in KINDS.items() if each.of_store is not None]
    return InvalidInput(
        "there is no such report of the whole store, whose operator is not shown names of secrets",
        hint="Name a user, or ask for " + " or ".join(names) + ".",
    )


def _report(
    kind: Kind, user: str, now_us: int, made: Made, since_us: int = 0, until_us: int = 0
) -> Report:
    return Report(
        kind.info.name,
        kind.info.title,
        user,
        from_us(now_us),
        from_us(since_us) if until_us else None,
        from_us(until_us) if until_us else None,
        tuple(made.notes),
        tuple(made.facts),
        tuple(made.tables),
    )


def _kept(state: State, since_us: int, until_us: int, now_us: int) -> tuple[int, int]:
    """The part of a range, in whole days, of which there can be counts."""
    if since_us > now_us:  # a day that nothing was counted on stands for all of it
        return since_us, since_us + DAY_US
    today = now_us // DAY_US
    end = min(until_us, (today + 1) * DAY_US)
    begin = max(since_us, (state.oldest or today) * DAY_US)
    return min(begin, end - DAY_US), end


def _on_counts(state: State, since_us: int, now_us: int, *, whole: bool) -> list[str]:
    """What is to be known of the counts that a report is made of."""
    notes = []
    if not whole:
        upto = from_us(state.upto_us).isoformat(timespec="seconds")
        notes.append(f"Not all records are counted yet: counted up to {upto}.")
    if state.gap:
        notes.append("Records may have been archived before they were counted.")
    if state.unopened:
        notes.append(
            f"{state.unopened} records don't open: of a time before a purge, or changed. "
            "'adyton audit verify' tells which."
        )
    if since_us > now_us:
        notes.append("The range has not begun yet.")
    if state.oldest and since_us // DAY_US < state.oldest:
        notes.append(f"Counts begin on {day_id(state.oldest)}; they are kept for {KEPT_DAYS} days.")
    return notes
