"""Commands on dynamic credentials: where they are made, what kinds there are, making some."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from adyton.cli.durations import pairs, seconds
from adyton.cli.state import state
from adyton.cli.ui import moment
from adyton.dynamicvalues import Connection, DynamicRole
from adyton.errors import InvalidInput
from adyton.lifecyclevalues import duration_text

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

ConnectionName = Annotated[str, typer.Argument(metavar="NAME", help="The connection.")]
RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="The dynamic role.")]
Statements = list[str] | None


@app.command(name="set-connection")
def set_connection(
    name: ConnectionName,
    admin: Annotated[str, typer.Option(help="Name of the secret that lets the issuer in.")] = "",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Setting of the issuer, KEY=VALUE: host, port, database."),
    ] = None,
    issuer: Annotated[str, typer.Option(help="What makes credentials.")] = "postgresql",
    allow: Annotated[
        list[str] | None, typer.Option("--allow", help="A role that may use it; all by default.")
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify/--no-verify", help="Whether to log in first.")
    ] = True,
) -> None:
    """Write where credentials are made."""
    connection = Connection(
        issuer=issuer,
        settings=pairs(setting, "--set"),
        admin=admin,
        allowed_roles=allow or ["*"],
    )
    at = state()
    with at.open() as store:
        store.dynamic.set_connection(at.who(), name, connection, verify=verify)
    at.ui.done(f"{name} is where credentials can be made")


@app.command(name="connections")
def connections() -> None:
    """Show where credentials are made."""
    at = state()
    with at.open() as store:
        found = store.dynamic.connections(at.who())
    if at.ui.json:
        at.ui.document([{"name": name} | _members(each) for name, each in found.items()])
        return
    at.ui.table(
        ("CONNECTION", "ISSUER", "SETTINGS", "ADMIN", "ROLES"),
        [
            (
                name,
                each.issuer,
                " ".join(f"{key}={value}" for key, value in each.settings.items()),
                each.admin or "-",
                " ".join(each.allowed_roles),
            )
            for name, each in found.items()
        ],
        "no connections; make one with 'adyton dynamic set-connection'",
    )


@app.command(name="remove-connection")
def remove_connection(name: ConnectionName) -> None:
    """Forget a connection that no lease needs."""
    at = state()
    with at.open() as store:
        store.dynamic.remove_connection(at.who(), name)
    at.ui.done(f"{name} is forgotten")


@app.command(name="set-role")
def set_role(
    role: RoleName,
    connection: Annotated[str, typer.Option(help="Where its credentials are made.")],
    member: Annotated[
        list[str] | None,
        typer.Option("--member-of", help="A role of the database whose rights they get."),
    ] = None,
    creation: Annotated[
        Path | None, typer.Option(help="File of a statement that makes them.")
    ] = None,
    renewal: Annotated[
        Path | None, typer.Option(help="File of a statement to run at renewals.")
    ] = None,
    revocation: Annotated[
        Path | None, typer.Option(help="File of a statement that ends them.")
    ] = None,
    ttl: Annotated[str, typer.Option(help="How long they last, such as 15m.")] = "1h",
    max_ttl: Annotated[str, typer.Option(help="How long with all renewals.")] = "24h",
) -> None:
    """Write a kind of credentials."""
    new = DynamicRole(
        connection=connection,
        member_of=member or [],
        creation=_statement(creation, "--creation"),
        renewal=_statement(renewal, "--renewal"),
        revocation=_statement(revocation, "--revocation"),
        ttl=seconds(ttl, "--ttl"),
        max_ttl=seconds(max_ttl, "--max-ttl"),
    )
    at = state()
    with at.open() as store:
        store.dynamic.set_role(at.who(), role, new)
    at.ui.done(f"{role} can be issued")


@app.command(name="roles")
def roles() -> None:
    """Show the kinds of credentials."""
    at = state()
    with at.open() as store:
        found = store.dynamic.roles(at.who())
    if at.ui.json:
        at.ui.document([{"name": name} | _members(each) for name, each in found.items()])
        return
    at.ui.table(
        ("ROLE", "CONNECTION", "MEMBER OF", "TTL", "MAX TTL"),
        [
            (
                name,
                each.connection,
                " ".join(each.member_of),
                duration_text(each.ttl),
                duration_text(each.max_ttl),
            )
            for name, each in found.items()
        ],
        "no dynamic roles; make one with 'adyton dynamic set-role'",
    )


@app.command(name="remove-role")
def remove_role(role: RoleName) -> None:
    """Make no more credentials of a kind; those there are live to their end."""
    at = state()
    with at.open() as store:
        store.dynamic.remove_role(at.who(), role)
    at.ui.done(f"{role} is issued no more")


@app.command(name="issue")
def issue(
    role: RoleName,
    ttl: Annotated[str, typer.Option(help="How long they are to last, such as 15m.")] = "",
) -> None:
    """Make credentials. They are shown this once, and kept nowhere."""
    at = state()
    with at.open() as store, store.dynamic.issue(at.who(), role, seconds(ttl, "--ttl")) as made:
        lease, password = made.lease, made.password.text()
    if at.ui.json:
        at.ui.document({"lease": lease._asdict(), "username": lease.username, "password": password})
        return
    at.ui.card(
        "Credentials",
        (
            ("lease", lease.id),
            ("username", lease.username),
            ("password", password),
            ("until", f"{moment(lease.expires_at)} UTC"),
        ),
        "The password is kept nowhere. 'adyton lease renew' lets it work longer.",
    )


def _statement(path: Path | None, what: str) -> list[str]:
    if path is None:
        return []
    try:
        return [path.read_text("utf-8")]
    except (OSError, UnicodeDecodeError):
        raise InvalidInput(f"the file of {what} can't be read") from None


def _members(value: Connection | DynamicRole) -> dict[str, Any]:
    return msgspec.structs.asdict(value)
