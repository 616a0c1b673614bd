"""The one canonical form of a request's path: what is matched is what is stored under.

The HTTP server hands over the path decoded once (RFC 3986, section 2.4); it is never decoded
again, and never changed: what is not canonical is refused.
"""

import re
import unicodedata
from typing import Final

from adyton.errors import InvalidInput

MAX_CHARS: Final = 4_096
_PLAIN: Final = re.compile(r"[ -.0-~]+(?:/[ -.0-~]+)*/?", re.ASCII)
_DOTS: Final = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")


def canonical(decoded: str) -> str:
    """A path without its leading slash.

    Raises:
        InvalidInput: It has relative or empty segments, control characters, is not valid UTF-8,
            not in Unicode normalization form C, or too long.
    """
    path = decoded.removeprefix("/")
    if len(path) > MAX_CHARS:
        raise InvalidInput(f"the path has more than {MAX_CHARS} characters")
    if "." in path and _DOTS.search(path):
        raise InvalidInput("relative paths not supported")
    if _PLAIN.fullmatch(path):
        return path
    if path.startswith("/") or "//" in path:
        raise InvalidInput("the path has an empty segment", hint="Write single slashes.")
    if "\ufffd" in path:
        raise InvalidInput("the path is not valid UTF-8")
    if any(unicodedata.category(char) in {"Cc", "Cs", "Cn", "Zl", "Zp"} for char in path):
        raise InvalidInput("the path has a control character")
    if not unicodedata.is_normalized("NFC", path):
        raise InvalidInput("the path is not in Unicode normalization form C")
    return path
