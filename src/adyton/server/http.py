"""Requests and responses between the shell of the server and its handlers."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from adyton.errors import InvalidInput
from adyton.service.access.sessions import Session


class Request:
    """One request.

    Attributes:
        method: Upper case.
        path: Canonical: decoded once, without leading slash.
        query: The query's parameters.
        headers: By lower-case name.
        body: The body.
        address: Where it came from.
        request_id: A fresh identifier of ours.
        query_string: The query as it came.
        session: Who asks, once let in; before that, only if it is in memory.
    """

    __slots__ = (
        "address",
        "body",
        "headers",
        "method",
        "path",
        "query",
        "query_string",
        "request_id",
        "session",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        address: str,
        request_id: str,
        query_string: str = "",
        session: Session | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.address = address
        self.request_id = request_id
        self.query_string = query_string
        self.session = session


def header_of(request: Request, name: str) -> str | None:
    """A header's value, or None where there is none.

    The HTTP server gives no value for one that is not ASCII, as if it were not there.

    Raises:
        InvalidInput: It is there, and is not ASCII.
    """
    found = request.headers.get(name)
    if found is None and name in request.headers:
        raise InvalidInput(f"the header {name} is not ASCII", hint="Mend it, or leave it out.")
    return found


class Response:
    """One response."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = "application/json",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers

    def identified(self, request_id: str) -> "Response":
        """The same with the request's id in a header, for a body that does not hold it."""
        headers = (*self.headers, ("x-request-id", request_id))
        return Response(self.status, self.body, self.content_type, headers)


Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]
"""Answers a request; waits for commit tickets and futures (``server/driver.py``)."""


def token_text(headers: Mapping[str, str]) -> str:
    """The text of a request's token, or empty."""
    found = headers.get("x-vault-token", "")
    if not found:
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        found = rest.strip() if scheme.lower() == "bearer" else ""
    return found
