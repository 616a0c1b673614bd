"""A table of routes: a pattern of path segments, and a handler for each operation."""

import re
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol, TypeAlias

from adyton.server.http import Response
from adyton.server.vault.context import Context
from adyton.server.vault.reply import Reply
from adyton.service.access.policy import Capability

Answer: TypeAlias = Reply | Response | None
Handler: TypeAlias = Callable[[Context], Awaitable[Answer]]
Exists: TypeAlias = Callable[[Context], Awaitable[bool]]

READ: Final = Capability.READ
LIST: Final = Capability.LIST
UPDATE: Final = Capability.UPDATE
PATCH: Final = Capability.PATCH
DELETE: Final = Capability.DELETE

OPERATIONS: Final = {
    "GET": READ,
    "HEAD": READ,
    "LIST": LIST,
    "POST": UPDATE,
    "PUT": UPDATE,
    "PATCH": PATCH,
    "DELETE": DELETE,
}


class Door(Protocol):
    """What engines need of the API: deciding and rendering."""

    async def check(
        self,
        context: Context,
        operation: Capability,
        *,
        exists: Exists | None = None,
        sudo: Capability = Capability(0),  # noqa: B008 - a constant
    ) -> None:
        """Let only what policies allow pass."""

    async def render(self, context: Context, reply: Reply) -> Response:
        """Render an answer, wrapped if that was asked for."""


class Route(NamedTuple):
    """One route.

    Attributes:
        pattern: Matches the path; names its parts.
        handlers: By operation.
        sudo: Operations that need the sudo capability too.
        public: Whether it is served without a token.
        exists: Tells create from update, where policies make that difference.
        own_check: Whether the handler asks the gate itself.
    """

    pattern: re.Pattern[str]
    handlers: dict[Capability, Handler]
    sudo: Capability
    public: bool
    exists: Exists | None
    own_check: bool


class Routes:
    """Routes by the first segments of their paths."""

    def __init__(self) -> None:
        self._routes: dict[str, list[Route]] = {}

    def add(
        self,
        path: str,
        handlers: dict[Capability, Handler],
        *,
        sudo: Capability = Capability(0),  # noqa: B008 - a constant
        public: bool = False,
        exists: Exists | None = None,
        own_check: bool = False,
    ) -> None:
        """Add a route.

        Args:
            path: Segments; ``{name}`` is one segment, ``{name*}`` all that is left.
            handlers: A handler for each operation.
            sudo: Operations that need sudo.
            public: Serve it without a token.
            exists: Whether what is written exists.
            own_check: The handler asks the gate itself.
        """
        escaped = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
        escaped = re.sub(r"\\\{(\w+)\\\*\\\}", r"(?P<\1>.+)", escaped)
        self._routes.setdefault(_room(path), []).append(
            Route(re.compile(escaped + "/?", re.DOTALL), handlers, sudo, public, exists, own_check)
        )

    def find(self, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of a path, with the named parts."""
        for route in self._routes.get(_room(path), ()):
            found = route.pattern.fullmatch(path)
            if found is not None:
                return route, found.groupdict()
        return None


def _room(path: str) -> str:
    """The first two segments, or one where that is the room's whole name."""
    first, _, rest = path.partition("/")
    if first not in {"sys", "auth"}:
        return first
    return f"{first}/{rest.partition('/')[0]}"
