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


_FOLDERS: Final = "cubbyhole/"
"""Where names with a slash at their end are told from those without."""


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


class Found(NamedTuple):
    """What serves a path.

    Attributes:
        route: The route.
        args: The path's named parts.
        path: The path in its one canonical form, which is what policies see.
    """

    route: "Route"
    args: dict[str, str]
    path: str


class Route(NamedTuple):
    """One route.

    Attributes:
        pattern: Matches the path; names its parts.
        handlers: By operation.
        sudo: Operations that need the sudo capability too.
        public: Whether it is served without a token.
        exists: Tells create from update, where policies make that difference.
        own_check: Whether the handler asks the gate itself.
        folded: The part of the path that has one canonical form, and what makes it; or None.
    """

    pattern: re.Pattern[str]
    handlers: dict[Capability, Handler]
    sudo: Capability
    public: bool
    exists: Exists | None
    own_check: bool
    folded: tuple[str, Callable[[str], str]] | None = None

    def find(self, path: str) -> Found | None:
        """What serves a path, if it is this."""
        match = self.pattern.fullmatch(path)
        if match is None:
            return None
        args = match.groupdict()
        if self.folded is not None:
            part, fold = self.folded
            args[part] = fold(args[part])
            path = path[: match.start(part)] + args[part] + path[match.end(part) :]
        return Found(self, args, path)


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
        folded: tuple[str, Callable[[str], str]] | None = None,
    ) -> None:
        """Add a route.

        Args:
            path: Segments; ``{name}`` is one segment, ``{name*}`` all that is left.
            handlers: A handler for each operation.
            sudo: Operations that need sudo.
            public: Serve it without a token.
            exists: Whether what is written exists.
            own_check: The handler asks the gate itself.
            folded: A part whose spellings mean the same, and what makes the canonical one.
        """
        escaped = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
        escaped = re.sub(r"\\\{(\w+)\\\*\\\}", r"(?P<\1>.+)", escaped)
        self._routes.setdefault(_room(path), []).append(
            Route(
                re.compile(escaped + "/?", re.DOTALL),
                handlers, sudo, public, exists, own_check, folded,
            )
        )  # fmt: skip

    def find(self, path: str, *, listing: bool) -> Found | None:
        """What serves a path.

        Args:
            path: The path.
            listing: Whether a list is asked for: only then does a slash at the end have a meaning.
        """
        if not listing and path.endswith("/") and not path.startswith(_FOLDERS):
            path = path[:-1]  # or it would pass by a rule for the path without it
        for route in self._routes.get(_room(path), ()):
            found = route.find(path)
            if found is not None:
                return found
        return None


def _room(path: str) -> str:
    """The first two segments, or one where that is the room's whole name."""
    first, _, rest = path.partition("/")
    if first not in {"sys", "auth"}:
        return first
    return f"{first}/{rest.partition('/')[0]}"
