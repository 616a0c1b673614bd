"""What whoever may make tokens could read by a token that it makes (``docs/spec/grants.md``).

A token has some of the policies of the one that makes it, and may so lack one that denies; made by
a role (``auth/token/roles``) it has the role's. An orphan is nobody's, so that no template has a
value for it, and no grant takes anything away from it.
"""

import fnmatch
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from adyton.service.access.acl import Acl
from adyton.service.access.batch import BATCH
from adyton.service.access.givenpolicies import givable
from adyton.service.access.identity import values_at_login
from adyton.service.access.policy import ROOT_NAME, Capability
from adyton.service.access.records import TokenRole
from adyton.service.access.spaces import DEFAULT_POLICY
from adyton.service.grants.reach import Reach, Way
from adyton.service.grants.survey import Survey

CREATE: Final = "auth/token/create"
_TEMPLATE: Final = "{{"
_MOST: Final = 500
"""Kinds of tokens that are gone through, of those that come of one."""


class Holder(NamedTuple):
    """Whose a token would be.

    Attributes:
        values: What templates stand for.
        member: The member that it is, or empty.
        is_new: Whether its entity is made for it, with names at random.
    """

    values: Mapping[str, str]
    member: str
    is_new: bool = False


class Made(NamedTuple):
    """One way in which a token that could be made would read.

    Attributes:
        role: The token role, or empty.
        way: What its policies let it read.
        holder: Whose it would be.
    """

    role: str
    way: Way
    holder: Holder


class _Kind(NamedTuple):
    """A kind of tokens.

    Attributes:
        policies: The policies that one has, or, if it is to be made, could have.
        holder: Whose it is.
        acl: What it allows; None where it is to be made, with any of the policies.
    """

    policies: frozenset[str]
    holder: Holder
    acl: Acl | None


_NOBODY: Final = Holder({}, "")


class Minting:
    """Goes through the tokens that could be made in a namespace.

    Args:
        there: The namespace.
        reach: What is to be read.
        beyond: Another namespace in which tokens could be made from here, as an operator may.

    Attributes:
        there: As given.
        known: Names of all policies of the namespace but ``root``.
    """

    def __init__(self, there: Survey, reach: Reach, beyond: "Minting | None" = None) -> None:
        self.there = there
        self._reach = reach
        self._beyond = beyond
        self.known = [name for name in there.space.policy_names() if name != ROOT_NAME]
        self._new: dict[str, Holder] = {}
        self._found: dict[tuple[object, ...], list[Made]] = {}

    def ways(self, policies: Iterable[str], holder: Holder, acl: Acl) -> list[Made]:
        """How tokens would read that whoever has some policies could make, each way once."""
        key = (id(acl), id(holder.values), holder.member)
        found = self._found.get(key)
        if found is None:
            made = self.come_of(_Kind(frozenset(policies), holder, acl))
            found = list({(one.way.path, one.holder.member): one for one in made}.values())
            self._found[key] = found
        return found

    def come_of(self, first: _Kind) -> Iterator[Made]:
        """How tokens would read that come of one of a kind."""
        todo, seen = [("", first)], {_key(first)}
        while todo and len(seen) < _MOST:
            _, kind = todo.pop(0)
            if self._beyond is not None:
                yield from self._abroad(self._beyond, kind)
            for role, child, makes in self._children(kind):
                if _key(child) in seen:
                    continue
                seen.add(_key(child))
                yield from self.reads(role, child)
                if makes:
                    todo.append((role, child))

    def reads(self, role: str, kind: _Kind) -> Iterator[Made]:
        """How a token of a kind would read, that is made by a role."""
        for acl in self._acls(kind):
            for way in self._reach.ways(acl):
                yield Made(role, way, kind.holder)

    def _acls(self, kind: _Kind) -> Iterator[Acl]:
        """What one allows; of one to be made each policy by itself, as none denies then."""
        if kind.acl is not None:
            yield kind.acl
            return
        for name in sorted(kind.policies):
            yield self.there.space.rights([name], kind.holder.values).acl

    def _may(self, kind: _Kind, path: str) -> tuple[bool, bool]:
        """Whether one may make tokens by a path, and orphans as well."""
        found = [
            rule.capabilities
            for acl in self._acls(kind)
            if (rule := acl.rule_at(path, Capability.UPDATE)) is not None and rule.grants
        ]
        may = [given for given in found if given & Capability.UPDATE]
        return bool(may), any(given & Capability.SUDO for given in may)

    def _children(self, kind: _Kind) -> Iterator[tuple[str, _Kind, bool]]:
        """Kinds of tokens that one could make: the role, the kind, and whether it makes more."""
        own = kind.policies | {DEFAULT_POLICY}
        may, sudo = self._may(kind, CREATE)
        if may:
            yield "", _Kind(own, kind.holder, None), True
        if sudo or self._may(kind, f"{CREATE}-orphan")[1]:
            yield "", _Kind(own, _NOBODY, None), True
        for name, role in self.there.by_role.roles.items():
            may, sudo = self._may(kind, f"{CREATE}/{name}")
            if not may:
                continue
            given = givable(role, self.known)
            policies = own if given is None else given
            makes = _makes(role)
            if not role.orphan:
                yield name, _Kind(policies, kind.holder, None), makes
            if role.orphan or sudo:
                yield name, _Kind(policies, _NOBODY, None), makes
            for holder in self._aliases(role, policies):
                yield name, _Kind(policies, holder, None), makes

    def _abroad(self, beyond: "Minting", kind: _Kind) -> Iterator[Made]:
        """What tokens would read that one could make beyond; that needs sudo, and gives orphans."""
        every = frozenset(beyond.known)
        paths = {CREATE: (every, True), f"{CREATE}-orphan": (every, True)}
        for name, role in beyond.there.by_role.roles.items():
            given = givable(role, beyond.known)
            paths[f"{CREATE}/{name}"] = every if given is None else given, _makes(role)
        for path, (policies, makes) in paths.items():
            if self._may(kind, f"{beyond.there.user}/{path}")[1]:
                made = _Kind(policies, _NOBODY, None)
                yield from beyond.reads("", made)
                yield from beyond.come_of(made) if makes else ()

    def _aliases(self, role: TokenRole, policies: Iterable[str]) -> Iterator[Holder]:
        """Who tokens of a role could be: those that there are, and new ones of names that fit."""
        globs = [glob.lower() for glob in role.allowed_entity_aliases]
        if not globs:
            return
        mount, _, aliases = self.there.by_role
        for name in {*aliases, *self._named(policies)}:
            if not any(fnmatch.fnmatchcase(name, glob) for glob in globs):
                continue
            known = aliases.get(name)
            if known is not None:
                yield Holder(known.values, self.there.book.by_entity.get(known.entity, ""))
                continue
            if name not in self._new:
                values = values_at_login(None, mount, name, {})
                self._new[name] = Holder(values, "", is_new=True)
            yield self._new[name]

    def _named(self, policies: Iterable[str]) -> Iterator[str]:
        """Names that would make templates of policies be about what is asked for."""
        wanted = {part for place in self._reach.every_place() for part in place.split("/") if part}
        for rule in self.there.rules(policies):
            for segment in rule.pattern.split("/"):
                before, template, rest = segment.partition(_TEMPLATE)
                after = rest.rpartition("}}")[2].removesuffix("*")
                for part in wanted if template else ():
                    if part.startswith(before) and part.endswith(after):
                        name = part[len(before) : len(part) - len(after)]
                        if name and name == name.lower():
                            yield name


def _makes(role: TokenRole) -> bool:
    """Whether a token of a role may make others."""
    return role.token_type != BATCH and not role.token_num_uses


def _key(kind: _Kind) -> tuple[object, ...]:
    values = tuple(sorted(kind.holder.values.items()))
    return kind.policies, values, kind.holder.member, id(kind.acl)
