"""The development server: a fresh store on disk that is thrown away, and what to try on it."""

import os
import sys
from dataclasses import replace
from pathlib import Path

from adyton.cli.devfolder import dev_folder
from adyton.cli.ui import Ui
from adyton.config import Configuration
from adyton.config.settings import split_address
from adyton.errors import ConfigurationError
from adyton.server.run import Up
from adyton.server.run import serve as run
from adyton.server.selfsigned import SelfSigned, make_self_signed
from adyton.wiring import Options, open_store


def serve_dev(ui: Ui, configuration: Configuration, token: str, *, tls: bool) -> None:
    """Serve a fresh store until a signal; its root token is shown.

    Args:
        ui: Where it is shown.
        configuration: Everything but the store.
        token: The root token's text; empty for a random one.
        tls: Whether to make a certificate and serve by it.

    Raises:
        ConfigurationError: The address can't be listened on, or there is a certificate already.
    """
    with dev_folder() as folder:
        made = None
        if tls:
            configuration, made = _with_certificate(configuration, folder)
        opened = open_store(
            Options(
                str(folder / "dev.db"),
                f"keyfile:{folder / 'dev.key'}",
                create=True,
                actor="server:dev",
                limits=configuration.store_limits(),
                sinks=configuration.audit.sinks,
                reveal_to_sinks=configuration.audit.reveal,
                rotation=configuration.rotation.options(
                    by_itself=configuration.rotation.background
                ),
                notices=configuration.notices.options(by_itself=configuration.notices.background),
                reports=configuration.reports.options(by_itself=configuration.reports.background),
                alerts=configuration.alerts.options(by_itself=configuration.alerts.background),
            )
        )
        run(
            opened,
            configuration,
            root_token=token,
            ready=lambda up: _tell(ui, up, folder / "dev.db", made),
        )


def _with_certificate(
    configuration: Configuration, folder: Path
) -> tuple[Configuration, SelfSigned]:
    if configuration.tls.cert is not None:
        raise ConfigurationError(
            "--dev-tls makes a certificate, and tls.cert names one", hint="Leave one of them out."
        )
    found = split_address(configuration.server.listen)
    host = found[0] if found is not None else ""
    made = make_self_signed(folder, [] if host in {"0.0.0.0", "::"} else [host])  # noqa: S104
    settings = replace(configuration.tls, cert=made.cert, key=made.key)
    return replace(configuration, tls=settings), made


def _tell(ui: Ui, up: Up, store: Path, made: SelfSigned | None) -> None:
    if ui.json:
        found = {
            "address": up.address,
            "root_token": up.root_token,
            "store": str(store),
            "ca_cert": None if made is None else str(made.cert),
            "ca_cert_sha256": None if made is None else made.fingerprint,
            "pid": os.getpid(),
        }
        ui.event(found)
        return
    exports = {"ADDR": up.address, "TOKEN": up.root_token}
    facts = [
        ("address", up.address),
        ("root token", up.root_token),
        ("store", f"{store} (unsealed, KV version 2 at secret/)"),
    ]
    if made is not None:
        exports["CACERT"] = str(made.cert)
        facts.append(("certificate", f"{made.cert}\nSHA-256 {made.fingerprint}"))
    ui.card(
        "Adyton development server",
        facts,
        "Its store is thrown away at the end: never for real secrets.",
    )
    ui.line("Try, with bao, vault or any client of theirs:")
    for prefix in ("BAO", "VAULT"):
        values = " ".join(f"{prefix}_{name}={value}" for name, value in exports.items())
        ui.command(f"export {values}")
    ui.command("bao kv put secret/hello name=world")
    ui.command("bao kv get secret/hello")
    sys.stdout.flush()
