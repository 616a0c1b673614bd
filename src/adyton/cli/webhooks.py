"""Commands on webhooks: where a user's notices are sent to."""

import datetime as dt
from typing import Annotated

import typer
from rich.text import Text

from adyton.cli.state import OutFile, state, write_secret_line
from adyton.cli.ui import ago, moment
from adyton.errors import ServerUnavailable
from adyton.noticevalues import WebhookInfo, WebhookMade

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The webhook's id.")]


@app.command(name="add")
def add(
    url: Annotated[str, typer.Argument(help="Where to send notices to, by https.")],
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only this kind and all below it, such as rotation; may be repeated."),
    ] = None,
    note: Annotated[str, typer.Option(help="To be written down with it.")] = "",
    out: OutFile = None,
) -> None:
    """Send a user's notices to an address from now on; its secret is told this once."""
    at = state()
    with at.open() as store:
        made = store.webhooks.add(at.who(), url, kinds=kind or (), note=note)
    _show_made(made, "added", out)


@app.command(name="list")
def list_() -> None:
    """Show where a user's notices are sent to."""
    at = state()
    with at.open() as store:
        found = store.webhooks.list(at.who())
    if at.ui.json:
        at.ui.document([info._asdict() for info in found])
        return
    at.ui.table(
        ("ID", "URL", "KINDS", "WAITING", "DELIVERED", "GIVEN UP", "ERROR", "NOTE"),
        [
            (
                info.id,
                info.url,
                ", ".join(info.kinds) or "all",
                str(info.waiting),
                str(info.delivered),
                str(info.given_up),
                Text(info.error, "red"),
                info.note,
            )
            for info in found
        ],
        "no webhooks; add one with 'adyton webhook add'",
    )


@app.command(name="show")
def show(webhook: Id) -> None:
    """Show a webhook, and how it fares."""
    at = state()
    with at.open() as store:
        info = store.webhooks.get(at.who(), webhook)
    if at.ui.json:
        at.ui.document(info._asdict())
        return
    at.ui.table(("FIELD", "VALUE"), _facts(info), "nothing")


@app.command(name="test")
def test(webhook: Id) -> None:
    """Send a message of the kind 'test' now, and tell what came of it."""
    at = state()
    with at.open() as store:
        answer = store.webhooks.test(at.who(), webhook)
    if at.ui.json:
        at.ui.document(answer._asdict())
    elif answer.delivered:
        at.ui.done(f"it was taken, with status {answer.status}")
    if not answer.delivered:
        raise ServerUnavailable(
            f"the message was not taken: {answer.error}",
            hint="A receiver answers with a status of 200 to 299.",
        )


@app.command(name="rotate")
def rotate(
    webhook: Id,
    overlap: Annotated[
        int, typer.Option(help="Seconds for which the former secret signs as well.")
    ] = 86_400,
    out: OutFile = None,
) -> None:
    """Give a webhook a new secret, which is told this once."""
    at = state()
    with at.open() as store:
        made = store.webhooks.rotate(at.who(), webhook, overlap=overlap)
    _show_made(made, "has a new secret", out)
    until = made.webhook.old_secret_until
    if until is not None:
        at.ui.note(f"the former secret signs as well until {moment(until)} UTC")


@app.command(name="remove")
def remove(webhook: Id) -> None:
    """Send nothing to a webhook any more, what waits included."""
    at = state()
    with at.open() as store:
        store.webhooks.remove(at.who(), webhook)
    at.ui.done("removed")


def _show_made(made: WebhookMade, what: str, out: OutFile) -> None:
    at = state()
    if at.ui.json:
        document = {"webhook": made.webhook._asdict()}
        at.ui.document(document | ({"secret": made.secret} if out is None else {}))
    elif out is None:
        write_secret_line(made.secret, None)
    if out is not None:
        write_secret_line(made.secret, out)
    at.ui.note(f"webhook {made.webhook.id} {what}; its receiver checks signatures by the secret")


def _facts(info: WebhookInfo) -> list[tuple[str, str]]:
    now = dt.datetime.now(dt.UTC)
    facts = [
        ("id", info.id),
        ("url", info.url),
        ("kinds", ", ".join(info.kinds) or "all"),
        ("note", info.note),
        ("added", f"{moment(info.created_at)} UTC, {ago(info.created_at, now)}"),
        ("waiting", str(info.waiting)),
        ("delivered", str(info.delivered)),
        ("given up", str(info.given_up)),
        ("failures in a row", str(info.attempts)),
        ("error", info.error),
        ("next attempt", f"{moment(info.next_at)} UTC" if info.next_at else ""),
        (
            "former secret",
            f"until {moment(info.old_secret_until)} UTC" if info.old_secret_until else "",
        ),
    ]
    return [(name, value) for name, value in facts if value]
