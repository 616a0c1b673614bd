"""Routes of legal holds: a user's own, and those of the store's operator."""

from typing import Final

from adyton.actions import Action
from adyton.server.native import lifecycleshapes as shapes
from adyton.server.native.call import ME, Call
from adyton.server.native.lifecycleshapes import shown_hold
from adyton.server.native.rights import right
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.lifecycle.holds import LegalHolds

_OPERATOR: Final = "users/{user}/operator-holds"


async def list_holds(call: Call) -> Reply:
    """All holds of a user."""
    found = await LegalHolds(call.core).list(call.caller, call.user)
    return Reply(shapes.HoldList(items=[shown_hold(info) for info in found]))


async def add_hold(call: Call) -> Reply:
    """A hold, placed."""
    body = call.body(shapes.HoldBody)
    user, operator = _whose(call)
    return await call.write(
        lambda core: LegalHolds(core).add(
            call.caller, user, body.where, body.reason, operator=operator
        ),
        lambda info: Reply(shown_hold(info)),
    )


async def release_hold(call: Call) -> Reply:
    """A hold, released."""
    user, operator = _whose(call)
    hold = call.args["hold"]
    return await call.write(
        lambda core: LegalHolds(core).release(call.caller, user, hold, operator=operator),
        lambda _: Reply(status=204),
    )


def _whose(call: Call) -> tuple[str, bool]:
    """Whose secrets are held, and whether by the store's operator."""
    if call.route.place != "store":
        return call.user, False
    return OPERATOR_SPACE if call.args["user"] == ME else call.args["user"], True


ROUTES: Final = [
    Route(
        "GET", "users/{user}/holds", "list_holds", "All legal holds on a user's secrets.",
        list_holds, right(Capability.LIST), "list", "user",
        Action.HOLD_LIST, shapes.HoldList,
    ),
    Route(
        "POST", "users/{user}/holds", "add_hold",
        "Keep secrets from being deleted, destroyed, replaced and purged.",
        add_hold, right(Capability.UPDATE), "update", "user",
        Action.HOLD_ADD, shapes.HoldShown, body=shapes.HoldBody, once=True,
    ),
    Route(
        "DELETE", "users/{user}/holds/{hold}", "release_hold", "End a legal hold.",
        release_hold, right(Capability.DELETE), "delete", "user",
        Action.HOLD_RELEASE, None, once=True, errors=(404,),
    ),
    Route(
        "POST", _OPERATOR, "add_operator_hold", "Place a legal hold that operators alone release.",
        add_hold, right(Capability.UPDATE), "update and sudo", "store",
        Action.HOLD_ADD, shapes.HoldShown, body=shapes.HoldBody, once=True,
    ),
    Route(
        "DELETE", _OPERATOR + "/{hold}", "release_operator_hold", "End any legal hold of a user.",
        release_hold, right(Capability.DELETE), "delete and sudo", "store",
        Action.HOLD_RELEASE, None, once=True, errors=(404,),
    ),
]  # fmt: skip
