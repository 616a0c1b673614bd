"""The command that makes a certificate for development."""

from pathlib import Path
from typing import Annotated

import typer

from adyton.cli.state import state

app = typer.Typer(no_args_is_help=True)


@app.callback()
def tls() -> None:
    """Certificates for the server."""


@app.command(name="self-signed")
def self_signed(
    out: Annotated[Path, typer.Option("--out", help="Folder for tls.crt and tls.key.")],
    host: Annotated[
        list[str] | None, typer.Option("--host", help="One more name or address of the server.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="How long it lasts.")] = 365,
) -> None:
    """Make a certificate that is signed by itself, for development."""
    from adyton.server.selfsigned import make_self_signed  # noqa: PLC0415 - loaded on use

    at = state()
    made = make_self_signed(out, host or [], days=days)
    cert = made.cert.absolute()
    if at.ui.json:
        at.ui.document(
            {
                "cert": str(cert),
                "key": str(made.key.absolute()),
                "sha256": made.fingerprint,
                "not_after": made.not_after,
            }
        )
        return
    at.ui.done(f"made {made.cert} and {made.key}, until {made.not_after:%Y-%m-%d}")
    at.ui.line(f"SHA-256 {made.fingerprint}")
    at.ui.note(
        "for development only: nobody has vouched for it. Next:\n"
        f"  adyton serve --tls-cert {made.cert} --tls-key {made.key}\n"
        f"  export ADYTON_CACERT={cert} BAO_CACERT={cert} VAULT_CACERT={cert} SSL_CERT_FILE={cert}"
    )
