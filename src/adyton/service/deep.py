"""Deep re-encryption: every value under a new data key, metadata under a new metadata key."""

from typing import Final

import msgspec

from adyton.actions import Action
from adyton.errors import IntegrityError
from adyton.model import Caller
from adyton.rows import MetaRow, ObjectRow, SecretRow, VersionRow
from adyton.service import keychange, secretmeta, writing
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.secretmeta import Meta
from adyton.service.sharing.follow import follow
from adyton.service.userkeys import UserKeys

BATCH_SECRETS: Final = 100
_BATCH_OBJECTS: Final = 1_000
BATCH_BYTES: Final = 4 * 1024 * 1024
"""Bytes of values after which a batch ends early."""


class DeepPosition(msgspec.Struct, array_like=True):
    """Where a deep job of one user is."""

    key_version: int
    meta_version: int
    name: bytes = b""
    place: bytes | None = None
    """Bucket and object behind which to go on; None while there are secrets to do."""


async def deep_batch(
    core: Core, scope: Scope, caller: Caller, keys: UserKeys, at: DeepPosition | None
) -> tuple[int, DeepPosition | None]:
    """Re-encrypt one batch of secrets.

    Returns:
        How many versions were re-encrypted, and where to go on, or None at the end.
    """
    if at is None or (at.key_version, at.meta_version) != (keys.current, keys.meta_current):
        await keychange.rotate_metadata_key(scope.tx, core.ring, keys)
        fresh = await core.ring.load_index(scope.tx, keys.user, keys.user_id)
        if fresh is None:
            raise IntegrityError("a user vanished while its keys were re-wrapped")
        fresh.wraps, fresh.wraps_reserved = keys.wraps, keys.wraps_reserved
        core.change_keys(scope, fresh)
        return 0, DeepPosition(fresh.current, fresh.meta_current)
    if at.place is not None:
        page_of = await scope.tx.objects(keys.user, None, at.place, _BATCH_OBJECTS)
        await scope.tx.put_objects(keys.user, [_object(keys, row) for row in page_of])
        if not page_of:
            return 0, None
        at.place = page_of[-1].bucket + page_of[-1].ident
        return len(page_of), at
    done = size = 0
    page = await scope.tx.metadata_page(keys.user, at.name, BATCH_SECRETS)
    for row in page:
        count, length = await reencrypt(core, scope, caller, keys, row)
        done += count
        size += length
        at.name = row.name
        if size >= BATCH_BYTES:
            break
    if not page:
        at.place = b""
    return done, at


def _object(keys: UserKeys, row: ObjectRow) -> ObjectRow:
    """The same object under the current metadata key; what it says stays as the log tells."""
    body = keys.open_object(row.bucket, row.ident, row.meta_version, row.box)
    box = keys.seal_object(row.bucket, row.ident, body)
    return row._replace(meta_version=keys.meta_current, box=box)


async def reencrypt(
    core: Core, scope: Scope, caller: Caller, keys: UserKeys, row: MetaRow
) -> tuple[int, int]:
    """Re-encrypt one secret with all its versions; how many, and their bytes."""
    whole = await scope.tx.secret(keys.user, row.name)
    if whole is None:
        raise IntegrityError("a secret vanished while it was re-encrypted")
    meta = secretmeta.open_meta(keys, row)
    older = []
    size = 0
    for version in await scope.tx.versions(keys.user, row.name):
        wrapped, box = _value(keys, meta, version)
        older.append(version._replace(key_version=keys.current, wrapped_key=wrapped, value=box))
        size += len(box)
    new_key, new_value = whole.wrapped_key, whole.value
    if whole.wrapped_key is not None and whole.value is not None:
        current = VersionRow(
            row.name, whole.current, whole.key_version, whole.wrapped_key, whole.value
        )
        new_key, new_value = _value(keys, meta, current)
        size += len(new_value)
    meta.revision += 1
    sealed, digest = secretmeta.seal(keys, row.name, meta)
    await scope.tx.put_versions(keys.user, older)
    await scope.tx.put_secrets(
        keys.user,
        [
            SecretRow(
                row.name,
                row.current,
                keys.meta_current,
                sealed,
                None,
                keys.current,
                new_key,
                new_value,
            )
        ],
        new=False,
    )
    scope.record(
        Draft(
            caller, Action.SECRET_REENCRYPT, keys, keys.user_id, meta.name, meta.current,
            name_index=row.name, digest=digest,
        )
    )  # fmt: skip
    await core.reserve(scope, keys, len(older) + 1)
    await follow(core, scope, caller, keys, [meta.name])
    return len(older) + (new_value is not None), size


def _value(keys: UserKeys, meta: Meta, row: VersionRow) -> tuple[bytes, bytes]:
    entry = meta.at(row.version)
    if entry is None:
        raise IntegrityError("a stored version is not in its secret's metadata")
    with writing.open_checked(
        keys, row.name, entry, row.key_version, row.wrapped_key, row.value
    ) as value:
        wrapped, box = keys.seal_value(row.name, row.version, value.writable())
    entry.tag = box[-16:]
    return wrapped, box
