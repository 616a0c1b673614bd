"""Routes of notices and webhooks."""

from typing import Final

from adyton.actions import Action
from adyton.server.native import noticeshapes as shapes
from adyton.server.native.call import Call
from adyton.server.native.noticeshapes import shown_made, shown_notice, shown_webhook
from adyton.server.native.rights import right
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.notices.notices import Notices
from adyton.service.notices.webhooks import Webhooks


async def list_notices(call: Call) -> Reply:
    """A user's notices."""
    asked = call.query(shapes.NoticeQuery)
    found = await Notices(call.core).list(
        call.caller, call.user, kinds=asked.kind, fresh=asked.fresh, limit=asked.limit
    )
    return Reply(shapes.NoticeList(items=[shown_notice(info) for info in found]))


async def get_notice(call: Call) -> Reply:
    """One notice."""
    found = await Notices(call.core).get(call.caller, call.user, call.args["notice"])
    return Reply(shown_notice(found))


async def acknowledge(call: Call) -> Reply:
    """Notices, acknowledged."""
    idents = call.body(shapes.AcknowledgeBody).ids
    return await call.write(
        lambda core: Notices(core).acknowledge(call.caller, call.user, idents),
        lambda count: Reply(shapes.Acknowledged(acknowledged=count)),
    )


async def deliver(call: Call) -> Reply:
    """All that waits, delivered."""
    return await call.write_much(
        lambda core: Notices(core).deliver(call.caller),
        lambda report: Reply(shapes.DeliveryShown(**report._asdict())),
    )


async def list_webhooks(call: Call) -> Reply:
    """A user's webhooks."""
    found = await Webhooks(call.core).list(call.caller, call.user)
    return Reply(shapes.WebhookList(items=[shown_webhook(info) for info in found]))


async def get_webhook(call: Call) -> Reply:
    """One webhook."""
    found = await Webhooks(call.core).get(call.caller, call.user, call.args["webhook"])
    return Reply(shown_webhook(found))


async def add_webhook(call: Call) -> Reply:
    """A webhook, added."""
    body = call.body(shapes.WebhookBody)
    return await call.write(
        lambda core: Webhooks(core).add(
            call.caller, call.user, body.url, kinds=body.kinds, note=body.note
        ),
        lambda made: Reply(shown_made(made)),
    )


async def rotate_webhook(call: Call) -> Reply:
    """A webhook's secret, changed."""
    overlap = call.body(shapes.WebhookRotateBody).overlap
    return await call.write(
        lambda core: Webhooks(core).rotate(
            call.caller, call.user, call.args["webhook"], overlap=overlap
        ),
        lambda made: Reply(shown_made(made)),
    )


async def test_webhook(call: Call) -> Reply:
    """A webhook, tried."""
    return await call.write_much(
        lambda core: Webhooks(core).test(call.caller, call.user, call.args["webhook"]),
        lambda answer: Reply(shapes.WebhookAnswerShown(**answer._asdict())),
    )


async def remove_webhook(call: Call) -> Reply:
    """A webhook, removed."""
    return await call.write(
        lambda core: Webhooks(core).remove(call.caller, call.user, call.args["webhook"]),
        lambda _: Reply(status=204),
    )


ROUTES: Final = [
    Route(
        "GET", "users/{user}/notices", "list_notices", "What a user was told of, newest first.",
        list_notices, right(Capability.LIST), "list", "user",
        Action.NOTICE_LIST, shapes.NoticeList, query=shapes.NoticeQuery,
    ),
    Route(
        "GET", "users/{user}/notices/{notice}", "get_notice", "One notice.",
        get_notice, right(Capability.READ), "read", "user",
        Action.NOTICE_LIST, shapes.NoticeShown, errors=(404,),
    ),
    Route(
        "POST", "users/{user}/notices-acknowledge", "acknowledge_notices",
        "Say that notices were seen.",
        acknowledge, right(Capability.UPDATE), "update", "user",
        Action.NOTICE_ACK, shapes.Acknowledged, body=shapes.AcknowledgeBody, once=True,
        errors=(404,),
    ),
    Route(
        "POST", "notices/deliver", "deliver_notices", "Deliver what waits for webhooks.",
        deliver, right(Capability.UPDATE), "update and sudo", "store",
        Action.WEBHOOK_DELIVER, shapes.DeliveryShown, once=True, errors=(409,),
    ),
    Route(
        "GET", "users/{user}/webhooks", "list_webhooks", "Where a user's notices are sent to.",
        list_webhooks, right(Capability.LIST), "list", "user",
        Action.WEBHOOK_READ, shapes.WebhookList,
    ),
    Route(
        "POST", "users/{user}/webhooks", "add_webhook", "Send a user's notices to an address.",
        add_webhook, right(Capability.UPDATE), "update", "user",
        Action.WEBHOOK_WRITE, shapes.WebhookSecretShown, body=shapes.WebhookBody, once=True,
    ),
    Route(
        "GET", "users/{user}/webhooks/{webhook}", "get_webhook", "A webhook, and how it fares.",
        get_webhook, right(Capability.READ), "read", "user",
        Action.WEBHOOK_READ, shapes.WebhookShown, errors=(404,),
    ),
    Route(
        "DELETE", "users/{user}/webhooks/{webhook}", "remove_webhook",
        "Send nothing to a webhook any more.",
        remove_webhook, right(Capability.DELETE), "delete", "user",
        Action.WEBHOOK_DELETE, None, once=True, errors=(404,),
    ),
    Route(
        "POST", "users/{user}/webhooks/{webhook}/rotate", "rotate_webhook",
        "Give a webhook a new secret.",
        rotate_webhook, right(Capability.UPDATE), "update", "user",
        Action.WEBHOOK_WRITE, shapes.WebhookSecretShown, body=shapes.WebhookRotateBody, once=True,
        errors=(404,),
    ),
    Route(
        "POST", "users/{user}/webhooks/{webhook}/test", "test_webhook",
        "Send a message of the kind 'test' now.",
        test_webhook, right(Capability.UPDATE), "update", "user",
        Action.WEBHOOK_TEST, shapes.WebhookAnswerShown, once=True, errors=(404, 409),
    ),
]  # fmt: skip
