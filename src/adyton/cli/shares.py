"""Commands on the root of trust, and on shares: show, rekey, unseal, seal."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adyton.cli import measured, roots
from adyton.cli.handing import SharesDir, check_folder, hand_out
from adyton.cli.state import State, read_shares, state
from adyton.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from adyton.client import Client
    from adyton.crypto.secretbytes import SecretBytes
    from adyton.crypto.shares import Share

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_SEALED = 8
_MOST_WRONG = 5
Numbers = Annotated[
    str, typer.Option("--shares", help="How many are needed of how many there are, such as 3/5.")
]


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    measured.register(app)
    roots.register(app)
    parent.add_typer(app, name="root", help="The root of trust, and its shares.")
    parent.command(name="unseal")(unseal)
    parent.command(name="seal")(seal)


@app.command(name="rekey")
def rekey(numbers: Numbers, folder: SharesDir = None) -> None:
    """Replace the shares; asks for the present ones. The store goes on, here or on a server."""
    at = state()
    from adyton.roots.shamir import numbers_of  # noqa: PLC0415 - loaded on use

    wanted = numbers_of(numbers)
    if wanted is None:
        raise InvalidInput("no numbers are given", hint="Write --shares 3/5.")
    check_folder(folder)
    new = _rekey_server(at, *wanted) if at.addr else _rekey_store(at, *wanted)
    made = hand_out(at.ui, new, wanted[0], folder)
    if at.ui.json:
        at.ui.document({"threshold": wanted[0], "shares": made})
    else:
        at.ui.done("the shares are new; the old ones end when the new have opened the store once")


def _rekey_server(at: State, threshold: int, total: int) -> list[str]:
    with at.client() as client:
        change = client.sealing.begin_rekey(threshold, total)
        try:

            def give(share: str) -> tuple[int, int, bool]:
                nonlocal change
                change = client.sealing.rekey(change.nonce, share)
                return change.given, change.needed, bool(change.shares)

            _enter(at, give, change.needed)
        except BaseException:
            client.sealing.cancel_rekey()
            raise
    return list(change.shares)


def _rekey_store(at: State, threshold: int, total: int) -> list[str]:
    from adyton.crypto.shares import parse  # noqa: PLC0415 - loaded on use
    from adyton.model import Caller  # noqa: PLC0415 - idem
    from adyton.roots import ShamirRoot  # noqa: PLC0415 - idem
    from adyton.roots.shamir import read_set  # noqa: PLC0415 - idem
    from adyton.service.rekey import Rekey  # noqa: PLC0415 - idem

    at.configure({"store.root": "shamir:"})
    given: list[SecretBytes] = []
    asked = at.ask

    def remember(prompt: str) -> "SecretBytes":
        text = asked(prompt)
        with text.borrow() as view:
            given.append(type(text)(view))
        return text

    with at.local(ask=remember) as store:
        core, caller = store._opened.core, store._caller  # noqa: SLF001 - both are faces of it
        change, run = Rekey(core, ShamirRoot.of_key, read_set), core.commit.run_sync
        operator = Caller(caller.actor)
        nonce = run(change.begin(operator, threshold, total, verify=False)).nonce
        made: list[Share] | None = None
        for text in given:
            with text, text.borrow() as view:
                try:
                    share = parse(view)
                    made = made or run(change.enter(operator, nonce, share))
                except InvalidInput:
                    continue  # it was wrong when it was asked for, too
        if made is None:
            raise ConfigurationError("the shares that opened the store were not enough")
        return [share.text() for share in made]


def unseal(
    reset: Annotated[
        bool, typer.Option("--reset", help="Take back the shares that were entered from here.")
    ] = False,
    one: Annotated[
        bool, typer.Option("--one", help="Enter one share, and leave the others to others.")
    ] = False,
) -> None:
    """Enter shares at a sealed server, one at a time; asks for them, or takes --share-file."""
    at = state()
    with at.client(token="") as client:
        found = client.status()
        if not found.initialized and not found.shares:
            raise InvalidInput("the server has no store yet", hint="Make one over sys/init.")
        if reset:
            given = client.sealing.take_back().given
            _tell(at, sealed=found.sealed, given=given, needed=found.shares)
            return
        if found.sealed:
            _unseal(at, client, found.shares, one=one)
        elif at.ui.json:
            at.ui.document({"sealed": False})
        else:
            at.ui.note("the server is open already")


def _unseal(at: State, client: "Client", needed: int, *, one: bool) -> None:
    last = (True, 0, needed)

    def give(share: str) -> tuple[int, int, bool]:
        nonlocal last
        found = client.sealing.unseal(share)
        last = (found.sealed, found.given, found.needed)
        return found.given, found.needed, one or not found.sealed

    _enter(at, give, needed)
    _tell(at, sealed=last[0], given=last[1], needed=last[2])
    if last[0] and not one:
        raise typer.Exit(_SEALED)


def _tell(at: State, *, sealed: bool, given: int, needed: int) -> None:
    if at.ui.json:
        at.ui.document({"sealed": sealed, "given": given, "needed": needed})
    elif sealed:
        at.ui.note(f"{given} of {needed} shares are there; the server is still sealed")
    else:
        at.ui.done("the server is open")


def _enter(at: State, give: Callable[[str], tuple[int, int, bool]], needed: int) -> None:
    """Ask for shares until enough are there; a wrong one is told and asked for again."""
    from_files = [share for path in at.share_files for share in read_shares(path)]
    given = wrong = 0
    while True:
        scripted = bool(from_files)
        text = from_files.pop(0) if scripted else at.ui.ask_secret(f"Share {given + 1} of {needed}")
        with text:
            shown = text.text().strip()
        try:
            given, needed, done = give(shown)
        except InvalidInput as error:
            wrong += 1
            if scripted or wrong >= _MOST_WRONG:
                raise
            at.ui.warn(error.message)
            continue
        if done:
            return
        at.ui.note(f"{given} of {needed} shares are there")


def seal() -> None:
    """Seal a server: its keys leave its memory, and it answers nothing but its state."""
    at = state()
    with at.client() as client:
        client.sealing.seal()
    if at.ui.json:
        at.ui.document({"sealed": True})
    else:
        at.ui.done("the server is sealed; open it with 'adyton unseal'")


def init_shares(at: State, root: str, folder: Path | None) -> tuple[str, list[str]]:
    """Make a store that shares open, and hand them out; its verifier key, and what was made.

    Raises:
        AdytonError: It can't be made.
    """
    from adyton.library import SecretStore  # noqa: PLC0415 - loaded on use
    from adyton.roots import ShamirRoot  # noqa: PLC0415 - idem
    from adyton.roots.shamir import numbers_of  # noqa: PLC0415 - idem
    from adyton.wiring import make_store, settle  # noqa: PLC0415 - idem

    wanted = numbers_of(root.partition(":")[2])
    if wanted is None:
        raise InvalidInput("how many shares are wanted?", hint="Write --root shamir:3/5.")
    check_folder(folder)
    opened_by, shares = ShamirRoot.create(*wanted)
    with SecretStore(make_store(at.options("cli"), opened_by)) as store:
        made = hand_out(at.ui, [share.text() for share in shares], wanted[0], folder)
        settle(store._opened)  # noqa: SLF001 - both are faces of it
        return store.audit.vkey, made
