"""The table of routes: what is asked for, what right it needs, what comes in and goes out."""

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import msgspec

from adyton.actions import Action
from adyton.server.native.shapes import Answer, NoQuery, Shape

if TYPE_CHECKING:
    from adyton.server.native.call import Call

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"

Place: TypeAlias = Literal["public", "own", "user", "store"]
"""Of whom a route is: of nobody, the token's own namespace, the user in the path, the store."""


class Reply(NamedTuple):
    """An answer before it is sent.

    Attributes:
        body: What is encoded as JSON, or JSON as it is; None for no body.
        status: The status.
        version: The entity tag's version, or None for no tag.
    """

    body: "Answer | bytes | None" = None
    status: int = 200
    version: int | None = None

    def __repr__(self) -> str:
        return f"<Reply {self.status}>"

    @property
    def etag(self) -> str:
        """The entity tag, or empty."""
        return "" if self.version is None else f'"{self.version}"'

    def encoded(self) -> bytes:
        """The body's bytes."""
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else _encode(self.body)

    def parts(self) -> tuple[int, str, bytes]:
        """Status, entity tag and body, as they are kept for a repeated request."""
        return self.status, self.etag, self.encoded()


_encode = msgspec.json.Encoder().encode

Handler: TypeAlias = "Callable[[Call], Awaitable[Reply]]"
Judge: TypeAlias = "Callable[[Call], Awaitable[None]]"


class Route(NamedTuple):
    """One route.

    Attributes:
        method: The method.
        path: Below ``v1/adyton/``; ``{x}`` is a segment, ``{name*}`` all that is left.
        operation: Its name, which no other has.
        summary: What it does.
        handler: Does it.
        judge: Lets only what policies allow pass.
        right: The capability that it needs, in words.
        place: Whose it is.
        action: How a request is recorded whose arguments are refused.
        answer: The shape of the answer; None for none.
        query: The shape of the query.
        body: The shape of the body; None for none.
        merge_body: The shape of the body as a merge patch, where it may be one.
        once: Whether idempotency keys have an effect.
        conditional: Whether If-Match and If-None-Match have an effect.
        tagged: Whether answers have an entity tag.
        errors: Statuses beside those that every route has.
        while_away: Whether it also serves a namespace that is closed by a root of its user's own,
            for whoever bears a token of it (``userroots.py``).
    """

    method: str
    path: str
    operation: str
    summary: str
    handler: Handler
    judge: Judge
    right: str
    place: Place
    action: Action
    answer: type[Answer] | None
    query: type[Shape] = NoQuery
    body: type[Shape] | None = None
    merge_body: type[Shape] | None = None
    once: bool = False
    conditional: bool = False
    tagged: bool = False
    errors: tuple[int, ...] = ()
    while_away: bool = False

    @property
    def media(self) -> tuple[str, ...]:
        """Content types of the body."""
        return (JSON,) if self.merge_body is None else (JSON, MERGE_PATCH)


class Table:
    """Finds routes.

    Args:
        routes: All of them. Of two paths that match, the first counts.
    """

    def __init__(self, routes: list[Route]) -> None:
        self.routes: Final = routes
        by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
        self._paths: Final = [(_pattern(path), methods) for path, methods in by_path.items()]

    def find(self, path: str) -> tuple[dict[str, Route], dict[str, str]] | None:
        """The routes of a path by method, with the named parts."""
        for pattern, methods in self._paths:
            found = pattern.fullmatch(path)
            if found is not None:
                return methods, found.groupdict()
        return None


def _pattern(path: str) -> re.Pattern[str]:
    escaped = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
    escaped = re.sub(r"\\\{(\w+)\\\*\\\}", r"(?P<\1>.+)", escaped)
    return re.compile(escaped, re.DOTALL)


def allowed(methods: dict[str, Route]) -> str:
    """The value of ``Allow``."""
    names = {*methods, *(["HEAD"] if "GET" in methods else [])}
    return ", ".join(sorted(names))
