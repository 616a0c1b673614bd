"""Routes of rotation: policies, runs, histories."""

from typing import Final

from adyton.actions import Action
from adyton.server.native import rights
from adyton.server.native import rotationshapes as shapes
from adyton.server.native.call import Call
from adyton.server.native.rights import right
from adyton.server.native.rotationshapes import shown_event, shown_rotation
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.rotation.rotations import Rotations


async def list_rotations(call: Call) -> Reply:
    """All rotations of a user."""
    found = await Rotations(call.core).list_policies(call.caller, call.user)
    return Reply(shapes.RotationList(items=[shown_rotation(info) for info in found]))


async def get_rotation(call: Call) -> Reply:
    """One rotation."""
    found = await Rotations(call.core).get_policy(call.caller, call.user, call.name)
    return Reply(shown_rotation(found))


async def get_history(call: Call) -> Reply:
    """The last steps of one."""
    found = await Rotations(call.core).history(call.caller, call.user, call.name)
    return Reply(shapes.RotationHistory(items=[shown_event(event) for event in found]))


async def set_rotation(call: Call) -> Reply:
    """A policy, set."""
    body = call.body(shapes.RotationBody)
    policy = body.policy()
    needed = [Capability.UPDATE, *([Capability.READ] if rights.tells(body) else ())]

    def may(name: str) -> bool:
        return all(call.may(rights.SECRETS + name, one) for one in needed)

    return await call.write_much(
        lambda core: Rotations(core).set_policy(call.caller, call.user, call.name, policy, may=may),
        lambda info: Reply(shown_rotation(info)),
    )


async def remove_rotation(call: Call) -> Reply:
    """A policy, removed."""
    return await call.write_much(  # of a folder, in many units
        lambda core: Rotations(core).remove_policy(call.caller, call.user, call.name),
        lambda _: Reply(status=204),
    )


async def run_rotation(call: Call) -> Reply:
    """A secret, rotated."""
    return await call.write_much(
        lambda core: Rotations(core).run(call.caller, call.user, call.name),
        lambda info: Reply(shown_rotation(info)),
    )


async def cancel_rotation(call: Call) -> Reply:
    """A rotation, undone."""
    return await call.write_much(
        lambda core: Rotations(core).cancel(call.caller, call.user, call.name),
        lambda info: Reply(shown_rotation(info)),
    )


async def run_due(call: Call) -> Reply:
    """All that is due, done."""
    await call.note()
    return await call.write_much(
        lambda core: Rotations(core).run_due(call.caller),
        lambda report: Reply(shapes.RotationReportShown(**report._asdict())),
    )


ROUTES: Final = [
    Route(
        "GET", "users/{user}/rotation", "list_rotations", "All rotations of a user's secrets.",
        list_rotations, right(Capability.LIST), "list", "user",
        Action.ROTATION_READ, shapes.RotationList,
    ),
    Route(
        "GET", "users/{user}/rotation/{name*}", "get_rotation", "How a secret is rotated.",
        get_rotation, right(Capability.READ), "read", "user",
        Action.ROTATION_READ, shapes.RotationShown, errors=(404,),
    ),
    Route(
        "PUT", "users/{user}/rotation/{name*}", "set_rotation", "Rotate a secret by a policy.",
        set_rotation, rights.to_rotate,
        "update; update on the secret, read on the admin's, and on it unless 'random'", "user",
        Action.ROTATION_WRITE, shapes.RotationShown, body=shapes.RotationBody, once=True,
        errors=(409,),
    ),
    Route(
        "DELETE", "users/{user}/rotation/{name*}", "remove_rotation", "Rotate a secret no more.",
        remove_rotation, right(Capability.DELETE), "delete", "user",
        Action.ROTATION_DELETE, None, once=True, errors=(404, 409),
    ),
    Route(
        "GET", "users/{user}/rotation-history/{name*}", "get_rotation_history",
        "The last steps of a secret's rotations, newest first.",
        get_history, right(Capability.READ), "read", "user",
        Action.ROTATION_READ, shapes.RotationHistory, errors=(404,),
    ),
    Route(
        "POST", "users/{user}/rotation-run/{name*}", "run_rotation", "Rotate a secret now.",
        run_rotation, right(Capability.UPDATE), "update", "user",
        Action.ROTATION_RUN, shapes.RotationShown, once=True, errors=(404, 409),
    ),
    Route(
        "POST", "users/{user}/rotation-cancel/{name*}", "cancel_rotation",
        "Undo a rotation whose new value is not current yet.",
        cancel_rotation, right(Capability.UPDATE), "update", "user",
        Action.ROTATION_RUN, shapes.RotationShown, once=True, errors=(404, 409),
    ),
    Route(
        "POST", "rotation/run-due", "run_due_rotations", "Do all that is due in the store.",
        run_due, right(Capability.UPDATE), "update and sudo", "store",
        Action.ROTATION_RUN, shapes.RotationReportShown, once=True, errors=(409,),
    ),
]  # fmt: skip
