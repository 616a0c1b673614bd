"""Commands on notices: what a user was told of."""

from typing import Annotated

import typer
from rich.text import Text

from adyton.cli.state import state
from adyton.cli.ui import count as counted
from adyton.cli.ui import moment
from adyton.errors import InvalidInput
from adyton.noticevalues import NoticeInfo

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command(name="list")
def list_(
    kind: Annotated[
        list[str] | None, typer.Option(help="Only this kind and all below it; may be repeated.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Only what nobody has acknowledged.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many at the most.")] = 100,
) -> None:
    """Show what a user was told of, newest first."""
    at = state()
    with at.open() as store:
        found = store.notices.list(at.who(), kinds=kind or (), fresh=fresh, limit=limit)
    show_notices(found, "no notices")


@app.command(name="show")
def show(notice: Annotated[str, typer.Argument(help="The notice's id.")]) -> None:
    """Show one notice."""
    at = state()
    with at.open() as store:
        info = store.notices.get(at.who(), notice)
    show_notice(info)


@app.command(name="ack")
def ack(
    notices: Annotated[list[str] | None, typer.Argument(help="The notices' ids.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of the user's.")] = False,
) -> None:
    """Say that notices were seen."""
    if every == bool(notices):
        raise InvalidInput("ack takes ids of notices, or --all")
    at = state()
    with at.open() as store:
        count = store.notices.acknowledge(at.who(), notices or None)
    if at.ui.json:
        at.ui.document({"acknowledged": count})
    else:
        at.ui.done(f"{count} acknowledged")


@app.command(name="deliver")
def deliver() -> None:
    """Deliver what waits for webhooks now, of every user; a server does so by itself."""
    at = state()
    with at.open() as store:
        report = store.notices.deliver()
    if at.ui.json:
        at.ui.document(report._asdict())
    else:
        at.ui.done(f"{report.delivered} delivered to {counted(report.taken, 'webhook')}")
    if report.failed:
        at.ui.warn(f"{report.failed} failed, and are tried again later")


def show_notices(found: list[NoticeInfo], nothing: str) -> None:
    """Notices as a table or document."""
    at = state()
    if at.ui.json:
        at.ui.document([info._asdict() for info in found])
        return
    at.ui.table(
        ("ID", "TIME (UTC)", "KIND", "SUBJECT", "DETAILS", "SEEN"),
        [
            (
                info.id,
                moment(info.time),
                Text(info.kind, "" if info.acknowledged_at else "yellow"),
                info.subject or "-",
                ", ".join(f"{key}={value}" for key, value in info.details.items()),
                "yes" if info.acknowledged_at else "no",
            )
            for info in found
        ],
        nothing,
    )


def show_notice(info: NoticeInfo) -> None:
    """One notice as a table or document."""
    at = state()
    if at.ui.json:
        at.ui.document(info._asdict())
        return
    seen = info.acknowledged_at
    rows = [
        ("id", info.id), ("kind", info.kind), ("time", f"{moment(info.time)} UTC"),
        ("subject", info.subject or "-"), *info.details.items(),
        ("seen", f"{moment(seen)} UTC" if seen else "no"),
    ]  # fmt: skip
    at.ui.table(("FIELD", "VALUE"), rows, "nothing")
