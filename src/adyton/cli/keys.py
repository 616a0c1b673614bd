"""Commands on keys."""

import datetime as dt
from typing import Annotated

import typer
from rich.text import Text

from adyton.cli.state import state
from adyton.cli.ui import ago, count
from adyton.errors import InvalidInput

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command(name="list")
def list_() -> None:
    """Show the versions of the master key and of every user's keys."""
    at = state()
    with at.open() as store:
        found = store.keys.list()
    if at.ui.json:
        at.ui.document([info._asdict() for info in found])
        return
    now = dt.datetime.now(dt.UTC)
    at.ui.table(
        ("KEY", "VERSION", "STATE", "MADE", "ROTATES IN", "WRAPS AT MOST"),
        [
            (
                info.user or Text("(master)", "bold"),
                str(info.version),
                "current" if info.current else Text("retired", "yellow"),
                ago(info.created_at, now),
                f"{info.max_days - (now - info.created_at).days:.0f} d" if info.current else "-",
                str(info.wraps),
            )
            for info in found
        ],
        "no keys",
    )
    if any(not info.current for info in found):
        at.ui.note("retired keys go with 'adyton keys rewrap'")


@app.command(name="rotate")
def rotate(
    master: Annotated[
        bool, typer.Option("--master", help="The master key, instead of users' keys.")
    ] = False,
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also",
            help="With --master: a root of the store that did not open it now; may be repeated.",
        ),
    ] = None,
    drop_absent: Annotated[
        bool,
        typer.Option("--drop-absent", help="With --master: drop roots that are not at hand."),
    ] = False,
) -> None:
    """Make a new current key: for --user, for all users, or the master key."""
    at = state()
    if (also or drop_absent) and not master:
        raise InvalidInput("--also and --drop-absent are about the master key", hint="See --help.")
    user = None if master else at.user
    with at.open() as store, at.ui.watcher() as watch:
        made = store.keys.rotate(
            user, master=master, roots=also or (), drop_absent=drop_absent, watch=watch
        )
    if at.ui.json:
        at.ui.document({"master_version": made} if master else {"rotated": made})
    elif master:
        at.ui.done(f"the master key is version {made}; all user keys are wrapped by it")
    else:
        new = f"{count(made, 'user key')} {'is' if made == 1 else 'are'} new"
        at.ui.done(f"{new}; 'adyton keys rewrap' moves what is older")


@app.command(name="rewrap")
def rewrap(
    deep: Annotated[
        bool, typer.Option("--deep", help="Also re-encrypt every value under a new data key.")
    ] = False,
) -> None:
    """Move data keys to the current user keys, and destroy the older ones. May be interrupted."""
    at = state()
    with at.open() as store, at.ui.watcher() as watch:
        report = store.keys.rewrap(at.user, deep=deep, watch=watch)
    if at.ui.json:
        at.ui.document(report._asdict())
    else:
        at.ui.done(f"{count(report.keys, 'data key')} of {count(report.users, 'user')}")
        if report.closed:
            at.ui.note(f"{count(report.closed, 'user')} left out: their own roots are away")
