"""Commands on the measured state of a machine: what its PCRs hold, and approving what they will."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from adyton import durable
from adyton.cli.state import state
from adyton.errors import ConfigurationError, InvalidInput, StoreError

_MAX_KEY = 64 * 1024


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What PCRs hold: the selection, and a value in hexadecimal for each."""

    pcrs: str
    values: list[str]


def register(root: typer.Typer) -> None:
    """Add the commands to those of the root."""
    root.command(name="pcrs")(show_pcrs)
    root.command(name="approve")(approve)


def show_pcrs(
    pcrs: Annotated[str, typer.Option(help="Which ones, such as sha256:7+11.")] = "sha256:7",
    tcti: Annotated[str, typer.Option(help="How the TPM is reached.")] = "",
) -> None:
    """Show what PCRs of this machine's TPM hold; with --output json, a file for 'root approve'."""
    at = state()
    try:
        from adyton.roots._tpm_sealing import read_pcrs  # noqa: PLC0415 - an optional library
    except ImportError:
        raise ConfigurationError(
            "reading PCRs needs the library tpm2-pytss",
            hint="Install it: apt-get install libtss2-dev, then pip install 'adyton[tpm]'.",
        ) from None
    from adyton.roots._tpm_policy import canonical_selection, names  # noqa: PLC0415 - idem

    chosen = canonical_selection(pcrs)
    values = [value.hex() for value in read_pcrs(tcti, chosen)]
    if at.ui.json:
        at.ui.document(msgspec.to_builtins(Measured(chosen, values)))
    else:
        at.ui.table(("PCR", "VALUE"), list(zip(names(chosen), values, strict=True)), "no PCRs")


def approve(
    key: Annotated[Path, typer.Option(help="The approver's private key, PEM, P-256.")],
    values: Annotated[Path, typer.Option(help="What the PCRs will hold: from 'root pcrs'.")],
    out: Annotated[Path, typer.Option(help="NAME.json for the root's folder of policies.")],
) -> None:
    """Approve a state of the machine, so that an update does not lose the master key.

    To be done where software is released: the private key does not belong on the machine.
    """
    from adyton.roots import _tpm_policy as policy  # noqa: PLC0415 - loaded on use

    at = state()
    if out.suffix != ".json":
        raise InvalidInput(
            "the root looks at files whose names end in .json alone",
            hint="Write '--out DIR/NAME.json'.",
        )
    try:
        content = values.read_bytes()
        measured = msgspec.json.decode(content, type=Measured)
        wanted = [bytes.fromhex(value) for value in measured.values]
    except OSError as error:
        raise InvalidInput(f"can't read {values}: {error.strerror}") from None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise InvalidInput(
            f"{values} does not say what PCRs hold",
            hint="Make it by 'adyton --output json root pcrs'.",
        ) from None
    signer = policy.load_signer(key, at.ask)
    made = policy.approve(signer, policy.parse_selection(measured.pcrs), wanted)
    try:
        durable.replace(out, made)
    except OSError as error:
        raise StoreError(f"can't write {out}: {error.strerror}") from None
    at.ui.done(f"approved {measured.pcrs}: copy {out.name} into the folder of policies")
