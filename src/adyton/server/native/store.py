"""Routes of the store as a whole, for its operator, and those that everybody may ask."""

import contextlib
from collections.abc import Coroutine
from typing import Any, Final

from adyton.actions import Action
from adyton.errors import InvalidInput
from adyton.ports import RootOfTrust
from adyton.roots import open_root
from adyton.server.native import rights, rootshapes, shapes
from adyton.server.native.call import ME, Call
from adyton.server.native.rights import right
from adyton.server.native.roots import asking, usable
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.keyadmin import KeyAdmin
from adyton.service.keylist import KeyList
from adyton.service.pages import Pages
from adyton.service.purging import Purging
from adyton.service.users import Users
from adyton.values import RewrapReport


async def health(_: Call) -> Reply:
    """That requests are answered."""
    return Reply(shapes.HealthShown(status="ok"))


async def store_health(call: Call) -> Reply:
    """The state of the store."""
    found = await call.beside(lambda: Users(call.core).health(call.caller))
    return Reply(shapes.StoreShown(**found._asdict()))


async def list_users(call: Call) -> Reply:
    """A page of namespaces."""
    query = call.query(shapes.PageQuery)
    pages = Pages(call.core, "users", "", "")
    after = await call.checked(lambda: pages.position(query.cursor or None))
    found = await call.beside(lambda: Users(call.core).list_users(call.caller))
    rest = [info for info in found if after is None or info.user > after]
    page = rest[: query.limit]
    return Reply(
        shapes.UserPage(
            items=[shapes.UserShown(**info._asdict()) for info in page],
            next_cursor=pages.cursor(page[-1].user) if len(rest) > len(page) else None,
        )
    )


async def purge_user(call: Call) -> Reply:
    """A user's keys and secrets, destroyed."""
    user = call.args["user"]

    def check() -> None:
        if user in {ME, OPERATOR_SPACE}:
            raise InvalidInput(
                "the operator's own namespace can't be purged by its tokens, which would go too",
                hint="Use 'adyton user purge' while no server runs.",
            )

    await call.checked(check)
    return await call.write(
        lambda core: Purging(core).purge(call.caller, user),
        lambda count: Reply(shapes.PurgeShown(secrets=count)),
    )


async def list_keys(call: Call) -> Reply:
    """All keys."""
    found = await call.beside(lambda: KeyList(call.core).list_keys(call.caller))
    return Reply(shapes.KeyList(items=[shapes.KeyShown(**info._asdict()) for info in found]))


async def rotate_keys(call: Call) -> Reply:
    """New current keys."""
    body = call.body(rootshapes.RotateBody)

    def check() -> None:
        if body.master and body.user is not None:
            raise InvalidInput("the master key is of no user", hint="Leave one of both out.")
        if (body.roots or body.drop_absent) and not body.master:
            raise InvalidInput("roots wrap the master key alone", hint="Set master to true.")

    await call.checked(check)
    if body.master:
        return await call.write_much(
            lambda core: _rotate_master(core, call, body, None),
            lambda version: Reply(shapes.RotateShown(rotated=0, master_version=version)),
            resume=lambda core, begun_us: _rotate_master(core, call, body, begun_us),
        )
    return await call.write_much(
        lambda core: KeyAdmin(core).rotate(call.caller, body.user),
        lambda count: Reply(shapes.RotateShown(rotated=count, master_version=None)),
        resume=lambda core, begun_us: KeyAdmin(core).rotate(
            call.caller, body.user, begun_us=begun_us
        ),
    )


async def _rotate_master(
    core: Core, call: Call, body: rootshapes.RotateBody, begun_us: int | None
) -> int:
    with contextlib.ExitStack() as stack:
        found: list[RootOfTrust] = []
        async with core.guard(Draft(call.caller, Action.MASTER_ROTATE)):
            for named in body.roots:
                with usable():
                    found.append(open_root(named.uri, ask=asking(named.secret)))
                stack.callback(found[-1].close)
        return await KeyAdmin(core).rotate_master(
            call.caller, roots=found, drop_absent=body.drop_absent, begun_us=begun_us
        )


async def rewrap_keys(call: Call) -> Reply:
    """Everything moved to the current keys."""
    body = call.body(shapes.RewrapBody)

    def show(report: RewrapReport) -> Reply:
        return Reply(shapes.RewrapShown(**report._asdict()))

    def run(core: Core) -> Coroutine[Any, Any, RewrapReport]:
        return KeyAdmin(core).rewrap(call.caller, body.user, deep=body.deep)

    # A job goes on where it was broken off; what was moved before is not counted again.
    return await call.write_much(run, show, resume=lambda core, _: run(core))


ROUTES: Final = [
    Route(
        "GET", "health", "health", "Whether requests are answered.",
        health, rights.anybody, "none", "public",
        Action.STORE_HEALTH, shapes.HealthShown,
    ),
    Route(
        "GET", "health/store", "store_health", "The state of storage, root of trust, log, keys.",
        store_health, right(Capability.READ), "read and sudo", "store",
        Action.STORE_HEALTH, shapes.StoreShown,
    ),
    Route(
        "GET", "users", "list_users", "All namespaces of the store.",
        list_users, right(Capability.LIST), "list and sudo", "store",
        Action.USER_LIST, shapes.UserPage, query=shapes.PageQuery,
    ),
    Route(
        "DELETE", "users/{user}", "purge_user", "Destroy a user's keys and secrets for good.",
        purge_user, right(Capability.DELETE), "delete and sudo", "store",
        Action.USER_PURGE, shapes.PurgeShown, once=True, errors=(404,),
    ),
    Route(
        "GET", "keys", "list_keys", "Versions of the master key and of users' keys.",
        list_keys, right(Capability.READ), "read and sudo", "store",
        Action.KEYS_LIST, shapes.KeyList,
    ),
    Route(
        "POST", "keys/rotate", "rotate_keys", "Make new current keys.",
        rotate_keys, right(Capability.UPDATE), "update and sudo", "store",
        Action.KEYS_ROTATE, shapes.RotateShown, body=rootshapes.RotateBody, once=True,
        errors=(404, 409),
    ),
    Route(
        "POST", "keys/rewrap", "rewrap_keys", "Move everything to the current keys.",
        rewrap_keys, right(Capability.UPDATE), "update and sudo", "store",
        Action.KEYS_REWRAP, shapes.RewrapShown, body=shapes.RewrapBody, once=True,
        errors=(404, 409),
    ),
]  # fmt: skip
