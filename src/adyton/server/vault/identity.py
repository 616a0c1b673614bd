"""``identity/entity/*`` and ``identity/lookup/entity``: entities, which logins make."""

from typing import Any

from adyton.errors import InvalidInput, SecretNotFound
from adyton.server.http import Response
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.reply import EMPTY, Reply, iso
from adyton.server.vault.routes import LIST, READ, UPDATE, Routes
from adyton.server.vault.service import Services
from adyton.service.access.identity import Identity
from adyton.service.access.records import Alias, Entity


def add_routes(routes: Routes, services: Services) -> None:
    """Add the routes of entities."""
    identity = Identity(services.core, services.spaces)

    async def found(context: Context) -> Entity:
        """The entity that a path names."""
        return await identity.find(
            context.caller, context.user, context.path,
            ident=context.args.get("id", ""), name=context.args.get("name", ""),
        )  # fmt: skip

    async def read(context: Context) -> Reply:
        return Reply(_shown(await found(context), context))

    async def write(context: Context) -> None:
        entity = await found(context)
        body = context.body
        if fields.strings(body.get("policies"), "policies"):
            raise InvalidInput("policies of entities are not supported; give them to the login")
        await identity.change(
            context.caller, context.user, entity.id, context.path,
            name=fields.text(body, "name") or None,
            metadata=fields.string_map(body.get("metadata"), "metadata"),
        )  # fmt: skip

    async def listed(context: Context) -> list[Entity]:
        entities = await identity.listing(context.caller, context.user, context.path)
        if not entities:
            raise SecretNotFound("there are none")
        return entities

    async def ids(context: Context) -> Reply:
        entities = await listed(context)
        info = {entity.id: _brief(entity, context) for entity in entities}
        return Reply({"keys": sorted(info), "key_info": info})

    async def names(context: Context) -> Reply:
        return Reply({"keys": sorted(entity.name for entity in await listed(context))})

    async def lookup(context: Context) -> Reply | Response:
        body = context.body
        ident, name = fields.text(body, "id"), fields.text(body, "name")
        alias = fields.text(body, "alias_name"), fields.text(body, "alias_mount_accessor")
        if not (ident or name or all(alias)):
            raise InvalidInput("query parameter not supplied")
        try:
            entity = await identity.find(
                context.caller, context.user, context.path, ident=ident, name=name,
                alias=None if ident or name else (alias[1], alias[0]),
            )  # fmt: skip
        except SecretNotFound:
            return EMPTY
        return Reply(_shown(entity, context))

    routes.add("identity/entity/id", {LIST: ids})
    routes.add("identity/entity/name", {LIST: names})
    routes.add("identity/entity/id/{id}", {READ: read, UPDATE: write})
    routes.add("identity/entity/name/{name}", {READ: read, UPDATE: write})
    routes.add("identity/lookup/entity", {UPDATE: lookup})


def _alias(alias: Alias, context: Context) -> dict[str, Any]:
    path = [m.path for m in context.space.table.logins if m.accessor == alias.mount_accessor]
    return {
        "id": alias.id,
        "mount_accessor": alias.mount_accessor,
        "mount_path": f"auth/{path[0]}" if path else "",
        "mount_type": alias.mount_type,
        "name": alias.name,
    }


def _brief(entity: Entity, context: Context) -> dict[str, Any]:
    return {"name": entity.name, "aliases": [_alias(one, context) for one in entity.aliases]}


def _shown(entity: Entity, context: Context) -> dict[str, Any]:
    return {
        "aliases": [
            _alias(one, context)
            | {
                "canonical_id": entity.id,
                "creation_time": iso(one.created_us),
                "custom_metadata": None,
                "last_update_time": iso(one.updated_us),
                "local": False,
                "merged_from_canonical_ids": None,
                "metadata": one.metadata or None,
            }
            for one in entity.aliases
        ],
        "creation_time": iso(entity.created_us),
        "direct_group_ids": [],
        "disabled": False,
        "group_ids": [],
        "id": entity.id,
        "inherited_group_ids": [],
        "last_update_time": iso(entity.updated_us),
        "merged_entity_ids": None,
        "metadata": entity.metadata or None,
        "name": entity.name,
        "namespace_id": context.user,
        "policies": [],
    }
