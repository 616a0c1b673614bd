"""Commands that tell who may do what and why, and commands on approvals."""

from typing import Annotated, Final

import typer
from rich.text import Text

from adyton.cli.durations import seconds
from adyton.cli.state import state
from adyton.cli.ui import moment
from adyton.errors import InvalidInput
from adyton.grantvalues import EVERYTHING, RIGHTS, AccessRequest, document

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Path = Annotated[
    str, typer.Argument(help="A secret, a folder with a slash at its end, or / for all.")
]
Id = Annotated[str, typer.Argument(help="The request's id.")]
_STYLES: Final = {"allows": "green", "denies": "red", "does not apply": "dim"}


@app.command(name="explain")
def explain(
    actor: Annotated[str, typer.Argument(help="A member's name, user:ID, or token:ACCESSOR.")],
    action: Annotated[str, typer.Argument(help=f"{', '.join(RIGHTS)}; or get, set, ...")],
    path: Path,
    address: Annotated[str, typer.Option("--from", help="Where the request would come from.")] = "",
) -> None:
    """Say whether somebody may do something now, which rule decides, and why."""
    at = state()
    with at.open() as store:
        found = store.access.explain(at.who(), actor, action, path, address=address)
    if at.ui.json:
        at.ui.document(document(found))
        return
    verdict = "may" if found.allowed else "may not"
    at.ui.line(f"{found.actor} {verdict} {found.right} {found.path}: {found.why}")
    at.ui.table(
        ("RULE", "NAME", "LINE", "OUTCOME", "WHY"),
        [
            (
                f"{step.kind} {step.rule}", step.name, str(step.line) if step.line else "-",
                Text(step.outcome, _STYLES.get(step.outcome, "")), step.why,
            )
            for step in found.steps
        ],
        "no rule speaks of it",
    )  # fmt: skip


@app.command(name="who")
def who(path: Path = EVERYTHING) -> None:
    """Show all who could read a secret today, by any way."""
    at = state()
    with at.open() as store:
        found = store.access.who(at.who(), path)
    if at.ui.json:
        at.ui.document([document(one) for one in found])
        return
    at.ui.table(
        ("WHO", "BY", "THROUGH", "ON", "UNTIL (UTC)", "IF"),
        [
            (
                one.actor, one.kind, f"{one.through} ({one.role})" if one.role else one.through,
                one.path, moment(one.until), one.conditions,
            )
            for one in found
        ],
        "nobody",
    )  # fmt: skip


@app.command(name="request")
def request(
    right: Annotated[str, typer.Argument(help=f"{', '.join(RIGHTS)}.")],
    path: Annotated[str, typer.Argument(help="A secret.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in words.")] = "",
) -> None:
    """As a member, ask for a second person's approval."""
    at = state()
    if not at.addr:
        raise InvalidInput(
            "no member asks: at a store itself it is the owner, who needs no approval",
            hint="This takes a member's token: give --addr https://HOST:8200 or set ADYTON_ADDR,"
            " and set ADYTON_TOKEN or use 'adyton login'.",
        )
    with at.open() as store:
        made = store.access.request(at.who(), right, path, reason=reason)
    _tell(made, f"asked as {made.id}; somebody else approves it by 'adyton access approve'")


@app.command(name="requests")
def requests() -> None:
    """Show requests: one's own, and those that one may decide."""
    at = state()
    with at.open() as store:
        found = store.access.requests(at.who())
    if at.ui.json:
        at.ui.document([document(one) for one in found])
        return
    at.ui.table(
        ("ID", "MEMBER", "RIGHT", "PATH", "REASON", "STATE", "UNTIL (UTC)", "BY"),
        [
            (
                one.id, one.member, one.right, one.path, one.reason, one.state,
                moment(one.expires_at), one.decided_by,
            )
            for one in found
        ],
        "no requests",
    )  # fmt: skip


@app.command(name="approve")
def approve(
    id_: Id,
    ttl: Annotated[str, typer.Option("--for", help="For how long, as in 30m.")] = "1h",
    uses: Annotated[int, typer.Option("--uses", help="How often it may be used.")] = 1,
) -> None:
    """Approve somebody else's request."""
    at = state()
    with at.open() as store:
        made = store.access.approve(at.who(), id_, seconds=seconds(ttl, "--for"), uses=uses)
    _tell(made, f"approved until {moment(made.expires_at)} UTC")


@app.command(name="deny")
def deny(id_: Id) -> None:
    """Deny somebody else's request."""
    at = state()
    with at.open() as store:
        made = store.access.deny(at.who(), id_)
    _tell(made, "denied")


def _tell(made: AccessRequest, text: str) -> None:
    at = state()
    if at.ui.json:
        at.ui.document(document(made))
    else:
        at.ui.done(text)
