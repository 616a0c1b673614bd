"""Giving rights to members, and taking them back (``docs/spec/grants.md``, section 2)."""

from collections.abc import Callable, Iterable
from typing import Final

from adyton.actions import Action
from adyton.dueports import DueRow
from adyton.errors import InvalidInput, LimitExceeded
from adyton.grantvalues import BUILT_IN_ROLES, GrantInfo, NewGrant
from adyton.model import Caller, UserId, from_us, user_id
from adyton.service.access.tokens import new_accessor
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.grants.book import Book
from adyton.service.grants.books import BookChanges
from adyton.service.grants.conditions import check
from adyton.service.grants.members import checked_rights, read_book
from adyton.service.grants.paths import covers, grant_path
from adyton.service.grants.records import GRANTS, USES, Grant
from adyton.service.journal import Draft
from adyton.service.lifecycle.ending import end_of_grant, plan_one
from adyton.service.secretmeta import not_found

MAX_GRANTS: Final = 50_000
MAX_OF_MEMBER: Final = 2_000
GRANTS_PATH: Final = "grants/"
_SHOWN: Final = 64


class Grants:
    """Operations on grants.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def create(
        self, caller: Caller, user: UserId, new: NewGrant, *, by: str = ""
    ) -> GrantInfo:
        """Give a member rights on a secret, a folder or everything, or take them away.

        Args:
            caller: Who asks.
            user: The owner.
            new: What is given to whom.
            by: The member who asks; empty for the owner.

        Raises:
            SecretNotFound: There is no such member.
            InvalidInput: Something breaks a rule, or it would be for whoever asks.
            LimitExceeded: There are too many grants.
        """
        core = self._core
        draft = Draft(caller, Action.GRANT_CREATE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = path = grant_path(new.path)
            member = user_id(new.member)
            if by and by == member:
                raise InvalidInput("nobody gives rights to themselves", hint="Ask the owner.")
            rights = _checked(new)

        async def work(scope: Scope) -> GrantInfo:
            if await core.keys_in(scope, draft.user_id) is None:
                raise not_found()
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            book = await core.books.in_unit(scope, keys)
            known = book.members.get(member)
            if known is None:
                raise not_found()
            if new.role and new.role not in BUILT_IN_ROLES and new.role not in book.roles:
                raise InvalidInput("there is no such role", hint="See 'adyton role list'.")
            if 0 < new.expires_us <= scope.now_us:
                raise InvalidInput("the grant would have ended already")
            if len(book.grants) >= MAX_GRANTS or book.count_of(member) >= MAX_OF_MEMBER:
                raise LimitExceeded(
                    f"a namespace has at most {MAX_GRANTS} grants, a member {MAX_OF_MEMBER}",
                    hint="Revoke some, or grant folders instead of secrets.",
                )
            ident = new_accessor()
            grant = Grant(
                member=member, member_id=known.id, path=path, role=new.role, rights=rights,
                deny=new.deny, created_us=scope.now_us, created_by=caller.actor,
                expires_us=new.expires_us, conditions=new.conditions,
            )  # fmt: skip
            changes = BookChanges(core.books, scope, keys)
            await changes.put(GRANTS, ident, grant)
            if grant.expires_us:
                end = end_of_grant(ident, grant)
                await plan_one(core, scope, keys, GRANTS, ident, grant.expires_us, end.name)
            given = grant.role or ", ".join(grant.rights)
            draft.reason = f"{'deny ' if new.deny else ''}{given} to {member}, grant {ident}"[:500]
            await changes.write(draft)
            return shown_grant(book, ident, grant)

        return await core.write(draft, work)

    async def revoke(self, caller: Caller, user: UserId, ident: str, *, by: str = "") -> None:
        """Take a grant back; what is under way by it and not recorded yet is refused.

        Args:
            caller: Who asks.
            user: The owner.
            ident: The grant's id.
            by: The member who asks; empty for the owner.

        Raises:
            SecretNotFound: There is no such grant.
            InvalidInput: It takes rights away from whoever asks.
        """
        core = self._core
        draft = Draft(caller, Action.GRANT_REVOKE, name=GRANTS_PATH + ident[:_SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, draft.user_id)
            book = None if keys is None else await core.books.in_unit(scope, keys)
            grant = None if book is None else book.grants.get(ident)
            if keys is None or grant is None:
                raise not_found()
            if by and grant.deny and grant.member == by:
                raise InvalidInput("nobody gives rights to themselves", hint="Ask the owner.")
            changes = BookChanges(core.books, scope, keys)
            await drop_grants(scope, changes, [ident])
            draft.reason = f"{grant.path} of {grant.member}"[:500]
            await changes.write(draft)

        await core.write(draft, work)

    async def list(
        self,
        caller: Caller,
        user: UserId,
        *,
        member: str = "",
        path: str = "",
        before_us: int = 0,
        visible: Callable[[str], bool] | None = None,
    ) -> list[GrantInfo]:
        """Grants, by member and path.

        Args:
            caller: Who asks.
            user: The owner.
            member: Of one member; empty for all.
            path: That cover this secret or folder; empty for all.
            before_us: That end before this time; 0 for all.
            visible: Whether whoever asks may see grants on a path; None for all.
        """
        core = self._core
        draft = Draft(caller, Action.GRANT_READ, name=GRANTS_PATH)
        async with core.guard(draft):
            wanted = grant_path(path) if path else ""
        book = await read_book(core, caller, draft, user)
        found = [
            shown_grant(book, ident, grant)
            for ident, grant in book.grants.items()
            if (not member or grant.member == member)
            and (not wanted or covers(grant.path, wanted))
            and (not before_us or 0 < grant.expires_us < before_us)
            and (visible is None or visible(grant.path))
        ]
        return sorted(found, key=lambda one: (one.member, one.path, one.created_at, one.id))

    async def get(self, caller: Caller, user: UserId, ident: str) -> GrantInfo:
        """One grant.

        Raises:
            SecretNotFound: There is no such grant.
        """
        draft = Draft(caller, Action.GRANT_READ, name=GRANTS_PATH + ident[:_SHOWN])
        book = await read_book(self._core, caller, draft, user, lambda book: ident in book.grants)
        return shown_grant(book, ident, book.grants[ident])


async def drop_grants(scope: Scope, changes: BookChanges, idents: Iterable[str]) -> None:
    """Erase grants, with their counts and with what tells when they end."""
    keys = changes.objects.keys
    for ident in idents:
        await changes.delete(GRANTS, ident)
        await changes.delete(USES, ident)
        # Nothing is due to it any more.
        await scope.tx.put_due(DueRow(keys.user, *GRANTS.place(keys, ident), 0, b""))


def shown_grant(book: Book, ident: str, grant: Grant) -> GrantInfo:
    """A grant as it is told."""
    used = book.uses.get(ident)
    limit = grant.conditions.reads
    return GrantInfo(
        ident,
        grant.member,
        grant.path,
        grant.role,
        sorted(book.rights(grant)),
        grant.deny,
        grant.conditions,
        from_us(grant.created_us),
        grant.created_by,
        from_us(grant.expires_us) if grant.expires_us else None,
        max(0, limit - (used.count if used else 0)) if limit else None,
    )


def _checked(new: NewGrant) -> tuple[str, ...]:
    """The rights of a new grant; none where a role gives them.

    Raises:
        InvalidInput: Role, rights or conditions break a rule.
    """
    if bool(new.role) == bool(new.rights):
        raise InvalidInput("a grant gives a role, or rights", hint="Name one of both.")
    if new.deny and new.conditions.any:
        raise InvalidInput(
            "what takes rights away has no conditions", hint="Leave them out; it may expire."
        )
    check(new.conditions, new.path)
    return () if new.role else checked_rights(new.rights)
