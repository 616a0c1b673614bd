"""Commands on members of a namespace, and on roles."""

from typing import Annotated

import typer

from adyton.cli.durations import seconds
from adyton.cli.state import OutFile, Yes, state, write_secret_line
from adyton.cli.ui import moment
from adyton.grantvalues import RIGHTS, MemberInfo, MemberKind, document

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
roles = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="The member.")]
Role = Annotated[str, typer.Argument(help="The role.")]


@app.command(name="add")
def add(
    name: Name,
    machine: Annotated[bool, typer.Option("--machine", help="A machine, not a person.")] = False,
    other: Annotated[
        str, typer.Option("--is-user", help="Another user, who acts by tokens of their own.")
    ] = "",
    login: Annotated[
        list[str] | None,
        typer.Option("--login", help="A login that is the member's, MOUNT:NAME; may be repeated."),
    ] = None,
) -> None:
    """Let somebody into the namespace of --user; without grants it may do nothing there."""
    at = state()
    kind: MemberKind = "user" if other else "machine" if machine else "person"
    with at.open() as store:
        made = store.members.add(at.who(), name, kind=kind, other=other, logins=login or ())
    if at.ui.json:
        at.ui.document(document(made))
    else:
        at.ui.done(f"{made.name} is a member; give rights with 'adyton grant add'")


@app.command(name="list")
def list_() -> None:
    """Show all members."""
    at = state()
    with at.open() as store:
        found = store.members.list(at.who())
    if at.ui.json:
        at.ui.document([document(info) for info in found])
        return
    at.ui.table(
        ("MEMBER", "KIND", "LOGS IN AS", "SINCE (UTC)", "GRANTS"),
        [
            (info.name, info.kind, _logins(info), moment(info.created_at), str(info.grants))
            for info in found
        ],
        "no members; add one with 'adyton member add'",
    )


@app.command(name="show")
def show(name: Name) -> None:
    """Show a member and its grants."""
    from adyton.cli.grants import table  # noqa: PLC0415 - both name each other

    at = state()
    with at.open() as store:
        info = store.members.get(at.who(), name)
        found = store.access.grants(at.who(), member=name)
    if at.ui.json:
        at.ui.document(document(info) | {"grants": [document(grant) for grant in found]})
        return
    at.ui.line(f"{info.name}: {info.kind}, {_logins(info)}, since {moment(info.created_at)} UTC")
    table(found)


@app.command(name="remove")
def remove(name: Name, yes: Yes = False) -> None:
    """Put a member out, with all grants."""
    at = state()
    at.ui.confirm("the member's grants end at once;", yes=yes)
    with at.open() as store:
        store.members.remove(at.who(), name)
    at.ui.done("removed")


@app.command(name="token")
def token(
    name: Name,
    ttl: Annotated[str, typer.Option("--ttl", help="How long it lasts, as in 1h.")] = "",
    out: OutFile = None,
) -> None:
    """Make a token by which a member acts at a server, and write it to standard output."""
    at = state()
    with at.client() as client:
        made = client.members.token(at.who(), name, seconds=seconds(ttl, "--ttl"))
    if at.ui.json:
        shown = {"accessor": made.accessor, "ttl": made.ttl}
        at.ui.document(shown | ({"token": made.token} if out is None else {}))
    elif out is None:
        write_secret_line(made.token, None)
    if out is not None:
        write_secret_line(made.token, out)
    at.ui.note(f"accessor {made.accessor}")


@roles.command(name="list")
def list_roles() -> None:
    """Show the built-in roles and those of --user."""
    at = state()
    with at.open() as store:
        found = store.members.roles(at.who())
    if at.ui.json:
        at.ui.document([document(info) for info in found])
        return
    at.ui.table(
        ("ROLE", "RIGHTS", "BUILT IN"),
        [(info.name, ", ".join(info.rights), "yes" if info.built_in else "") for info in found],
        "no roles",
    )


@roles.command(name="set")
def set_role(
    name: Role,
    right: Annotated[
        list[str], typer.Option("--right", help=f"{', '.join(RIGHTS)}; may be repeated.")
    ],
) -> None:
    """Make a role, or change it: grants that give it follow at once."""
    at = state()
    with at.open() as store:
        made = store.members.set_role(at.who(), name, right)
    if at.ui.json:
        at.ui.document(document(made))
    else:
        at.ui.done(f"{made.name} is {', '.join(made.rights)}")


@roles.command(name="remove")
def remove_role(name: Role) -> None:
    """Remove a role that no grant gives."""
    at = state()
    with at.open() as store:
        store.members.remove_role(at.who(), name)
    at.ui.done("removed")


def _logins(info: MemberInfo) -> str:
    return f"user {info.user}" if info.user else ", ".join(info.logins) or "tokens"
