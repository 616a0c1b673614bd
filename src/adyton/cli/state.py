"""What the options in front of a command say, and how its store or its server is opened."""

import dataclasses
import os
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from adyton import durable
from adyton.cli.ui import Ui
from adyton.config import Configuration, Loaded, load
from adyton.config.fields import help_of, settings_of
from adyton.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from adyton.client import Client
    from adyton.crypto.secretbytes import SecretBytes
    from adyton.library import SecretStore
    from adyton.wiring import Ask, Options

    Store = SecretStore | Client

_MAX_LINE: Final = 64 * 1024
_MOST_SHARES: Final = 64 * 1024
_NEWLINE: Final = 0x0A


@dataclass(slots=True)
class State:
    """The options that every command shares."""

    user: str | None = None
    debug: bool = False
    ui: Ui = field(default_factory=Ui)
    config_file: Path | None = None
    flags: dict[str, object] = field(default_factory=dict)
    addr: str = ""
    share_files: list[Path] = field(default_factory=list)
    user_root: str = ""
    _shares: "list[SecretBytes] | None" = None
    _configuration: Configuration | None = None

    def loaded(self, flags: Mapping[str, object] | None = None, *, files: bool = False) -> Loaded:
        """The configuration with what may be wrong with it, and flags of the command that runs."""
        given = {key: value for key, value in (flags or {}).items() if value is not None}
        return load(self.config_file, os.environ, {**self.flags, **given}, files=files)

    def configuration(self) -> Configuration:
        """The configuration.

        Raises:
            ConfigurationError: Something is wrong with it; the text tells all of it.
        """
        if self._configuration is None:
            self._configuration = self.loaded().checked()
        return self._configuration

    def configure(self, flags: Mapping[str, object], *, files: bool = False) -> Configuration:
        """Take flags of the command that runs into the configuration; None is one not given.

        Raises:
            ConfigurationError: Something is wrong with it; the text tells all of it.
        """
        self._configuration = self.loaded(flags, files=files).checked()
        return self._configuration

    @property
    def store(self) -> str:
        """The store's path or URL."""
        return self.configuration().store.url

    @property
    def root(self) -> str | None:
        """The root of trust, if one is named."""
        return self.configuration().store.root

    def who(self) -> str:
        """The user whose secrets are meant; on a server, by default the token's own.

        Raises:
            InvalidInput: None was named.
        """
        if not self.user and self.addr:
            return "me"
        if not self.user:
            raise InvalidInput("no user is named", hint="Give --user ID, or set ADYTON_USER.")
        return self.user

    def root_uri(self) -> str:
        """The root of trust: as given, or shares if there are, the key file, a passphrase."""
        if named := self.root:
            return named
        if self.share_files:
            return "shamir:"
        beside = self._key_file()
        return f"keyfile:{beside}" if beside.exists() else "passphrase:"

    def _key_file(self) -> Path:
        return Path(f"{self.store.removeprefix('sqlite:///')}.key")

    def options(self, face: str, *, create: bool = False, upkeep: bool = True) -> "Options":
        """How to open the configured store; ``face`` is what the audit records name."""
        from adyton.wiring import Options, default_actor  # noqa: PLC0415 - loaded on use

        at = self.configuration()
        return Options(
            at.store.url,
            self.root_uri(),
            create=create,
            must_create=create,
            actor=default_actor().replace("local:", f"{face}:", 1),
            lock_timeout=at.store.lock_timeout,
            fallback_roots=() if create else at.store.fallback_roots,
            limits=at.store_limits(),
            sinks=at.audit.sinks,
            reveal_to_sinks=at.audit.reveal,
            upkeep=upkeep,
            ask=self.ask,
            rotation=at.rotation.options(by_itself=face == "server" and at.rotation.background),
            alerts=at.alerts.options(by_itself=face == "server" and at.alerts.background),
            notices=at.notices.options(by_itself=face == "server" and at.notices.background),
            reports=at.reports.options(by_itself=face == "server" and at.reports.background),
        )

    def open(self) -> "Store":
        """The server that is named, or else the store.

        Raises:
            AdytonError: It can't be opened; the text says why.
        """
        return self.client() if self.addr else self.local()

    def client(self, *, token: str | None = None, namespace: str = "") -> "Client":
        """The server that is named.

        Args:
            token: Instead of the one in the environment, or in the token file.
            namespace: Whose log-ins, tokens and policies are meant; empty: the operator's.

        Raises:
            AdytonError: None is named, or it can't be used.
        """
        from adyton.client import Client  # noqa: PLC0415 - loaded on use

        if not self.addr:
            raise ConfigurationError(
                "no server is named",
                hint="Give --addr https://HOST:8200 or set ADYTON_ADDR; 'adyton serve --dev' starts"
                " one to try.",
            )
        return Client(self.addr, token, user=namespace or None)

    def local(
        self, *, create: bool = False, upkeep: bool = False, ask: "Ask | None" = None
    ) -> "SecretStore":
        """The store itself, for what no server offers.

        Raises:
            AdytonError: It can't be opened, or a server is named; the text says why.
        """
        if self.addr:
            raise InvalidInput(
                "this works on a store itself, and a server is named by --addr or ADYTON_ADDR",
                hint="Run it where the store is, with --store PATH or without ADYTON_ADDR.",
            )
        from adyton.library import SecretStore  # noqa: PLC0415 - loaded on use
        from adyton.roots import keep_variables  # noqa: PLC0415 - idem
        from adyton.wiring import open_store  # noqa: PLC0415 - idem

        keep_variables()  # several roots of one command may take the same one
        options = self.options("cli", create=create, upkeep=upkeep)
        if ask is not None:
            options = dataclasses.replace(options, ask=ask)
        store = SecretStore(open_store(options))
        if self.user_root and self.user:
            try:
                store.user_roots.give(self.user, self.user_root, ask=self.asking(self.user_root))
            except BaseException:
                store.close()
                raise
        return store

    def ask(self, prompt: str) -> "SecretBytes":
        """Ask a person for the root's secret; shares are taken from files first."""
        return self.asking(self.root_uri())(prompt)

    def asking(self, uri: str) -> "Ask":
        """Asks a person for what a root needs; shares are taken from files first."""

        def ask(prompt: str) -> "SecretBytes":
            if uri.startswith("shamir:"):
                if self._shares is None:
                    files = self.share_files
                    self._shares = [share for path in files for share in read_shares(path)]
                if self._shares:
                    return self._shares.pop(0)
            if sys.stdin.isatty():
                return self.ui.ask_secret(prompt)
            raise self._nobody_to_ask(uri)

        return ask

    def _nobody_to_ask(self, uri: str) -> InvalidInput:
        if uri.startswith("shamir:"):
            return InvalidInput(
                "more shares are wanted, and there is no terminal to ask on",
                hint="Give as many as open the store, each by --share-file FILE.",
            )
        if self.root or uri != self.root_uri():
            return InvalidInput(
                "a root of trust wants a secret, and there is no terminal to ask on",
                hint="Write it as in passphrase:file=PATH or passphrase:env=NAME.",
            )
        return InvalidInput(
            f"no root of trust is named, and there is no key file {self._key_file()}",
            hint="Give --root keyfile:PATH, passphrase:file=PATH or what else opens the store.",
        )


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


def has_token() -> bool:
    """Whether there is a token to send to a server."""
    from adyton.client import settings  # noqa: PLC0415 - loaded on use

    return bool(os.environ.get(settings.ENV_TOKEN)) or settings.token_file().exists()


def flag(key: str, *names: str) -> Any:  # noqa: ANN401 - typer's own
    """The option of the command line that sets a setting, with the setting's help."""
    found = settings_of(Configuration)[key]
    return typer.Option(
        *(names or (found.rules.flag,)), help=help_of(Configuration, key), show_default=False
    )


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
        raise InvalidInput(
            f"can't read {path}: {error.strerror}", hint="Check the path and who may read it."
        ) from None


def write_private(path: Path, data: durable.Data) -> None:
    """Write a file that its owner alone can read; what was there before is replaced at once.

    Raises:
        InvalidInput: It can't be written.
    """
    try:
        durable.replace(path, data)
    except OSError as error:
        raise InvalidInput(
            f"can't write {path}: {error.strerror}",
            hint="Its folder must be there, and take files of yours.",
        ) from None


def read_shares(path: Path) -> "list[SecretBytes]":
    """The shares in a private file, one on each line.

    Raises:
        InvalidInput: It can't be read, or others can read it.
    """
    from adyton.crypto.secretbytes import SecretBytes  # noqa: PLC0415 - loaded on use

    try:
        fd, size = durable.open_private(path)
        try:
            with SecretBytes.sized(min(size, _MOST_SHARES)) as held:
                view = held.writable()
                view = view[: durable.read_into(fd, view)]
                ends = [at for at, char in enumerate(view) if char == _NEWLINE] + [len(view)]
                begins = [0, *(end + 1 for end in ends[:-1])]
                lines = zip(begins, ends, strict=True)
                return [SecretBytes(view[begin:end]) for begin, end in lines if end - begin > 1]
        finally:
            os.close(fd)
    except durable.UnsafeFile as error:
        raise InvalidInput(
            f"the file of shares {path} {error.strerror}", hint=f"Use 'chmod 600 {path}'."
        ) from None
    except OSError as error:
        raise InvalidInput(
            f"can't read the file of shares {path}: {error.strerror}",
            hint="Check the path and who may read it.",
        ) from None


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


def read_secret_line(prompt: str, file: Path | None) -> str:
    """A password, token or the like: from a file, a prompt, or standard input; never an argument.

    Raises:
        InvalidInput: It can't be read, is empty, or no text.
    """
    if file is not None and str(file) != "-":
        data = read_private(file)
    elif file is None and sys.stdin.isatty():
        with state().ui.ask_secret(prompt) as typed:
            data = bytearray(typed.writable())
    else:
        data = read_stdin(_MAX_LINE)
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    finally:
        data[:] = bytes(len(data))
    if not text:
        raise InvalidInput(f"the {prompt} is empty, or no text")
    return text


def write_secret_line(text: str, out: Path | None) -> None:
    """Write a token to standard output, or to a new file that its owner alone can read.

    Raises:
        InvalidInput: The file is there already, or can't be made.
    """
    if out is None:
        state().ui.text(text)
        return
    try:
        durable.create(out, f"{text}\n".encode())
    except OSError as error:
        raise InvalidInput(
            f"can't write {out}: {error.strerror}", hint="Name a new file in a folder of yours."
        ) from None


Name = Annotated[str, typer.Argument(help="Name of the secret, such as db/password.")]
Versions = Annotated[
    list[int] | None, typer.Option("--version", "-V", help="A version; may be repeated.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
OutFile = Annotated[
    Path | None, typer.Option("--out", help="Write to this file, readable by you alone.")
]
Namespace = Annotated[
    str,
    typer.Option(
        envvar="ADYTON_NAMESPACE", help="Whose namespace on the server; else that of 'login'."
    ),
]
SecretFile = Annotated[
    Path | None, typer.Option("--file", help="Read it from this file, instead of being asked.")
]
