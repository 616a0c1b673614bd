"""Commands on the audit log."""

import re
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from adyton.cli.state import OutFile, State, read_private, state, write_private
from adyton.cli.ui import count, moment
from adyton.model import AuditEntry

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_SHORTENED: Final = re.compile(r"(#\S{6})\S+")
"""A token's accessor, of which the beginning is enough for a person's eyes."""


def _entry(found: AuditEntry) -> dict[str, Any]:
    return {
        "index": found.index,
        "timestamp": found.timestamp,
        "actor": found.actor,
        "user": found.user,
        "secret": found.secret_name,
        "version": found.version,
        "action": found.action,
        "success": found.success,
        "reason": found.reason,
        "request_id": found.request_id,
        "address": found.address,
        "method": found.method,
        "accessor": found.accessor,
        "decision": found.decision,
        "outcome": found.outcome,
    }


def _show(at: State, entries: list[AuditEntry]) -> None:
    rows: list[tuple[str | Text, ...]] = [
        (
            str(found.index),
            moment(found.timestamp),
            _SHORTENED.sub(r"\1…", found.actor) if at.ui.terminal else found.actor,
            found.user,
            found.action,
            found.secret_name,
            str(found.version or ""),
            Text("yes", "green") if found.success else Text("no", "red"),
            found.reason,
        )
        for found in entries
    ]
    kept = list(range(len(_HEADINGS)))
    if at.ui.terminal and at.user:  # who asked for one user's records knows whose they are
        kept = [place for place in kept if _HEADINGS[place] != "USER"]
    at.ui.table(
        [_HEADINGS[place] for place in kept],
        [[row[place] for place in kept] for row in rows],
        "no records",
    )


_HEADINGS = ("LEAF", "TIME (UTC)", "ACTOR", "USER", "ACTION", "SECRET", "VERSION", "DONE", "REASON")


@app.command(name="log")
def log(
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many at the most.")] = 50,
    below: Annotated[
        int | None, typer.Option("--below", help="Only records before this leaf.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only about this secret.")] = None,
    action: Annotated[
        str | None, typer.Option("--action", help="Only this action, such as secret.get.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what was refused.")] = False,
) -> None:
    """Show records, newest first: of --user, or of the whole store."""
    at = state()
    with at.open() as store:
        entries = store.get_audit_log(
            at.user, limit=limit, below=below, name=name, action=action,
            success=False if failed else None,
        )  # fmt: skip
    if at.ui.json:
        at.ui.document([_entry(found) for found in entries])
    else:
        _show(at, entries)


@app.command(name="verify")
def verify(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", "-c", help="A checkpoint kept outside the store."),
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", help="Folder of archived records.")
    ] = None,
) -> None:
    """Check the whole log, and the store against it; ends with 7 at the first lie."""
    at = state()
    notes = [bytes(read_private(path)) for path in checkpoint or []]
    with at.open() as store, at.ui.watcher() as watch:
        report = store.audit.verify(checkpoints=notes, archive=archive, watch=watch)
    if at.ui.json:
        at.ui.document({**report._asdict(), "root": report.root.hex()})
        return
    at.ui.done(
        f"{count(report.records, 'record')}, {count(report.checkpoints, 'checkpoint')}, "
        f"{count(report.secrets, 'secret')} of {count(report.users, 'user')}: "
        "the log is whole, and the store is what it tells"
    )
    if report.closed:
        at.ui.note(
            f"of {count(report.closed, 'user')} the records alone were checked: what opens them "
            "is kept away by the user"
        )
    if not notes:
        at.ui.note(
            "a whole older database would pass too; keep a checkpoint outside the store and "
            "give it with --checkpoint"
        )


@app.command(name="prove")
def prove(
    leaf: Annotated[int, typer.Argument(help="Leaf index of the record, from 'audit log'.")],
    out: OutFile = None,
) -> None:
    """Write a proof of one record that anybody can check offline."""
    at = state()
    with at.open() as store:
        document = store.audit.prove(leaf, user=at.user)
    _write(at, document, out)


@app.command(name="check-proof")
def check_proof(
    proof: Annotated[Path, typer.Argument(help="The proof.")],
    vkey: Annotated[
        str | None, typer.Option("--vkey", help="The log's verifier key, as 'init' showed it.")
    ] = None,
) -> None:
    """Check a proof; needs no store."""
    from adyton.service.journal import decode_body  # noqa: PLC0415 - loaded on use
    from adyton.translog import check_proof as check  # noqa: PLC0415 - idem

    at = state()
    checked = check(bytes(read_private(proof)), vkey=vkey)
    body = decode_body(checked.body, checked.index)
    if at.ui.json:
        at.ui.document(
            {"record": _entry(body), "size": checked.checkpoint.size, "vkey": checked.vkey,
             "key_was_trusted": checked.key_was_trusted}
        )  # fmt: skip
        return
    _show(at, [body])
    at.ui.done(f"this record is leaf {checked.index} of the {checked.checkpoint.size} signed")
    if not checked.key_was_trusted:
        at.ui.warn(
            "checked against the key in the proof itself: give --vkey to know whose log it is"
        )


@app.command(name="checkpoint")
def checkpoint(out: OutFile = None) -> None:
    """Write a signed checkpoint; keep it where the store's thief can't reach."""
    at = state()
    with at.open() as store:
        note = store.audit.checkpoint()
    if at.ui.json and out is None:
        at.ui.document({"checkpoint": note.decode()})
    else:
        _write(at, note, out)


@app.command(name="vkey")
def vkey() -> None:
    """Show the log's verifier key."""
    at = state()
    with at.open() as store:
        found = store.audit.vkey
    if at.ui.json:
        at.ui.document({"vkey": found})
    else:
        at.ui.line(found)


@app.command(name="archive")
def archive(
    folder: Annotated[Path, typer.Argument(help="Folder to move full bundles of records to.")],
    keep: Annotated[int, typer.Option("--keep", help="Keep this many of the newest.")] = 0,
) -> None:
    """Move old records to files; 'verify --archive' reads them there."""
    at = state()
    with at.local() as store:
        report = store.audit.archive(folder, keep=keep)
    if at.ui.json:
        at.ui.document({"first": report.first, "end": report.end, "folder": str(report.folder)})
    else:
        at.ui.done(f"leaves {report.first} to {report.end - 1} are in {folder}")


def _write(at: State, data: bytes, out: Path | None) -> None:
    if out is None:
        at.ui.raw(data)
        return
    write_private(out, data)
    at.ui.done(f"written to {out}")
