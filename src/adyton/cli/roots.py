"""Commands on the roots that open a store: show, test, add, remove, migrate."""

from typing import TYPE_CHECKING, Annotated

import typer

from adyton.cli.handing import SharesDir, check_folder, hand_out
from adyton.cli.state import State, Yes, state
from adyton.cli.ui import moment
from adyton.errors import AccessDenied, ConfigurationError, RootError, RootLocked, StoreNotFound
from adyton.rootvalues import RootAdded, RootInfo, RootTested

if TYPE_CHECKING:
    from adyton.crypto.secretbytes import SecretBytes

Uri = Annotated[str, typer.Argument(help="The root, such as keyfile:/etc/adyton/other.key.")]
Ask = Annotated[
    bool,
    typer.Option("--ask", help="Ask for a passphrase or PIN here, and send it to the server."),
]
Slot = Annotated[int, typer.Argument(help="Its number in 'adyton root show'.")]


def register(root: typer.Typer) -> None:
    """Add the commands to those of the root."""
    root.command(name="show")(show)
    root.command(name="test")(try_out)
    root.command(name="add")(add)
    root.command(name="remove")(remove)
    root.command(name="migrate")(migrate)


def show(
    ask: Annotated[
        bool, typer.Option("--ask", help="Ask for shares or a passphrase, to open the store.")
    ] = False,
) -> None:
    """Show the roots of the store: which there are, which one has opened it, when one was tested.

    Where the store does not open, or the token may not see more, only the kinds are shown.
    """
    at = state()
    try:
        store = at.client() if at.addr else at.local(ask=at.ask if ask else _nobody)
        with store:
            _show(at, store.roots.list())
    except (AccessDenied, ConfigurationError, RootError) as error:
        at.ui.warn(f"only kinds are shown: {error.message}")
        _show_kinds(at)


def _nobody(_: str) -> "SecretBytes":
    raise RootLocked("nobody was asked to open the store", hint="Give --ask.")


def _show(at: State, found: list[RootInfo]) -> None:
    if at.ui.json:
        at.ui.document([info._asdict() for info in found])
        return
    rows = []
    for info in found:
        what = [f"{key} {value}" for key, value in info.described.items() if key != "kind"]
        here = "opened the store" if info.opened else "at hand" if info.at_hand else "-"
        dates = [moment(at_) if at_ else "-" for at_ in (info.added_at, info.tested_at)]
        rows.append((str(info.slot), info.kind, ", ".join(what) or "-", here, *dates))
    at.ui.table(("SLOT", "ROOT", "WHAT", "NOW", "ADDED (UTC)", "TESTED (UTC)"), rows, "no root")
    if sum(info.kind == "shamir" for info in found) > 1:
        at.ui.note("the older shares end when the newest have opened the store once")


def _show_kinds(at: State) -> None:
    if at.addr:
        with at.client(token="") as client:
            status = client.status()
        rows = [(status.root, str(status.shares or "-"), "-")]
    else:
        from adyton.wiring import look  # noqa: PLC0415 - loaded on use

        known = look(at.options("cli"))
        if not known.exists:
            raise StoreNotFound("there is no store at that path", hint="Make one: adyton init.")
        rows = [(kind, "-", "-") for kind in dict.fromkeys(known.kinds) if kind != "shamir"]
        rows += [("shamir", str(each.threshold), str(each.total)) for each in known.sets]
    if at.ui.json:
        at.ui.document([dict(zip(("kind", "needed", "shares"), row, strict=True)) for row in rows])
        return
    at.ui.table(("ROOT", "NEEDED", "SHARES"), rows, "no root")


def try_out(
    uri: Annotated[str, typer.Argument(help="The root; without one, all that are at hand.")] = "",
    ask: Ask = False,
) -> None:
    """Let a root open the master key as it is stored, and tell how long it took."""
    at = state()
    if at.addr:
        with at.client() as client:
            found = client.roots.test(uri or None, secret=_secret(at, uri, ask, twice=False))
    else:
        with at.local() as store:
            found = store.roots.test(uri or None, ask=at.asking(uri))
    _tell(at, found)


def _tell(at: State, found: list[RootTested]) -> None:
    if at.ui.json:
        at.ui.document([tested._asdict() for tested in found])
        return
    rows = [(str(each.slot), each.kind, f"{each.seconds * 1_000:.1f} ms") for each in found]
    at.ui.table(("SLOT", "ROOT", "OPENED THE MASTER KEY IN"), rows, "no root")


def add(uri: Uri, ask: Ask = False, folder: SharesDir = None) -> None:
    """Let one more root open the store; any one of them does. shamir:3/5 makes new shares."""
    at = state()
    check_folder(folder)
    if at.addr:
        with at.client() as client:
            made = client.roots.add(uri, secret=_secret(at, uri, ask, twice=True))
    else:
        with at.local() as store:
            made = store.roots.add(uri, ask=at.asking(uri))
    shares = []
    if made.shares:
        needed = int(uri.partition(":")[2].partition("/")[0])
        shares = hand_out(at.ui, made.shares, needed, folder)
    if at.ui.json:
        at.ui.document({"slot": made.slot, "shares": shares})
    else:
        at.ui.done(f"the root in slot {made.slot} opens the store too")


def remove(slot: Slot, yes: Yes = False) -> None:
    """Let a root not open the store any more; another one has to open it first."""
    at = state()
    at.ui.confirm(f"the root in slot {slot} will not open this store any more;", yes=yes)
    with at.open() as store:
        store.roots.remove(slot)
    if at.ui.json:
        at.ui.document({"removed": slot})
        return
    at.ui.done(f"the root in slot {slot} does not open the store any more")
    _warn_of_backups(at)


def migrate(
    uri: Uri,
    ask: Ask = False,
    slot: Annotated[
        int | None,
        typer.Option("--slot", help="The root to remove; by default the one that opened it."),
    ] = None,
) -> None:
    """Move to another root: add it, let it open what was stored, remove the old one."""
    at = state()
    made: RootAdded
    if at.addr:
        with at.client() as client:
            made = client.roots.migrate(uri, slot=slot, secret=_secret(at, uri, ask, twice=True))
    else:
        with at.local() as store:
            made = store.roots.migrate(uri, slot=slot, ask=at.asking(uri))
    if at.ui.json:
        at.ui.document({"slot": made.slot, "removed": made.removed})
        return
    at.ui.done(f"the root in slot {made.slot} has taken the place of the one in {made.removed}")
    at.ui.warn("name the new root in the configuration: the next start opens the store by it")
    _warn_of_backups(at)


def _warn_of_backups(at: State) -> None:
    at.ui.note("it still opens older backups; 'adyton keys rotate --master' makes a new master key")


def _secret(at: State, uri: str, ask: bool, *, twice: bool) -> "SecretBytes | None":
    """What a server's root asks a person for, asked here."""
    if not ask and uri != "passphrase:":
        return None
    ask_for = at.ui.ask_secret_twice if twice else at.ui.ask_secret
    return ask_for("Passphrase or PIN of the root")
