"""Commands on shares between users."""

from typing import Annotated

import typer

from adyton.cli.secrets import parse_expiry
from adyton.cli.state import state
from adyton.cli.ui import moment

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The share's id.")]


@app.command(name="create")
def create(
    name: Annotated[str, typer.Argument(help="A secret, or a folder with a slash at its end.")],
    receiver: Annotated[str, typer.Option("--with", help="The user who is to read it.")],
    version: Annotated[
        int | None, typer.Option("--version", "-V", help="One version alone.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", help="When it ends: a time, or a span as in 7d.")
    ] = None,
) -> None:
    """Offer another user to read a secret or a folder of --user."""
    at = state()
    ends = parse_expiry(expires) or None
    with at.open() as store:
        made = store.shares.create(at.who(), receiver, name, version=version, expires_at=ends)
    if at.ui.json:
        at.ui.document(made._asdict())
    else:
        at.ui.done(f"offered as {made.id}; it can be read once it was accepted")


@app.command(name="list")
def list_(
    given: Annotated[bool, typer.Option("--given", help="Those given, not received.")] = False,
) -> None:
    """Show what others share with --user, or what --user shares with others."""
    at = state()
    with at.open() as store:
        found = store.shares.given(at.who()) if given else store.shares.received(at.who())
    if at.ui.json:
        at.ui.document([info._asdict() for info in found])
        return
    at.ui.table(
        ("ID", "WITH" if given else "FROM", "NAME", "VERSION", "ENDS (UTC)", "ANSWER"),
        [
            (
                info.id, info.receiver if given else info.owner, info.name,
                str(info.version or "current"), moment(info.expires_at), info.answer,
            )
            for info in found
        ],
        "no shares",
    )  # fmt: skip


@app.command(name="accept")
def accept(share: Id) -> None:
    """Take a share that was offered to --user."""
    at = state()
    with at.open() as store:
        store.shares.accept(at.who(), share)
    at.ui.done("accepted")


@app.command(name="refuse")
def refuse(share: Id) -> None:
    """Refuse a share that was offered to --user, or give it back."""
    at = state()
    with at.open() as store:
        store.shares.refuse(at.who(), share)
    at.ui.done("refused")


@app.command(name="revoke")
def revoke(
    share: Id,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Also re-encrypt what was shared, under new keys.")
    ] = False,
) -> None:
    """End a share that --user has given, at once."""
    at = state()
    with at.open() as store:
        count = store.shares.revoke(at.who(), share, rotate=rotate)
    if at.ui.json:
        at.ui.document({"reencrypted": count})
    else:
        at.ui.done(f"revoked; {count} versions re-encrypted" if rotate else "revoked")


@app.command(name="names")
def names(share: Id) -> None:
    """Show the names of the secrets in a share."""
    at = state()
    with at.open() as store:
        found = store.shares.names(at.who(), share)
    if at.ui.json:
        at.ui.document(found)
        return
    for name in found:
        at.ui.line(name)


@app.command(name="get")
def get(
    share: Id,
    name: Annotated[
        str | None, typer.Argument(help="Which secret of a folder; not needed for a single one.")
    ] = None,
) -> None:
    """Write the value of a shared secret to standard output."""
    at = state()
    with (
        at.open() as store,
        store.shares.get(at.who(), share, name) as found,
        found.value.borrow() as view,
    ):
        at.ui.raw(view)
