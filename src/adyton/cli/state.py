"""What the options in front of a command say, and how its store is opened."""

import os
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from adyton.cli.ui import Ui
from adyton.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from adyton.crypto.secretbytes import SecretBytes
    from adyton.library import SecretStore

DEFAULT_STORE: Final = "adyton.db"


@dataclass(slots=True)
class State:
    """The options that every command shares."""

    store: str = DEFAULT_STORE
    root: str | None = None
    user: str | None = None
    wait: float = 10.0
    sinks: list[str] = field(default_factory=list)
    debug: bool = False
    ui: Ui = field(default_factory=Ui)

    def who(self) -> str:
        """The user whose secrets are meant.

        Raises:
            InvalidInput: None was named.
        """
        if not self.user:
            raise InvalidInput("no user is named", hint="Give --user ID, or set ADYTON_USER.")
        return self.user

    def root_uri(self) -> str:
        """The root of trust: as given, or the key file beside the store, or a passphrase."""
        if self.root:
            return self.root
        beside = Path(f"{self.store.removeprefix('sqlite:///')}.key")
        return f"keyfile:{beside}" if beside.exists() else "passphrase:"

    def open(self, *, create: bool = False, upkeep: bool = False) -> "SecretStore":
        """Open the store.

        Raises:
            AdytonError: It can't be opened; the text says why.
        """
        from adyton.library import SecretStore  # noqa: PLC0415 - loaded on use
        from adyton.wiring import Options, default_actor, open_store  # noqa: PLC0415 - idem

        options = Options(
            self.store,
            self.root_uri(),
            create=create,
            must_create=create,
            actor=default_actor().replace("local:", "cli:", 1),
            lock_timeout=self.wait,
            sinks=tuple(self.sinks),
            upkeep=upkeep,
            ask=self.ask,
        )
        return SecretStore(open_store(options))

    def ask(self, prompt: str) -> "SecretBytes":
        """Ask a person for the root's secret."""
        return self.ui.ask_secret(prompt)


_state: ContextVar[State] = ContextVar("state")


def state() -> State:
    """The state of the command that runs.

    Raises:
        ConfigurationError: No command runs.
    """
    try:
        return _state.get()
    except LookupError:
        raise ConfigurationError("no command is running") from None


def set_state(new: State) -> None:
    """Set the state of the command that is about to run."""
    _state.set(new)


def read_private(path: Path) -> bytearray:
    """A file's content, read without an extra copy.

    Raises:
        InvalidInput: It can't be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = bytearray(os.fstat(fd).st_size)
            at = 0
            while at < len(data):
                got = os.readv(fd, [memoryview(data)[at:]])
                if not got:
                    break
                at += got
            return data[:at] if at < len(data) else data
        finally:
            os.close(fd)
    except OSError as error:
        raise InvalidInput(f"the file can't be read ({error.strerror})") from None


def read_stdin(limit: int) -> bytearray:
    """Standard input to its end, unbuffered.

    Raises:
        InvalidInput: It is longer than the limit.
    """
    data = bytearray()
    while chunk := os.read(0, 65_536):
        data += chunk
        if len(data) > limit:
            raise InvalidInput(f"standard input has more than {limit} bytes")
    return data


Name = Annotated[str, typer.Argument(help="Name of the secret, such as db/password.")]
Versions = Annotated[
    list[int] | None, typer.Option("--version", "-V", help="A version; may be repeated.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
OutFile = Annotated[
    Path | None, typer.Option("--out", help="Write to this file, readable by you alone.")
]
