"""Values that commands write: from a prompt, standard input or a file, never from an argument."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from adyton.cli.state import read_private, read_stdin, state
from adyton.errors import InvalidInput

_MAX_STDIN: Final = 64 * 1024 * 1024

ValueFile = Annotated[
    Path | None, typer.Option("--file", help="Read the value from this file, exactly.")
]
AsJson = Annotated[bool, typer.Option("--json", help="The value is a JSON object.")]
KeepNewline = Annotated[
    bool, typer.Option("--keep-newline", help="Keep one newline at the end of standard input.")
]
ContentType = Annotated[str | None, typer.Option("--content-type", help="Media type of the value.")]
Cas = Annotated[
    int | None,
    typer.Option("--cas", help="Write only if this is the current version; 0: if none is."),
]


@contextmanager
def given_value(
    file: Path | None, content_type: str | None, *, as_json: bool, keep_newline: bool
) -> Iterator[Any]:
    """What is to be written, as the library takes it; wiped behind the block as far as it can be.

    Args:
        file: Where it is; None for a prompt or standard input.
        content_type: Its media type, which decides between text and bytes.
        as_json: Whether it is a JSON object.
        keep_newline: Whether one newline at the end of standard input is a part of it.

    Raises:
        InvalidInput: It is no JSON object though it should be, or too long.
    """
    data, prompted = _read(file, keep_newline=keep_newline)
    try:
        if as_json:
            yield _json_object(data)
        elif file is None and (prompted or content_type is None):
            yield _text_if_text(data)
        else:
            yield data
    finally:
        data[:] = bytes(len(data))


def _read(file: Path | None, *, keep_newline: bool) -> tuple[bytearray, bool]:
    if file is not None and str(file) != "-":
        return read_private(file), False
    if file is None and sys.stdin.isatty():
        with state().ui.ask_secret_twice("value") as typed:
            return bytearray(typed.writable()), True
    data = read_stdin(_MAX_STDIN)
    if data.endswith(b"\n") and not keep_newline:
        del data[-1:]
        if data.endswith(b"\r"):
            del data[-1:]
    return data, False


def _json_object(data: bytearray) -> dict[str, Any]:
    from adyton.canonical import parse_exact  # noqa: PLC0415 - loaded on use

    found = parse_exact(bytes(data))
    if not isinstance(found, dict):
        raise InvalidInput("the value is not a JSON object", hint="Leave --json out to store text.")
    return found


def _text_if_text(data: bytearray) -> "str | bytearray":
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
