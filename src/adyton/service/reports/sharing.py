"""Reports of who is let in, and of what is kept fresh: sharing, rotation, the access review."""

from typing import Final

from adyton.grantvalues import EVERYTHING, Reader
from adyton.lifecyclevalues import duration_text
from adyton.reportvalues import Cell, Column, Fact
from adyton.service.grants.who import readers
from adyton.service.reports.making import (
    Made,
    Making,
    days_between,
    largest_first,
    secrets_of,
    shown,
    time_cell,
)
from adyton.service.reports.sums import sums_of
from adyton.service.rotation.records import ROTATIONS, Plan
from adyton.service.sharing.records import GIVEN

_EACH: Final = 100
"""Secrets that a review goes through one by one."""
_SECRET: Final = Column("secret", "Secret")


async def sharing(making: Making) -> Made:
    """What other users are let read, the most widely shared first."""
    given = {
        ident: share
        for ident, share in (await GIVEN.all(making.rows, making.keys)).items()
        if share.open_at(making.now_us)
    }
    held = await secrets_of(making)
    wide: list[tuple[Cell, ...]] = []
    for each in held:
        over = [share for share in given.values() if share.covers(each.meta.name)]
        if over:
            receivers = len({share.receiver for share in over})
            taken = len({share.receiver for share in over if share.answer == "accepted"})
            forever = sum(1 for share in over if not share.expires_us)
            wide.append((each.meta.name, receivers, taken, forever))
    wide = largest_first(wide, 1)
    shares: list[tuple[Cell, ...]] = [
        (share.name, share.kind, share.receiver, share.answer, time_cell(share.created_us),
         time_cell(share.expires_us), ident)
        for ident, share in sorted(given.items(), key=lambda pair: (pair[1].name, pair[0]))
        if share.name.startswith(making.asked.prefix)
    ]  # fmt: skip
    tables = [
        making.table(
            "secrets", "By secret",
            (_SECRET, Column("receivers", "Users", "number"),
             Column("accepted", "Accepted by", "number"),
             Column("endless", "Shares without an end", "number")),
            wide, "bars", ("receivers",),
        ),
        making.table(
            "shares", "Shares",
            (Column("name", "Secret or folder"), Column("kind", "What"),
             Column("receiver", "With"), Column("answer", "State"),
             Column("created", "Since", "time"), Column("expires", "Ends", "time"),
             Column("share", "Share")),
            shares,
        ),
    ]  # fmt: skip
    facts = [
        Fact("Shares", len(given)),
        Fact("With users", len({share.receiver for share in given.values()})),
        Fact("Secrets shared", len(wide)),
        Fact("Of all secrets", _percent(len(wide), len(held)), "percent"),
    ]
    return Made(facts, tables)


async def rotation(making: Making) -> Made:
    """Which secrets are rotated, which are overdue, which nobody rotates."""
    held = [each.meta for each in await secrets_of(making) if each.meta.live(making.now_us)]
    plans = {
        name: plan
        for name, plan in (await ROTATIONS.all(making.rows, making.keys)).items()
        if name.startswith(making.asked.prefix)
    }
    overdue = {name: plan for name, plan in plans.items() if plan.overdue(making.now_us)}
    failing = sum(1 for plan in plans.values() if plan.error)
    late = largest_first(
        (
            (name, time_cell(plan.due_us), days_between(plan.due_us, making.now_us),
             plan.step or "waiting", plan.attempts, plan.error)
            for name, plan in overdue.items()
        ),
        2,
    )  # fmt: skip
    every: list[tuple[Cell, ...]] = [
        (name, _policy(plan), plan.policy.rotator, time_cell(plan.rotated_us),
         time_cell(plan.due_us), plan.error)
        for name, plan in sorted(plans.items())
    ]  # fmt: skip
    bare: list[tuple[Cell, ...]] = []
    for meta in held:
        current = meta.at(meta.current)
        if meta.name not in plans and current is not None:
            bare.append((meta.name, days_between(current.created_us, making.now_us)))
    bare = largest_first(bare, 1)
    covered = len(held) - len(bare)
    tables = [
        making.table(
            "coverage", "Coverage",
            (Column("what", "What"), Column("secrets", "Secrets", "number")),
            [("rotated by a policy", covered - len(overdue)), ("overdue", len(overdue)),
             ("without a policy", len(bare))],
            "bars", ("secrets",),
        ),
        making.table(
            "overdue", "Overdue",
            (_SECRET, Column("due", "Due", "time"), Column("days", "Days late", "days"),
             Column("step", "Step"), Column("attempts", "Attempts", "number"),
             Column("error", "Last error")),
            late,
        ),
        making.table(
            "policies", "Policies",
            (_SECRET, Column("when", "When"), Column("rotator", "Rotator"),
             Column("rotated", "Rotated", "time"), Column("due", "Due", "time"),
             Column("error", "Last error")),
            every,
        ),
        making.table(
            "uncovered", "Without a policy",
            (_SECRET, Column("age", "Value's age in days", "days")), bare, "bars", ("age",),
        ),
    ]  # fmt: skip
    facts = [
        Fact("Secrets", len(held)),
        Fact("Rotated by a policy", covered),
        Fact("Coverage", _percent(covered, len(held)), "percent"),
        Fact("Overdue", len(overdue)),
        Fact("Failing", failing),
    ]
    return Made(facts, tables)


def _policy(plan: Plan) -> str:
    policy = plan.policy
    if policy.cron:
        return f"{policy.cron} ({policy.timezone})"
    return f"every {duration_text(policy.every)}" if policy.every else "on request"


async def review(making: Making) -> Made:
    """Who can read what today, by any way, and who did in the range."""
    user = making.keys.user_id
    ways = await readers(making.core, user, EVERYTHING)
    sums = await sums_of(
        making.rows, making.keys, making.since_us, making.until_us, making.asked.prefix
    )
    names = [each.meta.name for each in await secrets_of(making) if each.meta.live(making.now_us)]
    each: list[tuple[Cell, ...]] = []
    for name in names[:_EACH]:
        can = await readers(making.core, user, name)
        each += [(name, *_way(way)) for way in can]
    did = largest_first(
        (
            (shown(name), shown(actor), count)
            for name, actors in sums.readers.items()
            for actor, count in actors.items()
        ),
        2,
    )
    columns = (
        Column("actor", "Who"), Column("way", "By"), Column("through", "Through"),
        Column("path", "Covers"), Column("role", "Role"), Column("until", "Ends", "time"),
        Column("conditions", "Conditions"),
    )  # fmt: skip
    kinds: dict[str, int] = {}
    for way in ways:
        kinds[way.kind] = kinds.get(way.kind, 0) + 1
    tables = [
        making.table(
            "kinds", "Ways in",
            (Column("way", "By"), Column("count", "Ways", "number")),
            largest_first(kinds.items(), 1), "bars", ("count",),
        ),
        making.table("ways", "Who can read anything", columns, [_way(way) for way in ways]),
        making.table("secrets", "Who can read each secret", (_SECRET, *columns), each),
        making.table(
            "did", "Who did",
            (_SECRET, Column("actor", "Who"), Column("reads", "Reads", "number")), did,
        ),
        making.table(
            "nobody", "Read by nobody in the range", (_SECRET,),
            [(name,) for name in names if name not in sums.readers],
        ),
    ]  # fmt: skip
    notes = []
    if len(names) > _EACH:
        notes.append(
            f"The first {_EACH} of {len(names)} secrets are gone through one by one;"
            " a prefix chooses others."
        )
    notes.append(
        "Operators who hold the store's root of trust can read everything; what they read is in"
        " the audit log like all else."
    )
    facts = [
        Fact("Secrets", len(names)),
        Fact("Ways to read", len(ways)),
        Fact("Who did", len({row[1] for row in did})),
        Fact("Values read", sum(sum(actors.values()) for actors in sums.readers.values())),
    ]
    return Made(facts, tables, notes)


def _way(way: Reader) -> tuple[Cell, ...]:
    until = None if way.until is None else way.until.isoformat(timespec="seconds")
    return (
        way.actor, way.kind, way.through, way.path, way.role,
        None if until is None else until.replace("+00:00", "Z"), way.conditions,
    )  # fmt: skip


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole else 0
