"""When something is due to a secret: rows of ``due``, changed with what they follow from.

A secret that ends, or of which something is deleted, has a row for its next notice, and one for
the end of its retention (``docs/spec/lifecycle.md``, section 3). Most have neither, and a change
of one of those costs nothing here.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from adyton.dueports import DueRow
from adyton.model import State
from adyton.ports import Transaction
from adyton.service import due
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.lifecycle.records import Rules, rules_of
from adyton.service.secretmeta import Meta, Version
from adyton.service.userkeys import UserKeys

SECOND_US: Final = 1_000_000
PLAN: Final = "lifecycle-plan"
NOTICE: Final = "lifecycle-notice"
RETENTION: Final = "lifecycle-retention"
"""The kinds of rows of ``due``."""
WHOLE: Final = bytes(16)
"""Bucket and object of the row that is about a whole namespace."""


class Times(NamedTuple):
    """What a secret's rows follow from.

    Attributes:
        expires_us: When it ends; None for never.
        deleted: From when on its versions are deleted, of those that ever are.
    """

    expires_us: int | None
    deleted: tuple[int, ...]


NEVER: Final = Times(None, ())


def times_of(meta: Meta) -> Times:
    """What a secret's rows follow from."""
    deleted = tuple([version.deleted_us for version in meta.versions if version.deleted_us])
    return Times(meta.expires_us, deleted) if deleted or meta.expires_us is not None else NEVER


def ended_us(meta: Meta, version: Version) -> int:
    """From when on a version is deleted; 0 if it is not to be, or has nothing left."""
    if version.state == State.DESTROYED:
        return 0
    if version.state == State.DELETED:
        return version.deleted_us or meta.updated_us  # written before it was kept when
    return version.deleted_us


def next_notice(ends_us: int | None, periods: Iterable[int], now_us: int) -> int:
    """When there is a notice next; 0 for never."""
    if not ends_us:
        return 0
    times = [ends_us - period * SECOND_US for period in periods]
    return min((time for time in times if time > now_us), default=0)


def retention_us(meta: Meta, kept_seconds: int) -> int:
    """When the first deleted version is to be destroyed; 0 for never."""
    if not kept_seconds:
        return 0
    ends = [ended_us(meta, version) for version in meta.versions]
    first = min((end for end in ends if end), default=0)
    return first and first + kept_seconds * SECOND_US


def bucket(keys: UserKeys, kind: str) -> bytes:
    """The bucket of the rows of secrets, by kind; their object is the index of the name."""
    return keys.index(f"\x00due\x00{kind}")


async def put(core: Core, scope: Scope, keys: UserKeys, kind: str, index: bytes, us: int) -> None:
    """Set when something is due to a secret; 0 for never."""
    place = bucket(keys, kind)
    await scope.tx.put_due(DueRow(keys.user, place, index, us, b"", due.tag(core, kind)))


async def follow(
    core: Core, scope: Scope, keys: UserKeys, index: bytes, before: Times, meta: Meta
) -> None:
    """After a change of a secret: bring its rows up to date, if what they follow from has changed.

    A notice that is due and was not given is lost with the end that it was about.
    """
    after = times_of(meta)
    if after == before:
        return
    rules = await rules_of(scope.tx, keys)
    options = core.limits.lifecycle
    if after.expires_us != before.expires_us:
        periods = rules.periods(meta.name, options)
        us = next_notice(after.expires_us, periods, scope.now_us)
        await put(core, scope, keys, NOTICE, index, us)
    if after.deleted != before.deleted:
        us = retention_us(meta, rules.kept_seconds(options))
        await put(core, scope, keys, RETENTION, index, us)


async def forget(core: Core, scope: Scope, keys: UserKeys, index: bytes) -> None:
    """After a secret is erased: nothing is due to it any more."""
    for kind in (NOTICE, RETENTION):
        await put(core, scope, keys, kind, index, 0)


async def plan_anew(core: Core, scope: Scope, user: bytes) -> None:
    """Make all rows of a namespace anew, in the background, from the beginning."""
    await scope.tx.put_job(job_of(user), None)
    await scope.tx.put_due(DueRow(user, WHOLE, WHOLE, 1, b"", due.tag(core, PLAN)))  # at once


def job_of(user: bytes) -> str:
    """The job that keeps how far that has come."""
    return f"lifecycle:{user.hex()}"


async def settle(tx: Transaction, row: DueRow, now_us: int) -> None:
    """Write a row if it differs from what there is; what is due already stays so."""
    there = await tx.due_of(row.user, row.bucket, row.ident)
    if there is None:
        if row.ready_us:
            await tx.put_due(row)
    elif there.ready_us > now_us and there.ready_us != row.ready_us:
        await tx.put_due(row)


def rows_of(
    core: Core, keys: UserKeys, index: bytes, meta: Meta, rules: Rules, now_us: int
) -> tuple[DueRow, DueRow]:
    """A secret's rows, for its next notice and its retention; with 0 for never."""
    options = core.limits.lifecycle
    notice = next_notice(meta.expires_us, rules.periods(meta.name, options), now_us)
    kept = retention_us(meta, rules.kept_seconds(options))
    return (
        DueRow(keys.user, bucket(keys, NOTICE), index, notice, b"", due.tag(core, NOTICE)),
        DueRow(keys.user, bucket(keys, RETENTION), index, kept, b"", due.tag(core, RETENTION)),
    )
