"""What the plaintext formats share: text checks, trees of names, and secrets as text."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from adyton.canonical import canonical_json, parse_exact
from adyton.errors import AdytonError, InvalidDocument, InvalidInput
from adyton.model import CONTENT_JSON, CONTENT_TEXT, State, to_us
from adyton.transfer.records import PortableSecret, TransferLimits, single_version

QUOTE_HINT: Final = "Quote it if it is the secret itself."
BUNDLE_HINT: Final = "Export it to a bundle, which holds every value as it is."


def decode_text(data: bytes, limit: int) -> str:
    """A document as text, without a byte order mark.

    Raises:
        InvalidDocument: It is too large or not UTF-8.
    """
    if len(data) > limit:
        raise InvalidDocument(f"the document has {len(data)} bytes, more than {limit}")
    try:
        return str(data, "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise InvalidDocument(f"the document is not UTF-8: byte {error.start}") from None


class Collector:
    """Makes secrets of names and values one by one, within the limits, each name once.

    Args:
        prefix: Put before each name as it is; a folder ends with a slash.
        now: Time of the import, timezone-aware.
        created_by: Actor, or empty.
        limits: What the document may cost.
    """

    def __init__(
        self, prefix: str, now: dt.datetime, created_by: str, limits: TransferLimits
    ) -> None:
        self._prefix = prefix
        self._now_us = to_us(now)
        self._created_by = created_by
        self._limits = limits
        self._found: dict[str, tuple[PortableSecret, str]] = {}

    def text(self, name: str, value: str, where: str) -> None:
        """Add a text secret; ``where`` is its place in the document, for errors.

        Raises:
            InvalidDocument: The name breaks a rule or came before, or a limit is passed.
        """
        try:
            self._add(name, value.encode(), CONTENT_TEXT, where)
        except UnicodeEncodeError:
            raise InvalidDocument(f"{where}: the text has an unpaired surrogate") from None

    def json(self, name: str, value: Mapping[str, object], where: str) -> None:
        """Add a JSON secret.

        Raises:
            InvalidDocument: The name breaks a rule or came before, or a limit is passed.
        """
        try:
            raw = canonical_json(value)
        except InvalidInput as error:
            raise InvalidDocument(f"{where}: {error.message}", hint=error.hint) from None
        self._add(name, raw, CONTENT_JSON, where)

    def _add(self, name: str, value: bytes, content_type: str, where: str) -> None:
        name = self._prefix + name
        if name in self._found:
            earlier = self._found[name][1]
            raise InvalidDocument(
                f"{where}: the name is that of {earlier}", hint="Give each name once."
            )
        if len(self._found) >= self._limits.secrets:
            raise InvalidDocument(f"the document has more than {self._limits.secrets} secrets")
        if len(value) > self._limits.value_bytes:
            raise InvalidDocument(f"{where}: the value is over {self._limits.value_bytes} bytes")
        try:
            secret = single_version(
                name, value, content_type, now_us=self._now_us, created_by=self._created_by
            )
        except AdytonError as error:
            raise InvalidDocument(f"{where}: {error.message}", hint=error.hint) from None
        self._found[name] = (secret, where)

    def secrets(self) -> list[PortableSecret]:
        """All secrets, in the order of the document."""
        return [secret for secret, _ in self._found.values()]


def collect_tree(tree: object, into: Collector, *, flatten: bool, limits: TransferLimits) -> None:
    """Add the secrets of a JSON document's top-level object.

    Raises:
        InvalidDocument: The tree is not of the documented form.
    """
    if not isinstance(tree, dict):
        raise InvalidDocument(
            "the document is not an object of names and values",
            hint="Write it as {'name': 'value', ...}.",
        )
    check_depth(tree, limits.depth)
    for count, (name, value) in enumerate(_leaves(tree, "", flatten=flatten), 1):
        _leaf(name, value, into, f"entry {count}", flatten=flatten)


def _leaves(tree: dict[str, object], folder: str, *, flatten: bool) -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        name = folder + key
        if flatten and isinstance(value, dict) and value:
            yield from _leaves(value, f"{name}/", flatten=True)
        else:
            yield name, value


def _leaf(name: str, value: object, into: Collector, where: str, *, flatten: bool) -> None:
    if isinstance(value, str):
        into.text(name, value, where)
    elif isinstance(value, dict) and not flatten:
        into.json(name, value, where)
    elif isinstance(value, dict):
        raise InvalidDocument(f"{where}: a folder is empty", hint="Remove it.")
    elif value is None:
        raise InvalidDocument(f"{where}: the value is null", hint="Remove it, or give a text.")
    else:
        kind = "a list" if isinstance(value, list) else "a boolean or a number"
        raise InvalidDocument(f"{where}: the value is {kind}, not text", hint=QUOTE_HINT)


def check_depth(tree: dict[str, object], limit: int) -> None:
    """Refuse a tree of lists and objects that is nested too deep.

    Raises:
        InvalidDocument: It is.
    """
    level: list[dict[str, object] | list[object]] = [tree]
    for _ in range(limit):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise InvalidDocument(f"the document is nested more than {limit} deep")


def text_of(secret: PortableSecret, position: int) -> str:
    """The current value as text.

    Raises:
        InvalidInput: It is deleted or destroyed, or not text.
    """
    current = secret.current
    if current.state is not State.LIVE or current.value is None:
        raise InvalidInput(
            f"secret {position}: its current version is not live",
            hint="Leave it out, or export all to a bundle.",
        )
    try:
        return str(current.value, "utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"secret {position}: its value is not text", hint=BUNDLE_HINT) from None


def tree_of(secrets: Iterable[PortableSecret]) -> dict[str, object]:
    """Secrets as one object of names: text as text, JSON objects as objects.

    Raises:
        InvalidInput: A value is neither, or a name comes twice.
    """
    tree: dict[str, object] = {}
    for position, secret in enumerate(secrets, 1):
        if secret.name in tree:
            raise InvalidInput(f"secret {position}: its name is that of an earlier one")
        text = text_of(secret, position)
        tree[secret.name] = text
        if secret.current.content_type == CONTENT_JSON:
            try:
                value = parse_exact(text)
            except InvalidDocument:
                value = None
            if not isinstance(value, dict):
                raise InvalidInput(
                    f"secret {position}: its value is marked as JSON and is not a JSON object",
                    hint=BUNDLE_HINT,
                )
            tree[secret.name] = value
    return tree
