"""Routes of reports."""

from typing import Final

from adyton.actions import Action
from adyton.server.native import reportshapes as shapes
from adyton.server.native.call import Call
from adyton.server.native.rights import right
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.reports.reporting import Reporting, infos

_MOST: Final = 100_000
"""Records that are counted for one request; what is left, the background counts."""


async def list_reports(call: Call) -> Reply:
    """The reports that there are."""
    await call.note()
    shown = [shapes.ReportInfoShown(**info._asdict()) for info in infos()]
    return Reply(shapes.ReportList(items=shown))


async def make_report(call: Call) -> Reply:
    """One report: of a user's secrets, or of the whole store."""
    asked = call.query(shapes.ReportQuery).asked()
    user = call.user if call.route.place == "user" else None
    name = call.args["report"]
    made = await call.beside(
        lambda: Reporting(call.core).make(call.caller, user, name, asked, most=_MOST)
    )
    return Reply(shapes.shown_report(made))


async def check_counts(call: Call) -> Reply:
    """Counts, held against the log."""
    days = await call.beside(lambda: Reporting(call.core).check(call.caller, call.user))
    return Reply(shapes.CountsChecked(days=days))


ROUTES: Final = [
    Route(
        "GET", "reports", "list_reports", "The reports that there are.",
        list_reports, right(Capability.LIST), "list", "own",
        Action.REPORT_READ, shapes.ReportList,
    ),
    Route(
        "GET", "users/{user}/reports/{report}", "make_report", "A report of a user's secrets.",
        make_report, right(Capability.READ), "read", "user",
        Action.REPORT_READ, shapes.ReportShown, query=shapes.ReportQuery,
    ),
    Route(
        "GET", "users/{user}/reports-check", "check_report_counts",
        "Hold the counts that reports are made of against the audit log.",
        check_counts, right(Capability.READ), "read", "user",
        Action.REPORT_READ, shapes.CountsChecked, errors=(409,),
    ),
    Route(
        "GET", "reports/{report}", "make_store_report", "A report of the whole store.",
        make_report, right(Capability.READ), "read and sudo", "store",
        Action.REPORT_READ, shapes.ReportShown, query=shapes.ReportQuery,
    ),
]  # fmt: skip
