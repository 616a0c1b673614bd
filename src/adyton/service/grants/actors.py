"""Who acts in a namespace by policies: its tokens that live, and whoever could log in."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from adyton.ports import Rows
from adyton.service.access import batch
from adyton.service.access.acl import Acl
from adyton.service.access.identity import template_values, values_at_login
from adyton.service.access.policy import ROOT_NAME, policy_names
from adyton.service.access.records import (
    APPROLES,
    ENTITIES,
    ENTITY_ALIASES,
    PASSWORD_USERS,
    SECRET_IDS,
    TOKENS,
    AppRole,
    Bounds,
    Mount,
    Token,
)
from adyton.service.access.spaces import DEFAULT_POLICY, Space
from adyton.service.grants.book import Book
from adyton.service.userkeys import UserKeys

_NOBODY: Mapping[str, str] = {}


class Actor(NamedTuple):
    """Somebody or something with policies in a namespace.

    Attributes:
        name: As it is told: a login as ``MOUNT:NAME``, a token by its name and accessor.
        accessor: A token's accessor; empty for a login.
        member: The member that it is, or empty.
        policies: Names of its policies.
        until_us: When it ends; 0 for never.
        acl: What its policies allow.
        values: What templates of its policies stand for.
        conditions: What must be met for it to act at all, in words.
        makes: Whether it may make tokens, where its policies let it.
        is_new: Whether its entity is made when it first logs in, with names at random.
    """

    name: str
    accessor: str
    member: str
    policies: tuple[str, ...]
    until_us: int
    acl: Acl
    values: Mapping[str, str] = _NOBODY
    conditions: tuple[str, ...] = ()
    makes: bool = False
    is_new: bool = False


class Wrapped(NamedTuple):
    """A response that waits for whoever has the token that it is wrapped by.

    Attributes:
        accessor: The token's accessor.
        path: The path whose response it is.
        until_us: When it ends.
    """

    accessor: str
    path: str
    until_us: int


class Entities:
    """What templates stand for, by entity; each is read once.

    Args:
        rows: The store.
        keys: The namespace's keys.
    """

    def __init__(self, rows: Rows, keys: UserKeys) -> None:
        self._rows = rows
        self._keys = keys
        self._values: dict[str, Mapping[str, str]] = {"": _NOBODY}

    async def values(self, ident: str) -> Mapping[str, str]:
        """The same object each time."""
        found = self._values.get(ident)
        if found is None:
            entity = await ENTITIES.get(self._rows, self._keys, ident)
            found = self._values[ident] = template_values(entity)
        return found

    async def after_login(
        self, mount: Mount, name: str, metadata: Mapping[str, str]
    ) -> tuple[str, dict[str, str]]:
        """The id of the entity of an alias, empty where a login makes it, and its values then."""
        ref = await ENTITY_ALIASES.get(self._rows, self._keys, name, mount.accessor)
        entity = None if ref is None else await ENTITIES.get(self._rows, self._keys, ref.id)
        ident = "" if entity is None else entity.id
        return ident, values_at_login(entity, mount, name, metadata)


def living(tokens: Mapping[str, Token], now_us: int) -> Iterator[tuple[Token, int]]:
    """Tokens that have not ended, nor one that they come from, and when they end; 0 for never."""
    known: dict[str, int] = {}

    def end(ident: str) -> int:
        chain = []
        while ident in tokens and ident not in known:
            chain.append(ident)
            ident = tokens[ident].parent
        ends = known.get(ident, 0)
        for one in reversed(chain):
            ends = known[one] = min(filter(None, (ends, tokens[one].expires_us)), default=0)
        return ends

    for ident, token in tokens.items():
        until = end(ident)
        if token.num_uses >= 0 and not 0 < until <= now_us:
            yield token, until


async def tokens_of(
    rows: Rows, keys: UserKeys, space: Space, book: Book, entities: Entities, now_us: int
) -> tuple[list[Actor], list[Wrapped]]:
    """A namespace's tokens that live, and responses that are wrapped."""
    found: list[Actor] = []
    wrapped: list[Wrapped] = []
    for token, until in living(await TOKENS.all(rows, keys), now_us):
        if token.wraps:
            wrapped.append(Wrapped(token.accessor, token.wraps, until))
            continue
        values = await entities.values(token.entity)
        conditions = [f"from {', '.join(token.cidrs)}"] if token.cidrs else []
        conditions += [f"{token.num_uses} uses left"] if token.num_uses else []
        found.append(
            Actor(
                f"token {token.display_name or token.path}#{token.accessor}",
                token.accessor,
                book.by_entity.get(token.entity, ""),
                tuple(token.policies),
                until,
                space.rights(token.policies, values).acl,
                values,
                tuple(conditions),
                makes=not token.num_uses,
            )
        )
    return found, wrapped


async def logins_of(
    rows: Rows, keys: UserKeys, space: Space, book: Book, entities: Entities, now_us: int
) -> list[Actor]:
    """Whoever could log in to a namespace, as what the token would be."""
    found: list[Actor] = []
    for mount in space.table.logins:
        if mount.type == "userpass":
            for name, user in (await PASSWORD_USERS.all(rows, keys, mount.accessor)).items():
                made = await entities.after_login(mount, name, {})
                found += _login(space, book, mount, name, user.bounds, made, [])
        elif mount.type == "approle":
            for name, role in (await APPROLES.all(rows, keys, mount.accessor)).items():
                conditions = [f"logged in from {', '.join(role.secret_id_cidrs)}"]
                conditions = conditions if role.secret_id_cidrs else []
                metadata = await _metadata(rows, keys, mount, name, role, now_us)
                if not metadata:
                    conditions.append("once it has a SecretID")
                for one in metadata or [{}]:
                    # Last, as in a login: a SecretID does not say which role it is of.
                    told = {**one, "role_name": name}
                    made = await entities.after_login(mount, role.role_id, told)
                    found += _login(space, book, mount, name, role.bounds, made, conditions)
    return list({(actor.name, id(actor.acl)): actor for actor in found}.values())


async def _metadata(
    rows: Rows, keys: UserKeys, mount: Mount, name: str, role: AppRole, now_us: int
) -> list[dict[str, str]]:
    """The metadata of a role's SecretIDs that live, each once; none where there are none."""
    if not role.bind_secret_id:
        return [{}]
    found: list[dict[str, str]] = []
    for secret in (await SECRET_IDS.all(rows, keys, f"{mount.accessor}/{name}")).values():
        if not 0 < secret.expires_us <= now_us and secret.metadata not in found:
            found.append(secret.metadata)
    return found


def _login(
    space: Space,
    book: Book,
    mount: Mount,
    name: str,
    bounds: Bounds,
    made: tuple[str, dict[str, str]],
    conditions: list[str],
) -> Iterator[Actor]:
    """A login; none where it would be refused for what its token is to be."""
    entity, values = made
    policies = set(policy_names(bounds.policies))
    is_batch = batch.kind_of_login(bounds.type, mount) == batch.BATCH
    if ROOT_NAME in policies or (is_batch and bounds.num_uses):
        return
    if not bounds.no_default_policy:
        policies.add(DEFAULT_POLICY)
    names = sorted(policies)
    conditions = conditions + ([f"from {', '.join(bounds.cidrs)}"] if bounds.cidrs else [])
    yield Actor(
        f"login {mount.path.rstrip('/')}:{name}",
        "",
        book.by_entity.get(entity, ""),
        tuple(names),
        0,
        space.rights(names, values).acl,
        values,
        tuple(conditions),
        makes=not is_batch and not bounds.num_uses,
        is_new=not entity,
    )
