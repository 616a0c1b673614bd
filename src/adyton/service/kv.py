"""The key/value engine of Vault, versions 1 and 2, over the secrets of one namespace.

A mount puts its prefix before a path to make the secret's name. What version 2 keeps besides
(``cas_required``, ``delete_version_after``, the client's ``max_versions``) is in the metadata's
``engine``; its custom metadata are the secret's attributes.
"""

import base64
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec

from adyton.actions import Action
from adyton.errors import AdytonError, InvalidInput, SecretNotFound, ValueTooLarge
from adyton.model import (
    CONTENT_JSON,
    Caller,
    SecretMetadata,
    State,
    VersionInfo,
    attribute_map,
    secret_name,
)
from adyton.rows import SecretRow
from adyton.service import secretmeta, writing
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.directory import Directory
from adyton.service.journal import Draft
from adyton.service.secretmeta import Version, not_found
from adyton.service.secrets import Secrets
from adyton.service.sharing.follow import follow
from adyton.service.values import EngineDefaults, Item
from adyton.values import Secret

MOUNTS_FOLDER: Final = ".mounts/"
"""Names of mounts other than the first begin with this, and can't be reached through the first."""
_MAX_CUSTOM_VALUE: Final = 512
_STEP: Final = 2_000
"""Names that are looked at before others go on."""

_encode = msgspec.json.encode
_decode = msgspec.json.decode


class KvMount(NamedTuple):
    """What the engine knows of a mount.

    Attributes:
        prefix: Before a path to make the secret's name; empty for the first mount.
        max_versions: Versions to keep; 0 for the store's default.
        cas_required: Whether each write names the version that it follows.
        delete_version_after: Seconds after which a version counts as deleted; 0 for never.
    """

    prefix: str = ""
    max_versions: int = 0
    cas_required: bool = False
    delete_version_after: int = 0

    def name(self, path: str) -> str:
        """The name of the secret at a path.

        Raises:
            InvalidName: The path breaks a rule of names.
            InvalidInput: It is another mount's.
        """
        return secret_name(self.place(path))

    def place(self, path: str) -> str:
        """As :meth:`name`, for operations that check names themselves.

        Raises:
            InvalidInput: It is another mount's.
        """
        if self.prefix:
            return self.prefix + path
        if path.startswith(MOUNTS_FOLDER) or path == MOUNTS_FOLDER[:-1]:
            raise InvalidInput("paths that begin with .mounts/ are kept for other mounts")
        return path


class KvVersion(NamedTuple):
    """A version that was read.

    Attributes:
        secret: Its value; None if it is deleted or destroyed.
        info: What is known of it.
        custom: The secret's custom metadata.
    """

    secret: Secret | None
    info: VersionInfo | Version
    custom: dict[str, str]

    def __repr__(self) -> str:
        return "<KvVersion>"


class KvSettings(msgspec.Struct, frozen=True):
    """Settings of one secret; None keeps what there is."""

    max_versions: int | None = None
    cas_required: bool | None = None
    delete_version_after: int | None = None
    custom: dict[str, str | None] | None = None

    def __repr__(self) -> str:
        return "<KvSettings>"


class KeyValue:
    """Operations of the key/value engine.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._secrets = Secrets(core)
        self._directory = Directory(core)

    # -- values ---------------------------------------------------------------------------------

    async def read(
        self, caller: Caller, user: str, mount: KvMount, path: str, version: int | None = None
    ) -> KvVersion:
        """One version; without a value if it is deleted or destroyed.

        Raises:
            SecretNotFound: There is no such secret or version.
        """
        try:
            name = mount.place(path)
        except InvalidInput as error:
            raise await self._core.refused(caller, Action.SECRET_GET, user, error) from None
        try:
            secret = await self._secrets.get(caller, user, name, version)
        except SecretNotFound:
            meta = await self._directory.metadata(caller, user, name)
            wanted = version or meta.version
            info = next((found for found in meta.versions if found.version == wanted), None)
            now = self._core.clock.now_us()
            if info is None or (info.state == State.LIVE and not 0 < info.deleted_us <= now):
                raise
            return KvVersion(None, info, meta.attributes)
        described = cast("Version", secret.described)  # of the store's own metadata
        return KvVersion(secret, described, secret.attributes)

    async def write(
        self,
        caller: Caller,
        user: str,
        mount: KvMount,
        path: str,
        data: dict[str, Any],
        cas: int | None = None,
    ) -> SecretMetadata:
        """A new version.

        Raises:
            VersionConflict: ``cas`` is not the current version (0: there must be none).
            InvalidInput: ``cas`` is required and absent, or the path breaks a rule.
        """
        name = await self._name(caller, user, mount, path, Action.SECRET_SET)
        item = self._item(name, _encode(data), mount, cas)
        if mount.cas_required and cas is None:
            raise await self._core.refused(caller, Action.SECRET_SET, user, writing.cas_required())
        try:
            self._check_size(item)
        except AdytonError as error:
            raise await self._core.refused(caller, Action.SECRET_SET, user, error) from None
        return await self._secrets.set(caller, user, item)

    async def patch(
        self,
        caller: Caller,
        user: str,
        mount: KvMount,
        path: str,
        patch: dict[str, Any],
        cas: int | None = None,
    ) -> SecretMetadata:
        """A new version: the current one with a merge patch (RFC 7396), in one transaction.

        Raises:
            SecretNotFound: There is no current version that can be read.
            VersionConflict: ``cas`` is not the current version.
            InvalidInput: ``cas`` is required and absent, or the value is not a JSON object.
        """
        core = self._core
        draft = Draft(caller, Action.SECRET_SET)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = name = mount.name(path)
            if mount.cas_required and cas is None:
                raise writing.cas_required()

        async def work(scope: Scope) -> SecretMetadata:
            if await core.keys_in(scope, draft.user_id) is None:
                raise not_found()
            keys = await core.keys_to_write(scope, caller, draft.user_id, 1)
            index = keys.index(name)
            row = await scope.tx.secret(keys.user, index)
            if row is None:
                raise not_found()
            meta = secretmeta.open_meta(keys, row)
            found = meta.readable(None, scope.now_us)
            with writing.open_checked(
                keys, index, found, row.key_version, row.wrapped_key, row.value
            ) as value:
                merged = merge_patch(as_object(value.reveal(), found.content_type), patch)
            item = self._item(name, _encode(merged), mount, cas)
            self._check_size(item)
            batch = writing.Batch(core, scope, caller, keys)
            new, accessed = await batch.add(item, Action.SECRET_SET, reason="patch")
            await batch.write()
            return new.public(core.accessed(keys.user, index, accessed))

        return await core.write(draft, work)

    def _item(self, name: str, value: bytes, mount: KvMount, cas: int | None) -> Item:
        defaults = EngineDefaults(mount.max_versions, mount.delete_version_after)
        return Item(name, value, CONTENT_JSON, cas=cas, engine=defaults)

    def _check_size(self, item: Item) -> None:
        size, limit = len(item.value), self._core.limits.max_value_bytes
        if size > limit:
            raise ValueTooLarge(f"the value has {size} bytes, more than the limit of {limit}")

    # -- states ---------------------------------------------------------------------------------

    async def delete(
        self, caller: Caller, user: str, mount: KvMount, path: str, versions: Sequence[int] | None
    ) -> None:
        """Delete versions, or the current one; what is not there is no error."""
        name = await self._name(caller, user, mount, path, Action.SECRET_DELETE)
        try:
            await self._directory.delete(caller, user, name, versions, lenient=True)
        except SecretNotFound:
            return

    async def undelete(
        self, caller: Caller, user: str, mount: KvMount, path: str, versions: Sequence[int]
    ) -> None:
        """Bring deleted versions back; what is not there is no error."""
        name = await self._name(caller, user, mount, path, Action.SECRET_UNDELETE)
        try:
            await self._directory.undelete(caller, user, name, versions, lenient=True)
        except SecretNotFound:
            return

    async def destroy(
        self, caller: Caller, user: str, mount: KvMount, path: str, versions: Sequence[int] | None
    ) -> None:
        """Erase versions for good, or the secret with all it has; absence is no error."""
        name = await self._name(caller, user, mount, path, Action.SECRET_DESTROY)
        try:
            await self._directory.destroy(caller, user, name, versions, lenient=True)
        except SecretNotFound:
            return

    # -- metadata -------------------------------------------------------------------------------

    async def metadata(
        self, caller: Caller, user: str, mount: KvMount, path: str
    ) -> SecretMetadata:
        """What is known of a secret and of each of its versions.

        Raises:
            SecretNotFound: There is none.
        """
        name = await self._name(caller, user, mount, path, Action.SECRET_METADATA)
        return await self._directory.metadata(caller, user, name)

    async def configure(
        self,
        caller: Caller,
        user: str,
        mount: KvMount,
        path: str,
        settings: KvSettings,
        *,
        patch: bool = False,
    ) -> None:
        """Set a secret's settings; makes one without a version if there is none.

        Args:
            caller: Who asks.
            user: Whose namespace.
            mount: The mount.
            path: The path in it.
            settings: What to set.
            patch: Merge custom metadata (None removes), and don't make a secret.

        Raises:
            SecretNotFound: There is none to patch.
            InvalidInput: Custom metadata break a limit.
        """
        core = self._core
        draft = Draft(caller, Action.SECRET_UPDATE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = name = mount.name(path)
            _check_custom(settings.custom)

        async def work(scope: Scope) -> None:
            if patch and await core.keys_in(scope, draft.user_id) is None:
                raise not_found()
            keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            index = keys.index(name)
            row = await scope.tx.secret(keys.user, index)
            new = row is None
            if row is None:
                if patch:
                    raise not_found()
                row = SecretRow(index, 0, keys.meta_current, b"", None, keys.current, None, None)
                meta = secretmeta.empty(name, scope.now_us)
            else:
                meta = secretmeta.open_meta(keys, row)
            _apply(meta, settings, patch=patch)
            meta.revision += 1
            meta.updated_us = scope.now_us
            sealed, digest = secretmeta.seal(keys, index, meta)
            await scope.tx.put_secrets(
                keys.user, [row._replace(meta_version=keys.meta_current, meta=sealed)], new=new
            )
            await follow(core, scope, caller, keys, [name])
            draft.keys = keys
            draft.version = meta.current
            draft.name_index = index
            draft.digest = digest
            scope.record(draft)

        await core.write(draft, work)

    async def names(
        self,
        caller: Caller,
        user: str,
        mount: KvMount,
        path: str,
        visible: Callable[[str], bool] | None = None,
    ) -> list[str]:
        """What lies in a folder: names, and folders with a slash at their end; sorted.

        Raises:
            SecretNotFound: Nothing does.
            InvalidInput: It is another mount's folder.
        """
        folder = path.rstrip("/")
        prefix = mount.place(folder) + "/" if folder else mount.prefix
        found = await self._directory.folder(caller, user, prefix, visible)
        if not prefix and MOUNTS_FOLDER in found:
            found = [name for name in found if name != MOUNTS_FOLDER]
        if not found:
            raise SecretNotFound("there is nothing in this folder")
        return found

    async def exists(self, user: str, mount: KvMount, path: str) -> bool:
        """Whether there is a secret at a path: to choose between two rights, told to nobody."""
        core = self._core
        keys = await core.keys(user)
        if keys is None:
            return False
        async with core.storage.snapshot() as rows:
            return await rows.metadata(keys.user, keys.index(mount.name(path))) is not None

    async def _name(
        self, caller: Caller, user: str, mount: KvMount, path: str, action: Action
    ) -> str:
        try:
            return mount.name(path)
        except AdytonError as error:
            raise await self._core.refused(caller, action, user, error) from None


def _apply(meta: secretmeta.Meta, settings: KvSettings, *, patch: bool) -> None:
    engine = meta.engine
    if settings.max_versions is not None:
        engine["max_versions"] = str(settings.max_versions)
    if settings.cas_required is not None:
        engine.pop("cas_required", None)
        if settings.cas_required:
            engine["cas_required"] = "true"
    if settings.delete_version_after is not None:
        engine["delete_version_after"] = str(settings.delete_version_after)
    if settings.custom is not None:
        base = dict(meta.attributes) if patch else {}
        merged = {**base, **settings.custom}
        meta.attributes = attribute_map({k: v for k, v in merged.items() if v is not None})


def _check_custom(custom: dict[str, str | None] | None) -> None:
    for text in (custom or {}).values():
        if text is not None and len(text) > _MAX_CUSTOM_VALUE:
            raise InvalidInput(
                f"a value of custom_metadata has more than {_MAX_CUSTOM_VALUE} characters"
            )


def as_object(value: bytes, content_type: str) -> dict[str, Any]:
    """A value as the JSON object that the engine shows: itself, or wrapped if it is another's."""
    if content_type == CONTENT_JSON:
        try:
            found = _decode(value)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            found = None
        if isinstance(found, dict):
            return found
    try:
        return {"value": value.decode()}
    except UnicodeDecodeError:
        return {"value": base64.b64encode(value).decode(), "encoding": "base64"}


def merge_patch(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """A JSON merge patch of two objects (RFC 7396, section 2)."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            inner = target.get(key)
            target[key] = merge_patch(inner if isinstance(inner, dict) else {}, value)
        else:
            target[key] = value
    return target
