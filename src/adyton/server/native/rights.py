"""What policies must allow for a route (``docs/spec/native-api.md``, section 2)."""

from collections.abc import Iterable, Mapping
from typing import Any

from adyton.errors import InvalidInput
from adyton.server.native.call import Call
from adyton.server.native.dynamicshapes import ConnectionBody
from adyton.server.native.rotationshapes import RotationBody
from adyton.server.native.routes import Judge
from adyton.server.native.shapes import (
    BatchReadBody,
    BatchWriteBody,
    ListQuery,
)
from adyton.service.access.policy import Capability
from adyton.service.kv import MOUNTS_FOLDER, KeyValue, KvMount

SECRETS = "secrets/"


def right(capability: Capability) -> Judge:
    """Needs a capability on the path; routes of the store need sudo as well."""

    async def judge(call: Call) -> None:
        path = call.path
        if call.route.place == "store" and not call.may(path, Capability.SUDO):
            raise await call.refusal(path, Capability.SUDO)
        if not call.may(path, capability, call.members(), spend=True):
            raise await call.refusal(path, capability)
        call.allow()

    return judge


async def anybody(_: Call) -> None:
    """Needs nothing."""


async def to_list(call: Call) -> None:
    """Needs ``list`` on the folder of the prefix."""
    folder = folder_of(call.query(ListQuery).prefix)
    if not call.may(SECRETS + folder, Capability.LIST):
        raise await call.refusal(SECRETS + folder, Capability.LIST)
    call.allow()


async def to_write(call: Call) -> None:
    """Needs ``create`` or ``update``, by whether there is a secret of the name."""
    await _to_write(call, call.name, call.members(), spend=True)
    call.allow()


async def to_read_each(call: Call) -> None:
    """Needs ``read`` on each name."""
    await to_read_names(call, call.body(BatchReadBody).names)
    call.allow()


async def to_write_each(call: Call) -> None:
    """Needs ``create`` or ``update`` on each name."""
    items = call.members().get("items", [])
    for at, item in enumerate(call.body(BatchWriteBody).items):
        members = dict(items[at]) if items else {}
        members.pop("name", None)
        members.pop("cas", None)
        await _to_write(call, item.name, members)
        call.keep()
    call.allow()


async def to_rotate(call: Call) -> None:
    """Needs ``update`` on the rotation and its secret, and ``read`` on the admin's secret.

    Who could set a policy alone could else have a secret used against a place of their choice.
    A rotator that speaks with somebody tells the secret's values: it needs ``read`` on it as well.
    """
    body = call.body(RotationBody)
    for path, needed in (
        *(((SECRETS + body.admin, Capability.READ),) if body.admin else ()),
        *(((SECRETS + call.name, Capability.READ),) if tells(body) else ()),
        (SECRETS + call.name, Capability.UPDATE),
    ):
        if not call.needs(path, needed):
            raise await call.refusal(path, needed)
    await right(Capability.UPDATE)(call)


def tells(body: RotationBody) -> bool:
    """Whether a policy's rotator tells values to somebody."""
    return body.rotator != "random"


async def to_connect(call: Call) -> None:
    """Needs ``update`` on the connection, and ``read`` on the admin's secret, as to rotate."""
    admin = call.body(ConnectionBody).admin
    if admin and not call.needs(SECRETS + admin, Capability.READ):
        raise await call.refusal(SECRETS + admin, Capability.READ)
    await right(Capability.UPDATE)(call)


async def to_read_names(call: Call, names: Iterable[str]) -> None:
    """Needs ``read`` on each name."""
    for name in names:
        if not call.needs(SECRETS + name, Capability.READ):
            raise await call.refusal(SECRETS + name, Capability.READ)


async def to_import_names(call: Call, names: list[str], *, replacing: bool) -> None:
    """Needs ``create`` on each name, and ``update`` where secrets may be changed."""
    needed = Capability.CREATE | Capability.UPDATE if replacing else Capability.CREATE
    for name in names:
        if not call.needs(SECRETS + name, needed):
            raise await call.refusal(SECRETS + name, needed)


def folder_of(name: str) -> str:
    """The folder that a name or a prefix is in, with its slash; empty at the top."""
    return name[: name.rfind("/") + 1]


async def _to_write(
    call: Call, name: str, members: Mapping[str, Any], *, spend: bool = False
) -> None:
    path = SECRETS + name
    create = call.may(path, Capability.CREATE, members, spend=spend)
    update = call.may(path, Capability.UPDATE, members, spend=spend)
    if create and update:
        return
    needed = Capability.UPDATE
    if create or update:
        if call.once is not None and await call.once.seen():
            return  # whichever it was the first time, it is only told again
        if not await _is_there(call, name):
            needed = Capability.CREATE
    if not call.may(path, needed, members, spend=spend):
        raise await call.refusal(path, needed)


async def _is_there(call: Call, name: str) -> bool:
    try:
        # By the whole name: here the folders of other mounts are folders like any.
        mount = KvMount(MOUNTS_FOLDER if name.startswith(MOUNTS_FOLDER) else "")
        path = name.removeprefix(mount.prefix)
        return await KeyValue(call.core).exists(call.user, mount, path)
    except InvalidInput:
        return False  # it is no name, which the service will say
