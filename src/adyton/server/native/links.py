"""Routes of one-time links; opening one needs no token."""

from typing import Final

from adyton.actions import Action
from adyton.exchange import LinkInfo
from adyton.model import Caller
from adyton.server.native import linkshapes as shapes
from adyton.server.native import rights
from adyton.server.native.call import Call
from adyton.server.native.rights import right
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.links import Asked, Links, NewLink


async def create(call: Call) -> Reply:
    """A link's ciphertext, kept."""
    body = call.body(shapes.CreateLinkBody)
    new = NewLink(
        body.id, body.proof_hash, body.box, body.seconds, body.tries, body.passphrase, body.note,
        body.secret or "",
    )  # fmt: skip
    user = Links(call.core).user_index(call.caller, call.user)

    def show(info: LinkInfo) -> Reply:
        return Reply(shapes.LinkMade(user=user, accessor=info.accessor, expires_at=info.expires_at))

    return await call.write(lambda core: Links(core).create(call.caller, call.user, new), show)


async def open_(call: Call) -> Reply:
    """A link's ciphertext, given away."""
    body = call.body(shapes.OpenLinkBody)
    origin = call.origin
    caller = Caller("(link)", None, origin.address, origin.request_id, decision="public")
    box = await call.services.links.open(caller, Asked(body.user, body.id, body.proof))
    return Reply(shapes.LinkOpened(box=box))


async def revoke(call: Call) -> Reply:
    """A link, ended."""
    accessor = call.args["accessor"]
    return await call.write(
        lambda core: Links(core).revoke(call.caller, call.user, accessor),
        lambda _: Reply(status=204),
    )


async def list_(call: Call) -> Reply:
    """A user's links."""
    found = await call.services.links.list(call.caller, call.user)
    return Reply(shapes.LinkList(items=[shapes.LinkShown(**info._asdict()) for info in found]))


ROUTES: Final = [
    Route(
        "POST", "links/open", "open_link", "Take a one-time link's ciphertext, once and for all.",
        open_, rights.anybody, "none", "public",
        Action.LINK_OPEN, shapes.LinkOpened, body=shapes.OpenLinkBody, errors=(404,),
    ),
    Route(
        "GET", "users/{user}/links", "list_links", "A user's links that can be opened still.",
        list_, right(Capability.LIST), "list", "user",
        Action.LINK_LIST, shapes.LinkList,
    ),
    Route(
        "POST", "users/{user}/links", "create_link", "Keep the ciphertext of a one-time link.",
        create, right(Capability.UPDATE), "update", "user",
        Action.LINK_CREATE, shapes.LinkMade, body=shapes.CreateLinkBody, once=True,
        errors=(412,),
    ),
    Route(
        "DELETE", "users/{user}/links/{accessor}", "revoke_link", "End a link before it is opened.",
        revoke, right(Capability.DELETE), "delete", "user",
        Action.LINK_REVOKE, None, once=True, errors=(404,),
    ),
]  # fmt: skip
