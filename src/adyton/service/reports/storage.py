"""Reports of what is stored, and of the keys that it is stored under."""

from bisect import bisect_right
from itertools import pairwise
from typing import Final

from adyton.errors import AdytonError
from adyton.model import State
from adyton.ports import Rows
from adyton.reportvalues import Cell, Column, Fact
from adyton.service.core import LOG
from adyton.service.keyring import Keyring
from adyton.service.limits import DAY_US
from adyton.service.quota.own import OWN, OWN_QUOTAS, OwnQuotas
from adyton.service.reports.making import (
    Made,
    Making,
    StoreMaking,
    days_between,
    page_of,
    secrets_of,
    time_cell,
)
from adyton.service.userkeys import UserKeys

AWAY: Final = "(keys are away)"
"""Stands for users whose ids can't be opened now."""
_USERS: Final = 500
_WRAPS: Final = 1_000
_AMOUNTS: Final = ("secrets", "versions", "objects", "bytes")
_KEYS: Final = (
    Column("key", "Key"),
    Column("version", "Version", "number"),
    Column("created", "Made", "time"),
    Column("age", "Age in days", "days"),
    Column("state", "State"),
    Column("due", "Due in days", "days"),
    Column("wraps", "Wraps", "number"),
)


async def usage(making: Making) -> Made:
    """What a user stores, and may."""
    keys, rows = making.keys, making.rows
    own = await OWN_QUOTAS.get(rows, keys, OWN) or OwnQuotas()
    quotas = own.over(making.core.limits.quotas)
    used = await rows.counted(keys.user)
    amounts: list[tuple[Cell, ...]] = []
    for name in _AMOUNTS:
        there, most = getattr(used, name), getattr(quotas, name)
        share = round(100 * there / most, 1) if most else None
        amounts.append((name, there, most or None, share))
    sizes = sorted(
        (
            (
                held.meta.name,
                sum(version.size for version in held.meta.versions
                    if version.state != State.DESTROYED),
                len(held.meta.versions),
            )
            for held in await secrets_of(making)
        ),
        key=lambda row: (-row[1], row[0]),
    )  # fmt: skip
    tables = [
        making.table(
            "amounts", "Stored, and the quota",
            (Column("what", "What"), Column("used", "Stored", "number"),
             Column("quota", "Quota", "number"), Column("share", "Of the quota", "percent")),
            amounts,
        ),
        making.table(
            "secrets", "Largest secrets",
            (Column("secret", "Secret"), Column("size", "Bytes of all versions", "bytes"),
             Column("versions", "Versions", "number")),
            sizes, "bars", ("size",),
        ),
    ]  # fmt: skip
    facts = [
        Fact("Secrets", used.secrets),
        Fact("Versions", used.versions),
        Fact("Bytes sealed", used.bytes, "bytes"),
    ]
    return Made(facts, tables)


async def store_usage(making: StoreMaking) -> Made:
    """What each user of the store stores, the largest first."""
    found: list[tuple[Cell, ...]] = []
    unopened = 0
    after = b""
    while page := await making.rows.users(after, _USERS):
        for row in page:
            used = await making.rows.counted(row.user)
            opened = await _opened(making.core.ring, making.rows, row.user)
            unopened += opened is None
            name = opened.user_id if opened is not None else AWAY
            found.append((name, *used))
        after = page[-1].user
    found.sort(key=lambda row: (-_whole(row[4]), str(row[0])))
    columns = (
        Column("user", "User"), Column("secrets", "Secrets", "number"),
        Column("versions", "Versions", "number"), Column("objects", "Objects", "number"),
        Column("bytes", "Bytes sealed", "bytes"),
    )  # fmt: skip
    first, size = await making.rows.log_range(LOG)
    facts = [
        Fact("Users", len(found)),
        Fact("Secrets", sum(_whole(row[1]) for row in found)),
        Fact("Bytes sealed", sum(_whole(row[4]) for row in found), "bytes"),
        Fact("Audit records held", size - first),
    ]
    return Made(
        facts,
        [page_of(making.asked, "users", "By user", columns, found, "bars", ("bytes",))],
        _away(unopened),
    )


def _whole(cell: Cell) -> int:
    return cell if isinstance(cell, int) else 0


def _away(users: int) -> list[str]:
    if not users:
        return []
    return [f"Users whose keys are closed by a root of their own, which is away: {users}."]


# -- keys ---------------------------------------------------------------------------------------


async def keys(making: Making) -> Made:
    """Ages of a user's keys, and how much is under the current one."""
    rows = await _rows_of(making.core.limits.user_key_days, making.rows, making.keys, making.now_us)
    coverage = await _coverage(making.rows, making.keys)
    total = sum(count for _, count in coverage)
    current = sum(count for version, count in coverage if version == making.keys.current)
    tables = [
        making.table("keys", "Keys", _KEYS, rows),
        making.table(
            "coverage", "Versions of secrets, by the key that wraps theirs",
            (Column("key", "User key"), Column("versions", "Versions", "number"),
             Column("share", "Of all", "percent")),
            [(f"{version}" + (" (current)" if version == making.keys.current else ""), count,
              round(100 * count / total, 1)) for version, count in coverage],
            "bars", ("versions",),
        ),
    ]  # fmt: skip
    facts = [
        Fact("Current key", making.keys.current),
        Fact("Its age in days", days_between(making.keys.created_us, making.now_us), "days"),
        Fact("Under it", round(100 * current / total, 1) if total else 100, "percent"),
    ]
    return Made(facts, tables)


async def store_keys(making: StoreMaking) -> Made:
    """Ages of the master key and of all users' keys; how many users have keys that are retired."""
    core = making.core
    masters: list[tuple[Cell, ...]] = []
    for version, created in sorted(
        {row.version: row.created_us for row in await making.rows.master_keys()}.items()
    ):
        current = version == core.ring.master_current
        masters.append(
            _key("master", version, created, core.limits.master_key_days, making.now_us,
                 core.ring.master_wraps if current else None, current=current)
        )  # fmt: skip
    found: list[tuple[Cell, ...]] = []
    users = unopened = 0
    after = b""
    while page := await making.rows.users(after, _USERS):
        for row in page:
            users += 1
            opened = await _opened(core.ring, making.rows, row.user)
            unopened += opened is None
            for key in await making.rows.user_keys(row.user):
                name = opened.user_id if opened is not None else AWAY
                found.append(
                    _key(name, key.version, key.created_us, core.limits.user_key_days,
                         making.now_us, key.wraps, current=not key.retired)
                )  # fmt: skip
        after = page[-1].user
    late = sum(1 for row in found if isinstance(row[5], int) and row[5] < 0)
    found.sort(key=lambda row: (str(row[2]), str(row[0])))
    retired = len(await making.rows.users_with_retired_keys(b"", users + 1))
    ages = _ages(found)
    tables = [
        page_of(making.asked, "master", "Master key", _KEYS, masters),
        page_of(
            making.asked, "ages", "Current user keys by age",
            (Column("age", "Age in days"), Column("users", "Users", "number")), ages,
            "columns", ("users",),
        ),
        page_of(making.asked, "users", "Keys of users, the oldest first",
                (Column("user", "User"), *_KEYS[1:]), found),
    ]  # fmt: skip
    facts = [
        Fact("Users", users),
        Fact("Keys overdue", late),
        Fact("Users under one key", round(100 * (users - retired) / users, 1) if users else 100,
             "percent"),
    ]  # fmt: skip
    return Made(facts, tables, _away(unopened))


async def _opened(ring: Keyring, rows: Rows, user: bytes) -> UserKeys | None:
    try:
        return await ring.load_index(rows, user)
    except AdytonError:
        return None


def _ages(found: list[tuple[Cell, ...]]) -> list[tuple[Cell, ...]]:
    bounds = (1, 7, 14, 30, 60, 90, 180, 365)
    names = ["0", *(f"{low} to {high - 1}" for low, high in pairwise(bounds)), f"{bounds[-1]}+"]
    counts = [0] * len(names)
    for row in found:
        if row[4] != "retired":
            counts[bisect_right(bounds, _whole(row[3]))] += 1
    return list(zip(names, counts, strict=True))


async def _rows_of(
    most_days: float, rows: Rows, keys: UserKeys, now_us: int
) -> list[tuple[Cell, ...]]:
    return [
        _key("user", row.version, row.created_us, most_days, now_us,
             row.wraps if row.retired else keys.wraps, current=not row.retired)
        for row in await rows.user_keys(keys.user)
    ]  # fmt: skip


def _key(
    name: str,
    version: int,
    created_us: int,
    most_days: float,
    now_us: int,
    wraps: int | None,
    *,
    current: bool,
) -> tuple[Cell, ...]:
    due = days_between(now_us, created_us + int(most_days * DAY_US)) if current else None
    late = current and created_us + most_days * DAY_US < now_us
    state = "overdue" if late else "current" if current else "retired"
    if late:
        due = min(due or 0, -1)
    age = days_between(created_us, now_us)
    return (name, version, time_cell(created_us), age, state, due, wraps)


async def _coverage(rows: Rows, keys: UserKeys) -> list[tuple[int, int]]:
    """How many versions of secrets are wrapped by each version of the user key."""
    counts: dict[int, int] = {}
    for older in (False, True):
        after = (b"", 0)
        while page := await rows.wraps(keys.user, older=older, after=after, limit=_WRAPS):
            for row in page:
                counts[row.key_version] = counts.get(row.key_version, 0) + 1
            after = (page[-1].name, page[-1].version)
    return sorted(counts.items())
