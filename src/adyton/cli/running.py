"""Commands that hand secrets on: run a program with them, render a template with them."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from adyton.cli.secrets import json_field
from adyton.cli.state import OutFile, read_private, state, write_private
from adyton.errors import InvalidInput

if TYPE_CHECKING:
    from adyton.cli.state import Store

_REFERENCE: Final = re.compile(r"\{\{\s*adyton:(.*?)\s*\}\}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        name="run", context_settings={"ignore_unknown_options": True, "allow_extra_args": True}
    )(run)
    app.command(name="render")(render)


def variable(name: str, prefix: str) -> str:
    """The environment variable of a secret: ``app/db-url`` becomes ``APP_DB_URL``."""
    short = name.removeprefix(prefix)
    text = re.sub(r"[^A-Za-z0-9]", "_", short).upper()
    return f"_{text}" if text[:1].isdigit() else text


def _environment(
    store: "Store", user: str, prefix: str, tags: list[str], named: list[str]
) -> dict[str, str]:
    wanted: dict[str, str] = {}
    if not named or prefix or tags:
        for found in store.list_secrets(user, prefix=prefix, tags=tags):
            key = variable(found.name, prefix)
            if key in wanted:
                raise InvalidInput(
                    f"two secrets would become the variable {key}",
                    hint="Give one of them another by --env VARIABLE=NAME.",
                )
            wanted[key] = found.name
    for pair in named:
        key, equals, name = pair.partition("=")
        if not equals or not _VARIABLE.fullmatch(key):
            raise InvalidInput("--env is not of the form VARIABLE=NAME")
        wanted[key] = name
    found_secrets = store.get_secrets(user, wanted.values())
    missing = [key for key, name in wanted.items() if name not in found_secrets]
    if missing:
        raise InvalidInput(
            f"no such secret for the variable {', '.join(sorted(missing))}",
            hint="List names with 'adyton list'.",
        )
    environment = {}
    for key, name in wanted.items():
        try:
            environment[key] = found_secrets[name].text()
        except ValueError:
            raise InvalidInput(f"the secret for {key} is not text") from None
        if "\0" in environment[key]:
            raise InvalidInput(f"the secret for {key} has a NUL byte, which no variable can hold")
    for secret in found_secrets.values():
        secret.wipe()
    return environment


def run(
    context: typer.Context,
    prefix: Annotated[
        str, typer.Option("--prefix", help="Only secrets of this folder; it is left out of names.")
    ] = "",
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Only secrets with this tag.")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", help="VARIABLE=NAME; may be repeated.")
    ] = None,
    only: Annotated[
        bool,
        typer.Option("--only", help="Pass nothing else of this environment but PATH and HOME."),
    ] = False,
) -> None:
    """Run a program with secrets in its environment: adyton run -- PROGRAM ARGUMENT..."""
    at = state()
    command = list(context.args)
    if not command:
        raise InvalidInput("no program is named", hint="adyton run -- PROGRAM ARGUMENT...")
    with at.open() as store:
        secrets = _environment(store, at.who(), prefix, tag or [], env or [])
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("ADYTON_") and (not only or key in {"PATH", "HOME", "LANG", "TERM"})
    }
    try:
        os.execvpe(command[0], command, {**inherited, **secrets})  # noqa: S606 - that is the job
    except OSError as error:
        raise InvalidInput(
            f"the program can't be run ({error.strerror})", hint="Check its name and PATH."
        ) from None


def render(
    template: Annotated[Path, typer.Argument(help="A text with {{ adyton:NAME }} in it.")],
    out: OutFile = None,
) -> None:
    """Fill a template: {{ adyton:NAME }}, or {{ adyton:NAME#FIELD }} for a JSON object's field."""
    at = state()
    try:
        text = read_private(template).decode()
    except UnicodeDecodeError:
        raise InvalidInput("the template is not UTF-8 text") from None
    references = {match[1] for match in _REFERENCE.finditer(text)}
    unfinished = text.count("{{ adyton:") + text.count("{{adyton:")
    if unfinished > sum(1 for _ in _REFERENCE.finditer(text)):
        raise InvalidInput(
            "a reference in the template has no end", hint="Write {{ adyton:NAME }}."
        )
    with at.open() as store:
        filled = _fill(store, at.who(), text, references)
    if out is None:
        at.ui.raw(filled.encode())
    else:
        write_private(out, filled.encode())
        at.ui.done(f"written to {out}")


def _fill(store: "Store", user: str, text: str, references: set[str]) -> str:
    split = {reference: reference.rpartition("#") for reference in references}
    names = {reference: parts[0] if parts[1] else reference for reference, parts in split.items()}
    found = store.get_secrets(user, names.values())
    values = {}
    for reference, name in names.items():
        line = text[: text.index(reference)].count("\n") + 1
        if name not in found:
            raise InvalidInput(
                f"line {line} of the template refers to a secret that does not exist",
                hint="List names with 'adyton list'.",
            )
        try:
            if split[reference][1]:
                values[reference] = json_field(found[name].json(), split[reference][2]).decode()
            else:
                values[reference] = found[name].text()
        except ValueError:
            raise InvalidInput(
                f"line {line} of the template refers to a secret that is not text, or not JSON"
            ) from None
    for secret in found.values():
        secret.wipe()
    return _REFERENCE.sub(lambda match: values[match[1]], text)
