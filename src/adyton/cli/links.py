"""Commands on one-time links: for people without an account."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adyton.cli.state import (
    OutFile,
    SecretFile,
    read_secret_line,
    read_stdin,
    state,
    write_secret_line,
)
from adyton.cli.ui import moment
from adyton.errors import InvalidInput
from adyton.model import to_us

if TYPE_CHECKING:
    from adyton.values import Secret

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_MAX_INPUT = 32 * 1024 * 1024

PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Take the passphrase from this file.")
]


@app.command(name="create")
def create(
    name: Annotated[
        str | None, typer.Argument(help="A secret's name; left out, standard input is taken.")
    ] = None,
    ttl: Annotated[
        str, typer.Option("--ttl", help="How long it can be opened, as in 1h; up to 30d.")
    ] = "1d",
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for a passphrase that it is to want.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    tries: Annotated[
        int, typer.Option("--tries", help="After how many wrong attempts it ends.")
    ] = 5,
    note: Annotated[str, typer.Option("--note", help="For 'adyton link list'.")] = "",
    out: OutFile = None,
) -> None:
    """Make a link that opens once, and write it to standard output."""
    at = state()
    seconds = in_seconds(ttl)
    secret = None
    if passphrase and passphrase_file is None:
        with at.ui.ask_secret_twice("passphrase of the link") as typed:
            secret = typed.text()
    elif passphrase_file is not None:
        secret = read_secret_line("passphrase", passphrase_file)
    with at.open() as store:
        if name is None:
            value, kind = bytes(read_stdin(_MAX_INPUT)), None
        else:
            with store.get_secret(at.who(), name) as found:
                value, kind = found.reveal(), found.content_type
                seconds = _seconds_left(found, seconds)
        made = store.links.create(
            at.who(), value, seconds=seconds, passphrase=secret, tries=tries, note=note,
            content_type=kind, secret=name or "",
        )  # fmt: skip
    text = made.url or made.text
    if at.ui.json:
        found_of = {"accessor": made.accessor, "expires_at": made.expires_at}
        at.ui.document(found_of | ({"link": text} if out is None else {}))
    elif out is None:
        write_secret_line(text, None)
    if out is not None:
        write_secret_line(text, out)
    at.ui.note(f"accessor {made.accessor}; it opens once, until {moment(made.expires_at)} UTC")


@app.command(name="open")
def open_(
    file: SecretFile = None,
    passphrase_file: PassphraseFile = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for the passphrase that it wants.")
    ] = False,
) -> None:
    """Open a link, once and for all; it is read from a prompt, a file or standard input."""
    at = state()
    link = read_secret_line("link", file)
    secret = None
    if passphrase_file is not None:
        secret = read_secret_line("passphrase", passphrase_file)
    elif passphrase:
        with at.ui.ask_secret("passphrase of the link") as typed:
            secret = typed.text()
    with (
        at.open() as store,
        store.links.open(link, passphrase=secret) as found,
        found.value.borrow() as view,
    ):
        at.ui.raw(view)


@app.command(name="revoke")
def revoke(accessor: Annotated[str, typer.Argument(help="The link's accessor.")]) -> None:
    """End a link before anybody opens it."""
    at = state()
    with at.open() as store:
        store.links.revoke(at.who(), accessor)
    at.ui.done("revoked")


@app.command(name="list")
def list_() -> None:
    """Show the links that can be opened still."""
    at = state()
    with at.open() as store:
        found = store.links.list(at.who())
    if at.ui.json:
        at.ui.document([info._asdict() for info in found])
        return
    at.ui.table(
        ("ACCESSOR", "MADE (UTC)", "ENDS (UTC)", "TRIES", "PASSPHRASE", "SECRET", "NOTE"),
        [
            (
                info.accessor, moment(info.created_at), moment(info.expires_at), str(info.tries),
                "yes" if info.passphrase else "no", info.secret, info.note,
            )
            for info in found
        ],
        "no links that can be opened",
    )  # fmt: skip


def in_seconds(text: str) -> int:
    """A time such as ``90``, ``30m`` or ``7d``, in seconds.

    Raises:
        InvalidInput: It is of another form.
    """
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS else (text, "s")
    if not (number.isascii() and number.isdigit() and len(number) <= 9):
        raise InvalidInput("a time is a number and s, m, h or d", hint="Write it as in 1h.")
    return int(number) * _UNITS[unit]


def _seconds_left(secret: "Secret", seconds: int) -> int:
    """How long a link of a value can be opened: no longer than the value can be read itself."""
    ends = [to_us(secret.metadata.expires_at)] if secret.metadata.expires_at else []
    ends += [secret.info.deleted_us] if secret.info.deleted_us else []
    left = [(end - to_us(dt.datetime.now(dt.UTC))) // 1_000_000 for end in ends]
    return max(1, min([seconds, *left]))
