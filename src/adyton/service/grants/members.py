"""Members and roles of a namespace (``docs/spec/grants.md``, section 1)."""

import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from adyton.actions import Action
from adyton.dueports import DueRow
from adyton.errors import InvalidInput, LimitExceeded, UserRootAway
from adyton.grantvalues import BUILT_IN_ROLES, RIGHTS, MemberInfo, MemberKind, RoleInfo
from adyton.model import Caller, UserId, from_us, user_id
from adyton.service.access.identity import new_entity
from adyton.service.access.records import (
    APPROLES,
    ENTITIES,
    ENTITY_ALIASES,
    MOUNTS,
    Mount,
)
from adyton.service.access.spaces import OPERATOR_SPACE, TABLE
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.grants.book import Book
from adyton.service.grants.books import BookChanges
from adyton.service.grants.records import (
    GRANTS,
    MEMBERS,
    MEMBERSHIPS,
    REQUESTS,
    ROLES,
    USES,
    Member,
    Membership,
    Role,
)
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges, Shelf
from adyton.service.secretmeta import not_found
from adyton.service.userkeys import UserKeys

MAX_MEMBERS: Final = 10_000
MAX_MEMBERSHIPS: Final = 1_000
MAX_ROLES: Final = 200
MAX_LOGINS: Final = 16
MemberInfos = list[MemberInfo]
RoleInfos = list[RoleInfo]
MEMBERS_PATH: Final = "members/"
ROLES_PATH: Final = "roles/"
_SHOWN: Final = 128


async def read_book(
    core: Core,
    caller: Caller,
    draft: Draft,
    user: UserId,
    is_there: Callable[[Book], bool] | None = None,
) -> Book:
    """A namespace's book, with a record of who has read it.

    Raises:
        SecretNotFound: What is asked for is not there.
    """
    async with core.guard(draft):
        draft.user_id = core.authorise(caller, user)
        draft.keys = await core.keys(draft.user_id)
        book = await core.books.get(draft.user_id)
        if is_there is not None and not is_there(book):
            raise not_found()
    await core.record(draft)
    return book


class Members:
    """Operations on members and roles.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- members --------------------------------------------------------------------------------

    async def add(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        *,
        kind: MemberKind = "person",
        other: UserId = "",
        logins: tuple[str, ...] = (),
    ) -> MemberInfo:
        """Let somebody into a namespace; without grants it may do nothing there.

        Args:
            caller: Who asks.
            user: The owner.
            name: The owner's name for the member.
            kind: A person, a machine, or another user of the store.
            other: The other user's id; a user who was never seen gets a namespace by it.
            logins: Logins that are the member's, as ``MOUNT:NAME``, such as ``userpass:alice``.

        Raises:
            InvalidInput: Something breaks a rule, or is somebody else's already.
            LimitExceeded: There are too many members.
        """
        core = self._core
        draft = Draft(caller, Action.MEMBER_WRITE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = MEMBERS_PATH + user_id(name)
            there = _other(kind, other, draft.user_id)
            if there and logins:
                raise InvalidInput("another user logs in at home", hint="Leave the logins out.")
            if len(logins) > MAX_LOGINS:
                raise InvalidInput(f"a member has at most {MAX_LOGINS} logins")

        async def work(scope: Scope) -> MemberInfo:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            book = await core.books.in_unit(scope, keys)
            if name in book.members:
                raise InvalidInput("there is a member of this name", hint="Remove it first.")
            if len(book.members) >= MAX_MEMBERS:
                raise LimitExceeded(f"a namespace has at most {MAX_MEMBERS} members")
            changes = BookChanges(core.books, scope, keys)
            ident = secrets.token_urlsafe(18)
            entities: tuple[str, ...] = ()
            if there:
                if there in book.by_user:
                    raise InvalidInput("this user is a member already")
                await self._tell(scope, draft, there, ident)
            else:
                entities = await _entities(scope, changes, book, logins)
            member = Member(
                id=ident, kind=kind, user=there, entities=entities, logins=logins,
                created_us=scope.now_us,
            )  # fmt: skip
            await changes.put(MEMBERS, name, member)
            await changes.write(draft)
            return shown_member(name, member, 0)

        return await core.write(draft, work)

    async def _tell(self, scope: Scope, draft: Draft, other: str, ident: str) -> None:
        """Keep with another user that they are a member here."""
        core = self._core
        keys = await core.keys_to_write(scope, draft.caller, other, 0)
        if len(await MEMBERSHIPS.all(scope.tx, keys)) >= MAX_MEMBERSHIPS:
            raise LimitExceeded(f"a user is a member of at most {MAX_MEMBERSHIPS} others")
        changes = ObjectChanges(scope, keys)
        changes.put(MEMBERSHIPS, draft.user_id, Membership(ident))
        scope.after_commit(lambda: core.books.forget(other))
        await changes.write(Draft(draft.caller, draft.action, keys, other, draft.name))

    async def remove(self, caller: Caller, user: UserId, name: str) -> None:
        """Put a member out, with all grants; at once.

        Raises:
            SecretNotFound: There is no such member.
        """
        core = self._core
        draft = Draft(caller, Action.MEMBER_REMOVE, name=MEMBERS_PATH + name[:_SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, draft.user_id)
            book = None if keys is None else await core.books.in_unit(scope, keys)
            if keys is None or book is None or name not in book.members:
                raise not_found()
            await put_out(core, scope, draft, keys, book, name)
            other = book.members[name].user
            there = None
            with suppress(UserRootAway):  # then a membership stays there that is none here
                there = await core.keys_in(scope, other) if other else None
            if there is not None:
                found = await MEMBERSHIPS.get(scope.tx, there, keys.user_id)
                if found is not None and found.member_id == book.members[name].id:
                    own = ObjectChanges(scope, there)
                    own.delete(MEMBERSHIPS, keys.user_id)
                    scope.after_commit(lambda: core.books.forget(other))
                    await own.write(Draft(caller, draft.action, there, other, draft.name))

        await core.write(draft, work)

    async def list(self, caller: Caller, user: UserId) -> MemberInfos:
        """All members, by name."""
        book = await read_book(
            self._core, caller, Draft(caller, Action.MEMBER_READ, name=MEMBERS_PATH), user
        )
        counts: dict[str, int] = {}
        for grant in book.grants.values():
            counts[grant.member] = counts.get(grant.member, 0) + 1
        return [
            shown_member(name, member, counts.get(name, 0))
            for name, member in sorted(book.members.items())
        ]

    async def get(self, caller: Caller, user: UserId, name: str) -> MemberInfo:
        """One member.

        Raises:
            SecretNotFound: There is no such member.
        """
        draft = Draft(caller, Action.MEMBER_READ, name=MEMBERS_PATH + name[:_SHOWN])
        book = await read_book(self._core, caller, draft, user, lambda book: name in book.members)
        count = sum(grant.member == name for grant in book.grants.values())
        return shown_member(name, book.members[name], count)

    # -- roles ----------------------------------------------------------------------------------

    async def put_role(
        self, caller: Caller, user: UserId, name: str, rights: tuple[str, ...], *, by: str = ""
    ) -> RoleInfo:
        """Make or change a role; grants that give it follow at once.

        Args:
            caller: Who asks.
            user: The owner.
            name: The role's name.
            rights: Its rights by name.
            by: The member who asks; empty for the owner.

        Raises:
            InvalidInput: A right is not known, the name is a built-in role's, or a grant of
                whoever asks gives the role.
            LimitExceeded: There are too many roles.
        """
        core = self._core
        draft = Draft(caller, Action.ROLE_WRITE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = ROLES_PATH + user_id(name)
            given = checked_rights(rights)
            if name in BUILT_IN_ROLES:
                raise InvalidInput("the role is built in", hint="Choose another name.")

        async def work(scope: Scope) -> RoleInfo:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            book = await core.books.in_unit(scope, keys)
            if name not in book.roles and len(book.roles) >= MAX_ROLES:
                raise LimitExceeded(f"a namespace has at most {MAX_ROLES} roles of its own")
            if by and any(grant.role == name for _, grant in book.all_of(by)):
                raise InvalidInput("nobody gives rights to themselves", hint="Ask the owner.")
            changes = BookChanges(core.books, scope, keys)
            await changes.put(ROLES, name, Role(given))
            draft.reason = f"rights {', '.join(given)}"
            await changes.write(draft)
            return RoleInfo(name, list(given), built_in=False)

        return await core.write(draft, work)

    async def remove_role(self, caller: Caller, user: UserId, name: str) -> None:
        """Remove a role that no grant gives.

        Raises:
            SecretNotFound: There is no such role of the owner's.
            InvalidInput: A grant gives it.
        """
        core = self._core
        draft = Draft(caller, Action.ROLE_REMOVE, name=ROLES_PATH + name[:_SHOWN])
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)

        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, draft.user_id)
            book = None if keys is None else await core.books.in_unit(scope, keys)
            if keys is None or book is None or name not in book.roles:
                raise not_found()
            if any(grant.role == name for grant in book.grants.values()):
                raise InvalidInput("grants give this role", hint="Revoke them first.")
            changes = BookChanges(core.books, scope, keys)
            await changes.delete(ROLES, name)
            await changes.write(draft)

        await core.write(draft, work)

    async def roles(self, caller: Caller, user: UserId) -> RoleInfos:
        """All roles, the built-in ones first."""
        book = await read_book(
            self._core, caller, Draft(caller, Action.ROLE_READ, name=ROLES_PATH), user
        )
        built_in = [RoleInfo(name, list(rights), True) for name, rights in BUILT_IN_ROLES.items()]
        return built_in + [
            RoleInfo(name, list(role.rights), built_in=False)
            for name, role in sorted(book.roles.items())
        ]


def shown_member(name: str, member: Member, grants: int) -> MemberInfo:
    """A member as it is told."""
    return MemberInfo(
        name, member.kind, member.user, list(member.logins), from_us(member.created_us), grants
    )


def checked_rights(rights: tuple[str, ...]) -> tuple[str, ...]:
    """Rights in their one canonical form.

    Raises:
        InvalidInput: One is not known, or there is none.
    """
    for right in rights:
        if right not in RIGHTS:
            raise InvalidInput("a right is not known", hint=f"Known: {', '.join(RIGHTS)}.")
    if not rights:
        raise InvalidInput("no right is given", hint=f"Known: {', '.join(RIGHTS)}.")
    return tuple(sorted(set(rights)))


def _other(kind: MemberKind, other: UserId, owner: str) -> str:
    """The canonical id of a member that is a user, or empty.

    Raises:
        InvalidInput: Kind and user do not go together, or the user can't be a member.
    """
    if kind not in {"person", "machine", "user"}:
        raise InvalidInput("the kind is not known", hint="Known: person, machine, user.")
    if (kind == "user") != (other != ""):
        raise InvalidInput(
            "a member of the kind 'user' has a user id, and no other has", hint="Give both."
        )
    if kind != "user":
        return ""
    found = user_id(other)
    if found in {owner, OPERATOR_SPACE}:
        raise InvalidInput(
            "this user can't be a member here", hint="The owner and the operator need no grant."
        )
    return found


async def put_out(
    core: Core, scope: Scope, draft: Draft, keys: UserKeys, book: Book, name: str
) -> None:
    """Erase a member with its grants and requests, in as many records as that takes."""
    gone: list[tuple[Shelf[Any], str]]
    gone = [(GRANTS, ident) for ident, grant in book.grants.items() if grant.member == name]
    gone += [(USES, ident) for _, ident in gone if ident in book.uses]
    gone += [(REQUESTS, ident) for ident, one in book.requests.items() if one.member == name]
    gone.append((MEMBERS, name))
    step = ObjectChanges.MOST - 1  # beside them, the ledger
    for ident, grant in book.grants.items():
        if grant.member == name and grant.expires_us:
            place = GRANTS.place(keys, ident)
            await scope.tx.put_due(DueRow(keys.user, *place, 0, b""))
    for at in range(0, len(gone), step):
        changes = BookChanges(core.books, scope, keys)
        for shelf, ident in gone[at : at + step]:
            await changes.delete(shelf, ident)
        await changes.write(Draft(draft.caller, draft.action, keys, keys.user_id, draft.name))


async def _entities(
    scope: Scope, changes: BookChanges, book: Book, logins: tuple[str, ...]
) -> tuple[str, ...]:
    """Entities of a new member: those of its logins, or a new one where there are none yet."""
    keys = changes.objects.keys
    table = await MOUNTS.get(scope.tx, keys, TABLE) if logins else None
    found: list[str] = []
    fresh: list[tuple[Mount, str]] = []
    for login in logins:
        mount, alias = await _alias(scope, keys, table.logins if table else [], login)
        ref = await ENTITY_ALIASES.get(scope.tx, keys, alias, mount.accessor)
        entity = None if ref is None else await ENTITIES.get(scope.tx, keys, ref.id)
        if entity is None:
            fresh.append((mount, alias))
        elif entity.id in book.by_entity:
            raise InvalidInput("a login is another member's already")
        else:
            found.append(entity.id)
    if fresh or not found:
        entity = new_entity(changes.objects, scope.now_us, fresh)
        found.append(entity.id)
    return tuple(sorted(set(found)))


async def _alias(
    scope: Scope, keys: UserKeys, mounts: "list[Mount]", login: str
) -> tuple[Mount, str]:
    """A login's mount, and what it calls whoever logs in.

    Raises:
        InvalidInput: There is no such mount, or no such role.
    """
    place, _, alias = login.partition(":")
    path = f"{place.strip('/')}/"
    mount = next((one for one in mounts if one.path == path and one.type != "token"), None)
    if mount is None or not alias:
        raise InvalidInput(
            "a login names no login method of the namespace",
            hint="Write it as MOUNT:NAME, such as userpass:alice. A server enables the method"
            " first: 'bao auth enable -namespace=USER userpass'; then give --addr.",
        )
    if mount.type == "approle":
        role = await APPROLES.get(scope.tx, keys, alias, mount.accessor)
        if role is None:
            raise InvalidInput("a login names no role of AppRole", hint="Make the role first.")
        return mount, role.role_id
    return mount, alias
