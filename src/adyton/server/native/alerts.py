"""Routes of alerts: sensitivity, mutes, looking at new records now."""

from typing import Final

from adyton.actions import Action
from adyton.server.native import alertshapes as shapes
from adyton.server.native.alertshapes import shown_mute, shown_settings
from adyton.server.native.call import Call
from adyton.server.native.rights import right
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.anomalies.alerts import Alerts


async def get_settings(call: Call) -> Reply:
    """How a user's reads are looked at."""
    return Reply(shown_settings(await Alerts(call.core).settings(call.caller, call.user)))


async def set_sensitivity(call: Call) -> Reply:
    """The sensitivity, set."""
    level = call.body(shapes.SensitivityBody).sensitivity
    return await call.write(
        lambda core: Alerts(core).set_sensitivity(call.caller, call.user, level),
        lambda _: Reply(status=204),
    )


async def mute(call: Call) -> Reply:
    """A mute, added."""
    body = call.body(shapes.MuteBody)
    return await call.write(
        lambda core: Alerts(core).mute(
            call.caller,
            call.user,
            rule=body.rule,
            secret=body.secret,
            actor=body.actor,
            until_us=body.until_us,
            note=body.note,
        ),
        lambda info: Reply(shown_mute(info)),
    )


async def unmute(call: Call) -> Reply:
    """A mute, removed."""
    return await call.write(
        lambda core: Alerts(core).unmute(call.caller, call.user, call.args["mute"]),
        lambda _: Reply(status=204),
    )


async def scan(call: Call) -> Reply:
    """New records, looked at."""
    return await call.write_much(
        lambda core: Alerts(core).scan(call.caller, call.user),
        lambda report: Reply(shapes.ScanShown(**report._asdict())),
    )


ROUTES: Final = [
    Route(
        "GET", "users/{user}/alerts/settings", "get_alert_settings",
        "How a user's reads are looked at, and what is known of them.",
        get_settings, right(Capability.READ), "read", "user",
        Action.ALERT_READ, shapes.AlertSettingsShown,
    ),
    Route(
        "PUT", "users/{user}/alerts/sensitivity", "set_alert_sensitivity",
        "Look at a user's reads more or less closely.",
        set_sensitivity, right(Capability.UPDATE), "update", "user",
        Action.ALERT_WRITE, None, body=shapes.SensitivityBody, once=True,
    ),
    Route(
        "POST", "users/{user}/alerts/mutes", "mute_alerts", "Tell nothing of some reads.",
        mute, right(Capability.UPDATE), "update", "user",
        Action.ALERT_WRITE, shapes.MuteShown, body=shapes.MuteBody, once=True,
    ),
    Route(
        "DELETE", "users/{user}/alerts/mutes/{mute}", "unmute_alerts", "Tell of them again.",
        unmute, right(Capability.DELETE), "delete", "user",
        Action.ALERT_WRITE, None, once=True, errors=(404,),
    ),
    Route(
        "POST", "users/{user}/alerts/scan", "scan_for_alerts", "Look at new records now.",
        scan, right(Capability.UPDATE), "update", "user",
        Action.ALERT_WATCH, shapes.ScanShown, once=True, errors=(409,),
    ),
]  # fmt: skip
