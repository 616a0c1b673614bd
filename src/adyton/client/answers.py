"""Answers as they arrive: which are failures, and which of our errors a failure is.

A server is not believed: its texts are cut and cleaned before they become an error's, its types
name only errors that we know, and what does not parse is refused without being quoted.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

import msgspec

from adyton.client.retry import Failure, asked_seconds
from adyton.errors import (
    AccessDenied,
    AdytonError,
    InvalidInput,
    LimitExceeded,
    RequestPending,
    RootLocked,
    SecretNotFound,
    ServerUnavailable,
    StoreError,
    UserRootAway,
    ValueTooLarge,
    VersionConflict,
)

T = TypeVar("T")

URN: Final = "urn:adyton:error:"
_SEALED: Final = "Vault is sealed"
_MAX_TEXT: Final = 500
_PASSING: Final = frozenset((429, 502, 503, 504))
_HUMP: Final = re.compile(r"(?<!^)(?=[A-Z])")


class Answer:
    """An answer that arrived whole.

    Attributes:
        status: Its status.
        headers: Its headers.
        body: Its body; :meth:`wipe` overwrites it.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytearray) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def parse(self, kind: type[T]) -> T:
        """The body as JSON of a shape; it is wiped, whatever comes of it.

        Raises:
            ServerUnavailable: It is not of that shape, and so not from a server of ours.
        """
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
        finally:
            self.wipe()
        raise strange("is not of the shape that it should be")

    def wipe(self) -> None:
        """Overwrite the body."""
        self.body[:] = bytes(len(self.body))

    def __repr__(self) -> str:
        return f"<Answer {self.status}>"


def strange(what: str) -> ServerUnavailable:
    """The refusal of an answer that no server of ours gives."""
    return ServerUnavailable(
        f"the server's answer {what}", hint="Check that the address is that of an Adyton server."
    )


class _Problem(msgspec.Struct):
    """Problem details (RFC 9457), and the errors of Vault's API."""

    type: str = ""
    title: str = ""
    detail: str = ""
    hint: str = ""
    request_id: str = ""
    errors: list[str] = []


def failure_of(answer: Answer) -> Failure | None:
    """What an answer says went wrong; None if nothing did."""
    status = answer.status
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return Failure(
            ServerUnavailable(
                "the server redirects, which is not followed: the token would go along",
                hint="Give the address of the server itself.",
            ),
            passing=False,
        )
    error = _error(answer)
    return Failure(
        error,
        # What is pending is answered when it is done, to the same request with the same key.
        passing=isinstance(error, RequestPending)
        or (status in _PASSING and not isinstance(error, RootLocked | UserRootAway)),
        asked=asked_seconds(answer.headers.get("Retry-After", "")),
    )


def _error(answer: Answer) -> AdytonError:
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        problem = _Problem()
    finally:
        answer.wipe()
    kind = _KINDS.get(problem.type.removeprefix(URN)) or _kind(answer.status)
    text = _clean(problem.detail or problem.title or "; ".join(problem.errors))
    hint = _clean(problem.hint)
    if answer.status == 503 and text == _SEALED:
        return RootLocked("the server is sealed", hint="Unseal it, and try again.")
    if kind is ServerUnavailable and not text:
        text = f"the server fails with status {answer.status}"
    error = kind(text or f"the server refuses with status {answer.status}", hint=hint)
    error.request_id = _clean(problem.request_id)
    return error


def _kind(status: int) -> type[AdytonError]:
    """The class of an error that names none."""
    by_status: dict[int, type[AdytonError]] = {
        401: AccessDenied,
        403: AccessDenied,
        404: SecretNotFound,
        412: VersionConflict,
        413: ValueTooLarge,
        429: LimitExceeded,
    }
    return by_status.get(status, InvalidInput if 400 <= status < 500 else ServerUnavailable)


def _clean(text: str) -> str:
    """A text of a stranger, on one line and without what could move a cursor."""
    return "".join(char if char.isprintable() else " " for char in text[:_MAX_TEXT]).strip()


def slug(kind: type[AdytonError]) -> str:
    """The name of an error on the wire: ``SecretNotFound`` is ``secret-not-found``."""
    return _HUMP.sub("-", kind.__name__).lower()


def _tree(kind: type[AdytonError]) -> Iterator[type[AdytonError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


_KINDS: Final[dict[str, type[Any]]] = {
    slug(kind): kind for kind in _tree(AdytonError) if kind.__module__ == AdytonError.__module__
} | {
    "root-locked": RootLocked,
    "sealed": RootLocked,
    "storage-unavailable": StoreError,
    "payload-too-large": ValueTooLarge,
    # Servers and clients of versions that don't fit, and what passes.
    "no-such-route": ServerUnavailable,
    "method-not-allowed": ServerUnavailable,
    "unsupported-media-type": ServerUnavailable,
    "request-timeout": ServerUnavailable,
    "internal-error": ServerUnavailable,
    "busy": ServerUnavailable,
}
