"""Commands on what ends: a list of it, notices before it, and how long what is deleted is kept."""

from typing import Annotated

import typer
from rich.text import Text

from adyton.cli.state import state
from adyton.cli.ui import count, moment
from adyton.errors import InvalidInput
from adyton.lifecyclevalues import LifecycleRules, duration_text, seconds_of

reminders = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
retention = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Where = Annotated[
    str, typer.Argument(help="A secret, a folder with its slash, or nothing for all else.")
]


def expiring(
    within: Annotated[str, typer.Option(help="How far to look ahead, such as 90d.")] = "30d",
) -> None:
    """Show what ends soon, or has ended and can be renewed."""
    at = state()
    seconds = seconds_of(within, "--within")
    with at.open() as store:
        found = store.lifecycle.expiring(at.who(), within=seconds)
    if at.ui.json:
        at.ui.document([each._asdict() for each in found])
        return
    at.ui.table(
        ("ENDS (UTC)", "KIND", "NAME", "NEXT NOTICE (UTC)", "WHICH"),
        [
            (
                Text(moment(each.expires_at), "red" if each.expired else ""),
                each.kind,
                each.name,
                moment(each.notice_at),
                each.detail or "-",
            )
            for each in found
        ],
        f"nothing ends within {within}",
    )


@reminders.command(name="list")
def list_reminders() -> None:
    """Show how long before an end there are notices, and for what."""
    at = state()
    with at.open() as store:
        rules = store.lifecycle.get(at.who())
    if at.ui.json:
        at.ui.document({"notice": rules.notice, "store_notice": rules.store_notice})
        return
    rows = [(where or "(all else)", _periods(periods)) for where, periods in rules.notice.items()]
    if "" not in rules.notice:
        rows.append(("(the store's)", _periods(rules.store_notice)))
    at.ui.table(("FOR", "NOTICES BEFORE THE END"), rows, "nothing")


@reminders.command(name="set")
def set_reminders(
    before: Annotated[
        str, typer.Option(help="Times before the end, such as 30d,7d,0s; 'none' for no notices.")
    ],
    where: Where = "",
) -> None:
    """Set how long before an end there are notices."""
    parts = [] if before == "none" else before.split(",")
    periods = [seconds_of(part.strip(), "--before") for part in parts]
    at = state()
    with at.open() as store:
        store.lifecycle.set_notice(at.who(), periods, where=where)
    at.ui.done(f"notices for {where or 'all else'}: {_periods(periods)}")


@reminders.command(name="clear")
def clear_reminders(where: Where = "") -> None:
    """Let the notice periods of the folder above, or of the store, hold again."""
    at = state()
    with at.open() as store:
        store.lifecycle.set_notice(at.who(), None, where=where)
    at.ui.done(f"notices for {where or 'all else'} are those set above it")


@retention.command(name="show")
def show_retention() -> None:
    """Show how long deleted versions are kept before they are destroyed."""
    at = state()
    with at.open() as store:
        rules = store.lifecycle.get(at.who())
    if at.ui.json:
        at.ui.document({"retention": rules.retention, "own_retention": rules.own_retention})
        return
    source = "the store" if rules.own_retention is None else "user"
    at.ui.table(("KEPT FOR", "FROM"), [(_kept(rules), source)], "nothing")


@retention.command(name="set")
def set_retention(
    kept: Annotated[str, typer.Argument(help="Such as 30d; 'forever', or 'default'.")],
) -> None:
    """Set how long deleted versions can be brought back before they are destroyed."""
    at = state()
    seconds = {"forever": 0, "default": None}.get(kept, -1)
    if seconds == -1:
        seconds = seconds_of(kept, "the retention", "forever", "default")
        if not seconds:
            raise InvalidInput("the retention is no time", hint="Say 'forever' to keep for ever.")
    with at.open() as store:
        rules = store.lifecycle.set_retention(at.who(), seconds)
    at.ui.done(f"what is deleted is kept for {_kept(rules)}")


def run(
    due: Annotated[
        bool, typer.Option("--due", help="All of the store that is due; there is nothing else.")
    ] = False,
) -> None:
    """Give the notices that are due and destroy what was deleted long enough ago, of all users."""
    if not due:
        raise InvalidInput("run takes --due: it does all that is due, of every user")
    at = state()
    with at.open() as store:
        report = store.lifecycle.run_due()
    if at.ui.json:
        at.ui.document(report._asdict())
        return
    at.ui.done(
        f"{count(report.noticed, 'notice')} given; {count(report.destroyed, 'version')} destroyed,"
        f" and {count(report.erased, 'secret')} with them; {report.held} kept by legal holds"
    )
    if report.failed:
        at.ui.warn(
            f"what is due to {count(report.failed, 'user')} failed; it is tried again in an hour"
        )


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(name="expiring")(expiring)
    app.add_typer(reminders, name="reminder", help="Notices of what ends: list, set, clear.")
    app.add_typer(reminders, name="reminders", hidden=True)  # its former name
    app.add_typer(retention, name="retention", help="How long deleted versions are kept.")
    retention.command(name="run")(run)


def _periods(periods: "tuple[int, ...] | list[int]") -> str:
    return ", ".join(duration_text(each) for each in sorted(periods, reverse=True)) or "none"


def _kept(rules: LifecycleRules) -> str:
    return duration_text(rules.retention) if rules.retention else "ever"
