"""Reads that were let through before: the way of most requests, without its first half.

The first read of a path by a token goes the whole way (``api.py``, ``kv.py``): routes, mounts,
names, policies. Where that has led is the same for each later read of the path by the same
session, which ends with any change of its token, or of mounts and policies in its namespace
(``Gate.known``). So it is kept with the session, decision and all, and the next read goes from
there to the secret. Each read is recorded for itself, and reads the value anew.
"""

from typing import Final, NamedTuple

from adyton.server.http import Request
from adyton.server.vault.context import Context
from adyton.service.access.sessions import Session
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.kv import KvMount

_LIMIT: Final = 16_384


class KnownRead(NamedTuple):
    """Where a path has led.

    Attributes:
        user: The namespace.
        mount: The mount.
        path: The path in it.
        decision: What lets the session read it, for records.
    """

    user: str
    mount: KvMount
    path: str
    decision: str

    def __repr__(self) -> str:
        return "<KnownRead>"


class KnownReads:
    """What was read lately, by session, path and the header that names the namespace."""

    def __init__(self) -> None:
        self._known: dict[tuple[Session, str, str | None], KnownRead] = {}

    def find(self, request: Request) -> KnownRead | None:
        """What is known of a request, if it is a plain read by a session that holds."""
        session = request.session
        if session is None or not _is_plain(request):
            return None
        named = None
        if "x-vault-namespace" in request.headers:
            named = request.headers.get("x-vault-namespace")
            if named is None:  # it is not ASCII, which the long way refuses
                return None
        return self._known.get((session, request.path, named))

    def remember(self, context: Context, mount: KvMount, path: str) -> None:
        """Keep where a read has led that policies have let through."""
        session, request = context.session, context.request
        token = session.token
        if not _is_plain(request) or token.num_uses or token.cidrs or token.wraps:
            return
        if context.caller.spend is not None:  # a grant is asked anew for each read
            return
        named = request.headers.get("x-vault-namespace")
        by_path = named is None and context.user != OPERATOR_SPACE
        # Where the way depends on the mounts of another namespace, the session does not end
        # with their changes.
        if by_path or context.user != session.space.user:
            return
        if len(self._known) >= _LIMIT:
            self._known.clear()
        place = (session, request.path, named)
        self._known[place] = KnownRead(context.user, mount, path, context.decision)

    def forget(self, user: str) -> None:
        """Keep nothing of a user who was purged or keeps the keys away; from any thread."""
        self._known = {
            place: known
            for place, known in list(self._known.items())
            if user not in (place[0].space.user, known.user)
        }


def _is_plain(request: Request) -> bool:
    """Whether nothing but its path tells what is asked for."""
    return (
        request.method == "GET"
        and not request.query_string
        and not request.body
        and "x-vault-wrap-ttl" not in request.headers
    )
