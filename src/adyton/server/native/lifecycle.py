"""Routes of what ends: notice periods, retention, lists, and doing what is due."""

from typing import Final

from adyton.actions import Action
from adyton.server.native import lifecycleshapes as shapes
from adyton.server.native.call import Call
from adyton.server.native.lifecycleshapes import shown_end, shown_rules
from adyton.server.native.rights import SECRETS, folder_of, right
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.lifecycle.ending import Ends
from adyton.service.lifecycle.rules import UserRules
from adyton.service.lifecycle.work import LifecycleWork

_LISTS: Final = {"secret": "", "share": "shares/given", "grant": "grants", "link": "links"}
"""Where each kind of what ends is listed: who may not list it there sees none of it here."""


async def get_lifecycle(call: Call) -> Reply:
    """What holds for a user."""
    return Reply(shown_rules(await UserRules(call.core).get(call.caller, call.user)))


async def set_notice(call: Call) -> Reply:
    """Notice periods, set."""
    body = call.body(shapes.NoticeBody)
    return await call.write(
        lambda core: UserRules(core).set_notice(call.caller, call.user, body.where, body.before),
        lambda rules: Reply(shown_rules(rules)),
    )


async def set_retention(call: Call) -> Reply:
    """A retention, set."""
    seconds = call.body(shapes.RetentionBody).seconds
    return await call.write(
        lambda core: UserRules(core).set_retention(call.caller, call.user, seconds),
        lambda rules: Reply(shown_rules(rules)),
    )


async def list_expiring(call: Call) -> Reply:
    """What ends, of what the token may list."""
    found = await Ends(call.core).expiring(
        call.caller,
        call.user,
        call.query(shapes.ExpiringQuery).within,
        visible=call.services.gate.visible(
            call.session, call.user, call.origin.address,
            lambda name: f"adyton/{SECRETS}{folder_of(name)}",
        ),
    )  # fmt: skip
    kinds = {kind for kind, path in _LISTS.items() if not path or call.may(path, Capability.LIST)}
    items = [shown_end(info) for info in found if info.kind in kinds]
    return Reply(shapes.ExpiringList(items=items))


async def run_due(call: Call) -> Reply:
    """All that is due, done."""
    await call.note()
    return await call.write_much(
        lambda core: LifecycleWork(core).run_due(call.caller),
        lambda report: Reply(shapes.LifecycleReportShown(**report._asdict())),
    )


ROUTES: Final = [
    Route(
        "GET", "users/{user}/lifecycle", "get_lifecycle",
        "When a user is told of what ends, and how long what is deleted is kept.",
        get_lifecycle, right(Capability.READ), "read", "user",
        Action.LIFECYCLE_READ, shapes.LifecycleShown,
    ),
    Route(
        "PUT", "users/{user}/lifecycle/notice", "set_notice",
        "Set how long before an end there are notices.",
        set_notice, right(Capability.UPDATE), "update", "user",
        Action.LIFECYCLE_WRITE, shapes.LifecycleShown, body=shapes.NoticeBody, once=True,
    ),
    Route(
        "PUT", "users/{user}/lifecycle/retention", "set_retention",
        "Set how long deleted versions are kept.",
        set_retention, right(Capability.UPDATE), "update", "user",
        Action.LIFECYCLE_WRITE, shapes.LifecycleShown, body=shapes.RetentionBody, once=True,
    ),
    Route(
        "GET", "users/{user}/expiring", "list_expiring",
        "What ends soon, or has ended and can be renewed.",
        list_expiring, right(Capability.LIST), "list; of what can be listed", "user",
        Action.LIFECYCLE_READ, shapes.ExpiringList, query=shapes.ExpiringQuery,
    ),
    Route(
        "POST", "lifecycle/run-due", "run_due_lifecycle",
        "Give the notices that are due, and destroy what was deleted long enough ago.",
        run_due, right(Capability.UPDATE), "update and sudo", "store",
        Action.LIFECYCLE_RUN, shapes.LifecycleReportShown, once=True, errors=(409,),
    ),
]  # fmt: skip
