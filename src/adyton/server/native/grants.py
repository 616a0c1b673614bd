"""Routes of members, roles and grants of a namespace."""

from typing import Final

from adyton.actions import Action
from adyton.server.native import grantshapes as shapes
from adyton.server.native.call import Call
from adyton.server.native.grantshapes import shown_grant, shown_member, shown_role
from adyton.server.native.rights import right
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.grants.grants import Grants
from adyton.service.grants.members import Members
from adyton.service.grants.membertokens import MemberTokens


async def list_members(call: Call) -> Reply:
    """All members."""
    found = await Members(call.core).list(call.caller, call.user)
    return Reply(shapes.MemberList(items=[shown_member(info) for info in found]))


async def get_member(call: Call) -> Reply:
    """One member."""
    found = await Members(call.core).get(call.caller, call.user, call.args["member"])
    return Reply(shown_member(found))


async def add_member(call: Call) -> Reply:
    """A member, let in."""
    body = call.body(shapes.MemberBody)
    return await call.write(
        lambda core: Members(core).add(
            call.caller, call.user, call.args["member"],
            kind=body.kind, other=body.user, logins=tuple(body.logins),
        ),
        lambda info: Reply(shown_member(info)),
    )  # fmt: skip


async def remove_member(call: Call) -> Reply:
    """A member, put out."""
    return await call.write(
        lambda core: Members(core).remove(call.caller, call.user, call.args["member"]),
        lambda _: Reply(status=204),
    )


async def make_token(call: Call) -> Reply:
    """A token for a member."""
    seconds = call.body(shapes.MemberTokenBody).seconds
    issued = await MemberTokens(call.core, call.services.tokens).create(
        call.caller, call.user, call.args["member"], seconds
    )
    token = issued.token
    return Reply(
        shapes.MemberTokenMade(
            token=issued.text, accessor=token.accessor, seconds=token.creation_ttl
        )
    )


async def list_roles(call: Call) -> Reply:
    """All roles."""
    found = await Members(call.core).roles(call.caller, call.user)
    return Reply(shapes.RoleList(items=[shown_role(info) for info in found]))


async def put_role(call: Call) -> Reply:
    """A role, made or changed."""
    rights = tuple(call.body(shapes.RoleBody).rights)
    by = call.services.gate.member_name(call.session, call.user)
    return await call.write(
        lambda core: Members(core).put_role(
            call.caller, call.user, call.args["role"], rights, by=by
        ),
        lambda info: Reply(shown_role(info)),
    )


async def remove_role(call: Call) -> Reply:
    """A role, removed."""
    return await call.write(
        lambda core: Members(core).remove_role(call.caller, call.user, call.args["role"]),
        lambda _: Reply(status=204),
    )


async def create_grant(call: Call) -> Reply:
    """A grant, given."""
    new = await call.checked(call.body(shapes.GrantBody).grant)
    by = call.services.gate.member_name(call.session, call.user)
    return await call.write(
        lambda core: Grants(core).create(call.caller, call.user, new, by=by),
        lambda info: Reply(shown_grant(info)),
    )


async def list_grants(call: Call) -> Reply:
    """Grants that whoever asks may see."""
    query = call.query(shapes.GrantsQuery)
    gate = call.services.gate
    visible = gate.manages(call.session, call.user, call.origin.address, call.caller)
    found = await Grants(call.core).list(
        call.caller, call.user,
        member=query.member, path=query.path, before_us=query.before, visible=visible,
    )  # fmt: skip
    return Reply(shapes.GrantList(items=[shown_grant(info) for info in found]))


async def get_grant(call: Call) -> Reply:
    """One grant."""
    found = await Grants(call.core).get(call.caller, call.user, call.args["grant"])
    return Reply(shown_grant(found))


async def revoke_grant(call: Call) -> Reply:
    """A grant, taken back."""
    by = call.services.gate.member_name(call.session, call.user)
    return await call.write(
        lambda core: Grants(core).revoke(call.caller, call.user, call.args["grant"], by=by),
        lambda _: Reply(status=204),
    )


_MEMBER: Final = "users/{user}/members/{member}"
_GRANT: Final = "users/{user}/grants/{grant}"
_ROLE: Final = "users/{user}/roles/{role}"

ROUTES: Final = [
    Route(
        "GET", "users/{user}/members", "list_members", "Members of a namespace.",
        list_members, right(Capability.LIST), "list", "user",
        Action.MEMBER_READ, shapes.MemberList,
    ),
    Route(
        "GET", _MEMBER, "get_member", "One member.",
        get_member, right(Capability.READ), "read", "user",
        Action.MEMBER_READ, shapes.MemberShown, errors=(404,),
    ),
    Route(
        "PUT", _MEMBER, "add_member", "Let somebody into a namespace.",
        add_member, right(Capability.UPDATE), "update", "user",
        Action.MEMBER_WRITE, shapes.MemberShown, body=shapes.MemberBody, once=True,
    ),
    Route(
        "DELETE", _MEMBER, "remove_member", "Put a member out, with all grants.",
        remove_member, right(Capability.DELETE), "delete", "user",
        Action.MEMBER_REMOVE, None, once=True, errors=(404,),
    ),
    Route(
        "POST", _MEMBER + "/token", "create_member_token", "Make a token for a member.",
        make_token, right(Capability.UPDATE), "update", "user",
        Action.TOKEN_CREATE, shapes.MemberTokenMade, body=shapes.MemberTokenBody, errors=(404,),
    ),
    Route(
        "GET", "users/{user}/roles", "list_roles", "Roles: the built-in ones and the owner's.",
        list_roles, right(Capability.LIST), "list", "user",
        Action.ROLE_READ, shapes.RoleList,
    ),
    Route(
        "PUT", _ROLE, "set_role", "Make or change a role; grants follow at once.",
        put_role, right(Capability.UPDATE), "update", "user",
        Action.ROLE_WRITE, shapes.RoleShown, body=shapes.RoleBody, once=True,
    ),
    Route(
        "DELETE", _ROLE, "remove_role", "Remove a role that no grant gives.",
        remove_role, right(Capability.DELETE), "delete", "user",
        Action.ROLE_REMOVE, None, once=True, errors=(404,),
    ),
    Route(
        "GET", "users/{user}/grants", "list_grants", "What members were given.",
        list_grants, right(Capability.LIST), "list", "user",
        Action.GRANT_READ, shapes.GrantList, query=shapes.GrantsQuery,
    ),
    Route(
        "POST", "users/{user}/grants", "create_grant", "Give a member rights, or take them away.",
        create_grant, right(Capability.UPDATE), "update", "user",
        Action.GRANT_CREATE, shapes.GrantShown, body=shapes.GrantBody, once=True, errors=(404,),
    ),
    Route(
        "GET", _GRANT, "get_grant", "One grant.",
        get_grant, right(Capability.READ), "read", "user",
        Action.GRANT_READ, shapes.GrantShown, errors=(404,),
    ),
    Route(
        "DELETE", _GRANT, "revoke_grant", "Take a grant back, at once.",
        revoke_grant, right(Capability.DELETE), "delete", "user",
        Action.GRANT_REVOKE, None, once=True, errors=(404,),
    ),
]  # fmt: skip
