"""Canonical JSON: the one text by which a JSON value is stored.

UTF-8, keys sorted by code point, no spaces, strings escaped only where RFC 8259 demands it, and
numbers kept as they are: integers of any size in full, :class:`decimal.Decimal` digit for digit.
Readers here therefore parse fractions into ``Decimal`` and never through a 64-bit float.
"""

import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from json.encoder import encode_basestring
from typing import Final

from adyton.errors import InvalidDocument, InvalidInput

MAX_DEPTH: Final = 64
_NUMBER_HINT: Final = "JSON has no NaN, infinity or integer of more than 4300 digits; use text."


def canonical_json(obj: object) -> bytes:
    """A JSON value as canonical UTF-8 text.

    Args:
        obj: Mappings, sequences, text, numbers, booleans and None, nested up to 64 deep.

    Raises:
        InvalidInput: Something in it is not JSON: a key that is not text, NaN, an unpaired
            surrogate, another type, or nesting that is too deep.
    """
    parts: list[str] = []
    _write(obj, parts, 0)
    try:
        return "".join(parts).encode()
    except UnicodeEncodeError:
        raise InvalidInput("a JSON text has an unpaired surrogate") from None


def _write(obj: object, parts: list[str], depth: int) -> None:
    if isinstance(obj, str):
        parts.append(encode_basestring(obj))
    elif obj is None or isinstance(obj, bool):
        parts.append({None: "null", True: "true", False: "false"}[obj])
    elif isinstance(obj, int | float | Decimal):
        parts.append(_number(obj))
    elif depth >= MAX_DEPTH:
        raise InvalidInput(f"a JSON value is nested more than {MAX_DEPTH} deep")
    elif isinstance(obj, Mapping):
        _write_object(obj, parts, depth + 1)
    elif isinstance(obj, Sequence) and not isinstance(obj, bytes | bytearray | memoryview):
        for position, item in enumerate(obj):
            parts.append("," if position else "[")
            _write(item, parts, depth + 1)
        parts.append("]" if obj else "[]")
    else:
        raise InvalidInput(
            f"a value of type {type(obj).__name__} is not JSON",
            hint="Use objects, lists, text, numbers, booleans and null.",
        )


def _write_object(obj: Mapping[object, object], parts: list[str], depth: int) -> None:
    keys = [key for key in obj if isinstance(key, str)]
    if len(keys) != len(obj):
        raise InvalidInput("a key of a JSON object is not text")
    separator = "{"
    for key in sorted(keys):
        parts.append(f"{separator}{encode_basestring(key)}:")
        _write(obj[key], parts, depth)
        separator = ","
    parts.append("}" if keys else "{}")


def _number(number: float | Decimal) -> str:
    if isinstance(number, int):
        try:
            return int.__repr__(number)
        except ValueError:
            raise InvalidInput("a JSON number is too long", hint=_NUMBER_HINT) from None
    if not (number.is_finite() if isinstance(number, Decimal) else math.isfinite(number)):
        raise InvalidInput("a JSON number is not finite", hint=_NUMBER_HINT)
    return str(number) if isinstance(number, Decimal) else float.__repr__(number)


class DuplicateKey(InvalidDocument):
    """An object of a JSON document has the same key twice."""


def parse_exact(text: bytes | str) -> object:
    """Parse JSON with numbers exact: integers as int, fractions as Decimal.

    Raises:
        DuplicateKey: An object has the same key twice.
        InvalidDocument: It is not JSON (RFC 8259), not UTF-8, or nested too deep to parse. The
            text never quotes the document.
    """
    try:
        if not isinstance(text, str):
            text = str(text, "utf-8")
        return json.loads(
            text,
            parse_float=_decimal,
            parse_constant=_no_constant,
            object_pairs_hook=_unique,
        )
    except InvalidDocument:
        raise
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise InvalidDocument(f"the document is not JSON: {place}") from None
    except UnicodeDecodeError as error:
        raise InvalidDocument(f"the document is not UTF-8: byte {error.start}") from None
    except RecursionError:
        raise InvalidDocument("the document is nested too deep") from None
    except ValueError:  # an integer over the interpreter's limit of digits
        raise InvalidDocument("the document has a number that is too long") from None


def _decimal(text: str) -> Decimal:
    # Bounded like integers are, so that no few bytes stand for a number of gigabytes.
    try:
        number = Decimal(text) if len(text) <= 4300 else None
    except InvalidOperation:  # an exponent beyond what Decimal knows
        number = None
    if number is None or abs(number.adjusted()) > 4300:
        raise InvalidDocument("the document has a number that is too long", hint=_NUMBER_HINT)
    return number


def _no_constant(_text: str) -> object:
    raise InvalidDocument("the document has NaN or Infinity", hint=_NUMBER_HINT)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DuplicateKey("an object has the same key twice")
    return found
