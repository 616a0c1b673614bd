"""Reports: what the audit log and the store's state tell of a user's secrets."""

import datetime as dt
from urllib.parse import quote

import msgspec

from adyton.client.aio_base import AsyncClientFace
from adyton.client.requests import of_user, query, read
from adyton.client.shapes import Items
from adyton.model import UserId
from adyton.reportvalues import DEFAULT_LIMIT, Report, ReportInfo
from adyton.values import Watch, no_watch

ReportInfos = list[ReportInfo]


class _Info(msgspec.Struct):
    name: str
    title: str
    about: str
    of_store: bool


class _Checked(msgspec.Struct):
    days: int


class AsyncReports:
    """Reports on secrets, their use and their keys."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def list(self) -> ReportInfos:
        """The reports that there are."""
        answer = await self._client._call(read("adyton/reports"))
        return [
            ReportInfo(each.name, each.title, each.about, each.of_store)
            for each in answer.parse(Items[_Info]).items
        ]

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
            watch: Of no use here: the server tells no progress.

        Raises:
            InvalidInput: There is no such report, or what is asked for can't be.
            AccessDenied: No policy of the token allows it.
        """
        path = quote(name, safe="")
        target = f"adyton/reports/{path}" if user is None else of_user(user, "reports", path)
        asked = query(
            since=None if since is None else since.isoformat(),
            until=None if until is None else until.isoformat(),
            days=days, prefix=prefix, limit=limit, offset=offset,
        )  # fmt: skip
        return (await self._client._call(read(target + asked, patient=True))).parse(Report)

    async def check(self, user: UserId) -> int:
        """Hold the counts that reports are made of against the audit log; how many days.

        Raises:
            IntegrityError: They are not those of the log's records.
        """
        answer = await self._client._call(read(of_user(user, "reports-check"), patient=True))
        return answer.parse(_Checked).days
