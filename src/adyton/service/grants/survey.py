"""Who acts in a namespace, and what policies let them do there."""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from adyton.grantvalues import EVERYTHING
from adyton.ports import Rows
from adyton.service.access.acl import Acl
from adyton.service.access.identity import template_values
from adyton.service.access.policy import Capability, Rule
from adyton.service.access.records import (
    APPROLES,
    ENTITIES,
    MOUNTS,
    PASSWORD_USERS,
    POLICIES,
    TOKENS,
    Bounds,
    Mount,
    MountTable,
)
from adyton.service.access.spaces import DEFAULT_POLICY, OPERATOR_SPACE, TABLE, Space
from adyton.service.core import Core
from adyton.service.grants.book import Book
from adyton.service.userkeys import UserKeys

_FIRST: Final = Mount("secret/", "kv", "", "", "", {"version": "2"})
_LITERAL: Final = re.compile(r"[^*+]*")
_BY_RIGHT: Final[Mapping[str, tuple[Capability, str, str]]] = {
    "read": (Capability.READ, "secrets/", "data/"),
    "read-metadata": (Capability.READ, "metadata/", "metadata/"),
    "write": (Capability.UPDATE, "secrets/", "data/"),
    "delete": (Capability.DELETE, "secrets/", "data/"),
    "tag": (Capability.PATCH, "tags/", ""),
    "list": (Capability.LIST, "secrets/", "metadata/"),
}
"""By right: the capability, and the kinds of paths of the native API and of version 2 of KV."""
_WHOLE: Final[Mapping[str, tuple[Capability, str]]] = {
    "share": (Capability.UPDATE, "adyton/shares"),
    "audit": (Capability.READ, "adyton/audit"),
    "admin": (Capability.UPDATE, "adyton/grants"),
}


class Actor(NamedTuple):
    """Somebody or something with policies in a namespace.

    Attributes:
        name: As it is told: a login as ``MOUNT:NAME``, a token by its name and accessor.
        accessor: A token's accessor; empty for a login.
        member: The member that it is, or empty.
        policies: Names of its policies.
        until_us: When it ends; 0 for never.
        acl: What its policies allow.
    """

    name: str
    accessor: str
    member: str
    policies: tuple[str, ...]
    until_us: int
    acl: Acl


class Survey:
    """What there is in a namespace at one moment.

    Args:
        user: The namespace.
        space: Its mounts and policies.
        book: Its members and grants.
        actors: Tokens that live, and logins.
    """

    def __init__(self, user: str, space: Space, book: Book, actors: list[Actor]) -> None:
        self.user = user
        self.space = space
        self.book = book
        self.actors = actors

    def paths(self, right: str, name: str) -> Iterator[tuple[str, Capability]]:
        """The paths by which a right on a secret or a folder is asked of policies."""
        if right in _WHOLE:
            capability, path = _WHOLE[right]
            yield path, capability
            return
        capability, native, kv = _BY_RIGHT[right]
        if right == "list":
            name = name[: name.rfind("/") + 1]
        name = "" if name == EVERYTHING else name
        yield f"adyton/{native}{name}", capability
        for mount in self.space.table.engines:
            if mount.type != "kv" or not kv or not name.startswith(mount.prefix):
                continue
            if not mount.prefix and name.startswith(".mounts/"):
                continue
            area = kv if (mount.options or {}).get("version") == "2" else ""
            yield f"{mount.path}{area}{name[len(mount.prefix) :]}", capability

    def allowing(self, acl: Acl, right: str, name: str, before: str = "") -> str:
        """What of some policies allows a right on a secret; empty if nothing does."""
        for path, capability in self.paths(right, name):
            found = acl.decision(before + path, capability)
            if found:
                return found
        return ""

    def rules_below(self, actor: Actor, right: str, folder: str) -> list[str]:
        """Patterns of an actor's policies that give a right on anything in a folder."""
        wanted = list(self.paths(right, folder))
        return [
            rule.pattern
            for rule in self.rules(actor.policies)
            if rule.grants
            and any(
                capability & rule.capabilities and _meet(rule.pattern, path)
                for path, capability in wanted
            )
        ]

    def rules(self, names: tuple[str, ...]) -> Iterator[Rule]:
        """All rules of some policies."""
        for name in names:
            policy = self.space.policy(name)
            if policy is not None:
                yield from policy.rules

    def line_of(self, names: tuple[str, ...], pattern: str) -> tuple[str, int]:
        """The policy whose text has a pattern, and on which line; 0 where that can't be told."""
        for name in names:
            for number, line in enumerate((self.space.policy_text(name) or "").splitlines(), 1):
                if f'"{pattern}"' in line or f'"/{pattern}"' in line:
                    return name, number
        return "", 0


def _meet(pattern: str, folder: str) -> bool:
    """Whether a pattern can match something that begins with a folder's path."""
    found = _LITERAL.match(pattern)
    literal = found[0] if found is not None else ""
    return literal.startswith(folder) or (literal != pattern and folder.startswith(literal))


async def survey(core: Core, user: str) -> Survey | None:
    """Look at a namespace; None where the user has none.

    Raises:
        IntegrityError: Something of it was changed.
    """
    keys = await core.keys(user)
    if keys is None:
        return None
    book = await core.books.get(user)
    async with core.storage.snapshot() as rows:
        table = await MOUNTS.get(rows, keys, TABLE) or MountTable([_FIRST], [])
        space = Space(user, table, await POLICIES.all(rows, keys))
        actors = await _actors(core, rows, keys, space, book)
    return Survey(user, space, book, actors)


async def _actors(core: Core, rows: Rows, keys: UserKeys, space: Space, book: Book) -> list[Actor]:
    now = core.clock.now_us()
    found: list[Actor] = []
    entities: dict[str, dict[str, str]] = {"": {}}
    for token in (await TOKENS.all(rows, keys)).values():
        if token.wraps or token.num_uses < 0 or 0 < token.expires_us <= now:
            continue
        if token.entity not in entities:
            entities[token.entity] = template_values(await ENTITIES.get(rows, keys, token.entity))
        acl = space.rights(token.policies, entities[token.entity]).acl
        name = f"token {token.display_name or token.path}#{token.accessor}"
        member = book.by_entity.get(token.entity, "")
        policies = tuple(token.policies)
        found.append(Actor(name, token.accessor, member, policies, token.expires_us, acl))
    for mount in space.table.logins:
        bounds: dict[str, Bounds] = {}
        if mount.type == "userpass":
            people = await PASSWORD_USERS.all(rows, keys, mount.accessor)
            bounds = {name: one.bounds for name, one in people.items()}
        elif mount.type == "approle":
            roles = await APPROLES.all(rows, keys, mount.accessor)
            bounds = {name: one.bounds for name, one in roles.items()}
        logins = {login: name for name, one in book.members.items() for login in one.logins}
        for name, bound in bounds.items():
            login = f"{mount.path.rstrip('/')}:{name}"
            extra = () if bound.no_default_policy else (DEFAULT_POLICY,)
            policies = tuple(sorted({*bound.policies, *extra}))
            acl = space.rights(list(policies), {}).acl
            found.append(Actor(f"login {login}", "", logins.get(login, ""), policies, 0, acl))
    return found


async def operators(core: Core, user: str) -> list[tuple[tuple[str, ...], int, Acl]]:
    """Sets of policies in the operator's namespace, with how many tokens have each.

    Which tokens they are is not the user's to know.
    """
    if user == OPERATOR_SPACE:
        return []
    found = await survey(core, OPERATOR_SPACE)
    counted: dict[tuple[str, ...], tuple[int, Acl]] = {}
    for actor in found.actors if found is not None else ():
        count, acl = counted.get(actor.policies, (0, actor.acl))
        counted[actor.policies] = (count + 1, acl)
    return [(policies, count, acl) for policies, (count, acl) in sorted(counted.items())]
