"""Path patterns: what is a valid one, and what its templates become.

A pattern is literal but for three things: a segment that is ``+`` stands for one non-empty
segment, a ``*`` at the end for any rest, and ``{{identity...}}`` for a value of the identity.
"""

import re
from collections.abc import Mapping
from typing import Final

from adyton.errors import InvalidDocument

MAX_PATH_CHARS: Final = 1024

_TEMPLATE: Final = re.compile(r"\{\{\s*(identity\.[^{}]*?)\s*\}\}")
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def checked(path: str) -> str:
    """A path of a policy without its leading slash.

    Raises:
        InvalidDocument: It breaks a rule; the text says which.
    """
    if len(path) > MAX_PATH_CHARS:
        raise InvalidDocument(
            f"a path of the policy has {len(path)} characters, more than {MAX_PATH_CHARS}",
            hint="Shorten it.",
        )
    pattern = path.removeprefix("/")
    fixed = _TEMPLATE.sub("x", pattern)
    if _UNPRINTABLE.search(pattern):
        raise InvalidDocument(f"path {path!r} has a control character", hint="Remove it.")
    if "{{" in fixed or "}}" in fixed:
        raise InvalidDocument(
            f"path {path!r} has a template that is not one",
            hint="Templates are written {{identity.entity.id}}, with both pairs of braces.",
        )
    if "*" in fixed[:-1]:
        raise InvalidDocument(
            f"path {path!r} has '*' before its end",
            hint="Use '*' as the last character only; '+' stands for one whole segment.",
        )
    if any("+" in segment and segment != "+" for segment in fixed.split("/")):
        raise InvalidDocument(
            f"path {path!r} has '+' beside other characters",
            hint="Use '+' as a whole segment, as in 'secret/+/config'.",
        )
    return pattern


def filled(pattern: str, values: Mapping[str, str]) -> str | None:
    """The pattern with its templates replaced; None where that can't be done safely.

    A value must not widen the pattern: not be absent or empty, hold no ``*`` and no ``/``, and not
    make a segment ``+``.
    """
    if "{{" not in pattern:
        return pattern
    for name in _TEMPLATE.findall(pattern):
        value = values.get(name, "")
        if not value or "*" in value or "/" in value:
            return None
    result = _TEMPLATE.sub(lambda match: values[match[1]], pattern)
    if result.split("/").count("+") != pattern.split("/").count("+"):
        return None
    return result
