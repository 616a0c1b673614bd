"""Handing out new shares: shown once, or written to a file each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from adyton import durable
from adyton.cli.ui import Ui
from adyton.errors import InvalidInput

SharesDir = Annotated[
    Path | None,
    typer.Option("--shares-dir", help="Write each share to a file of its own in this folder."),
]
_WARNING: Final = (
    "these shares are shown this once and kept nowhere: give each to another person, and never "
    "keep as many as open the store in one place"
)


def check_folder(folder: Path | None) -> None:
    """Check the folder for shares before there are any.

    Raises:
        InvalidInput: It is missing, or has shares already.
    """
    if folder is None:
        return
    if not folder.is_dir():
        raise InvalidInput(f"there is no folder {folder}", hint="Make it, for its owner alone.")
    if any(folder.glob("share-*")):
        raise InvalidInput(
            f"{folder} has shares already, and they are not overwritten", hint="Name another one."
        )


def hand_out(ui: Ui, shares: Sequence[str], threshold: int, folder: Path | None) -> list[str]:
    """Show shares, or write them to files; returns what was made, for machines.

    Raises:
        InvalidInput: A file can't be written; the shares are shown instead.
    """
    if folder is not None:
        try:
            paths = [folder / f"share-{at}" for at in range(1, len(shares) + 1)]
            for path, share in zip(paths, shares, strict=True):
                durable.create(path, f"{share}\n".encode())
        except OSError as error:
            ui.warn(f"a share can't be written ({error.strerror}), so all are shown")
        else:
            ui.note(f"{len(shares)} shares are in {folder}/share-*, {threshold} of them open it")
            ui.warn("move each file to another person, and leave none here")
            return [str(path) for path in paths]
    if not ui.json:
        ui.warn(_WARNING)
        for share in shares:
            ui.line(share)
        ui.note(f"{threshold} of these {len(shares)} open the store")
    return list(shares)
