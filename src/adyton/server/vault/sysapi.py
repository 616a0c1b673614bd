"""``sys/*``: mounts, login methods, leases."""

import secrets as random
import uuid
from typing import Any, Final

from adyton.actions import Action
from adyton.errors import InvalidInput, SecretNotFound
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.reply import Reply, both, errors
from adyton.server.vault.routes import DELETE, READ, UPDATE, Answer, Routes
from adyton.server.vault.service import Services
from adyton.service.access.leases import Leases
from adyton.service.access.policy import Capability
from adyton.service.access.records import Mount, MountTable
from adyton.service.access.sessions import Session
from adyton.service.access.shaping import times_of
from adyton.service.access.shelves import record_path
from adyton.service.userroot.given import away

_ENGINES: Final = {"kv", "kv-v1", "kv-v2", "generic", "database"}
_RESERVED: Final = ("sys/", "auth/", "cubbyhole/", "identity/", "audit/", "adyton/")
_MOVES: Final = 100
"""Moves that can be asked about; each is over when its answer comes."""
_FIXED: Final = {"system", "cubbyhole", "identity", "token"}
"""Kinds of mounts that stay where they are."""
_TIMES: Final = ("default_lease_ttl", "max_lease_ttl")


def add_routes(routes: Routes, services: Services) -> None:
    """Add the routes of the system."""
    core, spaces, gate = services.core, services.spaces, services.gate

    async def read_engines(context: Context) -> Reply:
        await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        return both({mount.path: _shown(mount) for mount in context.space.table.engines})

    async def read_logins(context: Context) -> Reply:
        await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        return both({mount.path: _shown(mount) for mount in context.space.table.logins})

    moves: dict[tuple[str, str], dict[str, str]] = {}

    def named(table: MountTable, context: Context) -> Mount | None:
        """The mount of a path: of a login method under sys/auth, or under sys/mounts/auth."""
        path, there = _mount_path(context.args["path"]), mounts_of(table, context)
        if there is table.engines and path.startswith("auth/"):
            path, there = path.removeprefix("auth/"), table.logins
        return next((mount for mount in there if mount.path == path), None)

    def mounts_of(table: MountTable, context: Context) -> list[Mount]:
        return table.logins if context.path.startswith("sys/auth/") else table.engines

    async def enable(context: Context) -> None:
        path = _mount_path(context.args["path"])
        is_login = context.path.startswith("sys/auth/")
        mount = _new_mount(path, context.body, services, is_login=is_login)

        def change(table: MountTable) -> None:
            there = mounts_of(table, context)
            for other in there:
                if other.path.startswith(path) or path.startswith(other.path):
                    raise InvalidInput(f"path is already in use at {other.path}")
            if mount.path == "database/" and not any(
                other.type == "database" and not other.prefix for other in there
            ):
                mount.prefix = ""  # it shows the namespace's own, as the native API does
            there.append(mount)
            there.sort(key=lambda one: one.path)

        await spaces.change_mounts(context.caller, context.user, context.path, change)

    async def disable(context: Context) -> None:
        path = _mount_path(context.args["path"])
        found = [mount for mount in mounts_of(context.space.table, context) if mount.path == path]
        if found and found[0].type in _FIXED:
            if found[0].type == "token":
                raise InvalidInput("token credential backend cannot be disabled")
            raise InvalidInput(f'cannot unmount "{path}"')
        if found:
            await services.erase_mount(context.caller, context.user, found[0])

        def change(table: MountTable) -> None:
            there = mounts_of(table, context)
            there[:] = [mount for mount in there if mount.path != path]

        await spaces.change_mounts(context.caller, context.user, context.path, change)

    async def read_one(context: Context) -> Reply:
        await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        mount = named(context.space.table, context)
        if mount is not None:
            return both(_shown(mount))
        path = _mount_path(context.args["path"])
        raise InvalidInput(f"No secret engine mount at {path}")

    async def read_tune(context: Context) -> Reply:
        await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        mount = named(context.space.table, context)
        if mount is None:
            path = _mount_path(context.args["path"])
            raise InvalidInput(f'cannot fetch sysview for path "{path}"')
        shown = _shown(mount)
        data = shown["config"] | {
            "default_lease_ttl": shown["config"]["default_lease_ttl"] or 2_764_800,
            "max_lease_ttl": shown["config"]["max_lease_ttl"] or 2_764_800,
            "description": mount.description,
        }
        if mount.options:
            data["options"] = mount.options
        return both(data)

    async def tune(context: Context) -> None:
        path = _mount_path(context.args["path"])
        body = context.body
        is_login = context.path.startswith(("sys/auth/", "sys/mounts/auth/"))
        config = _config(body, is_login=is_login)

        def change(table: MountTable) -> None:
            mount = named(table, context)
            if mount is None:
                raise InvalidInput(f'tune of path "{path}" failed: no mount entry found')
            if mount.type == "token" and "token_type" in config:
                raise InvalidInput(
                    "'token_type' cannot be set for 'token' or 'ns_token' auth mounts"
                )
            mount.config = mount.config | config
            times = times_of(mount)
            asked = mount.config.get("default_lease_ttl")
            if isinstance(asked, int) and asked > times.longest:
                raise InvalidInput(
                    f"backend max lease TTL of {times.longest} would be less than backend default"
                    f" lease TTL of {asked}"
                )
            if "description" in body:
                mount.description = fields.text(body, "description")
            options = fields.string_map(body.get("options"), "options")
            if options and mount.type == "kv":
                version = options.get("version", "")
                if version not in {"", "1", "2"}:
                    raise InvalidInput(f"unsupported kv version {version[:50]!r}")
                if version and (mount.options or {}).get("version", "1") > version:
                    raise InvalidInput("cannot downgrade mount from version 2")
                mount.options = (mount.options or {}) | options

        await spaces.change_mounts(context.caller, context.user, context.path, change)

    async def remount(context: Context) -> Reply:
        ends = [fields.text(context.body, name).strip("/") for name in ("from", "to")]
        if not all(ends):
            raise InvalidInput("both 'from' and 'to' path must be specified as a string")
        whole_source, whole_target = (end + "/" for end in ends)
        is_login = whole_source.startswith("auth/")
        source, target = (
            end.removeprefix("auth/" if is_login else "") for end in (whole_source, whole_target)
        )
        wrong = (
            is_login != whole_target.startswith("auth/")
            or not target
            or (not is_login and target.startswith(_RESERVED))
        )
        if wrong:
            raise InvalidInput(f"cannot remount to destination {whole_target}")

        def change(table: MountTable) -> None:
            there = table.logins if is_login else table.engines
            if any(m.path.startswith(target) or target.startswith(m.path) for m in there):
                raise InvalidInput(f'path already in use at "{whole_target}"')
            for mount in there:
                if mount.path == source and mount.type not in _FIXED:
                    # What it holds stays where it is: only the path is another one.
                    mount.path = target
                    there.sort(key=lambda one: one.path)
                    return
            raise InvalidInput(f'no matching mount at "{whole_source}"')

        await spaces.change_mounts(context.caller, context.user, context.path, change)
        if is_login:  # tokens are bound to the path that they were made at; no more are made there
            leases = Leases(core, services.tokens)
            await leases.revoke_prefix(context.caller, context.user, whole_source)
        ident = str(uuid.uuid4())
        if len(moves) >= _MOVES:
            moves.clear()
        moves[context.user, ident] = {
            "source_mount": whole_source, "target_mount": whole_target, "status": "success",
        }  # fmt: skip
        return both({"migration_id": ident})

    async def remount_status(context: Context) -> Reply:
        await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        ident = context.args["id"]
        if (context.user, ident) not in moves:
            raise SecretNotFound("there is no such move")
        return Reply({"migration_id": ident, "migration_info": moves[context.user, ident]})

    async def ui_mount(context: Context) -> Answer:
        path = context.args["path"] + ("" if context.args["path"].endswith("/") else "/")
        place = context.space.mount_at(path)
        if place is None or not gate.any_under(context.session, context.user, place[0]):
            await gate.refuse(context.session, context.user, context.path, READ, context.origin)
            text = "preflight capability check returned 403, please ensure client's policies"
            return errors(403, f'{text} grant access to path "{path}"')
        context.caller = caller = gate.caller(context.session, context.user, context.origin)
        if context.space.away:
            raise away()
        await record_path(core, caller, context.user, Action.ACCESS_READ, context.path)
        mount = place[1]
        return Reply(_shown(mount) | {"path": place[0]})

    def seen(session: Session, user: str, mount: Mount) -> bool:
        """Whether all at home see a mount; the operator's tokens see others' by their policies."""
        shown = mount.config.get("listing_visibility") == "unauth"
        return shown and session.space.user == user

    async def ui_mounts(context: Context) -> Reply:
        session, user, table = context.session, context.user, context.space.table
        if not gate.reaches(session, user):
            raise await gate.refuse(session, user, context.path, READ, context.origin)
        context.caller = caller = gate.caller(session, user, context.origin)
        if context.space.away and gate.any_under(session, user, ""):
            raise away()
        await record_path(core, caller, user, Action.ACCESS_READ, context.path)
        engines = {
            m.path: _shown(m)
            for m in table.engines
            if seen(session, user, m) or gate.any_under(session, user, m.path)
        }
        logins = {
            m.path: _shown(m)
            for m in table.logins
            if seen(session, user, m) or gate.any_under(session, user, f"auth/{m.path}")
        }
        return Reply({"secret": engines, "auth": logins})

    add = routes.add
    add("sys/mounts", {READ: read_engines})
    add("sys/auth", {READ: read_logins})
    for base in ("sys/mounts", "sys/auth"):
        sudo = UPDATE | DELETE | READ if base == "sys/auth" else Capability(0)
        add(base + "/{path*}/tune", {READ: read_tune, UPDATE: tune}, sudo=sudo)
        add(base + "/{path*}", {READ: read_one, UPDATE: enable, DELETE: disable}, sudo=sudo)
    add("sys/remount", {UPDATE: remount}, sudo=UPDATE)
    add("sys/remount/status/{id}", {READ: remount_status})
    add("sys/internal/ui/mounts", {READ: ui_mounts}, own_check=True)
    add("sys/internal/ui/mounts/{path*}", {READ: ui_mount}, own_check=True)


def _mount_path(path: str) -> str:
    cleaned = path.strip("/")
    if not cleaned:
        raise InvalidInput("the mount's path is empty")
    return cleaned + "/"


def _config(body: fields.Body, *, is_login: bool) -> dict[str, object]:
    config: dict[str, object] = {}
    kind = fields.text(body, "token_type")
    if kind and not is_login:
        raise InvalidInput("'token_type' can only be modified on auth mounts")
    if kind:
        if kind not in fields.ROLE_TYPES:
            raise InvalidInput("invalid value for 'token_type'")
        config["token_type"] = kind
    for name in _TIMES:
        if body.get(name) not in (None, ""):
            config[name] = fields.seconds(body[name], name)
    seen = fields.text(body, "listing_visibility")
    if seen and seen not in {"hidden", "unauth"}:
        raise InvalidInput(f"invalid listing_visibility {seen[:50]}")
    if seen:
        config["listing_visibility"] = seen
    return config


def _new_mount(path: str, body: fields.Body, services: Services, *, is_login: bool) -> Mount:
    kind = fields.text(body, "type")
    options = fields.string_map(body.get("options"), "options") or {}
    if not kind:
        raise InvalidInput("backend type must be specified as a string")
    if is_login:
        if kind == "token":
            raise InvalidInput("token credential backend cannot be instantiated")
        if kind not in services.logins:
            raise InvalidInput(f"plugin not found in the catalog: {kind}")
    elif kind not in _ENGINES:
        raise InvalidInput(f"plugin not found in the catalog: {kind}")
    elif path.startswith(_RESERVED):
        raise InvalidInput(f'cannot mount "{path}"')
    given = None
    prefix = ""
    accessor = f"{'auth_' if is_login else ''}{kind.partition('-')[0]}_{random.token_hex(4)}"
    if kind == "database":
        prefix = f".mounts/{accessor}/"
    elif not is_login:
        version = "2" if kind == "kv-v2" else options.get("version", "1")
        if version not in {"1", "2"}:
            raise InvalidInput(f"unsupported kv version {version!r}")
        given = options | {"version": version}
        kind = "kv"
        prefix = f".mounts/{accessor}/"
    return Mount(
        path,
        kind,
        accessor,
        str(uuid.uuid4()),
        fields.text(body, "description"),
        given,
        _config(fields.members(body.get("config"), "config"), is_login=is_login),
        prefix,
        {},
        fields.boolean(body.get("local", False), "local"),
        fields.boolean(body.get("seal_wrap", False), "seal_wrap"),
    )


def _shown(mount: Mount) -> dict[str, Any]:
    config = {"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": False} | mount.config
    if mount.type == "token" or mount.type in {"approle", "userpass"}:
        config = {"token_type": "default-service"} | config
    return {
        "type": mount.type,
        "description": mount.description,
        "accessor": mount.accessor,
        "uuid": mount.uuid,
        "options": mount.options,
        "config": config,
        "local": mount.local,
        "seal_wrap": mount.seal_wrap,
        "external_entropy_access": False,
        "plugin_version": "",
        "running_plugin_version": "",
        "running_sha256": "",
        "deprecation_status": "supported",
    }
