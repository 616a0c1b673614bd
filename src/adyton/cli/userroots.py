"""Commands on a user's own root: set, give, take, show, change, add, drop, remove.

Roots are opened here, beside the person who holds them; a server never sees more than a key of 32
bytes, for a time.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from adyton.cli.links import in_seconds
from adyton.cli.state import State, Yes, state
from adyton.cli.ui import moment
from adyton.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from adyton.crypto.secretbytes import SecretBytes
    from adyton.ports import RootOfTrust
    from adyton.userroots import UserRootInfo

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_LOST = (
    "if it is lost, and all that --recovery names, the user's secrets are lost for good: nobody "
    "else can open them, and no backup helps"
)

Uri = Annotated[
    str, typer.Argument(help="The user's root, such as age:identity=FILE or passphrase:.")
]
Recovery = Annotated[
    list[str] | None,
    typer.Option("--recovery", help="Another root that opens them too; may be repeated."),
]
For = Annotated[str, typer.Option("--for", help="How long it is given, as in 30m or 8h.")]


def asking(at: State) -> "Callable[[str], SecretBytes]":
    """Asks a person for what a user's root needs."""
    return lambda prompt: at.ui.ask_secret(prompt.replace("the master key", "the user's own root"))


def _opened(at: State, uri: str, *, create: bool = False) -> "RootOfTrust":
    from adyton.roots import keep_variables, open_root  # noqa: PLC0415 - loaded on use

    keep_variables()  # several roots of one command may take the same one
    return open_root(uri, create=create, ask=asking(at))


@app.command(name="show")
def show() -> None:
    """Show the own root of --user: what opens it, and whether it is given."""
    at = state()
    with at.open() as store:
        _show(at, store.user_roots.show(at.who()))


def _show(at: State, info: "UserRootInfo") -> None:
    if at.ui.json:
        roots = [
            {
                "slot": one.slot,
                "kind": one.kind,
                "described": one.described,
                "added_at": one.added_at,
            }
            for one in info.roots
        ]
        at.ui.document(
            {
                "user": info.user,
                "root": info.root.hex(),
                "roots": roots,
                "given": info.given,
                "until": info.until,
                "set_at": info.set_at,
                "pending": info.pending,
                "revision": info.revision,
            }
        )
        return
    if not info.root:
        at.ui.note("the user has no root of their own: the store's master key opens the secrets")
        return
    rows = []
    for one in info.roots:
        what = [f"{key} {value}" for key, value in one.described.items() if key != "kind"]
        added = moment(one.added_at) if one.added_at else "-"
        rows.append((str(one.slot), one.kind, ", ".join(what) or "-", added))
    at.ui.table(("SLOT", "ROOT", "WHAT", "ADDED (UTC)"), rows, "a key that the user holds")
    _tell(at, info)
    if info.pending:
        at.ui.note("data from before the root was set is being encrypted anew")


def _tell(at: State, info: "UserRootInfo") -> None:
    if info.until:
        at.ui.note(f"it is given until {moment(info.until)} UTC")
    else:
        at.ui.note("it is away: nothing of this user opens")


@app.command(name="set")
def set_(uri: Uri, recovery: Recovery = None, lasting: For = "1h", yes: Yes = False) -> None:
    """Close the secrets of --user by a root that the user holds."""
    at = state()
    user = at.who()
    seconds = in_seconds(lasting)
    if not recovery:
        at.ui.warn("there is no --recovery: one lost root loses everything")
    at.ui.confirm(f"{_LOST};", yes=yes)
    roots = [_opened(at, each, create=True) for each in (uri, *(recovery or ()))]
    with at.open() as store:
        info = store.user_roots.set(user, roots[0], recovery=roots[1:], seconds=seconds)
    _done(at, info, "the user's secrets open by the user's own root alone")


@app.command(name="give")
def give(uri: Uri, lasting: For = "1h") -> None:
    """Let a server open the secrets of --user for a time.

    A store without a server is open for the length of a command: there --user-root gives it.
    """
    at = state()
    if not at.addr:
        raise InvalidInput(
            "a root is given to a server; a command on a store itself has it only while it runs",
            hint="Name it there by --user-root URI, or name a server by --addr.",
        )
    root = _opened(at, uri)
    with at.open() as store:
        info = store.user_roots.give(at.who(), root, seconds=in_seconds(lasting))
    _done(at, info, "given")


@app.command(name="take")
def take() -> None:
    """Take the root of --user away from a server, at once."""
    at = state()
    with at.open() as store:
        taken = store.user_roots.take(at.who())
    if at.ui.json:
        at.ui.document({"taken": taken})
        return
    at.ui.done("taken away: nothing of this user opens" if taken else "it was away already")


@app.command(name="change")
def change(
    uri: Uri,
    new: Annotated[str, typer.Argument(help="The root that takes its place.")],
    recovery: Recovery = None,
    lasting: For = "1h",
    yes: Yes = False,
) -> None:
    """Close the secrets of --user by another root; the former ones open nothing any more."""
    at = state()
    at.ui.confirm(f"{_LOST};", yes=yes)
    root = _opened(at, uri)
    roots = [_opened(at, each, create=True) for each in (new, *(recovery or ()))]
    with at.open() as store:
        info = store.user_roots.change(
            at.who(), root, roots[0], recovery=roots[1:], seconds=in_seconds(lasting)
        )
    _done(at, info, "the former roots open nothing any more")


@app.command(name="add")
def add(
    uri: Uri, new: Annotated[str, typer.Argument(help="The root that is to open them too.")]
) -> None:
    """Let one more root open the secrets of --user, as for recovery."""
    at = state()
    root, other = _opened(at, uri), _opened(at, new, create=True)
    with at.open() as store:
        info = store.user_roots.add(at.who(), root, other)
    _done(at, info, f"{len(info.roots)} roots open them, each alone")


@app.command(name="drop")
def drop(
    uri: Uri,
    slot: Annotated[int, typer.Argument(help="Its number in 'adyton user root show'.")],
    yes: Yes = False,
) -> None:
    """Let one of several roots not open the secrets of --user any more."""
    at = state()
    at.ui.confirm(f"the root in slot {slot} will not open them any more;", yes=yes)
    root = _opened(at, uri)
    with at.open() as store:
        info = store.user_roots.drop(at.who(), root, slot)
    _done(at, info, f"the root in slot {slot} does not open them any more")


@app.command(name="remove")
def remove(uri: Uri, yes: Yes = False) -> None:
    """Have the store's master key alone open the secrets of --user again."""
    at = state()
    at.ui.confirm("whoever opens the store will open the user's secrets again;", yes=yes)
    root = _opened(at, uri)
    with at.open() as store:
        store.user_roots.remove(at.who(), root)
    if at.ui.json:
        at.ui.document({"removed": True})
        return
    at.ui.done("the store's master key opens the user's secrets")


def _done(at: State, info: "UserRootInfo", text: str) -> None:
    if at.ui.json:
        _show(at, info)
        return
    at.ui.done(text)
    _tell(at, info)
