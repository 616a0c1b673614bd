"""How grants and policies decide together (``docs/spec/grants.md``, section 5).

Deny wins, be it a policy's or a grant's; then a policy's or a grant's word is enough. In another
user's namespace both are needed: the grant there, and a policy at home that names ``USER/PATH``.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from adyton.errors import AdytonError
from adyton.service.access.acl import Acl
from adyton.service.access.policy import ROOT_NAME, Capability
from adyton.service.access.spaces import OPERATOR_SPACE, Space, Spaces
from adyton.service.grants.book import Book
from adyton.service.grants.conditions import Facts
from adyton.service.grants.permits import Actor, Permit, Spend
from adyton.service.grants.targets import Target, target_of

if TYPE_CHECKING:
    from adyton.service.core import Core


_UNKNOWN: Final = Actor("", "")


class Whose(Protocol):
    """What grants need to know of a session."""

    acl: Acl
    space: Space
    member: Actor | None


class Deciding:
    """Decides what members may do.

    Args:
        core: The open store.
        spaces: Mounts and policies.
    """

    def __init__(self, core: "Core", spaces: Spaces) -> None:
        self._core = core
        self._spaces = spaces

    async def actor_of(self, user: str, entity: str) -> Actor | None:
        """The member of a namespace that an entity is, if it is one."""
        if not entity:
            return None
        try:
            book = await self._core.books.get(user)
        except AdytonError:
            return _UNKNOWN  # nobody who may be a member is let in while the book is not whole
        return _actor(book, book.by_entity.get(entity))

    def actor_in(self, session: Whose, user: str) -> Actor | None:
        """The member of a namespace that a session is, if it is one."""
        own = session.space.user
        if user == own:
            return session.member
        if own == OPERATOR_SPACE:
            return None
        books = self._core.books
        found = _actor(books.cached(user), books.cached(user).by_user.get(own))
        # Also told at home: of a user who was purged, what comes later is no member.
        if found is None or books.cached(own).elsewhere.get(user) != found.id:
            return None
        return found

    def decide(
        self,
        session: Whose,
        user: str,
        path: str,
        operation: Capability,
        *,
        body: Mapping[str, object] | None,
        wrap_ttl: int | None,
        address: str,
        spend: bool,
    ) -> str:
        """What allows an operation, as audit records name it; empty where nothing does."""
        own, acl = session.space.user, session.acl
        seen = path if user == own else f"{user}/{path}"
        policy = acl.decision(seen, operation, body=body, wrap_ttl=wrap_ttl)
        actor = self.actor_in(session, user)
        home = own in {user, OPERATOR_SPACE}  # where a policy's word is enough
        if home and (policy == ROOT_NAME or actor is None):
            return policy
        target = self._target(user, path, operation, body)
        if actor is None or target is None or not (home or policy):
            return policy if home else ""
        denied, rule = self._rule(actor, user, target, address, spend=spend)
        if denied or acl.denies(seen, operation):
            return ""
        if (home and policy) or not rule:
            return policy if home else ""
        return Permit(rule, actor.name, Spend(self._core, user, actor, target, address))

    def until(
        self, session: Whose, user: str, path: str, operation: Capability, book: Book
    ) -> int | None:
        """Until when an operation is allowed, bound to no condition; for what is shared.

        Args:
            session: Who asks.
            user: The namespace.
            path: The path; a folder's for all that is in it, or comes into it later.
            operation: What is asked.
            book: The namespace's members and grants, as the unit sees them.

        Returns:
            The time in microseconds; 0 for no end, None where it is not allowed so.
        """
        own, acl = session.space.user, session.acl
        seen = path if user == own else f"{user}/{path}"
        folder = path.endswith("/")
        policy = acl.covers(seen, operation) if folder else acl.allows(seen, operation)
        actor = self.actor_in(session, user)
        home = own in {user, OPERATOR_SPACE}
        target = self._target(user, path, operation, None)
        if actor is None or target is None or (home and acl.root):
            return 0 if home and policy else None
        if not (home or policy) or not actor.holds(book):
            return None
        now = self._core.clock.now_us()
        facts = Facts("", now)
        if acl.denies_inside(seen) if folder else acl.denies(seen, operation):
            return None
        if book.judge(actor.name, target.rights, target.name, facts, whole=target.whole).denied:
            return None
        return 0 if home and policy else book.until(actor.name, target.rights, target.name, now)

    def _rule(
        self, actor: Actor, user: str, target: Target, address: str, *, spend: bool
    ) -> tuple[bool, str]:
        """Whether grants take it away, and else which one gives it; empty where none does."""
        book = self._core.books.cached(user)
        if not actor.holds(book):
            return True, ""
        facts = Facts(address, self._core.clock.now_us())
        if not target.rights:
            return False, "member"
        verdict = book.judge(actor.name, target.rights, target.name, facts, whole=target.whole)
        if target.partly and not verdict.denied:
            return False, book.touched(actor.name, target.rights, target.name, facts)
        if verdict.spending and not (spend and target.once):
            return verdict.denied, ""
        return verdict.denied, verdict.rule

    def _target(
        self, user: str, path: str, operation: Capability, body: Mapping[str, object] | None
    ) -> Target | None:
        space = self._spaces.cached(user)
        book = self._core.books.cached(user)

        def path_of_grant(ident: str) -> str | None:
            found = book.grants.get(ident)
            return None if found is None else found.path

        if space is None:
            return None
        return target_of(path, operation, body, space.mount_at, path_of_grant)

    def may_know(
        self, session: Whose, user: str, path: str, operation: Capability, address: str
    ) -> bool:
        """Whether a refusal tells a member nothing: it has a right on what it asks for."""
        actor = self.actor_in(session, user)
        target = self._target(user, path, operation, None)
        if actor is None or target is None or not target.rights:
            return True
        facts = Facts(address, self._core.clock.now_us())
        return self._core.books.cached(user).knows(actor.name, target.name, facts)

    def seeing(self, session: Whose, user: str, right: str, address: str) -> Callable[[str], bool]:
        """Which secrets a session's grants give a right on; none where it is no member."""
        actor = self.actor_in(session, user)
        book = self._core.books.cached(user)
        if actor is None or not actor.holds(book):
            return lambda _: False
        facts = Facts(address, self._core.clock.now_us())
        member = actor.name

        def sees(name: str) -> bool:
            found = book.judge(member, (right,), name, facts)
            return found.allowed and not found.spending

        return sees

    def hidden(
        self, session: Whose, user: str, rights: tuple[str, ...], address: str
    ) -> Callable[[str], bool] | None:
        """Which secrets grants take one of some rights away on, whatever policies say.

        None where that is nobody's to say: of who is no member, and of ``root``.
        """
        actor = self.actor_in(session, user)
        if actor is None or (session.acl.root and session.space.user in {user, OPERATOR_SPACE}):
            return None
        book = self._core.books.cached(user)
        facts = Facts(address, self._core.clock.now_us())
        member = actor.name
        if not actor.holds(book):
            return lambda _: True
        return lambda name: book.judge(member, rights, name, facts).denied

    def visible(
        self,
        session: Whose,
        user: str,
        address: str,
        listed: Callable[[str], bool],
        hidden: Callable[[str], bool],
    ) -> Callable[[str], bool]:
        """Which secrets a session may see in lists, by its grants and by its policies.

        Args:
            session: Who asks.
            user: The namespace.
            address: Where the request comes from.
            listed: Whether policies show a name.
            hidden: Whether a policy denies that it is shown.
        """
        if self.actor_in(session, user) is None:
            return listed
        given = self.seeing(session, user, "list", address)
        if session.space.user != user:  # both are needed
            return lambda name: given(name) and listed(name)
        taken = self.hidden(session, user, ("list",), address)
        return lambda name: (
            (given(name) and not hidden(name))
            or (listed(name) and not (taken is not None and taken(name)))
        )

    def any_in(self, session: Whose, user: str, mount: str) -> bool:
        """Whether a session's grants give anything in a mount of secrets, whatever they ask for."""
        actor = self.actor_in(session, user)
        space = self._spaces.cached(user)
        place = None if space is None else space.mount_at(mount)
        if actor is None or place is None or place[1].type != "kv":
            return False
        book = self._core.books.cached(user)
        return actor.holds(book) and book.has_any(actor.name)


def _actor(book: Book, name: str | None) -> Actor | None:
    member = None if name is None else book.members.get(name)
    return None if name is None or member is None else Actor(name, member.id)
