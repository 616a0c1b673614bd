"""Who acts in a namespace, and what policies let them do there."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from adyton.grantvalues import EVERYTHING
from adyton.service.access.mounts import whole_table
from adyton.service.access.policy import Capability, Rule
from adyton.service.access.records import (
    ENTITY_ALIASES,
    MOUNTS,
    POLICIES,
    TOKEN_ROLES,
    Mount,
    TokenRole,
)
from adyton.service.access.spaces import TABLE, Space
from adyton.service.core import Core
from adyton.service.grants.actors import Actor, Entities, Wrapped, logins_of, tokens_of
from adyton.service.grants.book import Book

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


class Alias(NamedTuple):
    """A name at the token method, of whoever may be given a token by a token role.

    Attributes:
        entity: The id of its entity.
        values: What templates stand for.
    """

    entity: str
    values: Mapping[str, str]


class TokenRoles(NamedTuple):
    """What tokens could be made by.

    Attributes:
        mount: The token method.
        roles: By name.
        aliases: Names that there are, where a role allows any.
    """

    mount: Mount
    roles: Mapping[str, TokenRole]
    aliases: Mapping[str, Alias]


class Survey:
    """What there is in a namespace at one moment.

    Args:
        user: The namespace.
        space: Its mounts and policies.
        book: Its members and grants.
        actors: Tokens that live, and logins.
        wrapped: Responses that wait for whoever has their tokens.
        by_role: Token roles.
    """

    def __init__(
        self,
        user: str,
        space: Space,
        book: Book,
        actors: list[Actor],
        wrapped: list[Wrapped],
        by_role: TokenRoles,
    ) -> None:
        self.user = user
        self.space = space
        self.book = book
        self.actors = actors
        self.wrapped = wrapped
        self.by_role = by_role

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

    def rules(self, names: Iterable[str]) -> Iterator[Rule]:
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


async def survey(core: Core, user: str) -> Survey | None:
    """Look at a namespace; None where the user has none.

    Raises:
        IntegrityError: Something of it was changed.
    """
    keys = await core.keys(user)
    if keys is None:
        return None
    book = await core.books.get(user)
    now = core.clock.now_us()
    async with core.storage.snapshot() as rows:
        table = whole_table(core, user, await MOUNTS.get(rows, keys, TABLE))
        space = Space(user, table, await POLICIES.all(rows, keys))
        entities = Entities(rows, keys)
        tokens, wrapped = await tokens_of(rows, keys, space, book, entities, now)
        logins = await logins_of(rows, keys, space, book, entities, now)
        roles = await TOKEN_ROLES.all(rows, keys)
        aliases: dict[str, Alias] = {}
        mount = next(mount for mount in table.logins if mount.type == "token")
        if any(role.allowed_entity_aliases for role in roles.values()):
            for name, ref in (await ENTITY_ALIASES.all(rows, keys, mount.accessor)).items():
                aliases[name] = Alias(ref.id, await entities.values(ref.id))
    return Survey(user, space, book, tokens + logins, wrapped, TokenRoles(mount, roles, aliases))
