"""Entities: who is behind the logins, so that policies can name them (``docs/spec/tokens.md``).

A login makes the entity of its alias (mount and name there) when it comes for the first time, in
the commit that makes the token, and finds the same one ever after. Entities belong to one
namespace. There are no groups.
"""

import secrets
import uuid
from collections.abc import Iterable, Mapping

from adyton.actions import Action
from adyton.errors import InvalidInput, SecretNotFound
from adyton.model import Caller, attribute_map
from adyton.ports import Rows
from adyton.service.access.records import (
    ENTITIES,
    ENTITY_ALIASES,
    ENTITY_NAMES,
    Alias,
    Entity,
    Mount,
    TokenRef,
)
from adyton.service.access.shelves import record_path
from adyton.service.access.spaces import Spaces
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.userkeys import UserKeys


async def entity_of_login(
    changes: ObjectChanges, scope: Scope, mount: Mount, name: str, metadata: Mapping[str, str]
) -> str:
    """The id of the entity of an alias, made inside the unit of a login if there is none.

    Args:
        changes: The unit's changes.
        scope: The group.
        mount: The login method's mount.
        name: Who logs in, in the method's own terms.
        metadata: What the method knows of them; the alias keeps the newest.
    """
    keys = changes.keys
    ref = await ENTITY_ALIASES.get(scope.tx, keys, name, mount.accessor)
    entity = None if ref is None else await ENTITIES.get(scope.tx, keys, ref.id)
    if entity is None:
        entity = Entity(
            str(uuid.uuid4()), f"entity_{secrets.token_hex(4)}", created_us=scope.now_us
        )
        changes.put(ENTITY_NAMES, entity.name, TokenRef(entity.id))
        changes.put(ENTITY_ALIASES, name, TokenRef(entity.id), mount.accessor)
    alias = next((one for one in entity.aliases if one.mount_accessor == mount.accessor), None)
    if alias is None or alias.metadata != metadata:
        if alias is None:
            alias = Alias(str(uuid.uuid4()), mount.accessor, mount.type, name, scope.now_us)
            entity.aliases.append(alias)
        alias.metadata = dict(metadata)
        alias.updated_us = entity.updated_us = scope.now_us
        changes.put(ENTITIES, entity.id, entity)
    return entity.id


def new_entity(changes: ObjectChanges, now_us: int, logins: Iterable[tuple[Mount, str]]) -> Entity:
    """Make an entity before anybody logs in as it, inside a unit.

    Args:
        changes: The unit's changes.
        now_us: The unit's time.
        logins: Mounts, and the names there that are to be it.
    """
    entity = Entity(str(uuid.uuid4()), f"entity_{secrets.token_hex(4)}", created_us=now_us)
    changes.put(ENTITY_NAMES, entity.name, TokenRef(entity.id))
    for mount, name in logins:
        changes.put(ENTITY_ALIASES, name, TokenRef(entity.id), mount.accessor)
        alias = Alias(str(uuid.uuid4()), mount.accessor, mount.type, name, now_us)
        entity.aliases.append(alias)
    changes.put(ENTITIES, entity.id, entity)
    return entity


def values_at_login(
    entity: Entity | None, mount: Mount, name: str, metadata: Mapping[str, str]
) -> dict[str, str]:
    """What templates would stand for after a login, as :func:`entity_of_login` would leave it.

    Args:
        entity: The one of the alias; None for one that the login would make, with an id, a name
            and an alias id at random, which are others each time that this is asked.
        mount: The login method's mount.
        name: Who logs in, in the method's own terms.
        metadata: What the method knows of them.
    """
    ident = str(uuid.uuid4()) if entity is None else entity.id
    known = entity or Entity(ident, f"entity_{secrets.token_hex(4)}")
    others = [one for one in known.aliases if one.mount_accessor != mount.accessor]
    own = [one for one in known.aliases if one.mount_accessor == mount.accessor]
    ident, name = (own[0].id, own[0].name) if own else (str(uuid.uuid4()), name)
    alias = Alias(ident, mount.accessor, mount.type, name, 0, metadata=dict(metadata))
    return template_values(Entity(known.id, known.name, known.metadata, [*others, alias]))


def template_values(entity: Entity | None) -> dict[str, str]:
    """What the templates of policies stand for, by name; a rule without a value is left out."""
    if entity is None:
        return {}
    values = {"identity.entity.id": entity.id, "identity.entity.name": entity.name}
    for key, text in entity.metadata.items():
        values[f"identity.entity.metadata.{key}"] = text
    for alias in entity.aliases:
        place = f"identity.entity.aliases.{alias.mount_accessor}"
        values |= {f"{place}.id": alias.id, f"{place}.name": alias.name}
        for key, text in alias.metadata.items():
            values[f"{place}.metadata.{key}"] = text
    return values


class Identity:
    """Operations on entities.

    Args:
        core: The open store.
        spaces: Told when what policies stand for has changed.
    """

    def __init__(self, core: Core, spaces: Spaces) -> None:
        self._core = core
        self._spaces = spaces

    async def find(
        self,
        caller: Caller,
        user: str,
        path: str,
        *,
        ident: str = "",
        name: str = "",
        alias: tuple[str, str] | None = None,
    ) -> Entity:
        """An entity by its id, its name, or an alias: mount accessor and name.

        Raises:
            SecretNotFound: There is none.
        """
        core = self._core
        draft = Draft(caller, Action.ACCESS_READ, name=path)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = keys = await core.keys(draft.user_id)
            found = None
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await self._find(rows, keys, ident, name, alias)
            if found is None:
                raise SecretNotFound("there is no such entity")
        await core.record(draft)
        return found

    @staticmethod
    async def _find(
        rows: Rows, keys: UserKeys, ident: str, name: str, alias: tuple[str, str] | None
    ) -> Entity | None:
        ref = TokenRef(ident) if ident else None
        if name:
            ref = await ENTITY_NAMES.get(rows, keys, name)
        elif alias is not None:
            ref = await ENTITY_ALIASES.get(rows, keys, alias[1], alias[0])
        return None if ref is None else await ENTITIES.get(rows, keys, ref.id)

    async def listing(self, caller: Caller, user: str, path: str) -> list[Entity]:
        """All entities of a namespace."""
        core = self._core
        await record_path(core, caller, user, Action.ACCESS_LIST, path)
        keys = await core.keys(core.authorise(caller, user))
        if keys is None:
            return []
        async with core.storage.snapshot() as rows:
            return list((await ENTITIES.all(rows, keys)).values())

    async def change(
        self,
        caller: Caller,
        user: str,
        ident: str,
        path: str,
        *,
        name: str | None,
        metadata: dict[str, str] | None,
    ) -> Entity:
        """Give an entity another name or other metadata; policies follow at once.

        Raises:
            SecretNotFound: There is no such entity.
            InvalidInput: The name is another's, or the metadata break a rule.
        """
        core = self._core
        draft = Draft(caller, Action.ACCESS_WRITE, name=path)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            given = None if metadata is None else attribute_map(metadata)

        async def work(scope: Scope) -> Entity:
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            entity = await ENTITIES.get(scope.tx, keys, ident)
            if entity is None:
                raise SecretNotFound("there is no such entity")
            changes = ObjectChanges(scope, keys)
            if name and name != entity.name:
                if await ENTITY_NAMES.get(scope.tx, keys, name) is not None:
                    raise InvalidInput("entity name is already in use")
                changes.delete(ENTITY_NAMES, entity.name)
                changes.put(ENTITY_NAMES, name, TokenRef(entity.id))
                entity.name = name
            if given is not None:
                entity.metadata = given
            entity.updated_us = scope.now_us
            changes.put(ENTITIES, entity.id, entity)
            # Sessions hold what templates stood for; they end with the space they belong to.
            scope.after_commit(lambda: self._spaces.forget(draft.user_id))
            await changes.write(draft)
            return entity

        return await core.write(draft, work)
