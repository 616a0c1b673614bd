"""A decision by a grant, and what happens to it in the commit that records the operation.

Between a decision and its commit a grant can be revoked, its last read be taken, its approval be
used. So an operation that a grant allows is judged once more inside its own unit, where nothing
else happens at the same time, and what is counted is counted there (``docs/spec/grants.md``,
section 6).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import msgspec

from adyton.actions import Action
from adyton.errors import AccessDenied
from adyton.grantvalues import Conditions
from adyton.model import Caller
from adyton.service.commit import Scope
from adyton.service.grants.book import Book
from adyton.service.grants.books import BookChanges
from adyton.service.grants.conditions import Facts, needs_approval
from adyton.service.grants.records import REQUESTS, USES, Request, Uses
from adyton.service.grants.targets import Target
from adyton.service.journal import Draft
from adyton.service.secretmeta import not_found
from adyton.service.ticket import Work
from adyton.service.userkeys import UserKeys

if TYPE_CHECKING:
    from adyton.service.core import Core


class Actor(msgspec.Struct, frozen=True):
    """A member of a namespace, as it was let in.

    Attributes:
        name: The member's name.
        id: Its id, which tells it from an earlier one of the name.
    """

    name: str
    id: str

    def holds(self, book: Book) -> bool:
        """Whether it is a member still."""
        found = book.members.get(self.name)
        return found is not None and found.id == self.id


class Permit(str):
    """A decision, as audit records name it, with what is to be done in the commit.

    Attributes:
        spend: Judges once more, and counts.
    """

    __slots__ = ("spend",)
    spend: "Spend"

    def __new__(cls, rule: str, actor: str, spend: "Spend") -> Self:
        """Make one.

        Args:
            rule: The grant's id.
            actor: The member's name.
            spend: What is to be done in the commit.
        """
        made = super().__new__(cls, f"grant:{rule} {actor}")
        made.spend = spend
        return made


class Spend:
    """Work inside the unit of the operation that a grant allows; done once.

    Args:
        core: The open store.
        user: The namespace.
        actor: The member.
        target: What is asked for.
        address: Where the request comes from.
    """

    __slots__ = ("_actor", "_address", "_core", "_target", "_user", "caller", "done")

    def __init__(self, core: "Core", user: str, actor: Actor, target: Target, address: str) -> None:
        self._core = core
        self._user = user
        self._actor = actor
        self._target = target
        self._address = address
        self.caller: Caller | None = None
        self.done = False

    def __repr__(self) -> str:
        return "<Spend>"

    async def __call__(self, scope: Scope) -> None:
        """Judge once more, and count.

        Raises:
            AccessDenied: It is not allowed any more.
            SecretNotFound: The namespace is gone.
        """
        if self.done:
            return
        keys, book = await self.seen(scope)
        facts = Facts(self._address, scope.now_us)
        target, actor = self._target, self._actor
        if not actor.holds(book):
            raise refused()
        if target.partly:
            if target.rights and not book.touched(actor.name, target.rights, target.name, facts):
                raise refused()
        else:
            verdict = book.judge(actor.name, target.rights, target.name, facts, whole=target.whole)
            if not verdict.allowed:
                raise refused()
            if verdict.spending and not await self._take(scope, keys, book, verdict.spending):
                raise refused()
        scope.after_commit(self._finish)

    async def seen(self, scope: Scope) -> tuple[UserKeys, Book]:
        """The namespace's keys and book as the unit sees them.

        Raises:
            SecretNotFound: The namespace is gone.
        """
        keys = await self._core.keys_in(scope, self._user)
        if keys is None:
            raise not_found()
        return keys, await self._core.books.in_unit(scope, keys)

    def holds(self, book: Book, now_us: int) -> bool:
        """Whether it is allowed still, by a grant that is neither counted nor approved."""
        target, facts = self._target, Facts(self._address, now_us)
        verdict = book.judge(
            self._actor.name, target.rights, target.name, facts, whole=target.whole
        )
        return self._actor.holds(book) and verdict.allowed and not verdict.spending

    def _finish(self) -> None:
        self.done = True

    async def _take(
        self, scope: Scope, keys: UserKeys, book: Book, idents: tuple[str, ...]
    ) -> bool:
        """Use the first grant that has something left."""
        for ident in idents:
            conditions = book.grants[ident].conditions
            changes = BookChanges(self._core.books, scope, keys)
            if not await self._use(changes, book, ident, conditions):
                continue
            reason = f"grant {ident} by {self._actor.name}"
            name = self._target.name
            await changes.write(
                Draft(self.caller, Action.GRANT_USE, keys, self._user, name, reason=reason)
            )
            return True
        return False

    async def _use(
        self, changes: BookChanges, book: Book, ident: str, conditions: Conditions
    ) -> bool:
        if needs_approval(conditions, self._target.name):
            found = self._approved(book, changes.now_us)
            if found is None:
                return False
            await changes.put(
                REQUESTS, found[0], msgspec.structs.replace(found[1], used=found[1].used + 1)
            )
        if conditions.reads and "read" in self._target.rights:
            count = book.uses.get(ident, Uses()).count
            if count >= conditions.reads:
                return False
            await changes.put(USES, ident, Uses(count + 1))
        return True

    def _approved(self, book: Book, now_us: int) -> tuple[str, Request] | None:
        """A request of this member's for this that was approved, is not over, and not used up."""
        for ident, request in sorted(book.requests.items(), key=lambda one: one[1].expires_us):
            if (
                request.state == "approved"
                and request.member_id == self._actor.id
                and request.right in self._target.rights
                and request.path == self._target.name
                and request.expires_us > now_us
                and request.used < request.uses
            ):
                return ident, request
        return None


class SpendEach:
    """Several decisions for one operation in one namespace, each judged once more in its unit.

    Args:
        spends: The decisions; what is added before the unit counts as well.
        own: What is to be done besides, of the operation as a whole.
    """

    __slots__ = ("_own", "_spends")

    def __init__(self, spends: Sequence[Spend], own: Work[None] | None = None) -> None:
        self._spends = spends
        self._own = own

    def __repr__(self) -> str:
        return "<SpendEach>"

    async def __call__(self, scope: Scope) -> None:
        """Judge each once more.

        Raises:
            AccessDenied: One is not allowed any more.
            SecretNotFound: The namespace is gone.
        """
        if self._spends:
            _, book = await self._spends[0].seen(scope)
            if not all(spend.holds(book, scope.now_us) for spend in self._spends):
                raise refused()
        if self._own is not None:
            await self._own(scope)


def refused() -> AccessDenied:
    """The refusal of what was allowed and is not any more."""
    return AccessDenied("permission denied")
