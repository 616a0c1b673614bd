"""The command that serves the store over HTTP."""

import dataclasses
import logging
from typing import TYPE_CHECKING, Annotated, Final

import typer

from adyton.cli.state import State, flag, state
from adyton.errors import ConfigurationError
from adyton.hardening import forget_variable, harden_process

if TYPE_CHECKING:
    from adyton.server.run import Up
    from adyton.wiring import Options

_log = logging.getLogger("adyton.server")
_DEV_TOKEN_HINT: Final = "Give --dev-root-token-id together with --dev."  # noqa: S105 - a hint


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="serve")(serve)


def serve(
    listen: Annotated[str | None, flag("server.listen")] = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="A fresh store that is thrown away, with a root token.")
    ] = False,
    dev_root_token_id: Annotated[
        str, typer.Option(envvar="ADYTON_DEV_ROOT_TOKEN_ID", help="The root token with --dev.")
    ] = "",
    dev_tls: Annotated[
        bool, typer.Option("--dev-tls", help="Like --dev, with a certificate that is made for it.")
    ] = False,
    tls_cert: Annotated[str | None, flag("tls.cert")] = None,
    tls_key: Annotated[str | None, flag("tls.key")] = None,
    tls_client_ca: Annotated[str | None, flag("tls.client_ca")] = None,
) -> None:
    """Serve the store over HTTP, with the API of Vault."""
    harden_process()  # before the HTTP server's library is loaded
    forget_variable("ADYTON_DEV_ROOT_TOKEN_ID")
    dev = dev or dev_tls
    if dev_root_token_id and not dev:
        raise ConfigurationError(
            "a root token is given, but this is not a development server", hint=_DEV_TOKEN_HINT
        )
    at = state()
    if dev and (at.flags.keys() & {"store.url", "store.root"}):
        raise ConfigurationError(
            "--dev makes a store of its own", hint="Leave out --store and --root, or --dev."
        )
    configuration = at.configure(
        {
            "server.listen": listen,
            "tls.cert": tls_cert,
            "tls.key": tls_key,
            "tls.client_ca": tls_client_ca,
        },
        files=True,
    )
    if dev:
        from adyton.cli.dev import serve_dev  # noqa: PLC0415 - loaded on use

        serve_dev(at.ui, configuration, dev_root_token_id, tls=dev_tls)
        return
    from adyton.roots import keep_variables  # noqa: PLC0415 - loaded on use
    from adyton.server.run import serve as run  # noqa: PLC0415 - idem

    keep_variables()  # the root may have to be opened again, when it was away
    run(served_options(at), configuration, ready=lambda up: _log.info("%s", _state_of(at, up)))


def served_options(at: State) -> "Options":
    """How the server opens its store; where no root is named, by the one that the store has."""
    from adyton.wiring import look  # noqa: PLC0415 - loaded on use

    options = at.options("server")
    if at.root is None and options.root == "passphrase:":
        found = look(options)
        if not found.exists or found.sets:
            return dataclasses.replace(options, root="shamir:")
    return options


def _state_of(at: State, up: "Up") -> str:
    where = f"{at.store} at {up.address}"
    if not up.status.initialised:
        return f"serving at {up.address}; there is no store yet: make it over sys/init"
    if up.status.waiting:
        return f"serving {where}, sealed: its root of trust is away, and is asked again and again"
    if up.status.sealed:
        return f"serving {where}, sealed: enter shares with 'adyton unseal'"
    return f"serving {where}"
