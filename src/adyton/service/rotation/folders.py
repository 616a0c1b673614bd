"""Policies of folders: each secret in one is rotated by the nearest (``docs/spec/rotation.md``, 7).

A secret that has no policy of its own gets a plan that names the folder it is of. What the plan
says of times is the secret's own: a folder of a thousand secrets is a thousand rotations, each on
its own clock. The folder's policy is looked up again whenever a rotation begins.
"""

import secrets
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from adyton.actions import Action
from adyton.dueports import DueRow
from adyton.model import Caller
from adyton.ports import Rows
from adyton.rotationpolicy import RotationPolicy
from adyton.service import due, secretmeta
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges, Shelf
from adyton.service.rotation import schedule
from adyton.service.rotation.records import ROTATIONS, Plan
from adyton.service.userkeys import UserKeys

KIND: Final = "rotation-folder"
"""The kind of rows of ``due`` for folders whose secrets are still to be gone over."""
_BATCH: Final = 100
_PAGE: Final = 500
_MOST_SPREAD_US: Final = 3600 * schedule.SECOND_US
_CRON_SPREAD_US: Final = 300 * schedule.SECOND_US
_LATER_US: Final = 86_400 * schedule.SECOND_US
_random: Final = secrets.SystemRandom()

Folders = Mapping[str, "Folder"]


class Folder(msgspec.Struct):
    """A folder's policy."""

    policy: RotationPolicy

    def __repr__(self) -> str:
        return "<Folder>"


FOLDERS: Final = Shelf("rotation-folder", Folder)


def expanded(policy: RotationPolicy, name: str) -> RotationPolicy:
    """A folder's policy for one of its secrets: ``{name}`` and ``{leaf}`` in settings are its."""

    def fill(settings: dict[str, str]) -> dict[str, str]:
        leaf = name.rpartition("/")[2]
        return {
            key: text.replace("{name}", name).replace("{leaf}", leaf)
            for key, text in settings.items()
        }

    return msgspec.structs.replace(
        policy, settings=fill(policy.settings), options=fill(policy.options)
    )


def nearest(folders: Folders, name: str) -> tuple[str, RotationPolicy] | None:
    """The folder whose policy a secret obeys, and the policy for it; or None.

    The secret that lets a policy's rotator in is not rotated by it.
    """
    at = name.rfind("/")
    while at >= 0:
        found = folders.get(name[: at + 1])
        if found is not None:
            if found.policy.admin == name:
                return None
            return name[: at + 1], expanded(found.policy, name)
        at = name.rfind("/", 0, at)
    return None


async def refreshed(
    rows: Rows, keys: UserKeys, folders: Folders, name: str, plan: Plan | None, now_us: int
) -> Plan | None:
    """What a secret's plan is by the folders' policies of now; None for none.

    A policy of the secret's own, and a rotation that is under way, stay as they are. A secret that
    is gone has no plan; one that is deleted is looked at again a day later.
    """
    if plan is not None and (not plan.folder or plan.step):
        return plan
    found = nearest(folders, name)
    row = await rows.metadata(keys.user, keys.index(name))
    if found is None or row is None:
        return None
    meta = secretmeta.open_meta(keys, row)
    folder, policy = found
    if plan is None:
        plan = Plan(policy, folder=folder)
    elif not meta.live(now_us):
        plan.due_us = max(plan.due_us, now_us + _LATER_US) if policy.every or policy.cron else 0
        return plan
    elif (plan.folder, plan.policy) == (folder, policy):
        return plan
    else:
        plan.folder, plan.policy, plan.attempts, plan.error = folder, policy, 0, ""
    current = meta.at(meta.current)
    since = max(plan.rotated_us, 0 if current is None else current.created_us)
    plan.due_us = _first_due(policy, since, now_us)
    return plan


def _first_due(policy: RotationPolicy, since_us: int, now_us: int) -> int:
    """When a secret is first rotated by a folder's policy: by its age, and not all at once."""
    spread = _random.random()
    if policy.cron:
        at = schedule.next_due(policy, now_us)
        return schedule.in_window(policy, at + int(spread * _CRON_SPREAD_US))
    at = schedule.next_due(policy, since_us, spread)
    if 0 < at <= now_us:
        most = min(policy.every * schedule.SECOND_US, _MOST_SPREAD_US)
        at = schedule.in_window(policy, now_us + int(spread * most))
    return at


async def adopt(scope: Scope, caller: Caller, keys: UserKeys, names: Iterable[str]) -> None:
    """Give secrets the plans that their folders' policies ask for, in the unit that makes them."""
    folders = await FOLDERS.all(scope.tx, keys)
    if folders:
        await _apply(scope, caller, keys, folders, names)


async def _apply(
    scope: Scope,
    caller: Caller,
    keys: UserKeys,
    folders: Folders,
    names: Iterable[str],
) -> None:
    changes = ObjectChanges(scope, keys)
    for name in names:
        before = await ROTATIONS.get(scope.tx, keys, name)
        place = ROTATIONS.place(keys, name)
        row = await scope.tx.due_of(keys.user, *place)
        if row is not None and row.lease and row.ready_us > scope.now_us:
            continue  # whoever is at it looks for itself
        old = msgspec.structs.replace(before) if before is not None else None
        plan = await refreshed(scope.tx, keys, folders, name, before, scope.now_us)
        if plan is None and old is not None:
            changes.delete(ROTATIONS, name)
            await scope.tx.put_due(DueRow(keys.user, *place, 0, b""))
        elif plan is not None and plan != old:
            changes.put(ROTATIONS, name, plan)
            await scope.tx.put_due(DueRow(keys.user, *place, plan.due_us, b""))
        if len(changes) >= ObjectChanges.MOST:
            await changes.write(Draft(caller, Action.ROTATION_WRITE, None, keys.user_id))
    if len(changes):
        draft = Draft(caller, Action.ROTATION_WRITE, None, keys.user_id, reason="folder")
        await changes.write(draft)


async def go_over(core: Core, caller: Caller, user: str, folder: str) -> None:
    """Bring the plans of all secrets in a folder to what its policy is now, in bounded batches."""
    names = await names_in(core, user, folder)
    for at in range(0, len(names), _BATCH):
        part = names[at : at + _BATCH]

        async def work(scope: Scope, part: list[str] = part) -> None:
            keys = await core.keys_in(scope, user)
            if keys is not None:
                folders = await FOLDERS.all(scope.tx, keys)
                await _apply(scope, caller, keys, folders, part)

        await core.write(Draft(caller, Action.ROTATION_WRITE, user_id=user), work)

    async def done(scope: Scope) -> None:
        keys = await core.keys_in(scope, user)
        if keys is not None:
            await put_due(core, scope, keys, folder, 0)

    await core.commit.submit(done)


async def put_due(core: Core, scope: Scope, keys: UserKeys, folder: str, ready_us: int) -> None:
    """A folder is to be gone over, or was."""
    place = FOLDERS.place(keys, folder)
    row = DueRow(keys.user, *place, ready_us, b"", due.tag(core, KIND))
    await scope.tx.put_due(row)


async def names_in(core: Core, user: str, folder: str) -> list[str]:
    """Secrets in a folder, and what has a plan there."""
    keys = await core.keys(user)
    if keys is None:
        return []
    found: set[str] = set()
    async with core.storage.snapshot() as rows:
        after = b""
        while page := await rows.metadata_page(keys.user, after, _PAGE):
            found |= {
                meta.name
                for meta in (secretmeta.open_meta(keys, row) for row in page)
                if meta.name.startswith(folder) and meta.current
            }
            after = page[-1].name
        found |= {name for name in await ROTATIONS.all(rows, keys) if name.startswith(folder)}
    return sorted(found)
