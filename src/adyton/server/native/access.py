"""Routes that tell who may do what and why, and routes of approvals."""

from typing import Final

from adyton.actions import Action
from adyton.grantvalues import EVERYTHING
from adyton.server.native import accessshapes as shapes
from adyton.server.native.accessshapes import shown_explanation, shown_reader, shown_request
from adyton.server.native.call import Call
from adyton.server.native.rights import right
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.grants.explain import Asked, explain
from adyton.service.grants.requests import Requests
from adyton.service.grants.who import who

_WHO: Final = "access/who/"
_EXPLAIN: Final = "access/explain/"


async def to_ask_who(call: Call) -> None:
    """Needs ``read`` below ``access/who/`` and the path that is asked about."""
    await _on_path(call, _WHO, call.query(shapes.WhoQuery).path)


async def to_explain(call: Call) -> None:
    """Needs ``read`` below ``access/explain/`` and the path that is asked about."""
    await _on_path(call, _EXPLAIN, call.query(shapes.ExplainQuery).path)


async def _on_path(call: Call, start: str, path: str) -> None:
    asked = start + ("" if path == EVERYTHING else path)
    if not call.may(asked, Capability.READ, spend=True):
        raise await call.refusal(asked, Capability.READ)
    call.allow()


async def tell_who(call: Call) -> Reply:
    """All who could read a secret."""
    path = call.query(shapes.WhoQuery).path
    found = await who(call.core, call.caller, call.user, path)
    return Reply(shapes.ReaderList(items=[shown_reader(one) for one in found]))


async def tell_why(call: Call) -> Reply:
    """Which rule decides."""
    query = call.query(shapes.ExplainQuery)
    asked = Asked(query.actor, query.action, query.path, query.address)
    return Reply(shown_explanation(await explain(call.core, call.caller, call.user, asked)))


async def list_requests(call: Call) -> Reply:
    """Requests that whoever asks has made, or may decide."""
    by = call.services.gate.member_name(call.session, call.user)
    found = await Requests(call.core).list(call.caller, call.user, by=by)
    return Reply(shapes.RequestList(items=[shown_request(one) for one in found]))


async def make_request(call: Call) -> Reply:
    """A request, made."""
    body = call.body(shapes.AskBody)
    by = call.services.gate.member_name(call.session, call.user)
    return await call.write(
        lambda core: Requests(core).create(
            call.caller, call.user, body.right, body.path, reason=body.reason, by=by
        ),
        lambda made: Reply(shown_request(made)),
    )


async def approve(call: Call) -> Reply:
    """A request, approved."""
    body = call.body(shapes.ApproveBody)
    by = call.services.gate.member_name(call.session, call.user)
    return await call.write(
        lambda core: Requests(core).approve(
            call.caller, call.user, call.args["request"],
            seconds=body.seconds, uses=body.uses, by=by,
        ),
        lambda made: Reply(shown_request(made)),
    )  # fmt: skip


async def deny(call: Call) -> Reply:
    """A request, denied."""
    by = call.services.gate.member_name(call.session, call.user)
    return await call.write(
        lambda core: Requests(core).deny(call.caller, call.user, call.args["request"], by=by),
        lambda made: Reply(shown_request(made)),
    )


_REQUESTS: Final = "users/{user}/access/requests"

ROUTES: Final = [
    Route(
        "GET", "users/{user}/access/who", "who_can_read", "All who could read a secret.",
        tell_who, to_ask_who, "read, on access/who/ and the path", "user",
        Action.ACCESS_WHO, shapes.ReaderList, query=shapes.WhoQuery,
    ),
    Route(
        "GET", "users/{user}/access/explain", "explain_access", "Which rule decides, and why.",
        tell_why, to_explain, "read, on access/explain/ and the path", "user",
        Action.ACCESS_EXPLAIN, shapes.ExplanationShown, query=shapes.ExplainQuery, errors=(404,),
    ),
    Route(
        "GET", _REQUESTS, "list_access_requests", "Requests made, or to be decided.",
        list_requests, right(Capability.LIST), "list", "user",
        Action.REQUEST_READ, shapes.RequestList,
    ),
    Route(
        "POST", _REQUESTS, "request_access", "Ask for a second person's approval.",
        make_request, right(Capability.UPDATE), "update", "user",
        Action.REQUEST_CREATE, shapes.RequestShown, body=shapes.AskBody, once=True, errors=(404,),
    ),
    Route(
        "POST", _REQUESTS + "/{request}/approve", "approve_access", "Approve a request.",
        approve, right(Capability.UPDATE), "update", "user",
        Action.REQUEST_DECIDE, shapes.RequestShown, body=shapes.ApproveBody, once=True,
        errors=(404,),
    ),
    Route(
        "POST", _REQUESTS + "/{request}/deny", "deny_access", "Deny a request.",
        deny, right(Capability.UPDATE), "update", "user",
        Action.REQUEST_DECIDE, shapes.RequestShown, once=True, errors=(404,),
    ),
]  # fmt: skip
