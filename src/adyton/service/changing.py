"""Changing what is known of a secret, and erasing versions, inside a group."""

from collections.abc import Callable, Mapping

from adyton.model import SecretMetadata, State
from adyton.service import secretmeta
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.lifecycle import plan
from adyton.service.lifecycle.held import held
from adyton.service.secretmeta import Meta, not_found
from adyton.service.sharing.follow import follow
from adyton.service.userkeys import UserKeys
from adyton.service.writing import conflict


async def change_in(
    core: Core,
    scope: Scope,
    draft: Draft,
    change: Callable[[Meta, int], None],
    cas: int | None,
) -> SecretMetadata:
    """Change what is known of a secret inside a group.

    Args:
        core: The open store.
        scope: The group.
        draft: Its record, with the keys of the secret's owner and its name.
        change: Changes the metadata, told the time.
        cas: The version that has to be the current one; None for any.

    Raises:
        SecretNotFound: There is none.
        VersionConflict: The check-and-set version is not the current one.
        LegalHold: A version would be deleted or destroyed that a hold covers.
    """
    keys, name = draft.keys, draft.name
    index = b"" if keys is None else keys.index(name)
    row = None if keys is None else await scope.tx.metadata(keys.user, index)
    if keys is None or row is None:
        raise not_found()
    meta = secretmeta.open_meta(keys, row)
    if cas is not None and cas != meta.current:
        raise conflict()
    before, times = {each.version: each.state for each in meta.versions}, plan.times_of(meta)
    most = meta.max_versions
    change(meta, scope.now_us)
    # What a hold that has ended has kept beyond it goes with the next version, as ever.
    surplus = len(meta.versions) > meta.max_versions < most
    less = any(each.state > before.get(each.version, each.state) for each in meta.versions)
    if (less or surplus) and await core.holds.covers(scope, keys, name):
        if less:
            raise held()
        surplus = False
    await erase_versions(scope, keys, index, meta, before, surplus=surplus)
    await plan.follow(core, scope, keys, index, times, meta)
    meta.revision += 1
    meta.updated_us = scope.now_us
    sealed, digest = secretmeta.seal(keys, index, meta)
    await scope.tx.put_metadata(
        keys.user, [row._replace(meta_version=keys.meta_current, meta=sealed)]
    )
    await follow(core, scope, draft.caller, keys, [name])
    draft.version, draft.name_index, draft.digest = meta.current, index, digest
    scope.record(draft)
    return meta.public(core.accessed(keys.user, index, row.accessed_us))


async def erase_secret(core: Core, scope: Scope, keys: UserKeys, index: bytes, meta: Meta) -> None:
    """Erase the rows of a secret with all its versions, and what is due to it."""
    await scope.tx.delete_secret(keys.user, index)
    if plan.times_of(meta) != plan.NEVER:
        await plan.forget(core, scope, keys, index)
    place = (keys.user, index)
    scope.after_commit(lambda: core.commit.state.forget_access(place))


async def erase_versions(
    scope: Scope,
    keys: UserKeys,
    index: bytes,
    meta: Meta,
    before: Mapping[int, int],
    *,
    surplus: bool,
) -> None:
    """Erase the rows of versions that are destroyed now, or more than are to be kept.

    Args:
        scope: The group.
        keys: The user's keys.
        index: The name's index.
        meta: The metadata after the change.
        before: The states of its versions before it.
        surplus: Whether versions beyond those to keep go.
    """
    excess = max(len(meta.versions) - meta.max_versions, 0) if surplus else 0
    gone = {version.version for version in meta.versions[:excess]}
    del meta.versions[:excess]
    gone |= {version.version for version in meta.versions if version.state == State.DESTROYED}
    gone &= {version for version, state in before.items() if state != State.DESTROYED}
    if meta.current in gone:
        await scope.tx.destroy_current(keys.user, index)
    await scope.tx.delete_versions(keys.user, index, sorted(gone - {meta.current}))
