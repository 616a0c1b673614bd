"""YAML documents: the same form as JSON, from and to YAML 1.2.

Read from the parser's events, so nothing is built before it is allowed: aliases, anchors and tags
are refused where they stand (a billion laughs never expands), and each scalar keeps its line. A
plain scalar that YAML 1.1 or 1.2 takes for something else than text (``no``, ``1.10``, ``12:30``,
``null``) is refused with the advice to quote it; inside a JSON secret, what JSON itself would call
a number, a boolean or null stands for that.
"""

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)
from ruamel.yaml.resolver import implicit_resolvers

from adyton.canonical import canonical_json, parse_exact
from adyton.errors import InvalidDocument
from adyton.transfer._plain import QUOTE_HINT, Collector, decode_text, tree_of
from adyton.transfer.records import PortableSecret, TransferLimits

# What some YAML version takes for a number, boolean, null, time or merge key.
_NOT_TEXT: Final = tuple((first, form) for _versions, _tag, form, first in implicit_resolvers)
_JSON_SCALAR: Final = re.compile(
    r"null|true|false|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII
)
# Everything that YAML has to see escaped, and all that is beyond the basic plane.
_ESCAPED: Final = re.compile("[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")
# A malformed escape or directive makes the parser fail in ways of its own.
_PARSER_FAULTS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
_MAX_SIMPLE_KEY: Final = 1000


def read_yaml(
    data: bytes,
    *,
    now: dt.datetime,
    prefix: str = "",
    flatten: bool = False,
    created_by: str = "",
    limits: TransferLimits | None = None,
) -> list[PortableSecret]:
    """Parse a YAML document.

    Args:
        data: UTF-8.
        now: Time of the import, timezone-aware.
        prefix: Put before each name as it is; a folder ends with a slash.
        flatten: Nested mappings are folders, not JSON secrets.
        created_by: Actor, or empty.
        limits: What it may cost.

    Raises:
        InvalidDocument: It is not YAML or not of this form. The text gives the line and never
            quotes the document.
    """
    limits = limits or TransferLimits()
    text = decode_text(data, limits.text_bytes)
    found = Collector(prefix, now, created_by, limits)
    _Reader(text, found, flatten=flatten, depth=limits.depth).document()
    return found.secrets()


def write_yaml(secrets: Iterable[PortableSecret]) -> bytes:
    """Compose a YAML document of the current versions, in plaintext, every text quoted.

    Only values are kept: no tags, attributes, times or older versions.

    Raises:
        InvalidInput: A value is neither text nor a JSON object, or not live, or a name comes twice.
    """
    lines = [_member(name, value, ": ") + "\n" for name, value in tree_of(secrets).items()]
    return ("".join(lines) or "{}\n").encode()


def _member(name: str, value: object, colon: str) -> str:
    key = _quoted(name)
    # A key of more than 1024 characters has to be announced.
    if len(key) > _MAX_SIMPLE_KEY:
        return f"? {key}\n: {_flow(value)}" if colon == ": " else f"? {key} : {_flow(value)}"
    return f"{key}: {_flow(value)}"


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(_member(k, v, " : ") for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _quoted(value) if isinstance(value, str) else canonical_json(value).decode()


def _quoted(text: str) -> str:
    return _ESCAPED.sub(lambda m: f"\\U{ord(m[0]):08X}", encode_basestring(text))


def _events(text: str) -> Iterator[Event]:
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = f": line {mark.line + 1}" if mark else ""
        raise InvalidDocument(f"the document is not YAML{where}") from None
    except _PARSER_FAULTS:
        raise InvalidDocument("the document is not YAML") from None


def _line(event: Event) -> str:
    return f"line {event.start_mark.line + 1}"


class _Reader:
    def __init__(self, text: str, into: Collector, *, flatten: bool, depth: int) -> None:
        self._events = _events(text)
        self._into = into
        self._flatten = flatten
        self._depth = depth

    def document(self) -> None:
        next(self._events)  # the start of the stream
        start = next(self._events)
        if not isinstance(start, DocumentStartEvent):
            raise InvalidDocument("the document is empty", hint="Write {} for no secrets.")
        if start.version not in {None, (1, 2)} or start.tags:
            raise InvalidDocument("the document has a directive", hint="Only %YAML 1.2 is read.")
        root = self._node()
        if not isinstance(root, MappingStartEvent):
            raise InvalidDocument(
                f"{_line(root)}: the document is not a mapping of names to values",
                hint="Write it as name: 'value', one a line.",
            )
        self._folder("", root, 1)
        end = next(self._events)
        if not isinstance(end, DocumentEndEvent) or not isinstance(
            next(self._events), StreamEndEvent
        ):
            raise InvalidDocument("there is more than one document", hint="Import them one by one.")

    def _node(self) -> Event:
        """The next event; refuses what could stand for something that is not written there."""
        event = next(self._events)
        if isinstance(event, AliasEvent):
            raise InvalidDocument(f"{_line(event)}: an alias", hint="Write its value out.")
        if isinstance(event, NodeEvent):
            if event.anchor is not None:
                raise InvalidDocument(f"{_line(event)}: an anchor", hint="Remove it.")
            if getattr(event, "tag", None) is not None:
                raise InvalidDocument(f"{_line(event)}: a tag", hint="Remove it.")
        return event

    def _keys(self, start: Event, depth: int) -> Iterator[tuple[str, Event]]:
        """The keys of the mapping that has begun, each with its event; the value comes next."""
        self._check_depth(start, depth)
        seen: dict[str, str] = {}
        while not isinstance(event := self._node(), MappingEndEvent):
            if not isinstance(event, ScalarEvent):
                raise InvalidDocument(f"{_line(event)}: a key is not text")
            key = self._text(event, "key", event)
            if key in seen:
                raise InvalidDocument(
                    f"{_line(event)}: the same key came before in this mapping, at {seen[key]}",
                    hint="Give each name once.",
                )
            seen[key] = _line(event)
            yield key, event

    def _check_depth(self, start: Event, depth: int) -> None:
        if depth > self._depth:
            raise InvalidDocument(f"{_line(start)}: nested more than {self._depth} deep")

    def _folder(self, folder: str, start: Event, depth: int) -> None:
        empty = True
        for key, at in self._keys(start, depth):
            empty = False
            value = self._node()
            if isinstance(value, ScalarEvent):
                self._into.text(folder + key, self._text(value, "value", at), _line(at))
            elif not isinstance(value, MappingStartEvent):
                raise InvalidDocument(f"{_line(value)}: the value is a list, not text")
            elif self._flatten:
                self._folder(f"{folder}{key}/", value, depth + 1)
            else:
                self._into.json(key, self._object(value, depth + 1), _line(at))
        if empty and folder:
            raise InvalidDocument(f"{_line(start)}: a folder is empty", hint="Remove it.")

    def _object(self, start: Event, depth: int) -> dict[str, object]:
        return {key: self._value(self._node(), at, depth) for key, at in self._keys(start, depth)}

    def _value(self, event: Event, at: Event, depth: int) -> object:
        if isinstance(event, MappingStartEvent):
            return self._object(event, depth + 1)
        if isinstance(event, ScalarEvent):
            if event.implicit[0] and _JSON_SCALAR.fullmatch(event.value):
                return parse_exact(event.value)
            return self._text(event, "value", at)
        self._check_depth(event, depth + 1)
        items: list[object] = []
        while not isinstance(item := self._node(), SequenceEndEvent):
            items.append(self._value(item, item, depth + 1))
        return items

    @staticmethod
    def _text(event: ScalarEvent, what: str, at: Event) -> str:
        text: str = event.value
        if event.implicit[0]:
            if not text:
                # The parser places it where the next thing is, which may be lines below its key.
                raise InvalidDocument(f"{_line(at)}: an empty {what}", hint="Write '' for it.")
            for first, form in _NOT_TEXT:
                if (first is None or text[0] in first) and form.match(text):
                    raise InvalidDocument(
                        f"{_line(event)}: a {what} that YAML does not take for text",
                        hint=QUOTE_HINT,
                    )
        return text
