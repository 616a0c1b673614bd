"""Reading and writing plain objects of access control: one object, one record."""

from typing import Any, TypeVar

from adyton.actions import Action
from adyton.errors import SecretNotFound
from adyton.model import Caller
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges, Shelf

T = TypeVar("T")


async def read_object(
    core: Core, caller: Caller, user: str, shelf: Shelf[T], ident: str, path: str, folder: str = ""
) -> T:
    """One object; ``path`` names the request in the record.

    Raises:
        SecretNotFound: There is none.
    """
    draft = Draft(caller, Action.ACCESS_READ, name=path)
    async with core.guard(draft):
        draft.user_id = core.authorise(caller, user)
        keys = await core.keys(draft.user_id)
        found = None
        if keys is not None:
            async with core.storage.snapshot() as rows:
                found = await shelf.get(rows, keys, ident, folder)
        if found is None:
            raise SecretNotFound("there is no such object")
        draft.keys = keys
    await core.record(draft)
    return found


async def list_objects(
    core: Core, caller: Caller, user: str, shelf: Shelf[Any], path: str, folder: str = ""
) -> list[str]:
    """Ids of all objects of a kind, sorted."""
    draft = Draft(caller, Action.ACCESS_LIST, name=path)
    found: list[str] = []
    async with core.guard(draft):
        draft.user_id = core.authorise(caller, user)
        draft.keys = await core.keys(draft.user_id)
        if draft.keys is not None:
            async with core.storage.snapshot() as rows:
                found = list(await shelf.all(rows, draft.keys, folder))
    await core.record(draft)
    return found


async def put_object(
    core: Core,
    caller: Caller,
    user: str,
    shelf: Shelf[T],
    ident: str,
    value: T,
    path: str,
    folder: str = "",
) -> None:
    """Write an object."""
    draft = Draft(caller, Action.ACCESS_WRITE, name=path)
    async with core.guard(draft):
        draft.user_id = core.authorise(caller, user)

    async def work(scope: Scope) -> None:
        keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
        changes = ObjectChanges(scope, keys)
        changes.put(shelf, ident, value, folder)
        await changes.write(draft)

    await core.write(draft, work)


async def delete_object(
    core: Core,
    caller: Caller,
    user: str,
    shelf: Shelf[Any],
    ident: str,
    path: str,
    folder: str = "",
) -> None:
    """Erase an object; no error where there is none."""
    draft = Draft(caller, Action.ACCESS_DELETE, name=path)
    async with core.guard(draft):
        draft.user_id = core.authorise(caller, user)

    async def work(scope: Scope) -> None:
        keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
        changes = ObjectChanges(scope, keys)
        if await shelf.get(scope.tx, keys, ident, folder) is not None:
            changes.delete(shelf, ident, folder)
        await changes.write(draft)

    await core.write(draft, work)


async def record_path(core: Core, caller: Caller, user: str, action: Action, path: str) -> None:
    """Record a request that touches no object."""
    draft = Draft(caller, action, name=path)
    async with core.guard(draft):
        draft.user_id = core.authorise(caller, user)
        draft.keys = await core.keys(draft.user_id)
    await core.record(draft)
