"""The commands that serve the store over HTTP, and that make a first token for it."""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from adyton.cli.state import OutFile, state
from adyton.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from adyton.server.run import ServeOptions

_DEV_TOKEN_HINT: Final = "Give --dev-root-token-id together with --dev."  # noqa: S105 - a hint


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(name="serve")(serve)
    tokens = typer.Typer(no_args_is_help=True)
    tokens.command(name="root")(root_token)
    app.add_typer(tokens, name="token", help="Tokens of the server.")


def serve(
    listen: Annotated[
        str, typer.Option(envvar="ADYTON_LISTEN", help="Where to listen: HOST:PORT.")
    ] = "127.0.0.1:8200",
    dev: Annotated[
        bool, typer.Option("--dev", help="A fresh store that is thrown away, with a root token.")
    ] = False,
    dev_root_token_id: Annotated[
        str, typer.Option(envvar="ADYTON_DEV_ROOT_TOKEN_ID", help="The root token with --dev.")
    ] = "",
    tls_cert: Annotated[
        Path | None, typer.Option(envvar="ADYTON_TLS_CERT", help="Certificate chain, PEM.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(envvar="ADYTON_TLS_KEY", help="Its private key, PEM.")
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(envvar="ADYTON_TLS_CLIENT_CA", help="Let in only clients it has certified."),
    ] = None,
) -> None:
    """Serve the store over HTTP, with the API of Vault."""
    host, port = _address(listen)
    if dev_root_token_id and not dev:
        raise ConfigurationError(
            "a root token is given, but this is not a development server", hint=_DEV_TOKEN_HINT
        )
    if (tls_cert is None) != (tls_key is None):
        raise ConfigurationError("TLS needs both --tls-cert and --tls-key")
    for path in (tls_cert, tls_key, tls_client_ca):
        if path is not None and not path.is_file():
            raise ConfigurationError(f"there is no file {path}", hint="Give a PEM file.")
    from adyton.server.run import ServeOptions  # noqa: PLC0415 - loaded on use

    options = ServeOptions(host, port, tls_cert, tls_key, tls_client_ca)
    if dev:
        _serve_dev(options, dev_root_token_id)
    else:
        _serve_store(options)


def _serve_store(options: "ServeOptions") -> None:
    from adyton.server.run import serve as run  # noqa: PLC0415 - loaded on use
    from adyton.wiring import Options, default_actor, open_store  # noqa: PLC0415 - idem

    at = state()
    opened = open_store(
        Options(
            at.store,
            at.root_uri(),
            actor=default_actor().replace("local:", "server:", 1),
            lock_timeout=at.wait,
            sinks=tuple(at.sinks),
            ask=at.ask,
        )
    )
    run(opened, options, ready=lambda _: at.ui.note(f"serving {at.store} at {options.address}"))


def _serve_dev(options: "ServeOptions", token: str) -> None:
    from adyton.server.run import serve as run  # noqa: PLC0415 - loaded on use
    from adyton.wiring import Options, open_store  # noqa: PLC0415 - idem

    at = state()
    folder = Path(tempfile.mkdtemp(prefix="adyton-dev-"))
    try:
        opened = open_store(
            Options(
                str(folder / "dev.db"),
                f"keyfile:{folder / 'dev.key'}",
                create=True,
                actor="server:dev",
                sinks=tuple(at.sinks),
            )
        )

        def ready(text: str) -> None:
            sys.stdout.write(_welcome(options.address, text, folder))
            sys.stdout.flush()

        run(opened, options, root_token=token, ready=ready)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _welcome(address: str, token: str, folder: Path) -> str:
    return (
        "Adyton development server. Its store is thrown away at the end: never for real secrets.\n"
        "\n"
        f"  address     {address}\n"
        f"  root token  {token}\n"
        f"  store       {folder / 'dev.db'} (unsealed, KV version 2 at secret/)\n"
        "\n"
        "Try, with bao, vault or any client of theirs:\n"
        "\n"
        f"  export VAULT_ADDR={address} VAULT_TOKEN={token} BAO_ADDR={address} BAO_TOKEN={token}\n"
        "  bao kv put secret/hello name=world\n"
        "  bao kv get secret/hello\n"
        "\n"
    )


def root_token(out: OutFile = None) -> None:
    """Make a root token of the store's server; the store must not be open elsewhere."""
    from adyton.server.tokens import make_root_token  # noqa: PLC0415 - loaded on use

    at = state()
    with at.open() as store:
        text = make_root_token(store._opened)  # noqa: SLF001 - both are faces of it
    if out is None:
        if at.ui.json:
            at.ui.document({"token": text})
        else:
            sys.stdout.write(text + "\n")
        return
    fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text + "\n")


def _address(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise InvalidInput(
            f"{listen!r} is not an address", hint="Write HOST:PORT, such as 127.0.0.1:8200."
        )
    return host, int(port)
