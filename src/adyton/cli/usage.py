"""How commands describe themselves, and what is told of a command line that does not parse."""

from typing import Final

import typer
from typer.core import TyperGroup, TyperOption

from adyton.errors import InvalidInput

_PLACEHOLDERS: Final = {
    "--addr": "URL",
    "--audit-sink": "URI",
    "--from-vault": "URL",
    "--listen": "HOST:PORT",
    "--root": "URI",
    "--user": "ID",
}
_BY_TYPE: Final = {"str": "TEXT", "int": "N", "path": "PATH", "int range": "N", "float": "N"}


def built(app: typer.Typer) -> TyperGroup:
    """The command of an application, with placeholders for people where it has names of types."""
    command = typer.main.get_command(app)
    if not isinstance(command, TyperGroup):
        raise TypeError("an application of one command")
    _name_values(command)
    return command


def _name_values(group: TyperGroup) -> None:
    for command in (group, *group.commands.values()):
        context = typer.Context(command)
        for option in command.params:
            if isinstance(option, TyperOption) and option.metavar is None and not option.is_flag:
                kind = option.display_type(context).strip("<>")
                kind = kind.removeprefix("list[").removesuffix("]").lower()
                named = (_PLACEHOLDERS.get(name) for name in option.opts)
                option.metavar = next(filter(None, named), _BY_TYPE.get(kind, "VALUE"))
        if command is not group and isinstance(command, TyperGroup):
            _name_values(command)


def mistake(error: typer.TyperException) -> InvalidInput | None:
    """What to tell of a command line that does not parse; None if help was shown instead."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "adyton"
    text = error.format_message()
    if text.startswith("Usage: "):  # nothing was asked for: this is the help
        typer.echo(text)
        return None
    if "unexpected extra argument" in text:  # which may be a value: it is not repeated
        hint = f"A value comes from standard input, --file or a prompt. See {command} --help."
        return InvalidInput("there are too many arguments", hint=hint)
    return InvalidInput(text, hint=f"See {command} --help.")
