"""Commands on rotation of secrets."""

import datetime as dt
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.text import Text

from adyton.cli.durations import pairs, seconds
from adyton.cli.state import state
from adyton.cli.ui import ago, moment
from adyton.errors import InvalidInput
from adyton.lifecyclevalues import duration_text
from adyton.model import from_us
from adyton.rotationpolicy import RotationInfo, RotationPolicy

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="The secret.")]
Place = Annotated[str, typer.Argument(help="The secret, or a folder with its slash.")]
_STYLES: Final = {"waiting": "", "grace": "cyan", "rotating": "yellow", "undoing": "red"}


@app.command(name="set")
def set_(
    name: Place,
    every: Annotated[str, typer.Option(help="Interval, such as 12h or 30d.")] = "",
    cron: Annotated[str, typer.Option(help="Cron expression of five fields.")] = "",
    timezone: Annotated[str, typer.Option(help="Time zone of --cron and --window.")] = "UTC",
    window: Annotated[
        str, typer.Option(help="When it may begin, such as 'sat,sun 01:00-05:00'.")
    ] = "",
    rotator: Annotated[
        str, typer.Option(help="random, postgresql, redis, webhook, program.")
    ] = "random",
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Setting of the rotator, KEY=VALUE.")
    ] = None,
    admin: Annotated[str, typer.Option(help="Name of the secret that lets the rotator in.")] = "",
    generator: Annotated[
        str, typer.Option(help="text, words, uuid, ssh, x25519, rsa, ecdsa, tls.")
    ] = "text",
    option: Annotated[
        list[str] | None, typer.Option("--option", help="Option of the generator, KEY=VALUE.")
    ] = None,
    grace: Annotated[str, typer.Option(help="How long the former value works on.")] = "1h",
    retries: Annotated[int, typer.Option(help="How often a step is tried again.")] = 5,
) -> None:
    """Rotate a secret, or each in a folder, by a policy from now on."""
    policy = RotationPolicy(
        every=seconds(every, "--every"),
        cron=cron,
        timezone=timezone,
        window=window,
        rotator=rotator,
        settings=pairs(setting, "--set"),
        admin=admin,
        generator=generator,
        options=pairs(option, "--option"),
        grace=seconds(grace, "--grace"),
        retries=retries,
    )
    at = state()
    with at.open() as store:
        info = store.rotation.set_policy(at.who(), name, policy)
    zone = " UTC" if info.due_at else ""
    _show(
        info, "rotates what is in it" if info.state == "folder" else f"is due {_when(info)}{zone}"
    )


@app.command(name="list")
def list_() -> None:
    """Show all rotations of a user's secrets."""
    at = state()
    with at.open() as store:
        found = store.rotation.list(at.who())
    if at.ui.json:
        at.ui.document([_document(info) for info in found])
        return
    now = dt.datetime.now(dt.UTC)
    at.ui.table(
        ("SECRET", "ROTATOR", "POLICY", "STATE", "DUE (UTC)", "ROTATED", "VERSION", "ERROR"),
        [
            (
                info.name,
                info.policy.rotator,
                info.folder or ("" if info.state == "folder" else "own"),
                Text(info.state, _STYLES.get(info.state, "")),
                Text(_when(info), "red" if info.overdue else ""),
                ago(info.rotated_at, now) if info.rotated_at else _never(info),
                str(info.version) if info.version else "-",
                Text(info.error, "red"),
            )
            for info in found
        ],
        "no rotations; make one with 'adyton rotation set'",
    )


@app.command(name="show")
def show(name: Place) -> None:
    """Show how a secret is rotated, and how far that has come."""
    at = state()
    with at.open() as store:
        info = store.rotation.get_policy(at.who(), name)
    if at.ui.json:
        at.ui.document(_document(info))
        return
    facts = _document(info)
    policy = facts.pop("policy")
    policy |= {key: policy[key] and duration_text(policy[key]) for key in ("every", "grace")}
    policy = {key: value for key, value in policy.items() if key != "every" or value}
    rows = [(key, _text(value)) for key, value in (facts | policy).items() if value or value == 0]
    at.ui.table(("FIELD", "VALUE"), rows, "nothing")


@app.command(name="history")
def history(name: Name) -> None:
    """Show the last steps of a secret's rotations, newest first."""
    at = state()
    with at.open() as store:
        found = store.rotation.history(at.who(), name)
    if at.ui.json:
        at.ui.document(
            [
                {"time": from_us(event.time_us), "step": event.step, "error": event.error,
                 "version": event.version}
                for event in found
            ]
        )  # fmt: skip
        return
    at.ui.table(
        ("TIME (UTC)", "STEP", "VERSION", "ERROR"),
        [
            (
                moment(from_us(event.time_us)),
                event.step,
                str(event.version) if event.version else "-",
                Text(event.error, "red"),
            )
            for event in found
        ],
        "nothing was done yet",
    )


@app.command(name="run")
def run(
    name: Annotated[str, typer.Argument(help="The secret.")] = "",
    due: Annotated[bool, typer.Option("--due", help="All of the store that is due.")] = False,
) -> None:
    """Rotate a secret now, or with --due do all that is due, of every user."""
    if due == bool(name):
        raise InvalidInput("run takes the name of a secret, or --due")
    at = state()
    if not due:
        with at.open() as store:
            info = store.rotation.run(at.who(), name)
        _show(info, f"is at version {info.version}")
        return
    with at.open() as store:
        report = store.rotation.run_due()
    if at.ui.json:
        at.ui.document(report._asdict())
    else:
        at.ui.done(f"{report.taken} were due: {report.done} done, {report.failed} failed")
    if report.failed:
        at.ui.warn("see 'adyton rotation list' for what failed; it is tried again")


@app.command(name="cancel")
def cancel(name: Name) -> None:
    """Undo a rotation whose new value is not current yet."""
    at = state()
    with at.open() as store:
        info = store.rotation.cancel(at.who(), name)
    _show(info, "works by its former value; the new one is gone")


@app.command(name="remove")
def remove(name: Place) -> None:
    """Rotate a secret no more; its value stays."""
    at = state()
    with at.open() as store:
        store.rotation.remove_policy(at.who(), name)
    at.ui.done(f"{name} is rotated no more")


def _show(info: RotationInfo, text: str) -> None:
    at = state()
    if at.ui.json:
        at.ui.document(_document(info))
    else:
        at.ui.done(f"{info.name} {text}")


def _document(info: RotationInfo) -> dict[str, Any]:
    return info._asdict() | {"policy": msgspec.structs.asdict(info.policy)}


def _never(info: RotationInfo) -> str:
    return "" if info.state == "folder" else "never"


def _when(info: RotationInfo) -> str:
    if info.state == "folder":
        return ""
    return moment(info.due_at) if info.due_at else "on request"


def _text(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key}={each}" for key, each in value.items())
    return f"{moment(value)} UTC" if isinstance(value, dt.datetime) else str(value)
