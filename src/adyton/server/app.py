"""The application that Granian calls (RSGI): from its request to ours and back, within limits."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Coroutine, Mapping
from time import perf_counter
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

from adyton.config import HttpLimits
from adyton.errors import InvalidInput
from adyton.server import driver
from adyton.server.admission import Admission, Visit
from adyton.server.http import Handler, Request, Response
from adyton.server.paths import canonical
from adyton.server.refusals import refusal
from adyton.server.telemetry.counters import RequestStats
from adyton.server.telemetry.describe import describe, frames
from adyton.server.telemetry.seen import RequestLog

_log = logging.getLogger("adyton.server")

_JSON: Final = "application/json"
_COMMON: Final = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
_JSON_HEADERS: Final = [("content-type", _JSON), *_COMMON]
_NO_QUERY: Final[Mapping[str, str]] = {}


class Scope(Protocol):
    """What Granian tells of a request."""

    proto: str
    http_version: str
    client: str
    method: str
    path: str
    query_string: str

    @property
    def headers(self) -> Any:  # noqa: ANN401 - Granian's own mapping
        """The headers."""


class Exchange(Protocol):
    """How Granian gives the body and takes the answer."""

    def __call__(self) -> Awaitable[bytes]:
        """The whole body."""

    def __aiter__(self) -> Any:  # noqa: ANN401 - Granian's own iterator
        """The body in parts."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Answer with a body."""

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        """Answer without a body."""


class Application:
    """Answers requests by a handler.

    Args:
        handler: Answers what has passed the limits.
        limits: The limits.
        stats: Counts what was answered.
        admission: Lets requests in; by default one that knows nobody.

    Attributes:
        in_flight: Requests under way.
        idle: Set once no request is under way after :meth:`stop`.
        log: Writes a line for each request that was answered; None for no lines.
    """

    def __init__(
        self,
        handler: Handler,
        limits: HttpLimits,
        stats: RequestStats | None = None,
        admission: Admission | None = None,
    ) -> None:
        self._admission = admission or Admission(lambda _: None)
        self._stats = stats or RequestStats()
        self.log: RequestLog | None = None
        self._handler = handler
        self._limits = limits
        self.in_flight = 0
        self.idle = asyncio.Event()
        self._stopping = False
        run = os.urandom(8).hex()
        self._id_prefix = f"{run[:8]}-{run[8:12]}-8{run[12:15]}-8000-"
        self._requests = 0

    def use(self, handler: Handler) -> None:
        """Answer by another handler from now on; what is under way ends with the former one."""
        self._handler = handler

    def stop(self) -> None:
        """Refuse what comes from now on."""
        self._stopping = True
        if not self.in_flight:
            self.idle.set()

    def __rsgi__(self, scope: Scope, protocol: Exchange) -> Coroutine[Any, Any, None]:
        """Answer one request."""
        exchange = self._exchange(scope, protocol)
        # Where the loop makes a task of a request (see driver.install()), it waits for a Run.
        return exchange if driver.is_running() else driver.in_task(exchange)

    async def _exchange(self, scope: Scope, protocol: Exchange) -> None:
        if scope.proto != "http":
            protocol.response_empty(400, [])
            return
        if self._stopping or self.in_flight >= self._limits.in_flight:
            busy = self._busy(scope)
            self._send(scope, protocol, busy, 0.0)
            return
        started = perf_counter()
        self.in_flight += 1
        try:
            response = await self._respond(scope, protocol)
        except Exception as error:  # noqa: BLE001 - the last resort; the text may hold anything
            _log.error("a request failed: %s at %s", describe(error), frames(error))
            response = self._refuse(scope, 500, "internal error")
        finally:
            self.in_flight -= 1
            if self._stopping and not self.in_flight:
                self.idle.set()
        self._send(scope, protocol, response, perf_counter() - started)

    async def _respond(self, scope: Scope, protocol: Exchange) -> Response:
        limits = self._limits
        query = _NO_QUERY
        if len(scope.query_string) > limits.query_chars:
            return self._refuse(scope, 414, "the query is too long")
        try:
            path = canonical(scope.path)
            if scope.query_string:
                query = _parameters(scope.query_string)
        except InvalidInput as error:
            return self._refuse(scope, 400, error.message)
        headers = scope.headers  # their names are in lower case, their size is bounded by Granian
        method = scope.method
        asked = "LIST" if query.get("list") == "true" else method
        visit = self._admission.visit(asked, path, scope.client, headers)
        if isinstance(visit, int):
            await self._admission.pause()
            text = "request rate limit exceeded"
            return self._refuse(scope, 429, text, ("retry-after", str(visit)))
        body, waited = b"", False
        try:
            if method != "GET" or "content-length" in headers or "transfer-encoding" in headers:
                found = await self._body(scope, protocol, visit)
                if isinstance(found, Response):
                    return found
                body, waited = found, True
                self._stats.received += len(body)
            if not visit.enter(len(body)):
                if not await visit.wait():
                    return self._busy(scope)
                waited = True
            address, session, text = visit.address, visit.session, scope.query_string
            if waited and session is not None and not self._admission.holds(session):
                session = None  # its token was changed or revoked in the meantime
            return await self._handler(
                Request(method, path, query, headers, body, address, self._new_id(), text, session)
            )
        finally:
            visit.leave()

    async def _body(self, scope: Scope, protocol: Exchange, visit: Visit) -> bytes | Response:
        """The body, read in parts so that no more than the limit is ever held."""
        headers: Mapping[str, str] = scope.headers
        limit = self._limits.body_bytes
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            return self._refuse(scope, 413, "request body too large")
        if length == "0" or (not length and "transfer-encoding" not in headers):
            return b""
        ends = asyncio.get_running_loop().time() + self._limits.body_seconds
        try:
            if length.isdigit() and int(length) <= 65_536:
                return await _arrived(protocol(), ends)
            body = bytearray()
            parts = aiter(protocol)
            while True:
                try:
                    part = await _arrived(anext(parts), ends)
                except StopAsyncIteration:
                    return bytes(body)
                has_room = visit.hold(len(part))
                body += part
                if not has_room or len(body) > limit:
                    return self._too_much(scope, has_room=has_room)
        except TimeoutError:
            return self._refuse(scope, 408, "the body did not arrive in time")

    def _too_much(self, scope: Scope, *, has_room: bool) -> Response:
        if not has_room:
            return self._busy(scope)
        return self._refuse(scope, 413, "request body too large")

    def _busy(self, scope: Scope) -> Response:
        return self._refuse(scope, 503, "the server is busy", ("retry-after", "1"))

    def _refuse(self, scope: Scope, status: int, text: str, *headers: tuple[str, str]) -> Response:
        return refusal(scope.path, self._new_id(), status, text, *headers)

    def _new_id(self) -> str:
        """An identifier that no other request of any run has, in the form of a UUID."""
        self._requests += 1
        return f"{self._id_prefix}{self._requests:012x}"

    def _send(self, scope: Scope, protocol: Exchange, response: Response, seconds: float) -> None:
        if not response.headers and response.content_type == _JSON and response.body:
            headers = _JSON_HEADERS
        else:
            headers = [*_COMMON, *response.headers]
            if response.body:
                headers.append(("content-type", response.content_type))
        if response.body and scope.method != "HEAD":
            protocol.response_bytes(response.status, headers, response.body)
        else:
            protocol.response_empty(response.status, headers)
        self._stats.done(scope.method, scope.path, response.status, len(response.body), seconds)
        if self.log is not None:
            self.log.answered(scope, response, seconds)


async def _arrived(part: "Awaitable[bytes]", ends: float) -> bytes:
    """What is awaited of a body, by a time of the loop.

    Raises:
        TimeoutError: It has not come by then.
    """
    # Not asyncio.timeout(), which needs a task.
    timer = asyncio.get_running_loop().call_at(ends, part.cancel)  # type: ignore[attr-defined]
    try:
        return await part
    except asyncio.CancelledError:
        raise TimeoutError from None
    finally:
        timer.cancel()


def _parameters(query: str) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=1_000))
    except ValueError:
        raise InvalidInput("the query has too many parameters") from None
