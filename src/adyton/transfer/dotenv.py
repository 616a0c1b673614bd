r"""dotenv files: ``NAME=value`` lines, by python-dotenv's parser with interpolation off.

What is written here means the same to python-dotenv (with interpolation on or off) and to a POSIX
shell that sources it. These agree on two ways of quoting: in single quotes nothing is special, if
there is no ``'``, no doubled or final backslash; in double quotes ``\\`` and ``\"`` are escapes, if
there is no ``$`` and no backtick. A value that fits neither is refused.
"""

import datetime as dt
import io
import re
from collections.abc import Iterable
from typing import Final

from dotenv.parser import Binding, parse_stream

from adyton.errors import InvalidDocument, InvalidInput
from adyton.transfer._plain import BUNDLE_HINT, Collector, decode_text, text_of
from adyton.transfer.records import PortableSecret, TransferLimits

_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_NEWLINE: Final = re.compile(r"\r\n|\n|\r")
# The parser's cost grows with the square of a run of blanks, so a longer one is refused unparsed.
_MAX_BLANKS: Final = 1000
_BLANKS: Final = re.compile(rf"[^\S\r\n]{{{_MAX_BLANKS + 1}}}")


def read_dotenv(
    data: bytes,
    *,
    now: dt.datetime,
    prefix: str = "",
    created_by: str = "",
    limits: TransferLimits | None = None,
) -> list[PortableSecret]:
    """Parse a dotenv file; every value is a text secret.

    Comments, ``export``, quotes and values over several lines are understood; ``$NAME`` stays as it
    is written.

    Args:
        data: UTF-8.
        now: Time of the import, timezone-aware.
        prefix: Put before each name as it is; a folder ends with a slash.
        created_by: Actor, or empty.
        limits: What it may cost.

    Raises:
        InvalidDocument: A line does not parse, has a key without a value, or repeats a key. The
            text gives the line and never quotes it.
    """
    limits = limits or TransferLimits()
    text = decode_text(data, limits.text_bytes)
    blanks = _BLANKS.search(text)
    if blanks:
        raise InvalidDocument(
            f"line {_line(text, blanks.start())}: more than {_MAX_BLANKS} spaces in a row",
            hint="Import this value as JSON.",
        )
    found = Collector(prefix, now, created_by, limits)
    for binding in parse_stream(io.StringIO(text, newline="")):
        where = f"line {_line_of(binding)}"
        if binding.error:
            raise InvalidDocument(
                f"{where}: not a dotenv line", hint="Write NAME=value; close every quote."
            )
        if binding.key is None:
            continue
        if binding.value is None:
            raise InvalidDocument(
                f"{where}: a name without a value", hint="Write NAME= for an empty one."
            )
        found.text(binding.key, binding.value, where)
    return found.secrets()


def write_dotenv(secrets: Iterable[PortableSecret], *, prefix: str = "") -> bytes:
    """Compose a dotenv file of the current versions, in plaintext.

    Only values are kept. A JSON secret becomes its JSON text.

    Args:
        secrets: What to export.
        prefix: Taken off each name, which must begin with it.

    Raises:
        InvalidInput: A name is no variable name, or a value is not live, not text, or can't be
            written so that every reader understands the same.
    """
    lines: list[str] = []
    keys: set[str] = set()
    for position, secret in enumerate(secrets, 1):
        key = secret.name.removeprefix(prefix)
        if not secret.name.startswith(prefix) or not _KEY.fullmatch(key):
            raise InvalidInput(
                f"secret {position}: its name is no variable name",
                hint="Use A-Z, a-z, 0-9 and _ behind the prefix, or export to JSON.",
            )
        if key in keys:
            raise InvalidInput(f"secret {position}: its name is that of an earlier one")
        keys.add(key)
        lines.append(f"{key}={_quoted(text_of(secret, position), position)}\n")
    return "".join(lines).encode()


def _quoted(value: str, position: int) -> str:
    fault = _fault(value)
    if fault:
        raise InvalidInput(
            f"secret {position}: a dotenv file can't hold a value with {fault}",
            hint=f"Export it to JSON. {BUNDLE_HINT}",
        )
    if "'" not in value and "\\\\" not in value and not value.endswith("\\"):
        return f"'{value}'"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fault(value: str) -> str:
    if "\0" in value:
        return "a NUL character"
    if "\r" in value:
        return "a carriage return"
    if "${" in value:
        return "'${', which readers replace"
    if _BLANKS.search(value):
        return f"more than {_MAX_BLANKS} spaces in a row"
    plain = "'" not in value and "\\\\" not in value and not value.endswith("\\")
    if not plain and ("$" in value or "`" in value):
        return "both a quote or backslash and a dollar sign or backtick"
    return ""


def _line_of(binding: Binding) -> int:
    # The parser counts from the blank lines before a binding; people count from its key.
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return binding.original.line + len(_NEWLINE.findall(blank))


def _line(text: str, position: int) -> int:
    return len(_NEWLINE.findall(text, 0, position)) + 1
