"""Commands on legal holds."""

from typing import Annotated

import typer

from adyton.cli.state import state
from adyton.cli.ui import moment

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Operator = Annotated[
    bool, typer.Option("--operator", help="As the store's operator, who alone releases such holds.")
]


@app.command(name="add")
def add(
    reason: Annotated[str, typer.Option("--reason", help="Why, such as the number of the case.")],
    where: Annotated[
        str,
        typer.Argument(help="A secret, a folder with its slash, or nothing for all of --user."),
    ] = "",
    operator: Operator = False,
) -> None:
    """Keep secrets from being deleted, destroyed, replaced and purged."""
    at = state()
    with at.open() as store:
        hold = store.holds.add(at.who(), reason, where=where, operator=operator)
    if at.ui.json:
        at.ui.document(hold._asdict())
    else:
        at.ui.done(f"hold {hold.id} keeps {where or 'all secrets of the user'}")


@app.command(name="list")
def list_() -> None:
    """Show all legal holds on a user's secrets."""
    at = state()
    with at.open() as store:
        found = store.holds.list(at.who())
    if at.ui.json:
        at.ui.document([hold._asdict() for hold in found])
        return
    at.ui.table(
        ("HOLD", "COVERS", "SINCE (UTC)", "BY", "REASON"),
        [
            (
                hold.id,
                hold.where or "(all)",
                moment(hold.created_at),
                f"{hold.created_by} (operator)" if hold.operator else hold.created_by,
                hold.reason,
            )
            for hold in found
        ],
        "no legal holds; place one with 'adyton hold add'",
    )


@app.command(name="release")
def release(
    hold: Annotated[str, typer.Argument(help="The hold, as 'adyton hold list' shows it.")],
    operator: Operator = False,
) -> None:
    """End a legal hold."""
    at = state()
    with at.open() as store:
        store.holds.release(at.who(), hold, operator=operator)
    at.ui.done(f"hold {hold} is released")
