"""Routes of dynamic credentials: connections, roles, leases."""

from typing import Final

from adyton.actions import Action
from adyton.server.native import dynamicshapes as shapes
from adyton.server.native import rights
from adyton.server.native.call import Call
from adyton.server.native.dynamicshapes import (
    shown_connection,
    shown_credentials,
    shown_lease,
    shown_role,
)
from adyton.server.native.rights import right
from adyton.server.native.rotationshapes import RotationReportShown
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.dynamic.configuration import Dynamics
from adyton.service.dynamic.leases import DynamicLeases
from adyton.service.dynamic.passes import run_due


async def list_connections(call: Call) -> Reply:
    """All connections of a user."""
    found = await Dynamics(call.core).list_connections(call.caller, call.user)
    items = [shown_connection(name, each) for name, each in found.items()]
    return Reply(shapes.ConnectionList(items=items))


async def get_connection(call: Call) -> Reply:
    """One connection."""
    found = await Dynamics(call.core).get_connection(call.caller, call.user, call.name)
    return Reply(shown_connection(call.name, found))


async def set_connection(call: Call) -> Reply:
    """A connection, written."""
    body = call.body(shapes.ConnectionBody)
    return await call.write(
        lambda core: Dynamics(core).set_connection(
            call.caller, call.user, call.name, body.connection(), verify=body.verify
        ),
        lambda _: Reply(status=204),
    )


async def remove_connection(call: Call) -> Reply:
    """A connection, forgotten."""
    return await call.write(
        lambda core: Dynamics(core).remove_connection(call.caller, call.user, call.name),
        lambda _: Reply(status=204),
    )


async def list_roles(call: Call) -> Reply:
    """All dynamic roles of a user."""
    found = await Dynamics(call.core).list_roles(call.caller, call.user)
    items = [shown_role(name, each) for name, each in found.items()]
    return Reply(shapes.DynamicRoleList(items=items))


async def get_role(call: Call) -> Reply:
    """One dynamic role."""
    found = await Dynamics(call.core).get_role(call.caller, call.user, call.name)
    return Reply(shown_role(call.name, found))


async def set_role(call: Call) -> Reply:
    """A dynamic role, written."""
    role = call.body(shapes.DynamicRoleBody).role()
    return await call.write(
        lambda core: Dynamics(core).set_role(call.caller, call.user, call.name, role),
        lambda _: Reply(status=204),
    )


async def remove_role(call: Call) -> Reply:
    """A dynamic role, forgotten."""
    return await call.write(
        lambda core: Dynamics(core).remove_role(call.caller, call.user, call.name),
        lambda _: Reply(status=204),
    )


async def issue(call: Call) -> Reply:
    """Credentials, made."""
    ttl = call.body(shapes.TtlBody).ttl
    made = await DynamicLeases(call.core).issue(call.caller, call.user, call.name, ttl)
    return Reply(shown_credentials(made))


async def list_leases(call: Call) -> Reply:
    """DynamicLeases of a user."""
    role = call.query(shapes.LeasesQuery).role
    found = await DynamicLeases(call.core).list(call.caller, call.user, role)
    return Reply(shapes.LeaseList(items=[shown_lease(info) for info in found]))


async def get_lease(call: Call) -> Reply:
    """One lease."""
    found = await DynamicLeases(call.core).get(call.caller, call.user, call.name)
    return Reply(shown_lease(found))


async def renew(call: Call) -> Reply:
    """A lease, renewed."""
    ttl = call.body(shapes.TtlBody).ttl
    return await call.write_much(
        lambda core: DynamicLeases(core).renew(call.caller, call.user, call.name, ttl),
        lambda info: Reply(shown_lease(info)),
    )


async def revoke(call: Call) -> Reply:
    """Credentials, ended."""
    force = call.body(shapes.RevokeBody).force
    return await call.write_much(
        lambda core: DynamicLeases(core).revoke(call.caller, call.user, call.name, force=force),
        lambda _: Reply(status=204),
    )


async def revoke_all(call: Call) -> Reply:
    """Credentials of a role, or of all, ended."""
    body = call.body(shapes.RevokeAllBody)
    return await call.write_much(
        lambda core: DynamicLeases(core).revoke_prefix(
            call.caller, call.user, body.role, force=body.force
        ),
        lambda done: Reply(shapes.LeasesRevoked(revoked=done.revoked, failed=done.failed)),
    )


async def revoke_due(call: Call) -> Reply:
    """All that has ended, revoked."""
    await call.note()
    return await call.write_much(
        lambda core: run_due(core, call.caller),
        lambda report: Reply(RotationReportShown(**report._asdict())),
    )


ROUTES: Final = [
    Route(
        "GET", "users/{user}/dynamic-connections", "list_dynamic_connections",
        "Where a user's dynamic credentials are made.",
        list_connections, right(Capability.LIST), "list", "user",
        Action.DYNAMIC_READ, shapes.ConnectionList,
    ),
    Route(
        "GET", "users/{user}/dynamic-connections/{name*}", "get_dynamic_connection",
        "Where dynamic credentials are made.",
        get_connection, right(Capability.READ), "read", "user",
        Action.DYNAMIC_READ, shapes.ConnectionShown, errors=(404,),
    ),
    Route(
        "PUT", "users/{user}/dynamic-connections/{name*}", "set_dynamic_connection",
        "Write where dynamic credentials are made.",
        set_connection, rights.to_connect, "update; and read on the admin's secret", "user",
        Action.DYNAMIC_WRITE, None, body=shapes.ConnectionBody, once=True, errors=(409,),
    ),
    Route(
        "DELETE", "users/{user}/dynamic-connections/{name*}", "remove_dynamic_connection",
        "Forget a connection that no lease needs.",
        remove_connection, right(Capability.DELETE), "delete", "user",
        Action.DYNAMIC_DELETE, None, once=True, errors=(404, 409),
    ),
    Route(
        "GET", "users/{user}/dynamic-roles", "list_dynamic_roles",
        "What kinds of dynamic credentials a user has.",
        list_roles, right(Capability.LIST), "list", "user",
        Action.DYNAMIC_READ, shapes.DynamicRoleList,
    ),
    Route(
        "GET", "users/{user}/dynamic-roles/{name*}", "get_dynamic_role",
        "One kind of dynamic credentials.",
        get_role, right(Capability.READ), "read", "user",
        Action.DYNAMIC_READ, shapes.DynamicRoleShown, errors=(404,),
    ),
    Route(
        "PUT", "users/{user}/dynamic-roles/{name*}", "set_dynamic_role",
        "Write a kind of dynamic credentials.",
        set_role, right(Capability.UPDATE), "update", "user",
        Action.DYNAMIC_WRITE, None, body=shapes.DynamicRoleBody, once=True,
    ),
    Route(
        "DELETE", "users/{user}/dynamic-roles/{name*}", "remove_dynamic_role",
        "Make no more credentials of a kind.",
        remove_role, right(Capability.DELETE), "delete", "user",
        Action.DYNAMIC_DELETE, None, once=True, errors=(404,),
    ),
    Route(
        "POST", "users/{user}/dynamic-issue/{name*}", "issue_credentials",
        "Make credentials; the answer is given once.",
        issue, right(Capability.UPDATE), "update", "user",
        Action.LEASE_CREATE, shapes.CredentialsShown, body=shapes.TtlBody, errors=(404, 409),
    ),
    Route(
        "GET", "users/{user}/leases", "list_leases", "DynamicLeases of dynamic credentials.",
        list_leases, right(Capability.LIST), "list", "user",
        Action.LEASE_READ, shapes.LeaseList, query=shapes.LeasesQuery,
    ),
    Route(
        "GET", "users/{user}/leases/{name*}", "get_lease", "One lease.",
        get_lease, right(Capability.READ), "read", "user",
        Action.LEASE_READ, shapes.LeaseShown, errors=(404,),
    ),
    Route(
        "POST", "users/{user}/lease-renew/{name*}", "renew_lease", "Let credentials work longer.",
        renew, right(Capability.UPDATE), "update", "user",
        Action.LEASE_RENEW, shapes.LeaseShown, body=shapes.TtlBody, once=True,
        errors=(404, 409),
    ),
    Route(
        "POST", "users/{user}/lease-revoke/{name*}", "revoke_lease", "End credentials now.",
        revoke, right(Capability.UPDATE), "update", "user",
        Action.LEASE_REVOKE, None, body=shapes.RevokeBody, once=True, errors=(404, 409),
    ),
    Route(
        "POST", "users/{user}/leases-revoke", "revoke_leases",
        "End all credentials of a role, or of a user.",
        revoke_all, right(Capability.UPDATE), "update", "user",
        Action.LEASE_REVOKE, shapes.LeasesRevoked, body=shapes.RevokeAllBody, once=True,
        errors=(409,),
    ),
    Route(
        "POST", "leases/revoke-due", "revoke_due_leases", "Revoke all that has ended.",
        revoke_due, right(Capability.UPDATE), "update and sudo", "store",
        Action.LEASE_REVOKE, RotationReportShown, once=True, errors=(409,),
    ),
]  # fmt: skip
