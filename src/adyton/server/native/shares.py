"""Routes of shares: those that a user has given, and those that a user has received."""

from typing import Final

from adyton.actions import Action
from adyton.exchange import SharedSecret, ShareInfo
from adyton.library import arguments
from adyton.model import to_us
from adyton.server.native import shareshapes as shapes
from adyton.server.native.call import Call
from adyton.server.native.rights import SECRETS, right
from adyton.server.native.routes import Reply, Route
from adyton.server.native.showing import shown_value, value_of
from adyton.service.access.policy import Capability
from adyton.service.grants.book import EMPTY, Book
from adyton.service.sharing.offers import Offer, Offers
from adyton.service.sharing.reading import SharedReads
from adyton.service.sharing.shares import Shares
from adyton.service.sharing.through import SharedWrites

_GIVEN: Final = "users/{user}/shares/given"
_RECEIVED: Final = "users/{user}/shares/received"
_PASSED: Final = "users/{user}/shares/passed"


async def create(call: Call) -> Reply:
    """An offer of what the token may do itself."""
    body = call.body(shapes.CreateShareBody)
    offer = await call.checked(lambda: _offer(body))
    rights = _rights(body)
    if body.write and body.name.endswith("/"):
        rights.append(Capability.CREATE)

    def until(name: str, book: Book) -> int | None:
        ends = [call.until(SECRETS + name, one, book) for one in rights]
        known = [end for end in ends if end is not None]
        if len(known) < len(ends):
            return None
        return min((end for end in known if end), default=0)

    return await call.write(
        lambda core: Offers(core).create(call.caller, call.user, offer, until=until),
        lambda info: Reply(_shown(info)),
    )


def _rights(body: "shapes.CreateShareBody | shapes.PassOnBody") -> list[Capability]:
    """What the receiver is to be able to do."""
    asked = [(Capability.UPDATE, body.write), (Capability.DELETE, body.delete)]
    return [Capability.READ, *(one for one, wanted in asked if wanted)]


async def pass_on(call: Call) -> Reply:
    """An offer of what the token may do itself by a share."""
    body = call.body(shapes.PassOnBody)
    offer = await call.checked(lambda: _offer(body))
    share = call.args["share"]

    def allowed(name: str, single: bool) -> bool:
        at = f"shares/received/{share}"
        paths = [f"{at}/secrets/{name}", *([f"{at}/secret"] if single else [])]
        return all(
            any(call.until(path, one, EMPTY) is not None for path in paths)  # of no grant's
            for one in _rights(body)
        )

    return await call.write(
        lambda core: Offers(core).pass_on(call.caller, call.user, share, offer, allowed=allowed),
        lambda info: Reply(_shown(info)),
    )


def _offer(body: "shapes.CreateShareBody | shapes.PassOnBody") -> Offer:
    return Offer(
        body.receiver,
        body.name or "",
        body.version,
        0 if body.expires_at is None else to_us(body.expires_at),
        body.write,
        body.delete,
        body.reshare,
        body.reshares,
    )


async def passed(call: Call) -> Reply:
    """What a user has passed on."""
    found = await Shares(call.core).passed(call.caller, call.user)
    return Reply(shapes.ShareList(items=[_shown(info) for info in found]))


async def put(call: Call) -> Reply:
    """A new version of a shared secret."""
    value = call.body(shapes.SharedWriteBody).value
    share, name = call.args["share"], call.args.get("name")
    item = await call.checked(
        lambda: arguments.value_item(
            call.core.limits, name, value_of(value), content_type=value.content_type,
            cas=call.expected(),
        )
    )  # fmt: skip
    return await call.write(
        lambda core: SharedWrites(core).set(call.caller, call.user, share, item, name=name),
        _changed,
    )


async def delete(call: Call) -> Reply:
    """The current version of a shared secret, marked deleted."""
    share, name = call.args["share"], call.args.get("name")
    cas = await call.checked(call.expected)
    return await call.write(
        lambda core: SharedWrites(core).delete(call.caller, call.user, share, name=name, cas=cas),
        _changed,
    )


def _changed(version: int) -> Reply:
    return Reply(shapes.Changed(version=version), version=version)


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
    found = await SharedReads(call.core).names(call.caller, call.user, call.args["share"])
    return Reply(shapes.SharedNames(items=found))


async def get(call: Call) -> Reply:
    """A shared secret's value."""
    share, name = call.args["share"], call.args.get("name")
    secret = await SharedReads(call.core).get(call.caller, call.user, share, name)
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
        "POST", "users/{user}/shares", "create_share", "Offer another user something.",
        create, right(Capability.UPDATE), "update, and what is offered of what is shared", "user",
        Action.SHARE_CREATE, shapes.ShareShown, body=shapes.CreateShareBody, once=True,
        errors=(404,),
    ),
    Route(
        "GET", _GIVEN, "list_given_shares", "What a user shares with others.",
        given, right(Capability.LIST), "list", "user",
        Action.SHARE_LIST, shapes.ShareList,
    ),
    Route(
        "DELETE", _GIVEN + "/{share}", "revoke_share",
        "End a share that the user has given or passed on, and all that came of it, at once.",
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
    Route(
        "PUT", _RECEIVED + "/{share}/secret", "set_shared_secret",
        "Write a new version of the secret of a share.",
        put, right(Capability.UPDATE), "update", "user",
        Action.SHARE_WRITE, shapes.Changed, body=shapes.SharedWriteBody, once=True,
        conditional=True, tagged=True, errors=(404, 412),
    ),
    Route(
        "PUT", _RECEIVED + "/{share}/secrets/{name*}", "set_secret_of_share",
        "Write a new version of one secret of a share, or a new one.",
        put, right(Capability.UPDATE), "update", "user",
        Action.SHARE_WRITE, shapes.Changed, body=shapes.SharedWriteBody, once=True,
        conditional=True, tagged=True, errors=(404, 412),
    ),
    Route(
        "DELETE", _RECEIVED + "/{share}/secret", "delete_shared_secret",
        "Mark the current version of the secret of a share deleted.",
        delete, right(Capability.DELETE), "delete", "user",
        Action.SHARE_DELETE, shapes.Changed, once=True, conditional=True, tagged=True,
        errors=(404, 412),
    ),
    Route(
        "DELETE", _RECEIVED + "/{share}/secrets/{name*}", "delete_secret_of_share",
        "Mark the current version of one secret of a share deleted.",
        delete, right(Capability.DELETE), "delete", "user",
        Action.SHARE_DELETE, shapes.Changed, once=True, conditional=True, tagged=True,
        errors=(404, 412),
    ),
    Route(
        "POST", _RECEIVED + "/{share}/shares", "pass_share_on",
        "Offer somebody else what a share gives, or a part of it.",
        pass_on, right(Capability.UPDATE), "update, and what is offered of the share", "user",
        Action.SHARE_CREATE, shapes.ShareShown, body=shapes.PassOnBody, once=True, errors=(404,),
    ),
    Route(
        "GET", _PASSED, "list_passed_shares", "What a user has passed on of what others share.",
        passed, right(Capability.LIST), "list", "user",
        Action.SHARE_LIST, shapes.ShareList,
    ),
]  # fmt: skip
