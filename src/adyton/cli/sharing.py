"""Commands on shares between users."""

from typing import Annotated

import typer

from adyton.cli.secrets import parse_expiry
from adyton.cli.state import State, state
from adyton.cli.ui import count, moment
from adyton.cli.values import AsJson, Cas, ContentType, KeepNewline, ValueFile, given_value
from adyton.exchange import ShareInfo

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The share's id.")]


Version = Annotated[int | None, typer.Option("--version", "-V", help="One version alone.")]
Expires = Annotated[
    str | None, typer.Option("--expires", help="When it ends: a time, or a span as in 7d.")
]
Write = Annotated[
    bool, typer.Option("--write", help="The receiver may write, and add secrets to a folder.")
]
Delete = Annotated[bool, typer.Option("--delete", help="The receiver may delete too.")]
Reshare = Annotated[
    int, typer.Option("--reshare", help="Over how many hands it may be passed on, up to 5.")
]
Reshares = Annotated[
    int, typer.Option("--reshares", help="How many shares may come of it, with --reshare.")
]
InShare = Annotated[
    str | None, typer.Argument(help="Which secret of a folder; not needed for a single one.")
]


@app.command(name="create")
def create(
    name: Annotated[str, typer.Argument(help="A secret, or a folder with a slash at its end.")],
    receiver: Annotated[str, typer.Option("--with", help="The user who is to have it.")],
    version: Version = None,
    expires: Expires = None,
    write: Write = False,
    delete: Delete = False,
    reshare: Reshare = 0,
    reshares: Reshares = 10,
) -> None:
    """Offer another user a secret or a folder of --user."""
    at = state()
    ends = parse_expiry(expires) or None
    with at.open() as store:
        made = store.shares.create(
            at.who(), receiver, name, version=version, expires_at=ends, write=write,
            delete=delete, reshare=reshare, reshares=reshares,
        )  # fmt: skip
    _offered(at, made)


@app.command(name="pass")
def pass_on(
    share: Id,
    receiver: Annotated[str, typer.Option("--with", help="The user who is to have it.")],
    name: Annotated[
        str | None, typer.Argument(help="A secret or folder in it; all of it by default.")
    ] = None,
    version: Version = None,
    expires: Expires = None,
    write: Write = False,
    delete: Delete = False,
    reshare: Reshare = 0,
    reshares: Reshares = 10,
) -> None:
    """Offer another user what --user was given by a share that may be passed on."""
    at = state()
    ends = parse_expiry(expires) or None
    with at.open() as store:
        made = store.shares.pass_on(
            at.who(), share, receiver, name, version=version, expires_at=ends, write=write,
            delete=delete, reshare=reshare, reshares=reshares,
        )  # fmt: skip
    _offered(at, made)


def _offered(at: State, made: ShareInfo) -> None:
    if at.ui.json:
        at.ui.document(made._asdict())
    else:
        at.ui.done(f"offered as {made.id}; it can be read once it was accepted")


@app.command(name="list")
def list_(
    given: Annotated[bool, typer.Option("--given", help="Those given, not received.")] = False,
    passed: Annotated[bool, typer.Option("--passed", help="Those passed on.")] = False,
) -> None:
    """Show what others share with --user, or what is shared of --user's or passed on by --user."""
    at = state()
    with at.open() as store:
        if given:
            found = store.shares.given(at.who())
        elif passed:
            found = store.shares.passed(at.who())
        else:
            found = store.shares.received(at.who())
    if at.ui.json:
        at.ui.document([info._asdict() for info in found])
        return
    side = "WITH" if given or passed else "FROM"
    rows = [
        (
            info.id, info.receiver if given or passed else info.owner, info.name,
            str(info.version or "current"), _allows(info), moment(info.expires_at), info.answer,
            info.by, info.parent,
        )
        for info in found
    ]  # fmt: skip
    columns = ("ID", side, "NAME", "VERSION", "ALLOWS", "ENDS (UTC)", "ANSWER", "BY", "OF")
    others = "" if given or passed else "; 'adyton share list --given' shows what --user shares"
    at.ui.table(columns, rows, f"no shares{others}")


def _allows(info: ShareInfo) -> str:
    """What a share allows, as words."""
    words = ["read"]
    words += ["write"] if info.write else []
    words += ["delete"] if info.delete else []
    words += [f"reshare {info.reshare}"] if info.reshare else []
    return " ".join(words)


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
    """End a share that --user has given or passed on, and all that came of it, at once."""
    at = state()
    with at.open() as store:
        done = store.shares.revoke(at.who(), share, rotate=rotate)
    if at.ui.json:
        at.ui.document({"reencrypted": done})
    else:
        at.ui.done(f"revoked; {count(done, 'version')} re-encrypted" if rotate else "revoked")


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
    name: InShare = None,
) -> None:
    """Write the value of a shared secret to standard output."""
    at = state()
    with (
        at.open() as store,
        store.shares.get(at.who(), share, name) as found,
        found.value.borrow() as view,
    ):
        at.ui.raw(view)


@app.command(name="set")
def set_(
    share: Id,
    name: InShare = None,
    file: ValueFile = None,
    as_json: AsJson = False,
    keep_newline: KeepNewline = False,
    content_type: ContentType = None,
    cas: Cas = None,
) -> None:
    """Write a new version of a shared secret: from a prompt, standard input or a file."""
    at = state()
    with (
        given_value(file, content_type, as_json=as_json, keep_newline=keep_newline) as value,
        at.open() as store,
    ):
        version = store.shares.set(at.who(), share, value, name, content_type=content_type, cas=cas)
    _changed(at, "wrote", version)


@app.command(name="delete")
def delete_(share: Id, name: InShare = None, cas: Cas = None) -> None:
    """Delete the current version of a shared secret; its owner can bring it back."""
    at = state()
    with at.open() as store:
        version = store.shares.delete(at.who(), share, name, cas=cas)
    _changed(at, "deleted", version)


def _changed(at: State, done: str, version: int) -> None:
    if at.ui.json:
        at.ui.document({"version": version})
    else:
        at.ui.done(f"{done} version {version}")
