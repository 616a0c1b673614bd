"""What logs and traces tell of one request."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

from adyton.server.http import Handler, Request, Response
from adyton.server.telemetry.counters import AREAS, METHODS, area_of
from adyton.server.telemetry.hashing import hashed
from adyton.service.access.spaces import OPERATOR_SPACE, Space

SpaceOf = Callable[[str], Space | None]


class Seen:
    """One request that has got as far as the handlers.

    Attributes:
        request: The request.
        trace_id: Its trace; empty if it is in none that is kept.
    """

    __slots__ = ("request", "trace_id")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.trace_id = ""


_SEEN: ContextVar[Seen | None] = ContextVar("adyton_seen", default=None)


def remember(handler: Handler) -> Handler:
    """Let :func:`current` find the request while it is answered and logged."""

    async def handle(request: Request) -> Response:
        _SEEN.set(Seen(request))
        return await handler(request)

    return handle


def current() -> Seen | None:
    """The request of this task."""
    return _SEEN.get()


def place_of(request: Request, space_of: SpaceOf) -> dict[str, str]:
    """Where a request was for: the mount as it is, what comes after it as a keyed hash."""
    user = request.headers.get("x-vault-namespace", "").strip("/") or OPERATOR_SPACE
    path = request.path.removeprefix("v1/")
    space = space_of(user)
    found = space.mount_at(path) if space else None
    mount = found[0] if found else ""
    place = {
        "namespace_hash": hashed("namespace", user),
        "path_hash": hashed("path", user, path[len(mount) :]),
    }
    return place | {"mount": mount} if mount else place


def accessor_of(request: Request) -> str:
    """The accessor of the token that was let in, or empty."""
    return request.session.token.accessor if request.session else ""


class Scope(Protocol):
    """What is read of the HTTP server's own view of a request."""

    client: str
    method: str
    path: str


class RequestLog:
    """Writes a line for each request.

    Args:
        log: Where to, of structlog.
        space_of: Mounts of a namespace, if they are in memory.
    """

    def __init__(self, log: Any, space_of: SpaceOf) -> None:  # noqa: ANN401 - of structlog
        self._log = log
        self._space_of = space_of

    def answered(self, scope: Scope, response: Response, seconds: float) -> None:
        """Write the line of a request that was answered."""
        fields: dict[str, object] = {
            "request_id": dict(response.headers).get("x-request-id"),
            "method": scope.method if scope.method in METHODS else METHODS[-1],
            "area": AREAS[area_of(scope.path)],
            "status": response.status,
            "seconds": round(seconds, 6),
            "bytes_out": len(response.body),
            "address": scope.client.rpartition(":")[0].strip("[]"),
        }
        seen = current()
        if seen is not None:
            request = seen.request
            fields |= place_of(request, self._space_of)
            fields["request_id"] = request.request_id
            fields["bytes_in"] = len(request.body)
            fields["accessor"] = accessor_of(request) or None
            fields["trace_id"] = seen.trace_id or None
        self._log.info("request", **fields)
