"""Commands on alerts: reads that are unusual."""

from typing import Annotated

import typer

from adyton.cli.notices import show_notice, show_notices
from adyton.cli.secrets import parse_expiry
from adyton.cli.state import state
from adyton.cli.ui import count, moment
from adyton.errors import InvalidInput, SecretNotFound

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_KIND = "anomaly"


@app.command(name="list")
def list_(
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Only what nobody has acknowledged.")
    ] = False,
    rule: Annotated[str, typer.Option(help="Only of this rule, such as burst.")] = "",
    limit: Annotated[int, typer.Option(help="How many at the most.")] = 100,
) -> None:
    """Show unusual reads that were told of, newest first."""
    at = state()
    kind = f"{_KIND}.{rule}" if rule else _KIND
    with at.open() as store:
        found = store.notices.list(at.who(), kinds=[kind], fresh=fresh, limit=limit)
    show_notices(found, "no alerts")


@app.command(name="show")
def show(alert: Annotated[str, typer.Argument(help="The alert's id.")]) -> None:
    """Show one alert; its record is in 'adyton audit log'."""
    at = state()
    with at.open() as store:
        info = store.notices.get(at.who(), alert)
    if not info.kind.startswith(f"{_KIND}."):
        raise SecretNotFound("there is no such alert", hint="See 'adyton notice show'.")
    show_notice(info)


@app.command(name="ack")
def ack(
    alerts: Annotated[list[str] | None, typer.Argument(help="The alerts' ids.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that nobody has seen.")] = False,
) -> None:
    """Say that alerts were seen."""
    if every == bool(alerts):
        raise InvalidInput("ack takes ids of alerts, or --all")
    at = state()
    with at.open() as store:
        wanted = alerts or [
            info.id for info in store.notices.list(at.who(), kinds=[_KIND], fresh=True, limit=800)
        ]
        count = store.notices.acknowledge(at.who(), wanted) if wanted else 0
    if at.ui.json:
        at.ui.document({"acknowledged": count})
    else:
        at.ui.done(f"{count} acknowledged")


@app.command(name="mute")
def mute(
    rule: Annotated[
        str, typer.Option(help="new-actor, new-network, burst, unusual-hour; all by default.")
    ] = "",
    secret: Annotated[
        str, typer.Option(help="A secret, or a folder with its slash; all by default.")
    ] = "",
    actor: Annotated[str, typer.Option(help="Who reads, as alerts name it.")] = "",
    until: Annotated[str, typer.Option(help="When it ends, such as 2026-12-31T00:00Z.")] = "",
    note: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Tell nothing of some reads from now on."""
    at = state()
    ends = parse_expiry(until or "never") or None
    with at.open() as store:
        info = store.alerts.mute(
            at.who(), rule=rule, secret=secret, actor=actor, until=ends, note=note
        )
    if at.ui.json:
        at.ui.document(info._asdict())
    else:
        at.ui.done(f"muted; 'adyton alert unmute {info.id}' ends it")


@app.command(name="unmute")
def unmute(mute: Annotated[str, typer.Argument(help="The mute's id.")]) -> None:
    """End a mute."""
    at = state()
    with at.open() as store:
        store.alerts.unmute(at.who(), mute)
    at.ui.done("told of again")


@app.command(name="settings")
def settings(
    sensitivity: Annotated[
        str, typer.Option(help="Set it: off, low, medium, high, or default.")
    ] = "",
) -> None:
    """Show how closely a user's reads are looked at, or set it."""
    at = state()
    with at.open() as store:
        if sensitivity:
            level = None if sensitivity == "default" else sensitivity
            store.alerts.set_sensitivity(at.who(), level)
        found = store.alerts.settings(at.who())
    if at.ui.json:
        at.ui.document(found._asdict() | {"mutes": [mute._asdict() for mute in found.mutes]})
        return
    own = "the user's own" if found.own else "as configured"
    rows = [
        ("sensitivity", f"{found.sensitivity}, {own}"),
        ("known secrets", str(found.secrets)),
        ("known actors", str(found.actors)),
        ("since", f"{moment(found.since)} UTC" if found.since else "-"),
    ]
    for one in found.mutes:
        what = " ".join(part for part in (one.rule, one.secret, one.actor) if part)
        ends = f" until {moment(one.until)} UTC" if one.until else ""
        rows.append((f"muted: {one.id}", f"{what}{ends} {one.note}".rstrip()))
    at.ui.table(("FIELD", "VALUE"), rows, "nothing")


@app.command(name="scan")
def scan() -> None:
    """Look at a user's new records now; a server does so by itself."""
    at = state()
    with at.open() as store:
        report = store.alerts.scan(at.who())
    if at.ui.json:
        at.ui.document(report._asdict())
    else:
        at.ui.done(f"{count(report.reads, 'read')} looked at, {report.alerts} told of")
