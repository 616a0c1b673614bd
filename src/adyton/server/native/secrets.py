"""Routes of secrets, their metadata and their tags."""

from typing import Final

import msgspec

from adyton.actions import Action
from adyton.library import arguments
from adyton.model import SecretMetadata
from adyton.server.native import rights, shapes
from adyton.server.native.call import Call
from adyton.server.native.rights import SECRETS, folder_of, right
from adyton.server.native.routes import Reply, Route
from adyton.server.native.showing import shown_metadata, shown_secret, value_of
from adyton.service.access.policy import Capability
from adyton.service.directory import Changes, Directory, cursor_behind
from adyton.service.pages import Pages
from adyton.service.secretmeta import DEFAULT_MAX_VERSIONS
from adyton.service.secrets import Secrets
from adyton.service.values import Item


async def list_secrets(call: Call) -> Reply:
    """A page of metadata."""
    query = call.query(shapes.ListQuery)
    asked = msgspec.json.encode([query.prefix, sorted(query.tag), query.include_deleted]).decode()
    pages = Pages(call.core, "secrets", call.user, asked)
    position = await call.checked(lambda: pages.position(query.cursor or None))

    page = await Directory(call.core).list_secrets(
        call.caller,
        call.user,
        prefix=query.prefix,
        tags=query.tag,
        limit=query.limit,
        cursor=position,
        include_deleted=query.include_deleted,
        visible=call.services.gate.visible(
            call.session, call.user, call.origin.address,
            lambda name: f"adyton/{SECRETS}{folder_of(name)}",
        ),
    )  # fmt: skip
    items: list[shapes.MetadataShown] = []
    versions = 0
    for meta in page:
        items.append(shown_metadata(meta))
        versions += len(items[-1].versions)
        if versions > shapes.MAX_PAGE_VERSIONS:
            break
    cut = len(items) < len(page) or page.cursor is not None
    cursor = pages.cursor(cursor_behind(items[-1].name)) if cut else None
    return Reply(shapes.MetadataPage(items=items, next_cursor=cursor))


async def get_secret(call: Call) -> Reply:
    """A value with its metadata."""
    query = call.query(shapes.ReadQuery)
    secret = await Secrets(call.core).get(call.caller, call.user, call.name, query.version or None)
    return Reply(shown_secret(secret, query.encoding), version=secret.version)


async def put_secret(call: Call) -> Reply:
    """A new version."""
    body = call.body(shapes.WriteBody)
    item = await call.checked(lambda: _item(call, call.name, body, call.expected()))
    return await call.write(
        lambda core: Secrets(core).set_many(call.caller, call.user, [item]),
        lambda metas: _described(metas[0]),
    )


async def delete_secret(call: Call) -> Reply:
    """Versions marked deleted."""
    chosen = call.query(shapes.VersionsQuery).versions or None
    cas = await call.checked(call.expected)
    return await call.write(
        lambda core: Directory(core).delete(
            call.caller, call.user, call.name, _each(chosen), cas=cas
        ),
        _described,
    )


async def undelete(call: Call) -> Reply:
    """Deleted versions back."""
    chosen = call.body(shapes.UndeleteBody).versions
    return await call.write(
        lambda core: Directory(core).undelete(call.caller, call.user, call.name, _each(chosen)),
        _described,
    )


async def destroy(call: Call) -> Reply:
    """Versions, or all, erased."""
    chosen = call.body(shapes.DestroyBody).versions
    return await call.write(
        lambda core: Directory(core).destroy(call.caller, call.user, call.name, _each(chosen)),
        lambda _: Reply(status=204),
    )


async def rollback(call: Call) -> Reply:
    """An older value as a new version."""
    version = call.body(shapes.RollbackBody).version
    cas = await call.checked(call.expected)
    return await call.write(
        lambda core: Secrets(core).rollback(call.caller, call.user, call.name, version, cas=cas),
        _described,
    )


async def get_metadata(call: Call) -> Reply:
    """Metadata."""
    return _described(await Directory(call.core).metadata(call.caller, call.user, call.name))


async def patch_metadata(call: Call) -> Reply:
    """Changed metadata."""
    body = call.body(shapes.MetadataFields)
    changes = await call.checked(lambda: _changes(body))
    cas = await call.checked(call.expected)
    return await call.write(
        lambda core: Directory(core).update(
            call.caller, call.user, call.name, changes, Action.SECRET_UPDATE, cas=cas
        ),
        _described,
    )


async def patch_tags(call: Call) -> Reply:
    """Changed tags."""
    body = call.body(shapes.TagsBody)
    tags = None if body.set is msgspec.UNSET else body.set
    changes = await call.checked(lambda: arguments.tag_changes(tags, body.add, body.remove))
    cas = await call.checked(call.expected)
    return await call.write(
        lambda core: Directory(core).update(
            call.caller, call.user, call.name, changes, Action.SECRET_TAGS, cas=cas
        ),
        _described,
    )


async def batch_read(call: Call) -> Reply:
    """Several values."""
    body = call.body(shapes.BatchReadBody)
    found = await Secrets(call.core).get_many(
        call.caller, call.user, body.names, most_bytes=shapes.MAX_ANSWER_BYTES
    )
    items = [shown_secret(secret, body.encoding) for secret in found.values()]
    return Reply(shapes.SecretList(items=items))


async def batch_write(call: Call) -> Reply:
    """Several new versions: all or none."""
    body = call.body(shapes.BatchWriteBody)
    items = await call.checked(
        lambda: [_item(call, item.name, item, item.cas) for item in body.items]
    )
    return await call.write(
        lambda core: Secrets(core).set_many(call.caller, call.user, items),
        lambda metas: Reply(shapes.MetadataList(items=[shown_metadata(meta) for meta in metas])),
    )


def _item(call: Call, name: str, body: shapes.WriteBody, cas: int | None) -> Item:
    return arguments.item(
        call.core.limits,
        name,
        value_of(body.value),
        tags=None if body.tags is msgspec.UNSET else body.tags,
        attributes=None if body.attributes is msgspec.UNSET else body.attributes,
        expires_at=body.expires_at,
        max_versions=None if body.max_versions is msgspec.UNSET else body.max_versions,
        content_type=body.value.content_type,
        cas=cas,
    )


def _changes(body: shapes.MetadataFields) -> Changes:
    merge_attributes: dict[str, str | None] = {}
    merge_rotation: dict[str, str | None] = {}
    attributes: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    rotation: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    if isinstance(body, shapes.MetadataMergeBody):
        attributes, merge_attributes = _merge(body.attributes)
        rotation, merge_rotation = _merge(body.rotation)
    elif isinstance(body, shapes.MetadataBody):
        attributes = {} if body.attributes is None else body.attributes
        rotation = {} if body.rotation is None else body.rotation
    kept = DEFAULT_MAX_VERSIONS if body.max_versions is None else body.max_versions
    return msgspec.structs.replace(
        arguments.metadata_changes(attributes, body.expires_at, kept, rotation),
        merge_attributes=merge_attributes,
        merge_rotation=merge_rotation,
    )


def _merge(
    texts: dict[str, str | None] | None | msgspec.UnsetType,
) -> tuple[dict[str, str] | msgspec.UnsetType, dict[str, str | None]]:
    """What takes the place of a map of texts, and what is merged into it."""
    if texts is None:
        return {}, {}
    return msgspec.UNSET, {} if texts is msgspec.UNSET else texts


def _each(versions: list[int] | None) -> list[int] | None:
    return None if versions is None else list(dict.fromkeys(versions))


def _described(meta: SecretMetadata) -> Reply:
    return Reply(shown_metadata(meta), version=meta.version)


_NAMED: Final = "users/{user}/%s/{name*}"

ROUTES: Final = [
    Route(
        "GET", "users/{user}/secrets", "list_secrets", "List metadata of secrets, by name.",
        list_secrets, rights.to_list, "list, on the folder of the prefix", "user",
        Action.SECRET_LIST, shapes.MetadataPage, query=shapes.ListQuery,
    ),
    Route(
        "GET", _NAMED % "secrets", "get_secret", "Read a value with its metadata.",
        get_secret, right(Capability.READ), "read", "user",
        Action.SECRET_GET, shapes.SecretShown, query=shapes.ReadQuery, tagged=True, errors=(404,),
    ),
    Route(
        "PUT", _NAMED % "secrets", "set_secret", "Write a new version of a secret.",
        put_secret, rights.to_write, "create, or update where it exists", "user",
        Action.SECRET_SET, shapes.MetadataShown, body=shapes.WriteBody, once=True,
        conditional=True, tagged=True, errors=(412,),
    ),
    Route(
        "DELETE", _NAMED % "secrets", "delete_secret", "Mark versions deleted.",
        delete_secret, right(Capability.DELETE), "delete", "user",
        Action.SECRET_DELETE, shapes.MetadataShown, query=shapes.VersionsQuery, once=True,
        conditional=True, tagged=True, errors=(404, 412),
    ),
    Route(
        "POST", _NAMED % "undelete", "undelete_secret", "Bring deleted versions back.",
        undelete, right(Capability.UPDATE), "update", "user",
        Action.SECRET_UNDELETE, shapes.MetadataShown, body=shapes.UndeleteBody, once=True,
        tagged=True, errors=(404,),
    ),
    Route(
        "POST", _NAMED % "destroy", "destroy_secret", "Erase versions, or a secret, for good.",
        destroy, right(Capability.UPDATE), "update", "user",
        Action.SECRET_DESTROY, None, body=shapes.DestroyBody, once=True, errors=(404,),
    ),
    Route(
        "POST", _NAMED % "rollback", "rollback_secret", "Write an older value as a new version.",
        rollback, right(Capability.UPDATE), "update", "user",
        Action.SECRET_ROLLBACK, shapes.MetadataShown, body=shapes.RollbackBody, once=True,
        conditional=True, tagged=True, errors=(404, 412),
    ),
    Route(
        "GET", _NAMED % "metadata", "get_secret_metadata", "Everything but the values.",
        get_metadata, right(Capability.READ), "read", "user",
        Action.SECRET_METADATA, shapes.MetadataShown, tagged=True, errors=(404,),
    ),
    Route(
        "PATCH", _NAMED % "metadata", "update_secret_metadata",
        "Change attributes, expiry, kept versions or rotation.",
        patch_metadata, right(Capability.PATCH), "patch", "user",
        Action.SECRET_UPDATE, shapes.MetadataShown, body=shapes.MetadataBody,
        merge_body=shapes.MetadataMergeBody, once=True, conditional=True, tagged=True,
        errors=(404, 412),
    ),
    Route(
        "PATCH", _NAMED % "tags", "update_secret_tags", "Set, add or remove tags.",
        patch_tags, right(Capability.PATCH), "patch", "user",
        Action.SECRET_TAGS, shapes.MetadataShown, body=shapes.TagsBody, once=True,
        conditional=True, tagged=True, errors=(404, 412),
    ),
    Route(
        "POST", "users/{user}/batch/read", "get_secrets", "Read several values.",
        batch_read, rights.to_read_each, "read, on secrets/ and each name", "user",
        Action.SECRET_GET, shapes.SecretList, body=shapes.BatchReadBody,
    ),
    Route(
        "POST", "users/{user}/batch/write", "set_secrets", "Write several secrets: all or none.",
        batch_write, rights.to_write_each, "create or update, on secrets/ and each name", "user",
        Action.SECRET_SET, shapes.MetadataList, body=shapes.BatchWriteBody, once=True,
        errors=(412,),
    ),
]  # fmt: skip
