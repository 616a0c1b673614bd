"""The report of unusual reads: what was told of, and what is known (``docs/spec/alerts.md``)."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from adyton.reportvalues import Cell, Column, Fact
from adyton.service.anomalies.baseline import ACTOR_SHARDS, SECRET_SHARDS
from adyton.service.anomalies.records import (
    ALL,
    PROGRESS,
    SETTINGS,
    Progress,
    Settings,
    actor_shard,
    secret_shard,
)
from adyton.service.notices.records import NOTICES, Notice
from adyton.service.reports.making import Made, Making, time_cell

_PREFIX: Final = "anomaly."
_ALERTS: Final = (
    Column("id", "Alert"), Column("time", "Read at", "time"), Column("rule", "Rule"),
    Column("secret", "Secret"), Column("actor", "Actor"), Column("address", "Address"),
    Column("record", "Record", "number"), Column("seen", "Acknowledged", "time"),
)  # fmt: skip


async def anomalies(making: Making) -> Made:
    """Unusual reads of a range, newest first."""
    rows, keys = making.rows, making.keys
    since_us, until_us = making.asked.range_us(making.now_us)  # notices are there without counts
    found = [
        notice
        for notice in (await NOTICES.all(rows, keys)).values()
        if notice.kind.startswith(_PREFIX)
        and since_us <= notice.time_us < until_us
        and notice.subject.startswith(making.asked.prefix)
    ][::-1]
    settings = await SETTINGS.get(rows, keys, ALL) or Settings()
    progress = await PROGRESS.get(rows, keys, ALL) or Progress()
    secrets = [await secret_shard(rows, keys, number) for number in range(SECRET_SHARDS)]
    actors = [await actor_shard(rows, keys, number) for number in range(ACTOR_SHARDS)]
    facts = [
        Fact("Alerts", len(found)),
        Fact("Not acknowledged", sum(not notice.acked_us for notice in found)),
        Fact("Sensitivity", settings.sensitivity or making.core.alerts.sensitivity, "text"),
        Fact("Secrets known", sum(len(shard.lines) for shard in secrets)),
        Fact("Actors known", sum(len(shard.lines) for shard in actors)),
        Fact("Learned since", time_cell(progress.since_us), "time"),
        Fact("Mutes", len(settings.mutes)),
    ]
    tables = [
        making.table(
            "rules", "By rule", (Column("rule", "Rule"), Column("alerts", "Alerts", "number")),
            _counted(notice.kind.removeprefix(_PREFIX) for notice in found), "bars", ("alerts",),
        ),
        making.table(
            "actors", "By actor", (Column("actor", "Actor"), Column("alerts", "Alerts", "number")),
            _counted(notice.details.get("actor", "") for notice in found), "bars", ("alerts",),
        ),
        making.table("alerts", "Alerts", _ALERTS, [_row(notice) for notice in found]),
    ]  # fmt: skip
    note = "Alerts of what was read in the last minutes may be missing; 'adyton alert scan' looks."
    return Made(facts, tables, (note,))


def _counted(texts: Iterable[str]) -> list[tuple[Cell, ...]]:
    found = sorted(Counter(texts).items(), key=lambda pair: (-pair[1], pair[0]))
    return [(text or "(none)", count) for text, count in found]


def _row(notice: Notice) -> tuple[Cell, ...]:
    told = notice.details
    record = told.get("record", "")
    return (
        notice.id,
        told.get("at") or time_cell(notice.time_us),
        notice.kind.removeprefix(_PREFIX),
        notice.subject or None,
        told.get("actor") or None,
        told.get("address") or None,
        int(record) if record.isdigit() else None,
        time_cell(notice.acked_us),
    )
