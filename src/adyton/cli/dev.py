"""The development server: a fresh store on disk that is thrown away, and what to try on it."""

import shutil
import sys
import tempfile
from pathlib import Path

from adyton.config import Configuration
from adyton.server.run import Up
from adyton.server.run import serve as run
from adyton.wiring import Options, open_store


def serve_dev(configuration: Configuration, token: str) -> None:
    """Serve a fresh store until a signal; its root token is shown.

    Raises:
        ConfigurationError: The address can't be listened on.
    """
    folder = Path(tempfile.mkdtemp(prefix="adyton-dev-"))
    try:
        opened = open_store(
            Options(
                str(folder / "dev.db"),
                f"keyfile:{folder / 'dev.key'}",
                create=True,
                actor="server:dev",
                limits=configuration.store_limits(),
                sinks=configuration.audit.sinks,
                reveal_to_sinks=configuration.audit.reveal,
            )
        )

        def ready(up: Up) -> None:
            sys.stdout.write(_welcome(up, folder))
            sys.stdout.flush()

        run(opened, configuration, root_token=token, ready=ready)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _welcome(up: Up, folder: Path) -> str:
    address, token = up.address, up.root_token
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
