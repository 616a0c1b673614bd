"""Commands on grants: rights of members on folders and secrets."""

from typing import Annotated

import typer

from adyton.cli.secrets import parse_expiry
from adyton.cli.state import state
from adyton.cli.ui import moment
from adyton.grantvalues import RIGHTS, Conditions, GrantInfo, described, document

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The grant's id.")]


@app.command(name="add")
def add(
    member: Annotated[str, typer.Argument(help="Who is to have it.")],
    path: Annotated[
        str, typer.Argument(help="A secret, a folder with a slash at its end, or / for all.")
    ],
    role: Annotated[str, typer.Option("--role", help="viewer, editor, operator, auditor.")] = "",
    right: Annotated[
        list[str] | None,
        typer.Option("--right", help=f"Instead of a role: {', '.join(RIGHTS)}; may be repeated."),
    ] = None,
    deny: Annotated[
        bool, typer.Option("--deny", help="Take the rights away, whatever else gives them.")
    ] = False,
    expires: Annotated[
        str | None, typer.Option("--expires", help="When it ends: a time, or a span as in 7d.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option("--from", help="Only from this network, as in 10.0.0.0/8; may be repeated."),
    ] = None,
    window: Annotated[
        str, typer.Option("--window", help="Only in these hours, as in 'mon-fri 08:00-18:00'.")
    ] = "",
    timezone: Annotated[str, typer.Option("--timezone", help="Time zone of --window.")] = "UTC",
    reads: Annotated[int, typer.Option("--reads", help="Only so many reads, ever.")] = 0,
    approval: Annotated[
        list[str] | None,
        typer.Option(
            "--approval",
            help="Only with a second person's approval for this folder or secret (/ for all of "
            "it); may be repeated.",
        ),
    ] = None,
) -> None:
    """Give a member of --user rights, by a role or one by one."""
    at = state()
    ends = parse_expiry(expires) or None
    conditions = Conditions(tuple(network or ()), window, timezone, reads, tuple(approval or ()))
    with at.open() as store:
        made = store.access.grant(
            at.who(), member, path, role=role, rights=right or (), deny=deny, expires_at=ends,
            conditions=conditions,
        )  # fmt: skip
    if at.ui.json:
        at.ui.document(document(made))
    else:
        at.ui.done(f"grant {made.id}: {', '.join(made.rights)}")


@app.command(name="list")
def list_(
    member: Annotated[str, typer.Option("--member", help="Of this member.")] = "",
    path: Annotated[str, typer.Option("--path", help="That cover this secret or folder.")] = "",
    ends: Annotated[
        str | None, typer.Option("--ends-before", help="That end before a time, or in a span.")
    ] = None,
) -> None:
    """Show what members of --user were given."""
    at = state()
    before = parse_expiry(ends) or None
    with at.open() as store:
        found = store.access.grants(at.who(), member=member, path=path, before=before)
    if at.ui.json:
        at.ui.document([document(info) for info in found])
    else:
        table(found)


@app.command(name="revoke")
def revoke(grant: Id) -> None:
    """Take a grant back, at once."""
    at = state()
    with at.open() as store:
        store.access.revoke(at.who(), grant)
    at.ui.done("revoked")


def table(found: list[GrantInfo]) -> None:
    """Show grants."""
    state().ui.table(
        ("ID", "MEMBER", "PATH", "GIVES", "ENDS (UTC)", "CONDITIONS"),
        [
            (
                info.id, info.member, info.path, _gives(info), moment(info.expires_at),
                described(info.conditions),
            )
            for info in found
        ],
        "no grants; give one with 'adyton grant add'",
    )  # fmt: skip


def _gives(info: GrantInfo) -> str:
    what = info.role or ", ".join(info.rights)
    return f"denies {what}" if info.deny else what
