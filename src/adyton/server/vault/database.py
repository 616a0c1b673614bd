"""``database/*``: dynamic credentials of PostgreSQL, at whatever path they are enabled."""

from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from adyton.canonical import canonical_json
from adyton.dynamicvalues import Connection, DynamicRole
from adyton.errors import InvalidInput, SecretNotFound
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.logins import Method
from adyton.server.vault.reply import Reply
from adyton.server.vault.routes import DELETE, LIST, READ, UPDATE, Routes
from adyton.server.vault.service import Services
from adyton.service.dynamic.configuration import Dynamics
from adyton.service.dynamic.leases import DynamicLeases
from adyton.service.dynamic.records import CONNECTIONS, ROLES

PLUGIN: Final = "postgresql-database-plugin"
_SYSTEM_TTL: Final = 2_764_800
"""32 days, where neither a role nor its mount names a time."""
_LOGIN: Final = "{{username}}:{{password}}"
_SCHEMES: Final = {"postgres", "postgresql"}
_QUERY: Final = {"sslmode", "sslrootcert"}


def database(services: Services) -> Method:
    """The routes of the database engine."""
    core = services.core
    routes = Routes()

    def dynamics(context: Context) -> Dynamics:
        return Dynamics(core, context.mount.prefix)

    async def read_config(context: Context) -> Reply:
        name = context.args["name"]
        found = await dynamics(context).get_connection(context.caller, context.user, name)
        username = await dynamics(context).get_username(context.caller, context.user, name)
        return Reply(
            {
                "plugin_name": PLUGIN if found.issuer == "postgresql" else found.issuer,
                "plugin_version": "",
                "connection_details": {
                    "connection_url": _url_of(found.settings),
                    "username": username,
                },
                "allowed_roles": found.allowed_roles,
                "root_credentials_rotate_statements": [],
                "password_policy": "",
            }
        )

    async def write_config(context: Context) -> None:
        body, name = context.body, context.args["name"]
        try:
            old = await dynamics(context).get_connection(context.caller, context.user, name)
        except SecretNotFound:
            old = None
        plugin = fields.text(body, "plugin_name", PLUGIN)
        if plugin != PLUGIN:
            raise InvalidInput(f"unknown database type: known is {PLUGIN}")
        url = fields.text(body, "connection_url")
        if not url and old is None:
            raise InvalidInput("connection_url cannot be empty")
        username, password = fields.text(body, "username"), fields.text(body, "password")
        if bool(username) != bool(password):
            raise InvalidInput("username and password are given together")
        allowed = body.get("allowed_roles")
        before = [] if old is None else old.allowed_roles
        connection = Connection(
            settings=_settings_of(url) if url or old is None else old.settings,
            admin="" if username or url or old is None else old.admin,
            allowed_roles=before if allowed is None else fields.strings(allowed, "allowed_roles"),
        )
        login = canonical_json({"username": username, "password": password}) if username else b""
        await dynamics(context).set_connection(
            context.caller, context.user, name, connection, login=login,
            verify=fields.boolean(body.get("verify_connection", True), "verify_connection"),
        )  # fmt: skip

    async def delete_config(context: Context) -> None:
        try:
            await dynamics(context).remove_connection(
                context.caller, context.user, context.args["name"]
            )
        except SecretNotFound:
            return

    async def list_configs(context: Context) -> Reply:
        return _keys(await dynamics(context).list_connections(context.caller, context.user))

    async def read_role(context: Context) -> Reply:
        found = await dynamics(context).get_role(context.caller, context.user, context.args["name"])
        return Reply(
            {
                "db_name": found.connection,
                "creation_statements": found.creation,
                "revocation_statements": found.revocation,
                "rollback_statements": [],
                "renew_statements": found.renewal,
                "default_ttl": found.ttl,
                "max_ttl": found.max_ttl,
                "credential_type": "password",
                "credential_config": None,
            }
        )

    async def write_role(context: Context) -> None:
        body, name = context.body, context.args["name"]
        try:
            old = await dynamics(context).get_role(context.caller, context.user, name)
        except SecretNotFound:
            old = None
        connection = fields.text(body, "db_name", "" if old is None else old.connection)
        if not connection:
            raise InvalidInput("database name is required")
        if fields.text(body, "credential_type", "password") != "password":
            raise InvalidInput("credentials are passwords here")
        max_ttl = _time(body, "max_ttl", 0 if old is None else old.max_ttl) or _SYSTEM_TTL
        ttl = _time(body, "default_ttl", 0 if old is None else old.ttl)
        before = DynamicRole(connection="") if old is None else old
        creation = _statements(body, "creation_statements", before.creation)
        if not creation:
            raise InvalidInput("missing required field: creation_statements")
        role = DynamicRole(
            connection=connection,
            member_of=before.member_of,
            creation=creation,
            renewal=_statements(body, "renew_statements", before.renewal),
            revocation=_statements(
                body, "revocation_statements", [] if old is None else old.revocation
            ),
            ttl=ttl or min(_SYSTEM_TTL, max_ttl),
            max_ttl=max_ttl,
        )
        await dynamics(context).set_role(context.caller, context.user, name, role)

    async def delete_role(context: Context) -> None:
        try:
            await dynamics(context).remove_role(context.caller, context.user, context.args["name"])
        except SecretNotFound:
            return

    async def list_roles(context: Context) -> Reply:
        return _keys(await dynamics(context).list_roles(context.caller, context.user))

    async def creds(context: Context) -> Reply:
        role = context.args["name"]
        try:
            made = await DynamicLeases(core, context.mount.prefix).issue(
                context.caller, context.user, role
            )
        except SecretNotFound:
            raise InvalidInput(f'unknown role: "{role[:64]}"') from None
        with made:
            lease = made.lease
            return Reply(
                {"username": made.username, "password": made.password.text()},
                lease=int((lease.expires_at - lease.issued_at).total_seconds()),
                lease_id=f"{context.mount.path}creds/{lease.id}",
            )

    async def has_config(context: Context) -> bool:
        ident = context.mount.prefix + context.args["name"]
        return await services.has_object(context.user, CONNECTIONS, ident, "")

    async def has_role(context: Context) -> bool:
        ident = context.mount.prefix + context.args["name"]
        return await services.has_object(context.user, ROLES, ident, "")

    add = routes.add
    add("config", {LIST: list_configs})
    add(
        "config/{name}", {READ: read_config, UPDATE: write_config, DELETE: delete_config},
        exists=has_config,
    )  # fmt: skip
    add("roles", {LIST: list_roles})
    add("roles/{name}", {READ: read_role, UPDATE: write_role, DELETE: delete_role}, exists=has_role)
    add("creds/{name}", {READ: creds})
    return Method(routes)


def _keys(found: dict[str, Any]) -> Reply:
    if not found:
        raise SecretNotFound("there are none")
    return Reply({"keys": sorted(found)})


def _time(body: fields.Body, name: str, before: int) -> int:
    return before if body.get(name) is None else fields.seconds(body[name], name)


def _statements(body: fields.Body, name: str, before: list[str]) -> list[str]:
    """Statements as a list, or one text, which may hold several."""
    found = body.get(name)
    if found is None:
        return before
    if isinstance(found, str):
        return [found] if found.strip() else []
    if isinstance(found, list) and all(isinstance(each, str) for each in found):
        return [each for each in found if each.strip()]
    raise InvalidInput(f'error converting input for field "{name}": expected a list of texts')


def _settings_of(url: str) -> dict[str, str]:
    """A connection's settings; the login is given beside the URL, never in it.

    Raises:
        InvalidInput: It is of another form.
    """
    login, at, place = url.partition("://")[2].rpartition("@")
    try:
        parts = urlsplit(f"{url.partition('://')[0]}://{place}")
        port, query = parts.port, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise _bad_url() from None
    if parts.scheme not in _SCHEMES or not parts.hostname or (at and login != _LOGIN):
        raise _bad_url()
    if set(query) - _QUERY:
        raise InvalidInput("connection_url has a parameter other than sslmode and sslrootcert")
    found = {"host": parts.hostname} | query
    if port is not None:
        found["port"] = str(port)
    if parts.path.strip("/"):
        found["database"] = unquote(parts.path.strip("/"))
    return found


def _bad_url() -> InvalidInput:
    return InvalidInput(
        f"connection_url is not of the form postgresql://{_LOGIN}@HOST:PORT/DATABASE?sslmode=MODE"
    )


def _url_of(settings: dict[str, str]) -> str:
    query = "&".join(f"{name}={settings[name]}" for name in sorted(_QUERY) if name in settings)
    place = f"{settings.get('host', '')}:{settings.get('port', '5432')}"
    url = f"postgresql://{_LOGIN}@{place}/{settings.get('database', 'postgres')}"
    return f"{url}?{query}" if query else url
