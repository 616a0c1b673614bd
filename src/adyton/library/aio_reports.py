"""Reports: what the audit log and the store's state tell of a user's secrets."""

import datetime as dt

from adyton.library.aio_base import AsyncFace
from adyton.model import UserId
from adyton.reportvalues import DEFAULT_LIMIT, Asked, Report, ReportInfo
from adyton.service.reports.reporting import Reporting, infos
from adyton.values import Watch, no_watch

ReportInfos = list[ReportInfo]


class AsyncReports:
    """Reports on secrets, their use and their keys."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _reporting(self) -> Reporting:
        return Reporting(self._store._opened.core)

    async def list(self) -> ReportInfos:
        """The reports that there are."""
        return infos()

    async def make(
        self,
        user: UserId | None,
        name: str,
        *,
        since: dt.datetime | None = None,
        until: dt.datetime | None = None,
        days: int | None = None,
        prefix: str = "",
        limit: int = DEFAULT_LIMIT,
        offset: int = 0,
        watch: Watch = no_watch,
    ) -> Report:
        """One report of a user's secrets, or of the whole store, as of now.

        Args:
            user: Whose secrets; None for the whole store, of which an operator has some.
            name: Which report, such as ``access``.
            since: From when on; by default 30 days before the end. Whole days, UTC, are counted.
            until: Until when; by default now.
            days: What counts as soon, old or long, in days, for reports that have such a measure.
            prefix: Only secrets whose names begin with this.
            limit: Rows of each table at the most.
            offset: Rows of each table that are left out before.
            watch: Told of progress.

        Raises:
            InvalidInput: There is no such report, or what is asked for can't be.
        """
        asked = Asked(since, until, days, prefix, limit, offset)
        store = self._store
        return await store._run(self._reporting.make(store._caller, user, name, asked, watch=watch))

    async def check(self, user: UserId) -> int:
        """Hold the counts that reports are made of against the audit log; how many days.

        Raises:
            IntegrityError: They are not those of the log's records.
        """
        store = self._store
        return await store._run(self._reporting.check(store._caller, user))
