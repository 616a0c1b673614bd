"""The command that looks for trouble."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

import typer
from rich.text import Text

from adyton.cli.state import State, state
from adyton.errors import AdytonError

Verdict = Literal["ok", "warn", "fail"]
_STYLE: Final = {"ok": "green", "warn": "yellow", "fail": "bold red"}


class Finding(NamedTuple):
    """One thing that was looked at, and the next step if it is not well."""

    verdict: Verdict
    what: str
    step: str = ""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="doctor")(doctor)


def doctor() -> None:
    """Look for trouble: files, root, storage, keys, log, memory; ends with 6 if there is some."""
    at = state()
    here = () if at.addr else (*_files(at), *_memory())
    found = [*here, *_store(at)]
    if at.ui.json:
        at.ui.document([finding._asdict() for finding in found])
    else:
        at.ui.table(
            ("", "WHAT", "NEXT STEP"),
            [(Text(each.verdict, _STYLE[each.verdict]), each.what, each.step) for each in found],
            "nothing was looked at",
        )
    if any(finding.verdict == "fail" for finding in found):
        raise typer.Exit(6)


def _files(at: State) -> Iterator[Finding]:
    from adyton.wiring import store_path  # noqa: PLC0415 - loaded on use

    path = store_path(at.store)
    if path is None or not path.exists():
        yield Finding("fail", f"there is no store at {at.store}", "adyton init, or --store PATH")
        return
    for suffix in ("", "-wal", "-shm", ".lock"):
        file = Path(f"{path}{suffix}")
        if file.exists():
            yield _mode(file)
    key = Path(f"{path}.key")
    if key.exists():
        yield Finding(
            "warn",
            f"the key file {key.name} lies beside the store",
            "move it elsewhere, and name it by --root keyfile:PATH",
        )


def _mode(file: Path) -> Finding:
    found = file.stat()
    bits = stat.S_IMODE(found.st_mode)
    if bits & 0o077:
        return Finding("warn", f"{file.name} is open to others ({bits:o})", f"chmod 600 {file}")
    if found.st_uid != os.geteuid():
        return Finding("warn", f"{file.name} belongs to another user", "check who runs Adyton")
    return Finding("ok", f"{file.name}: {found.st_size:,} bytes, mode {bits:o}")


def _memory() -> Iterator[Finding]:
    from adyton.crypto import arena  # noqa: PLC0415 - loaded on use
    from adyton.crypto.secretbytes import SecretBytes  # noqa: PLC0415 - idem

    with SecretBytes.random(32):
        locked, unlocked, _ = arena.status()
    if unlocked:
        yield Finding("warn", "secret memory can't be locked", "raise RLIMIT_MEMLOCK (ulimit -l)")
    else:
        yield Finding("ok", f"secret memory is locked ({locked:,} bytes)")


def _store(at: State) -> Iterator[Finding]:
    try:
        store = at.open()
    except AdytonError as error:
        yield Finding("fail", error.message, error.hint)
        return
    with store:
        facts = store.health()
        for problem in facts.problems:
            yield Finding("fail", f"database: {problem}", "restore a backup")
        if not facts.problems:
            yield Finding("ok", "the database is sound")
        yield Finding("ok", "root of trust: " + ", ".join(map(": ".join, facts.root.items())))
        yield Finding("ok", f"log: {facts.records:,} records, signed up to {facts.signed:,}")
        if facts.retired_users:
            yield Finding(
                "warn", f"retired keys of {facts.retired_users} users wait", "adyton keys rewrap"
            )
        if facts.master_due:
            yield Finding("warn", "the master key is due", "adyton keys rotate --master")
    yield Finding("ok", "for the whole history: adyton audit verify")
