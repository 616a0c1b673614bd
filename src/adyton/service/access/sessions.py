"""The tokens that have been let in, kept in memory for as long as what they go by is unchanged."""

import threading
from itertools import islice
from typing import Final

from adyton.model import TokenMark
from adyton.ports import Rows
from adyton.service.access import batch
from adyton.service.access.batch import BatchToken
from adyton.service.access.identity import template_values
from adyton.service.access.records import ENTITIES, TOKENS, Entity, Token
from adyton.service.access.spaces import OPERATOR_SPACE, Space, Spaces
from adyton.service.access.tokentext import BatchText, parse_batch, parse_token, token_id
from adyton.service.core import Core
from adyton.service.grants.deciding import Deciding
from adyton.service.grants.permits import Actor
from adyton.service.userkeys import UserKeys

_LIMIT: Final = 100_000
"""Sessions kept in memory."""


class Session:
    """A token that has been let in.

    Attributes:
        ident: The token's id.
        token: What is known of it.
        space: The namespace it belongs to, at the moment its rights were put together.
        acl: What it may do.
        actor: How the audit log names it.
        method: The login method that its token came from.
        decisions: What was decided lately, by path and operation: as in records, or empty.
        member: The member of the namespace that it is, or None.
        ends_us: When to look the token up anew, as it may have ended then; 0 for never.
        mark: What its callers tell of the token; None where it was not let in.
    """

    __slots__ = (
        "acl", "actor", "decisions", "ends_us", "ident", "mark", "member", "method", "space",
        "token",
    )  # fmt: skip

    def __init__(
        self,
        ident: str,
        token: Token,
        space: Space,
        entity: Entity | None = None,
        member: Actor | None = None,
    ) -> None:
        self.member = member
        self.ends_us = token.expires_us
        self.ident = ident
        self.token = token
        self.space = space
        # Never a token's own metadata: whoever makes a token chooses those.
        self.acl, self.decisions = space.rights(token.policies, template_values(entity))
        self.actor = f"{token.path or 'token'} {token.display_name}#{token.accessor}"
        self.method = token.method or space.method_at(token.path)
        self.mark: TokenMark | None = None

    def __repr__(self) -> str:
        return "<Session>"


class Sessions:
    """The sessions in memory, and the way of a token's text to one.

    Args:
        core: The open store.
        spaces: Mounts and policies.
        grants: Knows the members of namespaces.

    Attributes:
        loads: How often a token was looked up in the store, for not being in memory.
    """

    def __init__(self, core: Core, spaces: Spaces, grants: Deciding) -> None:
        self._core = core
        self._spaces = spaces
        self._grants = grants
        self._sessions: dict[str, Session] = {}
        self._batches: dict[str, set[str]] = {}
        self._users: dict[str, dict[str, None]] = {}  # their sessions, the oldest first
        self._owners: dict[bytes, str] = {}
        self._forgotten = 0
        self._lock = threading.Lock()
        self.loads = 0
        core.on_purge.append(self._forget_user)
        core.on_retired.append(self._forget_user)

    def known(self, text: str) -> Session | None:
        """A session in memory that still holds."""
        session = self._sessions.get(token_id(text))
        return session if session is not None and self.holds(session) else None

    def holds(self, session: Session) -> bool:
        """Whether a session that was in memory is so now, and nothing that it goes by changed."""
        if 0 < session.ends_us <= self._core.clock.now_us():
            self.forget(session.ident)
        kept = self._sessions.get(session.ident) is session
        return kept and self._spaces.cached(session.space.user) is session.space

    @property
    def size(self) -> int:
        """How many sessions are in memory."""
        return len(self._sessions)

    async def load(self, text: str) -> Session | None:
        """A session of a token of the store; None for one that is absent or has ended."""
        core = self._core
        self.loads += 1
        sealed = parse_batch(text)
        index = sealed.user_index if sealed else parse_token(text)
        if index is None:  # a token that was given its text; the operator's namespace has these
            index = core.ring.user_index(OPERATOR_SPACE)
        generation, forgotten = core.ring.generation, self._forgotten
        async with core.storage.snapshot() as rows:
            # Tokens that don't exist are asked for most, so keys are opened once and not for each.
            keys = core.ring.cached(self._owners.get(index, ""))
            if keys is None:
                keys = await core.ring.load_index(rows, index)
                if keys is None:
                    return None
                core.ring.remember(keys, generation)
                if len(self._owners) >= _LIMIT:
                    self._owners.clear()
                self._owners[index] = keys.user_id
            ident = token_id(text)
            token = await self.read(rows, keys, ident, text, sealed)
            if token is None:
                return None
            ends_us = await batch.end_of(rows, keys, token, self._end_known)
        if ends_us and ends_us <= core.clock.now_us():
            return None
        session = await self.make(ident, token, keys.user_id)
        if not await self.from_here(token, keys.user_id):
            return None
        session.ends_us = ends_us
        stored = not isinstance(token, BatchToken)
        session.mark = TokenMark(keys.user_id, keys.stay, stored, token.parent, token.expires_us)
        with self._lock:
            # A change that another thread has committed since the token was read may have ended it.
            if forgotten == self._forgotten:
                if len(self._sessions) >= _LIMIT:
                    self._make_room()
                self._keep(session)
        return session

    def _keep(self, session: Session) -> None:
        ident, parent = session.ident, session.token.parent
        self._sessions[ident] = session
        self._users.setdefault(session.space.user, {})[ident] = None
        if parent and isinstance(session.token, BatchToken):
            self._batches.setdefault(parent, set()).add(ident)

    def _drop(self, ident: str) -> None:
        """Keep a session no more; nothing if there is none."""
        gone = self._sessions.pop(ident, None)
        if gone is None:
            return
        own = self._users[gone.space.user]
        del own[ident]
        if not own:
            del self._users[gone.space.user]
        made = self._batches.get(gone.token.parent)
        if made is not None:
            made.discard(ident)
            if not made:
                del self._batches[gone.token.parent]

    def _make_room(self) -> None:
        """Drop a quarter of all: the oldest of those namespaces that have the most.

        Whoever makes tokens without end pushes out none of a namespace that has few.
        """
        room = _LIMIT * 3 // 4
        most = max(1, _share([len(own) for own in self._users.values()], room))
        for own in list(self._users.values()):
            for ident in list(islice(own, max(0, len(own) - most))):
                self._drop(ident)
        for ident in list(islice(self._sessions, max(0, len(self._sessions) - room))):
            self._drop(ident)  # more namespaces than there is room for

    @staticmethod
    async def read(
        rows: Rows, keys: UserKeys, ident: str, text: str, sealed: BatchText | None
    ) -> Token | None:
        """A token of a namespace, ended or not: one of the store's, or what a text holds."""
        if sealed is not None:
            return batch.open_text(keys, text, sealed)
        return await TOKENS.get(rows, keys, ident)

    async def from_here(self, token: Token, user: str) -> bool:
        """Whether the login method that a batch token came from is where it was.

        Other tokens of one that is disabled or moved are ended then, and need not be asked.
        """
        if not isinstance(token, BatchToken) or not token.mount:
            return True
        return batch.has_mount(token, (await self._spaces.get(user)).table)

    def _end_known(self, ident: str) -> int | None:
        """When a token in memory ends; None for one that is not there, or has ended."""
        above = self._sessions.get(ident)
        if above is None or 0 < above.ends_us <= self._core.clock.now_us():
            return None
        return above.ends_us

    async def make(self, ident: str, token: Token, user: str) -> Session:
        """What a token of a namespace may do, without letting it in."""
        core = self._core
        space = await self._spaces.get(user)
        entity = None
        keys = await core.keys(user) if token.entity else None
        if keys is not None:
            async with core.storage.snapshot() as rows:
                entity = await ENTITIES.get(rows, keys, token.entity)
        return Session(ident, token, space, entity, await self._grants.actor_of(user, token.entity))

    def forget(self, ident: str) -> None:
        """Look a token up anew when it comes next, and with it the batch tokens that it made."""
        with self._lock:
            self._forgotten += 1
            self._drop(ident)
            for child in self._batches.pop(ident, ()):
                self._drop(child)

    def _forget_user(self, user: str) -> None:
        """Keep nothing of a user's tokens, of a user who was purged or keeps the keys away."""
        with self._lock:
            self._forgotten += 1
            for ident in list(self._users.get(user, ())):
                self._drop(ident)


def _share(sizes: list[int], room: int) -> int:
    """How many each may keep at most, so that all together fit: none loses to a larger one."""
    left = room
    for at, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - at)
        if size > share:
            return share
        left -= size
    return room
