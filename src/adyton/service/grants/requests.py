"""A second person's approval: asked for, given, denied (``docs/spec/grants.md``, section 7)."""

from typing import Final

import msgspec

from adyton.actions import Action
from adyton.errors import InvalidInput, LimitExceeded
from adyton.grantvalues import RIGHTS, AccessRequest
from adyton.model import Caller, UserId, from_us, secret_name
from adyton.service.access.tokens import new_accessor
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.grants.book import Book
from adyton.service.grants.books import BookChanges
from adyton.service.grants.conditions import Facts, needs_approval, unmet
from adyton.service.grants.members import read_book
from adyton.service.grants.records import REQUESTS, Request
from adyton.service.journal import Draft
from adyton.service.secretmeta import not_found
from adyton.service.userkeys import UserKeys

MAX_REQUESTS: Final = 1_000
MAX_OPEN: Final = 20
OPEN_SECONDS: Final = 7 * 86_400
MOST_SECONDS: Final = 7 * 86_400
MOST_USES: Final = 1_000
MAX_REASON_CHARS: Final = 500
REQUESTS_PATH: Final = "access/requests/"
_SECOND_US: Final = 1_000_000
_SHOWN: Final = 64


class Requests:
    """Operations on requests.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(
        self,
        caller: Caller,
        user: UserId,
        right: str,
        path: str,
        *,
        reason: str = "",
        by: str = "",
    ) -> AccessRequest:
        """Ask for one right on one secret that a grant gives with approval.

        Args:
            caller: Who asks.
            user: The owner.
            right: A right by name.
            path: A secret.
            reason: Why, in words.
            by: The member who asks.

        Raises:
            SecretNotFound: No grant of the member's gives this with approval.
            InvalidInput: Something breaks a rule, or no member asks.
            LimitExceeded: There are too many requests.
        """
        core = self._core
        draft = Draft(caller, Action.REQUEST_CREATE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = secret_name(path)
            if right not in RIGHTS:
                raise InvalidInput("a right is not known", hint=f"Known: {', '.join(RIGHTS)}.")
            if not by:
                raise InvalidInput(
                    "no member asks",
                    hint="The owner needs no approval; a member asks by a token of the member.",
                )
            if len(reason) > MAX_REASON_CHARS:
                raise InvalidInput(f"the reason has more than {MAX_REASON_CHARS} characters")

        async def work(scope: Scope) -> AccessRequest:
            if await core.keys_in(scope, draft.user_id) is None:
                raise not_found()
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            book = await core.books.in_unit(scope, keys)
            facts = Facts(caller.address, scope.now_us)
            if by not in book.members or not _askable(book, by, right, path, facts):
                raise not_found()
            changes = BookChanges(core.books, scope, keys)
            await _make_room(changes, book, by, scope.now_us)
            ident = new_accessor()
            request = Request(
                member=by, member_id=book.members[by].id, right=right, path=path, reason=reason,
                created_us=scope.now_us, expires_us=scope.now_us + OPEN_SECONDS * _SECOND_US,
            )  # fmt: skip
            await changes.put(REQUESTS, ident, request)
            draft.reason = f"{right} by {by}, request {ident}"[:500]
            await changes.write(draft)
            return shown_request(ident, request)

        return await core.write(draft, work)

    async def approve(
        self,
        caller: Caller,
        user: UserId,
        ident: str,
        *,
        seconds: int = 3_600,
        uses: int = 1,
        by: str = "",
    ) -> AccessRequest:
        """Approve a request: from now on, for so long and so many times.

        Args:
            caller: Who decides.
            user: The owner.
            ident: The request's id.
            seconds: For how long.
            uses: How often what is asked for may be done.
            by: The member who decides; empty for the owner.

        Raises:
            SecretNotFound: There is no such request, or whoever asks may not decide it.
            InvalidInput: It is decided already, or a number is out of its bounds.
        """
        return await self._decide(caller, user, ident, by, seconds=seconds, uses=uses)

    async def deny(
        self, caller: Caller, user: UserId, ident: str, *, by: str = ""
    ) -> AccessRequest:
        """Deny a request.

        Raises:
            SecretNotFound: There is no such request, or whoever asks may not decide it.
            InvalidInput: It is decided already.
        """
        return await self._decide(caller, user, ident, by, seconds=0, uses=0)

    async def _decide(
        self, caller: Caller, user: UserId, ident: str, by: str, *, seconds: int, uses: int
    ) -> AccessRequest:
        core = self._core
        draft = Draft(caller, Action.REQUEST_DECIDE, name=REQUESTS_PATH + ident[:_SHOWN])
        approve = bool(seconds or uses)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            if approve and not (1 <= seconds <= MOST_SECONDS and 1 <= uses <= MOST_USES):
                raise InvalidInput(
                    f"an approval lasts 1 to {MOST_SECONDS} seconds, for 1 to {MOST_USES} uses"
                )

        async def work(scope: Scope) -> AccessRequest:
            keys = await core.keys_in(scope, draft.user_id)
            book = None if keys is None else await core.books.in_unit(scope, keys)
            request = None if book is None else book.requests.get(ident)
            facts = Facts(caller.address, scope.now_us)
            if keys is None or book is None or request is None:
                raise not_found()
            if not may_decide(book, request, by, facts) or request.expires_us <= scope.now_us:
                raise not_found()
            if request.state != "open":
                raise InvalidInput(f"the request is {request.state} already")
            decided = msgspec.structs.replace(
                request,
                state="approved" if approve else "denied",
                decided_by=by or caller.actor,
                uses=uses,
                expires_us=scope.now_us + seconds * _SECOND_US if approve else request.expires_us,
            )
            draft.reason = f"{decided.state}: {request.right} on {request.path} by {request.member}"
            draft.reason = draft.reason[:500]
            await self._write(scope, keys, ident, decided, draft)
            return shown_request(ident, decided)

        return await core.write(draft, work)

    async def _write(
        self, scope: Scope, keys: UserKeys, ident: str, request: Request, draft: Draft
    ) -> None:
        changes = BookChanges(self._core.books, scope, keys)
        await changes.put(REQUESTS, ident, request)
        await changes.write(draft)

    async def list(self, caller: Caller, user: UserId, *, by: str = "") -> "list[AccessRequest]":
        """Requests that are not over: a member's own, and those that whoever asks may decide.

        Args:
            caller: Who asks.
            user: The owner.
            by: The member who asks; empty for the owner, who sees all.
        """
        core = self._core
        draft = Draft(caller, Action.REQUEST_READ, name=REQUESTS_PATH)
        book = await read_book(core, caller, draft, user)
        facts = Facts(caller.address, core.clock.now_us())
        found = [
            shown_request(ident, request)
            for ident, request in book.requests.items()
            if request.expires_us > facts.now_us
            and (request.member == by or may_decide(book, request, by, facts))
        ]
        return sorted(found, key=lambda one: (one.created_at, one.id))


def shown_request(ident: str, request: Request) -> AccessRequest:
    """A request as it is told."""
    return AccessRequest(
        ident,
        request.member,
        request.right,
        request.path,
        request.reason,
        request.state,
        from_us(request.created_us),
        request.decided_by,
        from_us(request.expires_us),
        request.uses - request.used if request.state == "approved" else 0,
    )


def may_decide(book: Book, request: Request, by: str, facts: Facts) -> bool:
    """Whether a member may decide a request; the owner may, and nobody their own."""
    if not by:
        return True
    if by == request.member or by not in book.members:
        return False
    verdict = book.judge(by, ("admin",), request.path, facts)
    return verdict.allowed and not verdict.spending


def _askable(book: Book, member: str, right: str, path: str, facts: Facts) -> bool:
    """Whether a grant gives a right on a secret once a second person has approved it."""
    if book.judge(member, (right,), path, facts).denied:
        return False
    return any(
        not grant.deny
        and right in book.rights(grant)
        and needs_approval(grant.conditions, path)
        and not unmet(grant.conditions, grant.expires_us, facts)
        for _, grant in book.grants_of(member, path)
    )


async def _make_room(changes: BookChanges, book: Book, member: str, now_us: int) -> None:
    """Drop requests that are over, in the unit of a new one.

    Raises:
        LimitExceeded: There are too many that are not.
    """
    over = [ident for ident, one in book.requests.items() if one.expires_us <= now_us]
    for ident in over[:100]:
        await changes.delete(REQUESTS, ident)
    mine = sum(
        one.member == member and one.state == "open" and one.expires_us > now_us
        for one in book.requests.values()
    )
    if mine >= MAX_OPEN or len(book.requests) - len(over) >= MAX_REQUESTS:
        raise LimitExceeded(
            f"a member has at most {MAX_OPEN} open requests, a namespace {MAX_REQUESTS} in all",
            hint="Wait until some are decided or over.",
        )
