"""Texts of others, without what a terminal obeys.

Names, notes and all else that is shown may have been chosen by somebody else, or come from a server
that is not what it seems. Escape sequences in them would rename windows, move the cursor over what
was shown before, or hide text; marks of direction would have it read backwards.
"""

from typing import Final

_SHOWN: Final = "\ufffd"
_LINES: Final = {9, 10}
_CODES: Final = (
    *(set(range(0x20)) - _LINES),
    *range(0x7F, 0xA0),
    *(0x061C, 0x200E, 0x200F, 0x2028, 0x2029, 0xFEFF),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),
)
_MANY: Final = dict.fromkeys(_CODES, _SHOWN)
_ONE: Final = _MANY | dict.fromkeys(_LINES, _SHOWN)
_JSON: Final = {code: f"\\u{code:04x}" for code in _CODES if code > 0x1F}


def line(text: str) -> str:
    """A text on one line."""
    return text if text.isascii() and text.isprintable() else text.translate(_ONE)


def lines(text: str) -> str:
    """A text whose breaks of lines, and tabs, stay."""
    return text.translate(_MANY)


def json(document: str) -> str:
    """The same JSON document, with escapes also for what JSON need not escape."""
    return document if document.isascii() and "\x7f" not in document else document.translate(_JSON)
