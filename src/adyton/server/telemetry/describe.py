"""Exceptions without their texts, which could hold anything, and without values of variables."""

import traceback
from pathlib import Path
from typing import Final

_FRAMES: Final = 30
_SOURCES: Final = Path(__file__).parents[2]


def describe(error: BaseException) -> str:
    """An exception and its causes by type, without their texts."""
    kinds: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(kinds) < 10:
        kinds.append(f"{type(seen).__module__}.{type(seen).__qualname__}")
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return " from ".join(kinds)


def frames(error: BaseException) -> str:
    """Where an exception came from, innermost last: files, lines and functions, no values."""
    found = traceback.extract_tb(error.__traceback__, limit=-_FRAMES)
    return " > ".join(f"{short(at.filename)}:{at.lineno} {at.name}" for at in found)


def short(filename: str) -> str:
    """A source file's name as it is shown: without where it is installed."""
    path = Path(filename)
    try:
        return f"adyton/{path.relative_to(_SOURCES)}"
    except ValueError:
        return "/".join(path.parts[-2:])
