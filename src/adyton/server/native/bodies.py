"""Reading bodies and queries: typed, strict, and with errors that repeat nothing of them."""

import re
from typing import Any, Final, TypeVar, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec

from adyton.errors import InvalidInput
from adyton.server.jsonbody import DEFAULT as LIMITS
from adyton.server.jsonbody import LARGE, check_large, is_plain
from adyton.server.native.shapes import Shape

T = TypeVar("T", bound=Shape)

_MAX_FIELDS: Final = 1_000
# What msgspec says, as far as it repeats nothing that was sent but the places in it.
_TELLING: Final = re.compile(
    r"(?:Expected `[a-z0-9 |_]+`(?:, got `[a-z]+`)?"
    r"|Expected `[a-z]+` (?:of length )?(?:[<>]=?|matching regex) .*"
    r"|Object missing required field `[a-z_]+`"
    r"|Invalid RFC3339 encoded datetime"
    r"|Invalid base64 encoded string)"
    r"(?: - at `[$a-z_.\[\]0-9]*`)?"
)
_PLACE: Final = re.compile(r" - at `(?:key in `)?([$a-z_.\[\]0-9]*)`")


async def read_body(body: bytes, shape: type[T]) -> T:
    """A body as its shape.

    Raises:
        InvalidInput: It is not JSON, passes a limit, or does not fit; the text says where.
    """
    if not body.strip():
        raise InvalidInput("the body is missing", hint=_members(shape))
    if len(body) > LARGE or not is_plain(body, LIMITS):
        await check_large(body, LIMITS)
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), "body", shape) from None
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise InvalidInput("the body is not valid JSON in UTF-8") from None


def as_object(body: bytes) -> dict[str, Any]:
    """A body's members, untyped, for policies that name parameters; empty if it has none."""
    try:
        found = msgspec.json.decode(body) if body.strip() else None
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def read_query(text: str, shape: type[T]) -> T:
    """A query as its shape; a list takes a parameter that is repeated.

    Raises:
        InvalidInput: It is malformed, or does not fit; the text says where.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise InvalidInput("the query is not valid percent-encoded UTF-8, or too long") from None
    lists = _lists(shape)
    found: dict[str, Any] = {name: [] for name in lists}
    for name, value in pairs:
        if name in lists:
            found[name].append(value)
        elif name in found:
            raise InvalidInput("the query has a parameter twice that can be given once")
        else:
            found[name] = value
    try:
        return msgspec.convert(found, shape, strict=False)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), "query", shape) from None


def _lists(shape: type[Shape]) -> set[str]:
    found = _known_lists.get(shape)
    if found is None:
        hints = get_type_hints(shape)
        found = {name for name, kind in hints.items() if get_origin(kind) is list}
        _known_lists[shape] = found
    return found


_known_lists: Final[dict[type[Shape], set[str]]] = {}


def _misfit(text: str, what: str, shape: type[Shape]) -> InvalidInput:
    place = _PLACE.search(text)
    where = place[1].removeprefix("$.") if place else ""
    at = f" at {where}" if where and where != "$" else ""
    if text.startswith("Object contains unknown field"):
        # Its name may be a value that stands in the wrong place.
        hint = "" if at else _members(shape)
        return InvalidInput(f"the {what} has a member that is not known{at}", hint=hint)
    if _TELLING.fullmatch(text):
        said = text.partition(" - at ")[0]
        return InvalidInput(f"the {what} does not fit{at}: {said[0].lower()}{said[1:]}")
    return InvalidInput(f"the {what} does not fit{at}", hint=_members(shape))


def _members(shape: type[Shape]) -> str:
    names = ", ".join(shape.__struct_fields__)
    return f"Known members: {names}." if names else "No members are known."
