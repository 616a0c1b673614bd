"""One request on its way through the Vault API."""

from typing import Any, Final

from adyton.errors import InvalidInput
from adyton.model import Caller, user_id
from adyton.server.http import Request, header_of, token_text
from adyton.server.jsonbody import decode_json
from adyton.server.vault import fields
from adyton.service.access.gate import Gate
from adyton.service.access.gate import Request as Origin
from adyton.service.access.policy import Capability
from adyton.service.access.records import Mount
from adyton.service.access.sessions import Session
from adyton.service.access.spaces import OPERATOR_SPACE, Space

NOT_BY_PATH: Final = frozenset({"adyton", "auth", "cubbyhole", "identity", "sys"})
"""Namespaces of these names are reached by the header only: a path means what is built in."""


class Context:
    """A request with what has been found out about it.

    Attributes:
        request: The request.
        user: The namespace it is about.
        path: The path in that namespace, without ``v1/``.
        origin: Where it came from, for records.
        args: Parts of the path, by the route's names.
        session: Who asks; set once let in.
        space: The namespace's mounts and policies.
        mount: The mount that serves the path, on its routes.
        caller: The caller of the service; set once allowed.
        decision: What has allowed it, for records.
    """

    __slots__ = (
        "_body",
        "_is_named",
        "args",
        "caller",
        "decision",
        "mount",
        "origin",
        "path",
        "request",
        "session",
        "space",
        "user",
        "wrap_seconds",
    )

    session: Session
    space: Space
    mount: Mount
    caller: Caller

    def __init__(self, request: Request) -> None:
        self.request = request
        named = header_of(request, "x-vault-namespace")
        self._is_named = named is not None
        self.user = user_id(named.strip("/") or OPERATOR_SPACE) if named else OPERATOR_SPACE
        self.path = request.path.removeprefix("v1/")
        self.origin = Origin(request.address, request.request_id)
        self.args: dict[str, str] = {}
        self._body = _parsed(request.body)
        header = header_of(request, "x-vault-wrap-ttl")
        self.wrap_seconds = fields.seconds(header, "X-Vault-Wrap-TTL") if header else None

    def __repr__(self) -> str:
        return "<Context>"

    def enter_namespace(self) -> bool:
        """Take the path's first segment for the namespace, as the header would name it.

        Only for a path that nothing is mounted at, and a request without that header: each
        request has one reading.
        """
        first, _, rest = self.path.partition("/")
        if self._is_named or not rest or first in NOT_BY_PATH:
            return False
        self._is_named = True
        self.user, self.path = user_id(first), rest
        return True

    @property
    def body(self) -> dict[str, Any]:
        """The body's members; empty where there was none."""
        return self._body or {}

    @property
    def has_body(self) -> bool:
        """Whether there was a JSON object."""
        return self._body is not None

    @property
    def token_text(self) -> str:
        """The token's text, or empty."""
        return token_text(self.request.headers)

    def allow(self, gate: Gate, decision: str) -> None:
        """Take on the caller that the gate has allowed."""
        self.decision = decision
        self.caller = gate.caller(self.session, self.user, self.origin, decision)

    @property
    def own(self) -> Caller:
        """The caller in the token's own namespace, for what a token does to itself."""
        return Gate.caller(self.session, self.session.space.user, self.origin, self.decision)

    def is_sudo(self, gate: Gate) -> bool:
        """Whether policies give sudo on the path."""
        return bool(gate.decide(self.session, self.user, self.path, Capability.SUDO))


def _parsed(body: bytes) -> dict[str, Any] | None:
    if not body.strip():
        return None
    found = decode_json(body)
    if found is None:
        return None
    if not isinstance(found, dict):
        raise InvalidInput("failed to parse JSON input: the body is not a JSON object")
    return found
