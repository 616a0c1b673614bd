"""What other programs are told of a step: one JSON object, the same over HTTP and over a pipe."""

from base64 import b64decode, b64encode
from typing import Final

import msgspec

from adyton.errors import RotationError
from adyton.model import CONTENT_BYTES, CONTENT_TEXT, MAX_CONTENT_TYPE_CHARS
from adyton.rotating import Generated, Turn

MAX_ANSWER: Final = 2 * 1024 * 1024


class Told(msgspec.Struct, omit_defaults=True):
    """A step. Values are texts, or base64 in the members that end so (docs/spec/rotation.md)."""

    format: int
    step: str
    token: str
    settings: dict[str, str]
    former: str | None = None
    former_base64: str | None = None
    new: str | None = None
    new_base64: str | None = None


class Answer(msgspec.Struct):
    """What comes back: ``ok``, and for ``create`` perhaps a value of the other side's own."""

    ok: bool
    error: str = ""
    value: str | None = None
    value_base64: str | None = None
    content_type: str = ""


def message(step: str, turn: Turn, settings: dict[str, str]) -> bytes:
    """A step as one line of JSON, without its end."""
    former, former_base64 = _both(turn.former)
    new, new_base64 = _both(turn.new or None)
    told = Told(1, step, turn.token, settings, former, former_base64, new, new_base64)
    return msgspec.json.encode(told)


def _both(value: bytes | None) -> tuple[str | None, str | None]:
    if value is None:
        return None, None
    try:
        return value.decode(), None
    except UnicodeDecodeError:
        return None, b64encode(value).decode()


def answer(data: bytes, who: str) -> Answer:
    """Read what came back.

    Raises:
        RotationError: It can't be read, or says that the step was not done. Its text is not
            told on: a stranger's text may hold a value.
    """
    try:
        found = msgspec.json.decode(data, type=Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise RotationError(
            f"{who} does not answer as agreed", hint='As in {"ok": true}; see docs/spec/rotation.md'
        ) from None
    if not found.ok:
        raise RotationError(f"{who} says that the step was not done", hint="See its own log.")
    return found


def value_of(found: Answer, generated: Generated, who: str) -> Generated:
    """The value that an answer to ``create`` brings, or what was generated if it brings none.

    Raises:
        RotationError: It brings one that can't be read.
    """
    if len(found.content_type) > MAX_CONTENT_TYPE_CHARS or not found.content_type.isprintable():
        raise RotationError(f"{who} answers with a content type that can't be used")
    if found.value is not None:
        return Generated(found.value.encode(), found.content_type or CONTENT_TEXT)
    if found.value_base64 is not None:
        try:
            value = b64decode(found.value_base64, validate=True)
        except ValueError:
            raise RotationError(f"{who} answers with a value that is not base64") from None
        return Generated(value, found.content_type or CONTENT_BYTES)
    return generated
