"""Statements as templates, in the form that Vault's users write them.

``{{name}}`` (or ``{{username}}``), ``{{password}}`` and ``{{expiration}}`` are filled in: outside
of quotes as an identifier or a literal of their own, and inside of quotes as they are. What is
filled in has no character that could end a quote, whichever it is.
"""

import re
from collections.abc import Mapping
from typing import Final

from adyton.errors import InvalidInput

_PLACE: Final = re.compile(r"\{\{\s*([A-Za-z_]*)\s*\}\}", re.ASCII)
_PART: Final = re.compile(
    r"(?P<quoted>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$)"
    r"|(?P<remark>--[^\n]*|/\*.*?\*/)"
    r"|(?P<place>\{\{[^{}]*\}\})",
    re.DOTALL,
)
_SAFE: Final = re.compile(r"[A-Za-z0-9_.:+/=$ -]*", re.ASCII)
NAMES: Final = {"name", "username"}


def check(statement: str, *known: str) -> None:
    """Check that a statement has no placeholders but those that are known.

    Raises:
        InvalidInput: It has.
    """
    for name in _PLACE.findall(statement):
        if name not in known:
            raise InvalidInput(
                "a statement has a placeholder that is not known here",
                hint="Known are " + ", ".join(f"{{{{{each}}}}}" for each in known) + ".",
            )


def fill(statement: str, values: Mapping[str, str]) -> str:
    """A statement with its placeholders filled in.

    Args:
        statement: The template.
        values: By placeholder. Those in ``NAMES`` are identifiers, the others literals.

    Raises:
        ValueError: A value has a character that could end a quote.
    """
    for value in values.values():
        if not _SAFE.fullmatch(value) or "$$" in value or "--" in value:
            raise ValueError("a value can't be filled in")

    def inside(found: re.Match[str]) -> str:
        return values.get(found[1], found[0])

    def part(found: re.Match[str]) -> str:
        if found["quoted"] is not None:
            return _PLACE.sub(inside, found[0])
        if found["remark"] is not None:
            return " "
        name = _PLACE.fullmatch(found[0])
        if name is None or name[1] not in values:
            return found[0]
        quote = '"' if name[1] in NAMES else "'"
        return f"{quote}{values[name[1]]}{quote}"

    return _PART.sub(part, statement)
