"""JSON documents: an object whose members are secrets.

A text is a text secret, an object is a JSON secret. With ``flatten``, an object is a folder
instead, and its members' names follow it after a slash. Nothing else may be a secret: a bare number
or boolean is more often a password that lost its quotes than a number.
"""

import datetime as dt
import json
import re
from collections.abc import Iterable
from typing import Final

from adyton.canonical import DuplicateKey, canonical_json, parse_exact
from adyton.errors import InvalidDocument
from adyton.transfer._plain import Collector, collect_tree, decode_text, tree_of
from adyton.transfer.records import PortableSecret, TransferLimits

_TOKEN: Final = re.compile(r'("(?:[^"\\]|\\.)*")\s*(:?)|[{}]')


def read_json(
    data: bytes,
    *,
    now: dt.datetime,
    prefix: str = "",
    flatten: bool = False,
    created_by: str = "",
    limits: TransferLimits | None = None,
) -> list[PortableSecret]:
    """Parse a JSON document.

    Args:
        data: UTF-8.
        now: Time of the import, timezone-aware.
        prefix: Put before each name as it is; a folder ends with a slash.
        flatten: Nested objects are folders, not JSON secrets.
        created_by: Actor, or empty.
        limits: What it may cost.

    Raises:
        InvalidDocument: It is not JSON or not of this form. The text gives the place and never
            quotes the document.
    """
    limits = limits or TransferLimits()
    limits.check_document(data)
    text = decode_text(data, limits.document_bytes)
    found = Collector(prefix, now, created_by, limits)
    try:
        tree = parse_exact(text)
    except DuplicateKey:
        raise InvalidDocument(
            f"{_duplicate_place(text)}: the same key came before in this object",
            hint="Give each name once.",
        ) from None
    collect_tree(tree, found, flatten=flatten, limits=limits)
    return found.secrets()


def write_json(secrets: Iterable[PortableSecret]) -> bytes:
    """Compose a JSON document of the current versions, in plaintext.

    It is canonical JSON with a line feed at its end. Only values are kept: no tags, attributes,
    times or older versions.

    Raises:
        InvalidInput: A value is neither text nor a JSON object, or not live, or a name comes twice.
    """
    return canonical_json(tree_of(secrets)) + b"\n"


def _duplicate_place(text: str) -> str:
    """Where the first repeated key is, in a text that parses at least as far as there.

    Slow, and only run on a document that has one.
    """
    objects: list[set[str]] = []
    for token in _TOKEN.finditer(text):  # pragma: no branch - it ends at the repeated key
        if token[0] == "{":
            objects.append(set())
        elif token[0] == "}":
            objects.pop()
        elif token[2]:
            key = json.loads(token[1])
            if key in objects[-1]:
                break
            objects[-1].add(key)
    line = text.count("\n", 0, token.start()) + 1
    column = token.start() - text.rfind("\n", 0, token.start())
    return f"line {line}, column {column}"
