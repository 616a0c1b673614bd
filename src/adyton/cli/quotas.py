"""Commands on what users may store."""

from typing import Annotated

import typer

from adyton.cli.state import state
from adyton.quotavalues import QuotaInfo

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_ROWS = ("secrets", "versions", "objects", "bytes")
Amount = Annotated[int | None, typer.Option(min=0, help="0: none. Left out: as configured.")]


@app.command(name="show")
def show() -> None:
    """Show what --user may store, and stores."""
    at = state()
    with at.open() as store:
        found = store.quotas.get(at.who())
    if at.ui.json:
        at.ui.document({name: part._asdict() for name, part in found._asdict().items()})
        return
    at.ui.table(("WHAT", "STORED", "QUOTA", "FROM"), [_row(found, name) for name in _ROWS], "")


def _row(found: QuotaInfo, name: str) -> tuple[str, str, str, str]:
    quota = getattr(found.quota, name)
    source = "configuration" if getattr(found.own, name) is None else "user"
    return name, str(getattr(found.used, name)), str(quota or "none"), source


@app.command(name="set")
def set_(
    secrets: Amount = None, versions: Amount = None, objects: Amount = None, bytes_: Annotated[
        int | None, typer.Option("--bytes", min=0, help="0: none. Left out: as configured.")
    ] = None,
) -> None:  # fmt: skip
    """Give --user quotas, in the place of all former ones."""
    at = state()
    with at.open() as store:
        store.quotas.set(
            at.who(), secrets=secrets, versions=versions, objects=objects, bytes=bytes_
        )
    at.ui.done("the quotas hold from now on")


@app.command(name="clear")
def clear() -> None:
    """Let --user have the quotas of the configuration again."""
    at = state()
    with at.open() as store:
        store.quotas.clear(at.who())
    at.ui.done("the quotas are those of the configuration")
