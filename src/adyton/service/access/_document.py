"""Policy text, HCL or JSON, as plain statements; what they mean is :mod:`.policy`'s business.

HCL is read by ``python-hcl2`` down to its parse tree and no further: interpolation, functions
and other expressions have no meaning in a policy and are refused. Before any parser sees the
text, its size and nesting are bounded here, so that no parser recurses or backtracks far.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, TypeAlias

from adyton.errors import InvalidDocument

if TYPE_CHECKING:
    from lark import Token, Tree

MAX_TEXT_BYTES: Final = 64 * 1024
MAX_NESTING: Final = 16
_MAX_NUMBER_CHARS: Final = 24
_EXAMPLE: Final = 'Write blocks such as: path "secret/data/*" { capabilities = ["read"] }'

_Node: TypeAlias = "Tree[Token]"


@dataclass(frozen=True, slots=True)
class Members:
    """An object of the document: its keys and values in order, keys possibly twice."""

    items: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One path block.

    Attributes:
        path: The path as written.
        body: Its settings.
    """

    path: str
    body: Members


def statements(text: str) -> tuple[Statement, ...]:
    """Every path block of a policy, in order.

    Raises:
        InvalidDocument: The text is too large, nested too deep, or neither HCL nor JSON.
    """
    if len(text) > MAX_TEXT_BYTES or len(text.encode(errors="surrogatepass")) > MAX_TEXT_BYTES:
        raise InvalidDocument(
            f"the policy is larger than {MAX_TEXT_BYTES} bytes",
            hint="Split it into several policies.",
        )
    is_json = text.lstrip().startswith("{")
    _check_tokens(text, is_json=is_json)
    return tuple(_json_statements(text) if is_json else _hcl_statements(text))


_TOKEN: Final = re.compile(
    r"""
      (?P<text> "(?: [^"\\\r\n] | \\[^\r\n] )*+" )
    | (?P<comment> \#[^\n]*+ | //[^\n]*+ | /\*(?s:.*?)\*/ )
    | (?P<open> [\[{] )
    | (?P<close> [\]}] )
    | (?P<bad> << | /\* | [^\w\s.,:=-] )
    | [\w\s.,:=-]++
    """,
    re.VERBOSE,
)
_UNREADABLE: Final = {
    '"': ("a string that does not end on its line", "Close it with a double quote."),
    "<<": ("a heredoc", "Write a string in double quotes."),
    "/*": ("a comment that does not end", "Close it with */."),
}


def _check_tokens(text: str, *, is_json: bool) -> None:
    """Bound the nesting, and refuse what would mean an expression or cost a parser dear."""
    depth = 0
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "open":
            depth += 1
            if depth > MAX_NESTING:
                raise _at(
                    text, token.start(), f"brackets nested deeper than {MAX_NESTING}", "Flatten it."
                )
        elif kind == "close":
            depth -= 1
        elif kind == "bad":
            unknown = (f"the unexpected {token.group()!r}", "Remove it, or put it into a string.")
            raise _at(text, token.start(), *_UNREADABLE.get(token.group(), unknown))
        elif kind == "text" and not is_json and re.search(r"[$%]\{", token.group()):
            raise _at(
                text,
                token.start(),
                "'${' or '%{' in a string",
                "Policies have no expressions; templates are written {{identity.entity.id}}.",
            )


def _at(text: str, position: int, what: str, hint: str) -> InvalidDocument:
    line = text.count("\n", 0, position) + 1
    return InvalidDocument(f"the policy has {what}, at line {line}", hint=hint)


# --- JSON


def _json_statements(text: str) -> Iterator[Statement]:
    try:
        document = json.loads(
            text,
            object_pairs_hook=lambda pairs: Members(tuple(pairs)),
            parse_int=_integer,
            parse_float=_real,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        raise InvalidDocument(
            f"the policy is not JSON: {error.msg} at line {error.lineno}, column {error.colno}",
            hint='Write an object such as {"path": {"secret/*": {"capabilities": ["read"]}}}.',
        ) from None
    for key, value in document.items:  # a text that starts with a brace is an object
        if key == "path":
            yield from _json_paths(value)
        else:
            _check_other_key(key, value)


def _json_paths(value: object) -> Iterator[Statement]:
    for group in value if isinstance(value, list) else [value]:
        if not isinstance(group, Members):
            raise InvalidDocument("the policy's 'path' is not an object", hint=_EXAMPLE)
        for path, bodies in group.items:
            for body in bodies if isinstance(bodies, list) else [bodies]:
                if not isinstance(body, Members):
                    raise InvalidDocument(f"path {path!r} is not an object", hint=_EXAMPLE)
                yield Statement(path, body)


def _no_constant(name: str) -> NoReturn:
    raise InvalidDocument(f"the policy has the number {name}", hint="Use a finite number.")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_NUMBER_CHARS:
        raise InvalidDocument("the policy has a number that is too long", hint="Shorten it.")
    return int(digits)


def _real(digits: str) -> float:
    number = float(digits)
    if len(digits) > _MAX_NUMBER_CHARS or not math.isfinite(number):
        raise InvalidDocument("the policy has a number that is too large", hint="Shorten it.")
    return number


# --- HCL


def _hcl_statements(text: str) -> Iterator[Statement]:
    # Loaded on use: a tenth of the time that the server takes to start.
    from hcl2.api import parses_to_tree  # noqa: PLC0415
    from lark.exceptions import LarkError, UnexpectedInput  # noqa: PLC0415

    try:
        tree = parses_to_tree(text)
    except UnexpectedInput as error:
        where = f" at line {error.line}" if error.line > 0 else " at its end"
        raise InvalidDocument(f"the policy is not HCL{where}", hint=_EXAMPLE) from None
    except LarkError:
        raise InvalidDocument("the policy is not HCL", hint=_EXAMPLE) from None
    (body,) = _trees(tree)
    for node in _trees(body):
        if node.data == "attribute":
            _check_other_key(*_attribute(node))
        else:
            yield _block(node)


def _block(node: _Node) -> Statement:
    *head, body = _trees(node)
    if len(head) != 2 or head[0].data == "string":
        raise _unexpected(node, "a block that is not: path, one path, braces")
    kind, path = (_label(part) for part in head)
    if kind != "path":
        raise _unexpected(node, f"a block {kind!r}")
    settings = []
    for part in _trees(body):
        if part.data != "attribute":
            raise _unexpected(part, f"a block inside path {path!r}", "Write it as 'key = value'.")
        settings.append(_attribute(part))
    return Statement(path, Members(tuple(settings)))


def _attribute(node: _Node) -> tuple[str, object]:
    name, expression = _trees(node)
    return _label(name), _value(expression)


def _value(node: _Node) -> object:
    """What an expression means, if it is a plain value."""
    parts = _trees(node)
    match str(node.data):
        case "expr_term" if len(parts) == len(node.children) == 1:
            return _value(parts[0])
        case "tuple":
            return [_value(part) for part in parts]
        case "object":
            return Members(tuple(_element(part) for part in parts))
        case "unary_op" if node.children[0] == "-":
            number = _value(parts[0])
            if isinstance(number, int | float) and not isinstance(number, bool):
                return -number
    return _scalar(node)


def _scalar(node: _Node) -> object:
    match str(node.data):
        case "string":
            return _string(node)
        case "int_lit":
            return _integer(_leaf(node))
        case "float_lit":
            return _real(_leaf(node))
        case "literal_value":
            return {"true": True, "false": False, "null": None}[_leaf(node)]
    raise _unexpected(node, "something other than a string, number, true, false, null, list or map")


def _element(node: _Node) -> tuple[str, object]:
    key, expression = _trees(node)
    while key.data in {"object_elem_key", "expr_term"} and len(key.children) == 1:
        (key,) = _trees(key)
    return _label(key), _value(expression)


def _label(node: _Node) -> str:
    if node.data == "string":
        return _string(node)
    if node.data in {"identifier", "keyword", "literal_value"}:
        return _leaf(node)
    raise _unexpected(node, "a key that is neither a name nor a string")


_ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|U000([0-9a-fA-F]{5})|([nrt"\\])|)')
_PLAIN_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


def _string(node: _Node) -> str:
    def unescaped(match: re.Match[str]) -> str:
        digits = match[1] or match[2]
        if digits and int(digits, 16) < 0x110000:
            return chr(int(digits, 16))
        if not match[3]:
            raise _unexpected(node, "an unknown escape in a string", r"Known: \" \\ \n \t \uXXXX.")
        return _PLAIN_ESCAPES[match[3]]

    return _ESCAPE.sub(unescaped, "".join(_leaf(part) for part in _trees(node)))


def _leaf(node: _Node) -> str:
    """The text of a node whose only child is a token."""
    (token,) = node.children
    if not isinstance(token, str):
        raise _unexpected(node, "an expression in a string")
    return str(token)


def _trees(node: _Node) -> list[_Node]:
    return [
        child
        for child in node.children
        if child is not None and not isinstance(child, str) and child.data != "new_line_or_comment"
    ]


def _check_other_key(key: str, value: object) -> None:
    if key != "name" or not isinstance(value, str):
        raise InvalidDocument(f"the policy has {key!r} outside of a path block", hint=_EXAMPLE)


def _unexpected(node: _Node, what: str, hint: str = _EXAMPLE) -> InvalidDocument:
    line = getattr(node.meta, "line", 1)
    return InvalidDocument(f"the policy has {what}, at line {line}", hint=hint)
