"""Commands that take secrets in and out: export and import."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from adyton.cli.state import OutFile, State, Yes, read_private, read_stdin, state, write_private
from adyton.errors import InvalidInput

if TYPE_CHECKING:
    from adyton.model import OnConflict
    from adyton.values import Format, ImportReport

_MAX_DOCUMENT: Final = 512 * 1024 * 1024
_BY_SUFFIX: Final = {
    ".env": "dotenv", ".json": "json", ".yaml": "yaml", ".yml": "yaml", ".age": "bundle",
}  # fmt: skip

FormatOption = Annotated[
    str | None,
    typer.Option("--format", help="bundle, dotenv, json or yaml; else by the file's name."),
]
Prefix = Annotated[str, typer.Option("--prefix", help="Folder, such as app/.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(name="export")(export)
    app.command(name="import")(import_)


def _format(given: str | None, path: Path | None) -> "Format":
    if given is None and path is not None:
        given = "dotenv" if path.name.startswith(".env") else _BY_SUFFIX.get(path.suffix.lower())
    return cast("Format", given or "bundle")


def _passphrase(at: State, file: Path | None, *, wanted: bool, new: bool) -> str | None:
    if file is not None:
        return read_private(file).decode().rstrip("\r\n")
    if not wanted:
        return None
    ask = at.ui.ask_secret_twice if new else at.ui.ask_secret
    with ask("passphrase of the bundle") as typed:
        return typed.text()


def _lines(path: Path) -> list[str]:
    """Keys in a file: an OpenSSH private key whole, else one a line."""
    text = read_private(path).decode("utf-8", "replace")
    if "PRIVATE KEY" in text:
        return [text]
    return [line for line in map(str.strip, text.splitlines()) if line and line[0] != "#"]


def export(
    recipient: Annotated[
        list[str] | None,
        typer.Option("--recipient", "-r", help="age1..., ssh-ed25519 ... or ssh-rsa ..."),
    ] = None,
    recipients_file: Annotated[
        Path | None, typer.Option("--recipients-file", "-R", help="Recipients, one a line.")
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", "-p", help="Ask for a passphrase instead.")
    ] = False,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", help="Read the passphrase from this file.")
    ] = None,
    format: FormatOption = None,  # noqa: A002 - the plain word
    prefix: Prefix = "",
    name: Annotated[
        list[str] | None, typer.Option("--name", help="Only this secret; may be repeated.")
    ] = None,
    all_versions: Annotated[
        bool, typer.Option("--all-versions", help="The whole history.")
    ] = False,
    out: OutFile = None,
    plaintext: Annotated[
        bool,
        typer.Option("--plaintext", help="Yes, dotenv, JSON and YAML are not encrypted."),
    ] = False,
) -> None:
    """Export a user's secrets: an age file, or with --plaintext dotenv, JSON or YAML."""
    at = state()
    kind = _format(format, out)
    recipients = [*(recipient or []), *(_lines(recipients_file) if recipients_file else [])]
    if kind != "bundle" and not plaintext:
        raise InvalidInput(
            f"a document of format {kind} is not encrypted",
            hint="Give --plaintext if that is meant, or export a bundle.",
        )
    secret = _passphrase(at, passphrase_file, wanted=passphrase, new=True)
    with at.open() as store:
        document = store.export_secrets(
            at.who(),
            recipients=recipients or None,
            passphrase=secret,
            format=kind,
            prefix=prefix,
            names=name,
            all_versions=all_versions,
        )
    if out is None:
        if os.isatty(1) and kind == "bundle":
            raise InvalidInput("a bundle is binary", hint="Give --out FILE, or pipe it on.")
        at.ui.raw(document)
    else:
        write_private(out, document)
        at.ui.done(f"exported to {out}")


def import_(
    file: Annotated[
        Path | None, typer.Argument(help="The document; - or nothing for standard input.")
    ] = None,
    format: FormatOption = None,  # noqa: A002 - the plain word
    identity: Annotated[
        list[Path] | None,
        typer.Option("--identity", "-i", help="File with an age or OpenSSH private key."),
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", "-p", help="Ask for the bundle's passphrase.")
    ] = False,
    passphrase_file: Annotated[
        Path | None, typer.Option("--passphrase-file", help="Read the passphrase from this file.")
    ] = None,
    prefix: Prefix = "",
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Make folders of the objects in JSON and YAML.")
    ] = False,
    on_conflict: Annotated[
        str, typer.Option("--on-conflict", help="fail, skip, replace or new-version.")
    ] = "fail",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would happen.")
    ] = False,
    from_vault: Annotated[
        str | None,
        typer.Option("--from-vault", help="Address of a Vault or OpenBao server to read instead."),
    ] = None,
    mount: Annotated[str, typer.Option("--mount", help="Its KV v2 mount.")] = "secret",
    path: Annotated[str, typer.Option("--path", help="Only below this path of the mount.")] = "",
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="Its namespace.", envvar="VAULT_NAMESPACE")
    ] = None,
    ca_file: Annotated[
        str | None, typer.Option("--ca-file", help="Certificates to trust.", envvar="VAULT_CACERT")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="Its token; else VAULT_TOKEN, or asked.")
    ] = None,
    all_versions: Annotated[
        bool, typer.Option("--all-versions", help="The whole history of the mount.")
    ] = False,
    _yes: Yes = False,
) -> None:
    """Import a bundle, dotenv, JSON or YAML document, or a KV v2 mount: all of it or nothing."""
    at = state()
    user = at.who()
    conflict = cast("OnConflict", on_conflict)
    if from_vault is not None:
        token = _vault_token(at, token_file)
        with at.open() as store, at.ui.watcher() as watch:
            report = store.import_from_vault(
                user, from_vault, token, mount, path=path, namespace=namespace, ca_file=ca_file,
                all_versions=all_versions, prefix=prefix, on_conflict=conflict, dry_run=dry_run,
                watch=watch,
            )  # fmt: skip
        _tell(at, report)
        return
    reading = file is not None and str(file) != "-"
    data = read_private(file) if file is not None and reading else read_stdin(_MAX_DOCUMENT)
    identities = [key for each in identity or [] for key in _lines(each)]
    secret = _passphrase(at, passphrase_file, wanted=passphrase, new=False)
    with at.open() as store, at.ui.watcher() as watch:
        report = store.import_secrets(
            user,
            bytes(data),
            identities=identities or None,
            passphrase=secret,
            format=_format(format, file if reading else None),
            prefix=prefix,
            flatten=flatten,
            on_conflict=conflict,
            dry_run=dry_run,
            watch=watch,
        )
    _tell(at, report)


def _vault_token(at: State, file: Path | None) -> str:
    if file is not None:
        return read_private(file).decode().strip()
    found = os.environ.pop("VAULT_TOKEN", "")
    if found:
        return found
    with at.ui.ask_secret("token of the server") as typed:
        return typed.text()


def _tell(at: State, report: "ImportReport") -> None:
    parts = (
        ("created", report.created),
        ("replaced", report.replaced),
        ("new version", report.new_versions),
        ("skipped" if not report.dry_run else "exists", report.skipped),
    )
    if at.ui.json:
        at.ui.document({**dict(parts), "dry_run": report.dry_run})
        return
    if report.dry_run:
        at.ui.table(
            ("WOULD BE", "NAME"),
            [(what, name) for what, names in parts for name in names],
            "nothing in the document",
        )
    counts = ", ".join(f"{len(names)} {what}" for what, names in parts if names) or "nothing"
    at.ui.done(f"{'would import' if report.dry_run else 'imported'}: {counts}")
