"""One-time links: ciphertexts for people without an account (``docs/spec/links.md``).

A store sees neither what is behind a link nor what opens it. One opening is taken in the
transaction that also records it, before the ciphertext is released.
"""

from typing import Final, NamedTuple

import msgspec

from adyton.actions import Action
from adyton.crypto.aead import OVERHEAD
from adyton.crypto.links import ID_BYTES, PROOF_BYTES, is_proof
from adyton.errors import (
    AccessDenied,
    InvalidInput,
    LimitExceeded,
    SecretNotFound,
    ValueTooLarge,
    VersionConflict,
)
from adyton.exchange import LinkInfo
from adyton.model import MAX_CONTENT_TYPE_CHARS, Caller, UserId, from_us, secret_name
from adyton.service.access.records import TokenRef
from adyton.service.access.tokens import new_accessor
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft, outcome_of
from adyton.service.lifecycle.ending import plan_one
from adyton.service.linkrecords import (
    LINK_ACCESSORS,
    LINK_BOXES,
    LINK_MISSES,
    LINKS,
    PATH,
    Link,
    LinkBox,
    Misses,
)
from adyton.service.objects import ObjectChanges
from adyton.service.userkeys import UserKeys

MAX_SECONDS: Final = 30 * 86_400
MAX_TRIES: Final = 10
MAX_NOTE_CHARS: Final = 200
MAX_LINKS: Final = 1_000
"""Links of one user that can be there at once."""
_ALL: Final = "all"
_BATCH: Final = 200
_SMALLEST_BOX: Final = OVERHEAD + 2


class NewLink(msgspec.Struct, frozen=True):
    """What a store is told of a link that is to be made.

    Attributes:
        ident: What the ciphertext is found by.
        proof_hash: SHA-256 of the proof.
        box: The ciphertext.
        seconds: How long it can be opened.
        tries: After how many wrong proofs it ends.
        passphrase: Whether it wants a passphrase.
        note: For its maker.
        secret: Name of the maker's secret whose value is behind it; empty where it is of none.
    """

    ident: bytes
    proof_hash: bytes
    box: bytes
    seconds: int
    tries: int
    passphrase: bool
    note: str
    secret: str = ""

    def __repr__(self) -> str:
        return "<NewLink>"


class Asked(NamedTuple):
    """What whoever has a link tells of it.

    Attributes:
        user: Keyed index of its maker.
        ident: What its ciphertext is found by.
        proof: That it is known, and its passphrase.
    """

    user: bytes
    ident: bytes
    proof: bytes

    def __repr__(self) -> str:
        return "<Asked>"


def gone() -> SecretNotFound:
    """The one refusal of a link that was used, has expired, never was, or is not proved."""
    return SecretNotFound(
        "the link was opened before, has expired, or never was, or the passphrase is wrong",
        hint="Ask whoever sent it for a new one.",
    )


class Links:
    """Operations on links.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def user_index(self, caller: Caller, user: UserId) -> bytes:
        """What links of a user begin with.

        Raises:
            AccessDenied: There is no caller.
            SecretNotFound: It is another user's namespace.
        """
        return self._core.ring.user_index(self._core.authorise(caller, user))

    async def create(self, caller: Caller, user: UserId, new: NewLink) -> LinkInfo:
        """Keep the ciphertext of a link.

        Raises:
            InvalidInput: Something breaks a rule.
            LimitExceeded: The user has too many links.
            VersionConflict: There is a link of this id.
        """
        core = self._core
        draft = Draft(caller, Action.LINK_CREATE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            self._check(new)

        async def work(scope: Scope) -> LinkInfo:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            ident = new.ident.hex()
            if await LINKS.get(scope.tx, keys, ident) is not None:
                raise VersionConflict("there is such a link already", hint="Make a new secret.")
            if len(await LINKS.some(scope.tx, keys, MAX_LINKS)) >= MAX_LINKS:
                raise LimitExceeded(
                    f"a user has at most {MAX_LINKS} links", hint="Revoke some, or wait."
                )
            link = Link(
                new_accessor(),
                new.proof_hash,
                scope.now_us,
                scope.now_us + new.seconds * 1_000_000,
                new.tries,
                len(new.box),
                new.passphrase,
                new.note,
                new.secret,
            )
            changes = ObjectChanges(scope, keys)
            changes.put(LINKS, ident, link)
            changes.put(LINK_BOXES, ident, LinkBox(new.box))
            changes.put(LINK_ACCESSORS, link.accessor, TokenRef(ident))
            draft.name = PATH + link.accessor
            await changes.write(draft)
            # Opened or revoked, it leaves its row behind: opening does the same work as a miss.
            await plan_one(core, scope, keys, LINKS, ident, link.expires_us, draft.name)
            return _shown(link)

        return await core.write(draft, work)

    def _check(self, new: NewLink) -> None:
        if len(new.ident) != ID_BYTES or len(new.proof_hash) != PROOF_BYTES:
            raise InvalidInput(f"a link has an id of {ID_BYTES} bytes and a proof of {PROOF_BYTES}")
        if len(new.box) < _SMALLEST_BOX:
            raise InvalidInput("the link's ciphertext is too short")
        most = self._core.limits.max_value_bytes
        if len(new.box) > most + _SMALLEST_BOX + MAX_CONTENT_TYPE_CHARS:
            raise ValueTooLarge(f"a value behind a link has at most {most} bytes")
        if not 0 < new.seconds <= MAX_SECONDS:
            raise InvalidInput(f"a link lasts 1 to {MAX_SECONDS} seconds")
        if not 0 < new.tries <= MAX_TRIES:
            raise InvalidInput(f"a link has 1 to {MAX_TRIES} tries")
        if len(new.note) > MAX_NOTE_CHARS:
            raise InvalidInput(f"a note has at most {MAX_NOTE_CHARS} characters")
        if new.secret:
            secret_name(new.secret)  # whether it is there is not looked at, nor told

    async def open(self, caller: Caller, asked: Asked) -> bytes:
        """Take a link's ciphertext; it is gone from the store before it is released.

        Args:
            caller: Who asks; whoever it is will do.
            asked: What is told of the link.

        Raises:
            AccessDenied: There is no caller.
            SecretNotFound: It was used, has expired, never was, or the proof is wrong.
        """
        core = self._core
        async with core.guard(Draft(caller, Action.LINK_OPEN)):
            if caller is None:
                raise AccessDenied("an operation needs a caller")
        async with core.storage.snapshot() as rows:
            # While the user's own root is away it looks like one that never was.
            keys = await core.ring.load_open(rows, asked.user)
        if keys is None:
            raise await core.refuse(Draft(caller, Action.LINK_OPEN), gone())
        draft = Draft(caller, Action.LINK_OPEN, keys, keys.user_id)

        async def work(scope: Scope) -> bytes | None:
            if await core.keys_in(scope, draft.user_id) is None:
                raise gone()  # purged in between
            now = await core.keys_to_write(scope, caller, draft.user_id, 0)
            return await self._take(scope, now, draft, asked)

        box = await core.write(draft, work)
        if box is None:
            error = gone()
            error.recorded = True
            raise error
        return box

    async def _take(self, scope: Scope, keys: UserKeys, draft: Draft, asked: Asked) -> bytes | None:
        """The ciphertext, or None after the same work: one object read, one written."""
        ident = asked.ident.hex()
        changes = ObjectChanges(scope, keys)
        link = await LINKS.get(scope.tx, keys, ident)
        kept = None if link is None else await LINK_BOXES.get(scope.tx, keys, ident)
        right = is_proof(asked.proof, bytes(PROOF_BYTES) if link is None else link.proof_hash)
        if link is not None and kept is not None and link.expires_us > scope.now_us:
            draft.name = PATH + link.accessor
            if right:
                _delete(changes, ident, link)
                await changes.write(draft)
                return kept.box
            link.tries -= 1
            if link.tries > 0:
                changes.put(LINKS, ident, link)
            else:
                _delete(changes, ident, link)
        else:
            misses = await LINK_MISSES.get(scope.tx, keys, _ALL)
            changes.put(LINK_MISSES, _ALL, Misses(misses.count + 1 if misses else 1))
        counted = Draft(draft.caller, Action.ACCESS_WRITE, keys, keys.user_id, draft.name)
        counted.reason = "counted an attempt"
        await changes.write(counted)
        draft.keys = keys
        scope.record(draft.failed("not a link that can be opened so", outcome_of(gone())))
        return None

    async def revoke(self, caller: Caller, user: UserId, accessor: str) -> None:
        """End a link before anybody has opened it.

        Raises:
            SecretNotFound: There is none of this accessor any more.
        """
        core = self._core
        draft = Draft(caller, Action.LINK_REVOKE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, draft.user_id)
            place = None if keys is None else await LINK_ACCESSORS.get(scope.tx, keys, accessor)
            link = (
                None if keys is None or place is None else await LINKS.get(scope.tx, keys, place.id)
            )
            if keys is None or place is None or link is None:
                raise SecretNotFound("there is no such link")
            changes = ObjectChanges(scope, keys)
            _delete(changes, place.id, link)
            draft.name = PATH + accessor
            await changes.write(draft)

        await core.write(draft, work)

    async def list(self, caller: Caller, user: UserId) -> list[LinkInfo]:
        """Links that can be opened still, the newest last."""
        core = self._core
        draft = Draft(caller, Action.LINK_LIST, name=PATH)
        found: list[Link] = []
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = keys = await core.keys(draft.user_id)
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    found = list((await LINKS.all(rows, keys)).values())
        await core.record(draft)
        now = core.clock.now_us()
        found.sort(key=lambda link: (link.created_us, link.accessor))
        return [_shown(link) for link in found if link.expires_us > now]


def _delete(changes: ObjectChanges, ident: str, link: Link) -> None:
    changes.delete(LINKS, ident)
    changes.delete(LINK_BOXES, ident)
    changes.delete(LINK_ACCESSORS, link.accessor)


def _shown(link: Link) -> LinkInfo:
    return LinkInfo(
        link.accessor,
        from_us(link.created_us),
        from_us(link.expires_us),
        link.tries,
        link.passphrase,
        link.size,
        link.note,
        link.secret,
    )


async def forget_links(core: Core, caller: Caller, user: str) -> int:
    """Remove a namespace's links that have expired; how many there were."""
    keys = await core.keys(user)
    if keys is None:
        return 0
    async with core.storage.snapshot() as rows:
        found = await LINKS.all(rows, keys)
    now = core.clock.now_us()
    over = [ident for ident, link in found.items() if link.expires_us <= now]
    for at in range(0, len(over), _BATCH):
        await _forget_some(core, caller, user, over[at : at + _BATCH])
    return len(over)


async def _forget_some(core: Core, caller: Caller, user: str, idents: list[str]) -> None:
    draft = Draft(caller, Action.LINK_REVOKE, user_id=user, name=PATH, reason="ended")

    async def work(scope: Scope) -> None:
        keys = await core.keys_in(scope, user)
        if keys is None:
            return
        changes = ObjectChanges(scope, keys)
        for ident in idents:
            link = await LINKS.get(scope.tx, keys, ident)
            if link is not None:
                _delete(changes, ident, link)
        await changes.write(draft)

    await core.write(draft, work)
