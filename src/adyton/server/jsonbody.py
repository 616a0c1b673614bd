"""Reading JSON bodies without being made to build more than a body is worth.

A body of empty arrays decodes to some thirty times its size, and a deep one takes the stack
(CVE-2025-6203, GHSA-g46h-2rq9-gw5m). So a body is looked at before it is decoded. Counts of a few
bytes bound depth and number of elements of the usual body, in some hundred nanoseconds; one that
passes a bound, as a value full of commas does, is looked at exactly, without its strings.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import msgspec

from adyton.errors import InvalidInput
from adyton.service.ticket import Pause

LARGE: Final = 64 * 1024
"""Bytes of a body from which on it is looked at in steps, so that others go on in between."""
_STEP: Final = 128 * 1024
_NOT_BRACKETS: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))
_LEVEL: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class JsonLimits:
    """Limits on a body of JSON.

    Attributes:
        depth: Arrays and objects inside each other.
        elements: Members of all objects and elements of all arrays together.
    """

    depth: int = 64
    elements: int = 100_000


DEFAULT: Final = JsonLimits()


def decode_json(body: bytes, limits: JsonLimits = DEFAULT) -> Any:  # noqa: ANN401 - JSON
    """Decode a body within limits; no error text holds anything of it.

    Large bodies are to pass :func:`check_large` before.

    Raises:
        InvalidInput: It is not JSON, or passes a limit.
    """
    if len(body) <= LARGE and not is_plain(body, limits):
        for _ in _look(body, limits):
            pass
    try:
        return _decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise InvalidInput("failed to parse JSON input: the body is not valid JSON") from None


async def check_large(body: bytes, limits: JsonLimits = DEFAULT) -> None:
    """Refuse a large body that passes a limit; other requests go on in the meantime.

    Raises:
        InvalidInput: It does.
    """
    for _ in _look(body, limits):
        await Pause()


def is_plain(body: bytes, limits: JsonLimits) -> bool:
    """Whether a body is within limits even if every byte of its strings counted."""
    opened = body.count(b"[") + body.count(b"{")
    if opened > limits.depth:
        return False
    return len(body) <= limits.elements or body.count(b",") + opened <= limits.elements


def _look(body: bytes, limits: JsonLimits) -> Iterator[None]:
    """Count what is outside of strings, step by step.

    Raises:
        InvalidInput: A limit is passed.
    """
    elements = depth = strings = start = 0
    inside = 0  # of a string
    while start < len(body):
        end = _end_of_step(body, start)
        part = body[start:end]
        if b"\\" in part:
            part = part.replace(b"\\\\", b"").replace(b'\\"', b"")
        quotes = part.count(b'"')
        strings += quotes
        # As many strings as names and values of all elements at most, so pieces are bounded too.
        if strings > 4 * limits.elements:
            raise _too_many(limits)
        bare = b"".join(part.split(b'"')[inside::2])
        inside ^= quotes & 1
        # A container of n elements has n - 1 commas: commas and containers bound the elements.
        elements += bare.count(b",") + bare.count(b"[") + bare.count(b"{")
        if elements > limits.elements:
            raise _too_many(limits)
        levels = bare.translate(None, _NOT_BRACKETS)
        if levels:
            *_, last = steps = list(accumulate(map(_LEVEL.__getitem__, levels), initial=depth))
            if max(steps) > limits.depth:
                raise InvalidInput(f"the body's JSON is more than {limits.depth} levels deep")
            depth = last
        start = end
        yield


def _end_of_step(body: bytes, start: int) -> int:
    """Where a step ends: not between a backslash and what it escapes."""
    end = min(start + _STEP, len(body))
    part = body[start:end]
    escapes = len(part) - len(part.rstrip(b"\\"))
    return end + 1 if escapes % 2 and end < len(body) else end


def _too_many(limits: JsonLimits) -> InvalidInput:
    return InvalidInput(
        f"the body has more than {limits.elements} JSON elements", hint="Send less at once."
    )
