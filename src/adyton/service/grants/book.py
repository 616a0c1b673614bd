"""Members, roles and grants of one namespace in memory, and what they decide.

A book never changes; a change makes a new one. It is read whole and held against its ledger
(``docs/spec/grants.md``, section 3), so that a row that was put back, removed or added by
somebody else closes the namespace to all members, instead of opening it to one.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from adyton.errors import IntegrityError
from adyton.grantvalues import BUILT_IN_ROLES, EVERYTHING, RIGHTS, Conditions
from adyton.ports import Rows
from adyton.service.grants.conditions import Facts, needs_approval, unmet
from adyton.service.grants.paths import covering, covers, touches
from adyton.service.grants.records import (
    COUNTED,
    GRANTS,
    LEDGER,
    LEDGER_ID,
    MEMBERS,
    MEMBERSHIPS,
    REQUESTS,
    ROLES,
    USES,
    Grant,
    Ledger,
    Member,
    Request,
    Role,
    Uses,
    added,
    digest_of,
)
from adyton.service.objects import Shelf
from adyton.service.userkeys import UserKeys

_ALL_RIGHTS: Final = frozenset(RIGHTS)
_EMPTY_LEDGER: Final = Ledger(0, bytes(32))


class Verdict(NamedTuple):
    """What grants say of one thing.

    Attributes:
        allowed: Whether one of them gives the right.
        denied: Whether one takes it away: then nothing else gives it either.
        rule: Id of the grant that decides; empty where none speaks of it.
        spending: Grants that give it only if something is counted or approved, to be tried in
            this order in the commit; empty where one holds as it is.
    """

    allowed: bool = False
    denied: bool = False
    rule: str = ""
    spending: tuple[str, ...] = ()


_NOTHING: Final = Verdict()


class Book:
    """What there is in one namespace at one moment.

    Args:
        parts: All objects by kind and id.
        ledger: What vouches for them.
        elsewhere: Ids that the user has as a member of others, by the others' user ids.

    Attributes:
        members: By name.
        roles: The owner's own, by name.
        grants: By id.
        uses: Counts of grants with a limit, by the grants' ids.
        requests: By id.
        elsewhere: As given.
        by_entity: Members' names by the ids of their entities.
        by_user: Members' names by the user's id.
    """

    __slots__ = (
        "_at", "by_entity", "by_user", "elsewhere", "grants", "ledger", "members", "requests",
        "roles", "uses",
    )  # fmt: skip

    def __init__(
        self,
        parts: Mapping[str, Mapping[str, Any]],
        ledger: Ledger = _EMPTY_LEDGER,
        elsewhere: Mapping[str, str] | None = None,
    ) -> None:
        self.ledger: Final = ledger
        self.elsewhere: Final[Mapping[str, str]] = elsewhere or {}
        self.members: Final[Mapping[str, Member]] = parts.get(MEMBERS.kind, {})
        self.roles: Final[Mapping[str, Role]] = parts.get(ROLES.kind, {})
        self.grants: Final[Mapping[str, Grant]] = parts.get(GRANTS.kind, {})
        self.uses: Final[Mapping[str, Uses]] = parts.get(USES.kind, {})
        self.requests: Final[Mapping[str, Request]] = parts.get(REQUESTS.kind, {})
        self.by_entity: dict[str, str] = {}
        self.by_user: dict[str, str] = {}
        for name, member in self.members.items():
            self.by_entity |= dict.fromkeys(member.entities, name)
            if member.user:
                self.by_user[member.user] = name
        self._at: dict[str, dict[str, tuple[str, ...]]] = {}
        for ident, grant in self.grants.items():
            self._add(ident, grant)

    def __repr__(self) -> str:
        return "<Book>"

    def _add(self, ident: str, grant: Grant) -> None:
        places = self._at.setdefault(grant.member, {})
        places[grant.path] = (*places.get(grant.path, ()), ident)

    @property
    def empty(self) -> bool:
        """Whether nobody is a member here, nor is this user one elsewhere."""
        return not self.members and not self.elsewhere

    def changed(self, changes: Mapping[tuple[str, str], object], ledger: Ledger) -> "Book":
        """The book after changes: new objects by kind and id, None for what is gone."""
        parts: dict[str, Mapping[str, Any]] = {
            MEMBERS.kind: self.members,
            ROLES.kind: self.roles,
            GRANTS.kind: self.grants,
            USES.kind: self.uses,
            REQUESTS.kind: self.requests,
        }
        for kind in {kind for kind, _ in changes}:
            part = dict(parts[kind])
            for (of, ident), value in changes.items():
                if of == kind:
                    part.pop(ident, None)
                    if value is not None:
                        part[ident] = value
            parts[kind] = part
        if {kind for kind, _ in changes} <= {USES.kind, REQUESTS.kind}:
            return self._with_state(parts, ledger)
        return Book(parts, ledger, self.elsewhere)

    def _with_state(self, parts: Mapping[str, Mapping[str, Any]], ledger: Ledger) -> "Book":
        """The same members and grants with other counts: nothing of them is looked at again."""
        made = Book({USES.kind: parts[USES.kind], REQUESTS.kind: parts[REQUESTS.kind]}, ledger)
        for name in ("elsewhere", "members", "roles", "grants", "by_entity", "by_user", "_at"):
            setattr(made, name, getattr(self, name))
        return made

    # -- rights ---------------------------------------------------------------------------------

    def rights(self, grant: Grant) -> frozenset[str]:
        """What a grant gives or takes; nothing that is not known."""
        names = grant.rights
        if grant.role:
            own = self.roles.get(grant.role)
            names = BUILT_IN_ROLES.get(grant.role, own.rights if own is not None else ())
        return _ALL_RIGHTS.intersection(names)

    def grants_of(self, member: str, name: str) -> Iterator[tuple[str, Grant]]:
        """A member's grants that cover a secret or a folder, the widest first."""
        places = self._at.get(member)
        for path in covering(name) if places else ():
            for ident in places.get(path, ()) if places else ():
                yield ident, self.grants[ident]

    def all_of(self, member: str) -> Iterator[tuple[str, Grant]]:
        """All grants of a member."""
        for idents in self._at.get(member, {}).values():
            for ident in idents:
                yield ident, self.grants[ident]

    def judge(
        self,
        member: str,
        rights: Iterable[str],
        name: str,
        facts: Facts,
        *,
        whole: bool = False,
    ) -> Verdict:
        """What a member's grants say of one of some rights on a secret or a folder.

        Args:
            member: The member's name.
            rights: Rights one of which is needed.
            name: The secret or the folder.
            facts: What conditions are about.
            whole: Whether it is for all that is in the folder, of which none may be taken away.
        """
        wanted = frozenset(rights)
        if whole:
            inside = self.denied_inside(member, wanted, name, facts)
            if inside:
                return Verdict(denied=True, rule=inside)
        rule = ""
        spending: list[str] = []
        for ident, grant in self.grants_of(member, name):
            if not wanted & self.rights(grant):
                continue
            conditions = grant.conditions
            if grant.deny:
                # What takes away holds even where its conditions can't be told.
                if not 0 < grant.expires_us <= facts.now_us:
                    return Verdict(denied=True, rule=ident)
            elif rule or unmet(conditions, grant.expires_us, facts):
                continue
            elif (conditions.reads and "read" in wanted) or needs_approval(conditions, name):
                spending.append(ident)
            else:
                rule = ident  # and on: something else may take it away
        if rule:
            return Verdict(allowed=True, rule=rule)
        if spending:
            return Verdict(allowed=True, rule=spending[0], spending=tuple(spending))
        return _NOTHING

    def until(self, member: str, rights: Iterable[str], name: str, now_us: int) -> int | None:
        """Until when grants give one of some rights, in microseconds, bound to no condition.

        Args:
            member: The member's name.
            rights: Rights one of which is needed.
            name: The secret, or a folder for all that is in it or comes into it.
            now_us: The time.

        Returns:
            The latest end of those that do; 0 for never, None where none does.
        """
        wanted = frozenset(rights)
        ends = [
            grant.expires_us
            for _, grant in self.grants_of(member, name)
            if not grant.deny
            and wanted & self.rights(grant)
            and not 0 < grant.expires_us <= now_us
            and not _bound(grant.conditions, wanted, name)
        ]
        return None if not ends else 0 if 0 in ends else max(ends)

    def denied_inside(self, member: str, wanted: frozenset[str], folder: str, facts: Facts) -> str:
        """A grant that takes one of some rights away on anything in a folder; empty for none."""
        for path, idents in self._at.get(member, {}).items():
            if folder == EVERYTHING or path.startswith(folder):
                for ident in idents:
                    grant = self.grants[ident]
                    if (
                        grant.deny
                        and wanted & self.rights(grant)
                        and not 0 < grant.expires_us <= facts.now_us
                    ):
                        return ident
        return ""

    def touched(self, member: str, rights: Iterable[str], folder: str, facts: Facts) -> str:
        """A grant that gives one of some rights on anything in a folder, or around it.

        For what is shown name by name, each judged for itself.
        """
        wanted = frozenset(rights)
        for path, idents in self._at.get(member, {}).items():
            if touches(path, folder):
                for ident in idents:
                    grant = self.grants[ident]
                    if grant.deny or not wanted & self.rights(grant):
                        continue
                    if not unmet(grant.conditions, grant.expires_us, facts):
                        return ident
        return ""

    def count_of(self, member: str) -> int:
        """How many grants a member has."""
        return sum(map(len, self._at.get(member, {}).values()))

    def has_any(self, member: str) -> bool:
        """Whether a member has a grant that gives something, whatever it asks for."""
        places = self._at.get(member, {})
        return any(not self.grants[ident].deny for idents in places.values() for ident in idents)

    def knows(self, member: str, name: str, facts: Facts) -> bool:
        """Whether a member has any right on a secret or a folder, and so may know of it."""
        return any(self.judge(member, (right,), name, facts).allowed for right in RIGHTS) or bool(
            name.endswith("/") and self.touched(member, RIGHTS, name, facts)
        )


def _bound(conditions: Conditions, wanted: frozenset[str], name: str) -> bool:
    """Whether conditions say when, from where, how often or with whose approval it is done."""
    asks = any(
        covers(path, name) or (name.endswith("/") and touches(path, name))
        for path in conditions.approval
    )
    counts = conditions.reads and "read" in wanted
    return bool(conditions.networks or conditions.window or counts or asks)


EMPTY: Final = Book({})


async def load_book(rows: Rows, keys: UserKeys) -> Book:
    """Read all there is of a namespace.

    Raises:
        IntegrityError: It is not what its ledger says.
    """
    elsewhere = await MEMBERSHIPS.all(rows, keys)
    ledger = await LEDGER.get(rows, keys, LEDGER_ID)
    parts = {shelf.kind: await shelf.all(rows, keys) for shelf in COUNTED}
    if ledger is None and not any(parts.values()):
        if not elsewhere:
            return EMPTY
        ledger = _EMPTY_LEDGER
    total = added(bytes(32), *_digests(parts))
    if ledger is None or ledger.sum != total:
        raise IntegrityError(
            "members and grants are not what their ledger says: no member is let in",
            hint="Run 'adyton audit verify', and restore the store from a backup.",
        )
    return Book(parts, ledger, {user: one.member_id for user, one in elsewhere.items()})


def _digests(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[int]:
    shelf: Shelf[Any]
    for shelf in COUNTED:
        for ident, value in parts[shelf.kind].items():
            yield digest_of(shelf, ident, value)
