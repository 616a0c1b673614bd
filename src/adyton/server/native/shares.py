"""Routes of shares: those that a user has given, and those that a user has received."""

from typing import Final

from adyton.actions import Action
from adyton.exchange import SharedSecret, ShareInfo
from adyton.model import to_us
from adyton.server.native import shareshapes as shapes
from adyton.server.native.call import Call
from adyton.server.native.rights import SECRETS, right
from adyton.server.native.routes import Reply, Route
from adyton.server.native.showing import shown_value
from adyton.service.access.policy import Capability
from adyton.service.sharing.shares import Shares

_GIVEN: Final = "users/{user}/shares/given"
_RECEIVED: Final = "users/{user}/shares/received"


async def create(call: Call) -> Reply:
    """An offer of what the token may read itself."""
    body = call.body(shapes.CreateShareBody)
    caller, user = call.caller, call.user
    ends = 0 if body.expires_at is None else await call.checked(lambda: _us(body))

    def readable(name: str) -> bool:
        return call.may(SECRETS + name, Capability.READ)

    return await call.write(
        lambda core: Shares(core).create(
            caller,
            user,
            body.receiver,
            body.name,
            version=body.version,
            expires_us=ends,
            readable=readable,
        ),
        lambda info: Reply(_shown(info)),
    )


def _us(body: shapes.CreateShareBody) -> int:
    return 0 if body.expires_at is None else to_us(body.expires_at)


async def given(call: Call) -> Reply:
    """What a user shares."""
    found = await Shares(call.core).given(call.caller, call.user)
    return Reply(shapes.ShareList(items=[_shown(info) for info in found]))


async def received(call: Call) -> Reply:
    """What is shared with a user."""
    found = await Shares(call.core).received(call.caller, call.user)
    return Reply(shapes.ShareList(items=[_shown(info) for info in found]))


async def revoke(call: Call) -> Reply:
    """A share, ended by its owner."""
    rotate = call.query(shapes.RevokeQuery).rotate
    share = call.args["share"]
    return await call.write(
        lambda core: Shares(core).revoke(call.caller, call.user, share, rotate=rotate),
        lambda count: Reply(shapes.Revoked(reencrypted=count)),
    )


async def accept(call: Call) -> Reply:
    """A share, taken."""
    share = call.args["share"]
    return await call.write(
        lambda core: Shares(core).accept(call.caller, call.user, share),
        lambda _: Reply(status=204),
    )


async def refuse(call: Call) -> Reply:
    """A share, refused or given back."""
    share = call.args["share"]
    return await call.write(
        lambda core: Shares(core).refuse(call.caller, call.user, share),
        lambda _: Reply(status=204),
    )


async def names(call: Call) -> Reply:
    """What is in a share."""
    found = await Shares(call.core).names(call.caller, call.user, call.args["share"])
    return Reply(shapes.SharedNames(items=found))


async def get(call: Call) -> Reply:
    """A shared secret's value."""
    share, name = call.args["share"], call.args.get("name")
    secret = await Shares(call.core).get(call.caller, call.user, share, name)
    return Reply(_opened(secret, call))


def _opened(secret: SharedSecret, call: Call) -> shapes.SharedShown:
    encoding = call.query(shapes.SharedQuery).encoding
    with secret:
        return shapes.SharedShown(
            owner=secret.owner,
            name=secret.name,
            version=secret.version,
            value=shown_value(secret.reveal(), secret.content_type, encoding),
        )


def _shown(info: ShareInfo) -> shapes.ShareShown:
    return shapes.ShareShown(**info._asdict())


ROUTES: Final = [
    Route(
        "POST", "users/{user}/shares", "create_share", "Offer another user to read something.",
        create, right(Capability.UPDATE), "update, and read of what is shared", "user",
        Action.SHARE_CREATE, shapes.ShareShown, body=shapes.CreateShareBody, once=True,
        errors=(404,),
    ),
    Route(
        "GET", _GIVEN, "list_given_shares", "What a user shares with others.",
        given, right(Capability.LIST), "list", "user",
        Action.SHARE_LIST, shapes.ShareList,
    ),
    Route(
        "DELETE", _GIVEN + "/{share}", "revoke_share", "End a share at once.",
        revoke, right(Capability.DELETE), "delete", "user",
        Action.SHARE_REVOKE, shapes.Revoked, query=shapes.RevokeQuery, once=True, errors=(404,),
    ),
    Route(
        "GET", _RECEIVED, "list_received_shares", "What others share with a user.",
        received, right(Capability.LIST), "list", "user",
        Action.SHARE_LIST, shapes.ShareList,
    ),
    Route(
        "DELETE", _RECEIVED + "/{share}", "refuse_share", "Refuse a share, or give it back.",
        refuse, right(Capability.DELETE), "delete", "user",
        Action.SHARE_REFUSE, None, once=True, errors=(404,),
    ),
    Route(
        "POST", _RECEIVED + "/{share}/accept", "accept_share", "Take a share that was offered.",
        accept, right(Capability.UPDATE), "update", "user",
        Action.SHARE_ACCEPT, None, once=True, errors=(404,),
    ),
    Route(
        "GET", _RECEIVED + "/{share}/secret", "get_shared_secret", "Open the secret of a share.",
        get, right(Capability.READ), "read", "user",
        Action.SHARE_READ, shapes.SharedShown, query=shapes.SharedQuery, errors=(404,),
    ),
    Route(
        "GET", _RECEIVED + "/{share}/secrets", "list_shared_secrets", "Names in a share.",
        names, right(Capability.LIST), "list", "user",
        Action.SHARE_LIST, shapes.SharedNames, errors=(404,),
    ),
    Route(
        "GET", _RECEIVED + "/{share}/secrets/{name*}", "get_secret_of_share",
        "Open one secret of a share.",
        get, right(Capability.READ), "read", "user",
        Action.SHARE_READ, shapes.SharedShown, query=shapes.SharedQuery, errors=(404,),
    ),
]  # fmt: skip
