"""The key/value engine's paths: version 2 (``data``, ``metadata``, ...) and version 1."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from adyton.actions import Action
from adyton.errors import AdytonError, InvalidInput, SecretNotFound, VersionConflict
from adyton.model import CONTENT_JSON, SecretMetadata, State, VersionInfo
from adyton.server.http import Request, Response
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.knownreads import KnownRead, KnownReads
from adyton.server.vault.reply import EMPTY, Reply, encode, errors, plain
from adyton.server.vault.routes import DELETE, LIST, PATCH, READ, UPDATE, Answer, Door, Exists
from adyton.server.vault.service import Services
from adyton.service.access.policy import Capability
from adyton.service.access.records import Mount, MountTable
from adyton.service.access.shelves import record_path
from adyton.service.access.tokens import iso
from adyton.service.kv import KeyValue, KvMount, KvSettings, KvVersion, as_object
from adyton.service.secretmeta import Version

_V1_LEASE: Final = 2_764_800
AreaHandler: TypeAlias = Callable[[Context, KvMount, str], Awaitable[Answer]]
_MAX_ENGINES: Final = 10_000
_VERBS: Final = {READ: "get", LIST: "list", UPDATE: "put", DELETE: "delete"}
_MERGE: Final = "application/merge-patch+json"


class Kv:
    """Serves all mounts of the engine.

    Args:
        services: The open store's services.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._kv = KeyValue(services.core)
        self.known: Final = KnownReads()
        services.core.on_purge.append(self.known.forget)
        self._engines: dict[str, tuple[Mount, KvMount]] = {}
        self._areas: dict[tuple[str, Capability], AreaHandler] = {
            ("data", UPDATE): self._write,
            ("data", PATCH): self._patch,
            ("data", DELETE): self._delete_current,
            ("delete", UPDATE): self._delete,
            ("undelete", UPDATE): self._undelete,
            ("destroy", UPDATE): self._destroy,
            ("subkeys", READ): self._subkeys,
            ("metadata", READ): self._metadata,
            ("metadata", LIST): self._list,
            ("metadata", UPDATE): self._configure,
            ("metadata", PATCH): self._patch_metadata,
            ("metadata", DELETE): self._erase,
            ("config", READ): self._read_config,
            ("config", UPDATE): self._write_config,
        }

    async def handle(
        self, context: Context, operation: Capability, rest: str, api: Door
    ) -> Response:
        """Answer a request under a mount."""
        mount = context.mount
        known = self._engine(mount)
        if (mount.options or {}).get("version") != "2":
            return await self._version1(context, operation, rest, known, api)
        area, _, path = rest.partition("/")
        exists: Exists | None = None
        if operation is UPDATE and area in {"data", "metadata"}:

            async def exists(_: Context) -> bool:
                return await self._kv.exists(context.user, known, path)

        await api.check(context, operation, exists=exists)
        if area == "data" and path and operation is READ:
            return await self._read(context, known, path, api)
        handler = self._areas.get((area, operation))
        fits = rest == area if area == "config" else path or area == "metadata"
        if handler is None or not fits:
            return self._unknown(context, area, operation)
        reply = await handler(context, known, path)
        if isinstance(reply, Response):
            return reply
        return EMPTY if reply is None else await api.render(context, reply)

    def _engine(self, mount: Mount) -> KvMount:
        """What the engine knows of a mount; a mount that was changed is another object."""
        found = self._engines.get(mount.accessor)
        if found is None or found[0] is not mount:
            if len(self._engines) >= _MAX_ENGINES:
                self._engines.clear()
            found = self._engines[mount.accessor] = (mount, _engine(mount))
        return found[1]

    def _unknown(self, context: Context, area: str, operation: Capability) -> Response:
        if area == "data" and operation is READ:  # the folder, or all of it
            if context.path.endswith("/"):
                return errors(404)
            text = "Non-listing operations on the root of a K/V v2 mount are not supported."
            return Reply(warnings=[text], status=404).response(context.request.request_id)
        if any(known == area for known, _ in self._areas):
            return errors(405, "unsupported operation")
        verb = _VERBS.get(operation)
        text = (
            "Invalid path for a versioned K/V secrets engine. See the API docs for the"
            " appropriate API endpoints to use."
        )
        if verb:
            text += f" If using the CLI, use 'kv {verb}' for this operation."
        return Reply(warnings=[text], status=404).response(context.request.request_id)

    # -- data -----------------------------------------------------------------------------------

    async def _read(self, context: Context, mount: KvMount, path: str, api: Door) -> Response:
        query = context.request.query.get("version")
        version = fields.integer(query, "version") if query else 0
        found = await self._kv.read(context.caller, context.user, mount, path, version or None)
        if not context.wrap_seconds:
            self.known.remember(context, mount, path)
            return _version_answer(found, context.request.request_id)
        reply = Reply(raw=_version_json(found), status=404 if found.secret is None else 200)
        return await api.render(context, reply)

    async def read_known(self, request: Request, known: KnownRead) -> Response:
        """Answer a read that was let through before."""
        session = request.session
        assert session is not None  # noqa: S101 - for the type checker: it is known by it
        user, mount, path, decision = known
        caller = self._services.gate.caller(session, user, request, decision)
        found = await self._kv.read(caller, user, mount, path)
        return _version_answer(found, request.request_id)

    async def _write(self, context: Context, mount: KvMount, path: str) -> Reply:
        data, cas = await self._data_of(context, Action.SECRET_SET)
        try:
            meta = await self._kv.write(context.caller, context.user, mount, path, data, cas)
        except VersionConflict:
            raise _conflict() from None
        return Reply(_written(meta))

    async def _patch(self, context: Context, mount: KvMount, path: str) -> Reply | Response:
        kind = context.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != _MERGE:
            return errors(415, f"PATCH requires the content type {_MERGE}")
        data, cas = await self._data_of(context, Action.SECRET_SET)
        try:
            meta = await self._kv.patch(context.caller, context.user, mount, path, data, cas)
        except VersionConflict:
            raise _conflict() from None
        return Reply(_written(meta))

    async def _data_of(self, context: Context, action: Action) -> tuple[dict[str, Any], int | None]:
        try:
            data = context.body.get("data")
            if data is None:
                raise InvalidInput("no data provided")
            if not isinstance(data, dict):
                raise InvalidInput('error converting input for field "data": expected an object')
            options = context.body.get("options") or {}
            if not isinstance(options, dict):
                raise InvalidInput('error converting input for field "options": expected an object')
            cas = options.get("cas")
            return data, None if cas is None else fields.integer(cas, "cas")
        except AdytonError as error:
            core = self._services.core
            raise await core.refused(context.caller, action, context.user, error) from None

    async def _delete_current(self, context: Context, mount: KvMount, path: str) -> None:
        await self._kv.delete(context.caller, context.user, mount, path, None)

    async def _delete(self, context: Context, mount: KvMount, path: str) -> None:
        await self._kv.delete(context.caller, context.user, mount, path, _versions(context))

    async def _undelete(self, context: Context, mount: KvMount, path: str) -> None:
        await self._kv.undelete(context.caller, context.user, mount, path, _versions(context))

    async def _destroy(self, context: Context, mount: KvMount, path: str) -> None:
        versions = _versions(context, "no version number provided")
        await self._kv.destroy(context.caller, context.user, mount, path, versions)

    async def _subkeys(self, context: Context, mount: KvMount, path: str) -> Reply:
        """The keys of a version's value, without what they hold."""
        query = context.request.query
        version = fields.integer(query.get("version") or 0, "version")
        depth = fields.integer(query.get("depth") or 0, "depth")
        found = await self._kv.read(context.caller, context.user, mount, path, version or None)
        keys = None
        if found.secret is not None:
            with found.secret as secret:
                keys = _keys_of(as_object(secret.reveal(), secret.content_type), depth)
        shown = _version_shown(found.info) | {
            "version": found.info.version,
            "custom_metadata": found.custom or None,
        }
        status = 404 if found.secret is None else 200
        return Reply({"subkeys": keys, "metadata": shown}, status=status)

    # -- metadata -------------------------------------------------------------------------------

    async def _metadata(self, context: Context, mount: KvMount, path: str) -> Reply:
        if not path or path.endswith("/"):
            raise SecretNotFound("there is no such secret")
        meta = await self._kv.metadata(context.caller, context.user, mount, path)
        return Reply(_metadata_shown(meta))

    async def _configure(self, context: Context, mount: KvMount, path: str) -> None:
        settings = _settings(context.body)
        await self._kv.configure(context.caller, context.user, mount, path, settings)

    async def _patch_metadata(
        self, context: Context, mount: KvMount, path: str
    ) -> Reply | Response | None:
        kind = context.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != _MERGE:
            return errors(415, f"PATCH requires the content type {_MERGE}")
        settings = _settings(context.body)
        await self._kv.configure(context.caller, context.user, mount, path, settings, patch=True)
        return None

    async def _erase(self, context: Context, mount: KvMount, path: str) -> None:
        await self._kv.destroy(context.caller, context.user, mount, path, None)

    async def _list(self, context: Context, mount: KvMount, path: str) -> Reply:
        caller, user = context.caller, context.user
        seen = self._services.gate.shown(context.session, user, context.origin.address, caller)
        return Reply({"keys": await self._kv.names(caller, user, mount, path, seen)})

    # -- mount ----------------------------------------------------------------------------------

    async def _read_config(self, context: Context, mount: KvMount, _: str) -> Reply:
        core = self._services.core
        await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        return Reply(
            {
                "max_versions": mount.max_versions,
                "cas_required": mount.cas_required,
                "delete_version_after": go_duration(mount.delete_version_after),
            }
        )

    async def _write_config(self, context: Context, _: KvMount, __: str) -> None:
        settings = _settings(context.body)
        path = context.mount.path

        def change(table: MountTable) -> None:
            for mount in table.engines:
                if mount.path == path:
                    given = {
                        "max_versions": settings.max_versions,
                        "cas_required": settings.cas_required,
                        "delete_version_after": settings.delete_version_after,
                    }
                    mount.kv = mount.kv | {k: v for k, v in given.items() if v is not None}

        await self._services.spaces.change_mounts(
            context.caller, context.user, context.path, change
        )

    # -- version 1 ------------------------------------------------------------------------------

    async def _version1(
        self,
        context: Context,
        operation: Capability,
        path: str,
        mount: KvMount,
        api: Door,
    ) -> Response:
        async def exists(_: Context) -> bool:
            return await self._kv.exists(context.user, mount, path)

        await api.check(context, operation, exists=exists if operation == UPDATE else None)
        caller, user = context.caller, context.user
        if operation == LIST:
            return await api.render(context, await self._list(context, mount, path))
        if not path or path.endswith("/"):
            if operation is UPDATE or operation is PATCH:
                raise InvalidInput("cannot write to a path ending in '/'")
            return errors(404)
        if operation == READ:
            found = await self._kv.read(caller, user, mount, path)
            if found.secret is None:
                return errors(404)
            return await api.render(context, Reply(raw=_value_json(found), lease=_V1_LEASE))
        if operation == UPDATE:
            if not context.body:
                raise InvalidInput("missing data fields")
            await self._kv.write(caller, user, mount._replace(max_versions=1), path, context.body)
            return EMPTY
        if operation == DELETE:
            await self._kv.destroy(caller, user, mount, path, None)
            return EMPTY
        return errors(405, "unsupported operation")


def _engine(mount: Mount) -> KvMount:
    kv = mount.kv
    return KvMount(
        mount.prefix,
        int(str(kv.get("max_versions") or 0)),
        bool(kv.get("cas_required")),
        int(str(kv.get("delete_version_after") or 0)),
    )


def _keys_of(value: object, depth: int, at: int = 1) -> object:
    """An object's keys, each with None for what is no object, or lies below the depth."""
    if not isinstance(value, dict) or not value or (depth and at > depth):
        return None
    return {key: _keys_of(inner, depth, at + 1) for key, inner in value.items()}


def _conflict() -> InvalidInput:
    return InvalidInput("check-and-set parameter did not match the current version")


def _versions(context: Context, missing: str = "No version number provided") -> list[int]:
    versions = fields.integers(context.body.get("versions") or [], "versions")
    if not versions:
        raise InvalidInput(missing)
    return versions


def _settings(body: fields.Body) -> KvSettings:
    given = body.get("custom_metadata")
    custom: dict[str, str | None] | None = None
    if isinstance(given, dict):  # None takes a key away, in a patch
        custom = {key: None for key, value in given.items() if value is None}
        custom |= (
            fields.string_map(
                {key: value for key, value in given.items() if value is not None}, "custom_metadata"
            )
            or {}
        )
    elif given is not None:
        raise InvalidInput("custom_metadata is an object of texts")
    maximum = body.get("max_versions")
    cas = body.get("cas_required")
    after = body.get("delete_version_after")
    count = None if maximum is None else fields.integer(maximum, "max_versions")
    if count is not None and not 0 <= count <= 1000:
        raise InvalidInput("max_versions is not between 0 and 1000")
    return KvSettings(
        count,
        None if cas is None else fields.boolean(cas, "cas_required"),
        None if after is None else _after(after),
        custom,
    )


def _after(value: object) -> int:
    text = str(value)
    if text.startswith("-"):  # never, whatever the mount says; 0 leaves it to the mount
        return 0
    return fields.seconds(value, "delete_version_after")


def _value_json(found: KvVersion) -> bytes:
    if found.secret is None:
        return b"null"
    with found.secret as secret:
        if secret.content_type == CONTENT_JSON:
            return secret.reveal()
        return encode(as_object(secret.reveal(), secret.content_type))


def _version_json(found: KvVersion) -> bytes:
    return _VERSION % (_value_json(found), _version_members(found))


_VERSION: Final = b'{"data":%b,"metadata":{%b}}'
_VERSION_ANSWER: Final = plain(_VERSION)


def _version_answer(found: KvVersion, request_id: str) -> Response:
    """A version as it is sent: from locked memory into the answer, with no copy in between."""
    members = _version_members(found)
    secret = found.secret
    if secret is None:
        return Response(404, _VERSION_ANSWER % (request_id.encode(), b"null", members))
    with secret:
        if secret.content_type != CONTENT_JSON:
            value = encode(as_object(secret.reveal(), secret.content_type))
            return Response(200, _VERSION_ANSWER % (request_id.encode(), value, members))
        view = secret.value.writable()
        return Response(200, _VERSION_ANSWER % (request_id.encode(), view, members))


def _version_members(found: KvVersion) -> bytes:
    info = found.info
    members = _members(info.version, info.created_us, info.deleted_us, info.state)
    return members + (encode(found.custom) if found.custom else b"null")


@lru_cache(maxsize=16_384)
def _members(version: int, created_us: int, deleted_us: int, state: int) -> bytes:
    """The members of a version's object that are the same at each reading, up to the last."""
    shown = encode(_version_shown_of(created_us, deleted_us, state))[1:-1]
    return b'%s,"version":%d,"custom_metadata":' % (shown, version)


def _version_shown(info: VersionInfo | Version) -> dict[str, Any]:
    return _version_shown_of(info.created_us, info.deleted_us, info.state)


def _version_shown_of(created_us: int, deleted_us: int, state: int) -> dict[str, Any]:
    destroyed = state == State.DESTROYED
    return {
        "created_time": iso(created_us),
        "deletion_time": "" if destroyed else iso(deleted_us) or "",
        "destroyed": destroyed,
    }


def _written(meta: SecretMetadata) -> dict[str, Any]:
    current = meta.current
    return _version_shown(current) | {
        "version": current.version,
        "custom_metadata": meta.attributes or None,
    }


def _metadata_shown(meta: SecretMetadata) -> dict[str, Any]:
    versions = meta.versions
    oldest = versions[0].version if versions else 0
    return {
        "cas_required": bool(meta.engine.get("cas_required")),
        "created_time": meta.created_at.isoformat().replace("+00:00", "Z"),
        "current_version": meta.version,
        "custom_metadata": meta.attributes or None,
        "delete_version_after": go_duration(int(meta.engine.get("delete_version_after", "0"))),
        "max_versions": int(meta.engine.get("max_versions", "0")),
        # As Vault counts: 0 until a version was pruned.
        "oldest_version": oldest if oldest > 1 else 0,
        "updated_time": meta.updated_at.isoformat().replace("+00:00", "Z"),
        "versions": {str(info.version): _version_shown(info) for info in versions},
    }


def go_duration(seconds: int) -> str:
    """A time as Go writes it: ``0s``, ``1m30s``, ``2h0m0s``."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{left}s"
    return f"{minutes}m{left}s" if minutes else f"{left}s"
