"""Reading what several commands take: times, pairs."""

import re
from typing import Final

from adyton.errors import InvalidInput

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds(text: str, what: str) -> int:
    """A time such as ``90s``, ``12h`` or ``30d``, in seconds; empty for 0.

    Raises:
        InvalidInput: It is none.
    """
    if not text:
        return 0
    found = re.fullmatch(r"(\d{1,9})([smhdw]?)", text, re.ASCII)
    if found is None:
        raise InvalidInput(f"{what} is not a time", hint="Write it as in 90s, 12h or 30d.")
    return int(found[1]) * _UNITS[found[2] or "s"]


def pairs(texts: list[str] | None, what: str) -> dict[str, str]:
    """Texts of the form ``KEY=VALUE``.

    Raises:
        InvalidInput: One is of another form.
    """
    found = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InvalidInput(f"{what} takes KEY=VALUE")
        found[key] = value
    return found
