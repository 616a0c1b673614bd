"""Commands on leases of dynamic credentials."""

import datetime as dt
from typing import Annotated

import typer
from rich.text import Text

from adyton.cli.durations import seconds
from adyton.cli.state import state
from adyton.cli.ui import count, moment
from adyton.errors import InvalidInput, LeaseError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

LeaseId = Annotated[str, typer.Argument(metavar="LEASE", help="The lease.")]
_STYLES = {"live": "", "issuing": "yellow", "revoking": "red"}


@app.command(name="list")
def list_(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="Of this role alone.")] = "",
) -> None:
    """Show leases, the newest last."""
    at = state()
    with at.open() as store:
        found = store.dynamic.leases(at.who(), role)
    if at.ui.json:
        at.ui.document([info._asdict() for info in found])
        return
    now = dt.datetime.now(dt.UTC)
    at.ui.table(
        ("LEASE", "USERNAME", "STATE", "ENDS (UTC)", "ERROR"),
        [
            (
                info.id,
                info.username,
                Text(info.state, _STYLES.get(info.state, "")),
                Text(
                    moment(info.expires_at),
                    "red" if info.expires_at < now else "",
                ),
                Text(info.error, "red"),
            )
            for info in found
        ],
        "no leases",
    )


@app.command(name="show")
def show(lease: LeaseId) -> None:
    """Show one lease."""
    at = state()
    with at.open() as store:
        info = store.dynamic.lease(at.who(), lease)
    facts = info._asdict()
    if at.ui.json:
        at.ui.document(facts)
        return
    rows = [
        (key, f"{moment(value)} UTC" if isinstance(value, dt.datetime) else str(value))
        for key, value in facts.items()
        if value
    ]
    at.ui.table(("FIELD", "VALUE"), rows, "nothing")


@app.command(name="renew")
def renew(
    lease: LeaseId,
    ttl: Annotated[str, typer.Option(help="How long from now on, such as 15m.")] = "",
) -> None:
    """Let credentials work longer."""
    at = state()
    with at.open() as store:
        info = store.dynamic.renew(at.who(), lease, seconds(ttl, "--ttl"))
    if at.ui.json:
        at.ui.document(info._asdict())
    else:
        at.ui.done(f"{lease} ends {moment(info.expires_at)} UTC")


@app.command(name="revoke")
def revoke(
    lease: Annotated[str, typer.Argument(metavar="LEASE", help="The lease.")] = "",
    role: Annotated[str, typer.Option(help="All of a role instead.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="All of the user's instead.")] = False,
    due: Annotated[
        bool, typer.Option("--due", help="All that has ended instead, of every user.")
    ] = False,
    force: Annotated[
        bool, typer.Option(help="Forget them whether they can be revoked or not.")
    ] = False,
) -> None:
    """End credentials now, with the sessions that are open by them."""
    if bool(lease) + bool(role) + everything + due != 1 or (due and force):
        raise InvalidInput("revoke takes a lease, --role ROLE, --all, or --due")
    at = state()
    if due:
        _revoke_due()
        return
    if lease:
        with at.open() as store:
            store.dynamic.revoke(at.who(), lease, force=force)
        at.ui.done(f"{lease} is ended")
        return
    with at.open() as store:
        done = store.dynamic.revoke_all(at.who(), role, force=force)
    if at.ui.json:
        at.ui.document(done._asdict())
    else:
        at.ui.done(f"{count(done.revoked, 'lease')} ended")
    if done.failed:
        raise LeaseError(
            f"{count(done.failed, 'lease')} could not be ended yet",
            hint="It is tried again; 'adyton lease list' tells why.",
        )


def _revoke_due() -> None:
    at = state()
    with at.open() as store:
        report = store.dynamic.revoke_due()
    if at.ui.json:
        at.ui.document(report._asdict())
    else:
        at.ui.done(f"{report.taken} were due: {report.done} done, {report.failed} failed")
    if report.failed:
        at.ui.warn("see 'adyton lease list' for what failed; it is tried again")
