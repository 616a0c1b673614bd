"""Operations on names and states: they never open a value (DESIGN section 4)."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from adyton.actions import Action
from adyton.errors import InvalidInput
from adyton.model import (
    Caller,
    SecretMetadata,
    State,
    UserId,
    attribute_map,
    check_cas,
    check_max_versions,
    secret_name,
    tag_list,
)
from adyton.rows import MetaRow
from adyton.service import secretmeta
from adyton.service.changing import change_in, erase_secret
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.namelists import NameList
from adyton.service.secretmeta import Meta, not_found
from adyton.service.sharing.ending import end_gone
from adyton.service.sharing.follow import follow
from adyton.service.ticket import Pause
from adyton.service.userkeys import UserKeys
from adyton.values import SecretPage

_PAGE: Final = 128
"""Rows that are read and opened before others go on."""


class Changes(msgspec.Struct, frozen=True):
    """What to change of a secret's metadata; UNSET keeps, None clears.

    What is merged is so key by key, and None removes a key (RFC 7396).
    """

    tags: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    attributes: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    expires_us: int | None | msgspec.UnsetType = msgspec.UNSET
    max_versions: int | msgspec.UnsetType = msgspec.UNSET
    rotation: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    merge_attributes: Mapping[str, str | None] = {}
    merge_rotation: Mapping[str, str | None] = {}

    def __repr__(self) -> str:
        return "<Changes>"


class Directory:
    """Operations on names and states.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    # -- reading --------------------------------------------------------------------------------

    async def metadata(self, caller: Caller, user: UserId, name: str) -> SecretMetadata:
        """One secret's metadata, whatever the state of its versions."""
        core = self._core
        draft = Draft(caller, Action.SECRET_METADATA)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = secret_name(name)
            keys = await core.keys(draft.user_id)
            if keys is None:
                raise not_found()
            index = keys.index(name)
            async with core.storage.snapshot() as rows:
                row = await rows.metadata(keys.user, index)
            if row is None:
                raise not_found()
            found = secretmeta.open_meta(keys, row)
            draft.keys = keys
            draft.version = found.current
        await core.record(draft)
        return found.public(core.accessed(keys.user, index, row.accessed_us))

    async def list_secrets(
        self,
        caller: Caller,
        user: UserId,
        *,
        prefix: str = "",
        tags: Iterable[str] = (),
        limit: int | None = None,
        cursor: str | None = None,
        include_deleted: bool = False,
        visible: Callable[[str], bool] | None = None,
    ) -> SecretPage:
        """Metadata of a user's secrets, in order of their names; those that are ``visible``."""
        core = self._core
        draft = Draft(caller, Action.SECRET_LIST)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            wanted = frozenset(tag_list(tags))
            behind = _open_cursor(cursor)
            if limit is not None and limit < 1:
                raise InvalidInput(f"the limit is {limit}", hint="Give 1 or more, or none.")
            keys = await core.keys(draft.user_id)
            found = (
                []
                if keys is None
                else await self._matching(
                    keys, prefix, wanted, behind, include_deleted=include_deleted
                )
            )
            draft.keys = keys
        if visible is not None:
            found = [pair for pair in found if visible(pair[0].name)]
        found.sort(key=lambda pair: pair[0].name)
        page = found if limit is None else found[:limit]
        more = limit is not None and len(found) > limit
        draft.reason = f"{len(page)} names"
        await core.record(draft)
        items = tuple(
            meta.public(core.accessed(keys.user, row.name, row.accessed_us))
            for meta, row in page
            if keys is not None
        )
        return SecretPage(items, cursor_behind(items[-1].name) if more else None)

    async def folder(
        self,
        caller: Caller,
        user: UserId,
        prefix: str,
        visible: Callable[[str], bool] | None = None,
    ) -> list[str]:
        """What lies in a folder: names, and folders with a slash at their end; not to be changed.

        Of all secrets that are ``visible``, whatever the state of their versions; sorted.
        """
        core = self._core
        draft = Draft(caller, Action.SECRET_LIST)
        count, found = 0, list[str]()
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = keys = await core.keys(draft.user_id)
            if keys is not None:
                names = core.names.find(keys) or await self._found_or_made(keys)
                look = names.folder(prefix) if visible is None else names.seen(prefix, visible)
                count, found = await look
        draft.reason = f"{count} names"
        await core.record(draft)
        return found

    async def _found_or_made(self, keys: UserKeys) -> NameList:
        names = self._core.names
        while (waiting := names.begin(keys.user)) is not None:
            await waiting
            found = names.find(keys)
            if found is not None:
                return found
            if waiting.own:
                return await self._names(keys)
        try:
            return await self._names(keys)
        finally:
            names.end(keys.user)

    async def _names(self, keys: UserKeys) -> NameList:
        core = self._core
        version = core.storage.names_version(keys.user)  # before the rows: never newer than they
        found: list[str] = []
        after = b""
        async with core.storage.snapshot() as rows:
            while page := await rows.metadata_page(keys.user, after, _PAGE):
                found += [core.opened.open(keys, row).name for row in page]
                after = page[-1].name
                await Pause()
        found.sort()
        made = NameList(keys, version, found)
        core.names.keep(made)
        return made

    async def _matching(
        self,
        keys: UserKeys,
        prefix: str,
        wanted: frozenset[str],
        behind: str,
        *,
        include_deleted: bool,
    ) -> list[tuple[Meta, MetaRow]]:
        now = self._core.clock.now_us()
        found: list[tuple[Meta, MetaRow]] = []
        after = b""
        async with self._core.storage.snapshot() as rows:
            while page := await rows.metadata_page(keys.user, after, _PAGE):
                for row in page:
                    meta = self._core.opened.open(keys, row)
                    if not meta.name.startswith(prefix) or meta.name <= behind:
                        continue
                    if wanted and not wanted.issubset(meta.tags):
                        continue
                    if not include_deleted and not meta.live(now):
                        continue
                    found.append((meta, row))
                after = page[-1].name
                await Pause()
        return found

    # -- states of versions ---------------------------------------------------------------------

    async def delete(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        versions: Sequence[int] | None,
        *,
        lenient: bool = False,
        cas: int | None = None,
    ) -> SecretMetadata:
        """Mark versions deleted; the current one if none is named. Lenient: skip unknown ones."""

        def change(meta: Meta, now_us: int) -> None:
            for version in _named(meta, versions, lenient=lenient):
                if not version.gone(now_us):
                    version.state = State.DELETED
                    version.deleted_us = now_us

        return await self._change(caller, user, name, Action.SECRET_DELETE, change, versions, cas)

    async def undelete(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        versions: Sequence[int] | None,
        *,
        lenient: bool = False,
    ) -> SecretMetadata:
        """Make deleted versions live again; the current one if none is named."""

        def change(meta: Meta, now_us: int) -> None:
            for version in _named(meta, versions, lenient=lenient):
                if version.state != State.DESTROYED and version.gone(now_us):
                    version.state = State.LIVE
                    version.deleted_us = 0

        return await self._change(caller, user, name, Action.SECRET_UNDELETE, change, versions)

    async def destroy(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        versions: Sequence[int] | None,
        *,
        lenient: bool = False,
    ) -> None:
        """Erase versions for good; with none named, the secret with its name and all versions."""
        if versions is not None:

            def change(meta: Meta, _: int) -> None:
                for version in _named(meta, versions, lenient=lenient):
                    version.state = State.DESTROYED
                    version.deleted_us = 0

            await self._change(caller, user, name, Action.SECRET_DESTROY, change, versions)
            return
        core = self._core
        draft = Draft(caller, Action.SECRET_DESTROY)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = secret_name(name)

        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, draft.user_id)
            index = b"" if keys is None else keys.index(name)
            row = None if keys is None else await scope.tx.metadata(keys.user, index)
            if keys is None or row is None:
                raise not_found()
            meta = secretmeta.open_meta(keys, row)
            await core.holds.check(scope, keys, name)
            await erase_secret(core, scope, keys, index, meta)
            await follow(core, scope, caller, keys, [name])
            await end_gone(core, scope, caller, keys, {name})
            scope.record(
                Draft(
                    caller,
                    Action.SECRET_DESTROY,
                    keys,
                    draft.user_id,
                    name,
                    reason="all versions",
                    name_index=index,
                )
            )

        await core.write(draft, work)

    # -- metadata -------------------------------------------------------------------------------

    async def update(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        changes: Changes,
        action: Action,
        *,
        cas: int | None = None,
    ) -> SecretMetadata:
        """Change tags, attributes, expiry, number of kept versions or rotation policy."""

        def change(meta: Meta, _: int) -> None:
            tags = set(meta.tags if changes.tags is msgspec.UNSET else changes.tags)
            meta.tags = list(tag_list(tags.union(changes.add_tags).difference(changes.remove_tags)))
            if changes.attributes is not msgspec.UNSET:
                meta.attributes = attribute_map(changes.attributes)
            if changes.merge_attributes:
                meta.attributes = _merged(meta.attributes, changes.merge_attributes)
            if changes.expires_us is not msgspec.UNSET:
                meta.expires_us = changes.expires_us
            if changes.max_versions is not msgspec.UNSET:
                meta.max_versions = check_max_versions(changes.max_versions)
            if changes.rotation is not msgspec.UNSET:
                meta.rotation = attribute_map(changes.rotation)
            if changes.merge_rotation:
                meta.rotation = _merged(meta.rotation, changes.merge_rotation)

        return await self._change(caller, user, name, action, change, None, cas)

    async def _change(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        action: Action,
        change: Callable[[Meta, int], None],
        versions: Sequence[int] | None,
        cas: int | None = None,
    ) -> SecretMetadata:
        core = self._core
        draft = Draft(caller, action)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = secret_name(name)
            check_cas(cas)

        async def work(scope: Scope) -> SecretMetadata:
            keys = await core.keys_in(scope, draft.user_id)
            if keys is None:
                raise not_found()
            done = Draft(caller, action, keys, draft.user_id, name)
            done.reason = _version_list(versions)
            return await change_in(core, scope, done, change, cas)

        return await core.write(draft, work)


def _merged(old: Mapping[str, str], patch: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**old, **patch}
    return attribute_map({key: text for key, text in merged.items() if text is not None})


def _named(
    meta: Meta, versions: Sequence[int] | None, *, lenient: bool
) -> list[secretmeta.Version]:
    found = []
    for number in [meta.current] if versions is None else versions:
        version = meta.at(number)
        if version is None:
            if lenient:
                continue
            raise not_found()
        found.append(version)
    return found


def _version_list(versions: Sequence[int] | None) -> str:
    if versions is None:
        return ""
    shown = ", ".join(map(str, versions[:20]))
    return f"versions {shown}" + (" and more" if len(versions) > 20 else "")


def cursor_behind(name: str) -> str:
    """The cursor of the page behind a name."""
    return base64.urlsafe_b64encode(name.encode()).decode()


def _open_cursor(cursor: str | None) -> str:
    if not cursor:
        return ""
    try:
        return base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        pass
    raise InvalidInput("the cursor is not one that a listing gave", hint="Start without one.")


def as_changes(
    *,
    attributes: Mapping[str, str] | msgspec.UnsetType,
    expires_us: int | None | msgspec.UnsetType,
    max_versions: int | msgspec.UnsetType,
    rotation: Mapping[str, str] | msgspec.UnsetType,
) -> Changes:
    """Changes of everything but tags, as given by a caller."""
    return Changes(
        attributes=attributes if attributes is msgspec.UNSET else dict(attributes),
        expires_us=expires_us,
        max_versions=max_versions,
        rotation=rotation if rotation is msgspec.UNSET else dict(rotation),
    )
