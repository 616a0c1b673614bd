"""Commands on users."""

import typer

from adyton.cli import userroots
from adyton.cli.state import Yes, state
from adyton.cli.ui import count, moment

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(userroots.app, name="root", help="A root that the user holds: set, give, take.")


@app.command(name="list")
def list_() -> None:
    """Show the users of the store."""
    at = state()
    with at.open() as store:
        found = store.users()
    if at.ui.json:
        at.ui.document([info._asdict() for info in found])
        return
    at.ui.table(
        ("USER", "SINCE (UTC)", "SECRETS"),
        [(info.user, moment(info.created_at), str(info.secrets)) for info in found],
        "no users yet; the first secret of a user makes one",
    )


@app.command(name="purge")
def purge(yes: Yes = False) -> None:
    """Destroy the keys and secrets of --user for good."""
    at = state()
    user = at.who()
    at.ui.confirm("the user's keys, secrets and readable history will be destroyed;", yes=yes)
    with at.open() as store:
        done = store.purge_user(user)
    if at.ui.json:
        at.ui.document({"secrets": done})
        return
    at.ui.done(f"{count(done, 'secret')} gone, with the keys that opened them")
    at.ui.note(
        "backups made before still hold the wrapped keys: rotate the master key and retire its "
        "root, or let them expire (docs/guide/operations.md)"
    )
