"""``auth/approle/*`` and ``auth/userpass/*``, at whatever path they are enabled."""

import json
import uuid
from typing import Any, Final

from adyton.errors import InvalidInput, SecretNotFound
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.leases import tidy_handler
from adyton.server.vault.reply import Reply, auth_of, iso
from adyton.server.vault.rolefields import ROLE, add_fields
from adyton.server.vault.routes import DELETE, LIST, READ, UPDATE, Found, Routes
from adyton.server.vault.service import Services
from adyton.service.access.batch import BATCH, DEFAULT, SERVICE
from adyton.service.access.logins import Logins, secret_hash
from adyton.service.access.policy import Capability
from adyton.service.access.records import (
    APPROLES,
    PASSWORD_USERS,
    SECRET_ACCESSORS,
    SECRET_IDS,
    AppRole,
    Bounds,
    PasswordUser,
    SecretId,
)
from adyton.service.access.shelves import delete_object, list_objects, put_object, read_object

NAME: Final = ("name", str.lower)
"""Names of users are told apart in lower case alone."""


class Method:
    """The routes of one kind of login method, relative to a mount."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    def find(self, path: str, prefix: str, operation: Capability) -> Found | None:
        """What serves a path under a mount."""
        found = self._routes.find(path[len(prefix) :], listing=operation is LIST)
        return None if found is None else found._replace(path=prefix + found.path)


def bounds_of(body: fields.Body, old: Bounds) -> Bounds:
    """What tokens are to be, changed by what is given.

    Raises:
        InvalidInput: A field is malformed.
    """

    def given(name: str) -> Any:  # noqa: ANN401 - JSON
        return body.get(f"token_{name}", body.get(name))

    def time(name: str, before: int) -> int:
        value = given(name)
        return before if value is None else fields.seconds(value, f"token_{name}")

    policies, cidrs = given("policies"), given("bound_cidrs")
    uses, bare = body.get("token_num_uses"), body.get("token_no_default_policy")
    return Bounds(
        old.policies if policies is None else fields.policies(policies, "token_policies"),
        time("ttl", old.ttl),
        time("max_ttl", old.max_ttl),
        time("explicit_max_ttl", old.explicit_max_ttl),
        time("period", old.period),
        old.num_uses if uses is None else fields.count(uses, "token_num_uses"),
        old.no_default_policy if bare is None else fields.boolean(bare, "token_no_default_policy"),
        old.cidrs if cidrs is None else fields.networks(cidrs, "token_bound_cidrs"),
        _token_type(fields.text(body, "token_type")) if "token_type" in body else old.type,
    )


def check_bounds(bounds: Bounds) -> None:
    """Refuse batch tokens that would be what none can be.

    Raises:
        InvalidInput: They would.
    """
    for is_wrong, what in (
        (bounds.period, "periodic tokens"),
        (bounds.num_uses, "tokens with limited use count"),
    ):
        if is_wrong and bounds.type == BATCH:
            raise InvalidInput(
                f"'token_type' cannot be 'batch' or 'default_batch' when set to generate {what}"
            )


def _token_type(text: str) -> str:
    if text not in {"", DEFAULT, BATCH, SERVICE}:
        raise fields.wrong_token_type(text)
    return text or DEFAULT


def shown(bounds: Bounds) -> dict[str, Any]:
    """Bounds as they are read."""
    return {
        "token_policies": bounds.policies,
        "token_ttl": bounds.ttl,
        "token_max_ttl": bounds.max_ttl,
        "token_explicit_max_ttl": bounds.explicit_max_ttl,
        "token_period": bounds.period,
        "token_num_uses": bounds.num_uses,
        "token_no_default_policy": bounds.no_default_policy,
        "token_bound_cidrs": bounds.cidrs,
        "token_type": bounds.type,
    }


def approle(services: Services, logins: Logins) -> Method:
    """The routes of AppRole."""
    core = services.core
    routes = Routes()

    async def role_of(context: Context) -> AppRole:
        return await read_object(
            core, context.caller, context.user, APPROLES, _role(context), context.path,
            context.mount.accessor,
        )  # fmt: skip

    async def login(context: Context) -> Reply:
        body = context.body
        role_id, secret_id = fields.text(body, "role_id"), fields.text(body, "secret_id")
        if not role_id:
            raise InvalidInput("missing role_id")
        issued = await logins.approle(context.caller, context.mount, role_id, secret_id)
        auth = auth_of(issued.text, issued.token, core.clock.now_us())
        return Reply(auth=auth, warnings=issued.warnings or None)

    async def write(context: Context) -> Reply | None:
        body, kind = context.body, fields.text(context.body, "token_type")
        adjusted = kind.removeprefix("default-")
        if kind != adjusted and kind in fields.ROLE_TYPES:
            body = body | {"token_type": adjusted}
        try:
            old = await role_of(context)
        except SecretNotFound:
            old = AppRole("", Bounds())
        bind, cidrs = body.get("bind_secret_id"), body.get("secret_id_bound_cidrs")
        uses, ttl = body.get("secret_id_num_uses"), body.get("secret_id_ttl")
        role = AppRole(
            fields.text(body, "role_id", old.role_id),
            bounds_of(body, old.bounds),
            old.bind_secret_id if bind is None else fields.boolean(bind, "bind_secret_id"),
            old.secret_id_num_uses if uses is None else fields.count(uses, "secret_id_num_uses"),
            old.secret_id_ttl if ttl is None else fields.seconds(ttl, "secret_id_ttl"),
            old.secret_id_cidrs
            if cidrs is None
            else fields.networks(cidrs, "secret_id_bound_cidrs"),
        )
        await put(context, role)
        if body is context.body:
            return None
        return Reply(warnings=[f"{kind} has no useful meaning; adjusting to {adjusted}"])

    async def put(context: Context, role: AppRole) -> None:
        if not role.bind_secret_id and not role.secret_id_cidrs and not role.bounds.cidrs:
            raise InvalidInput("at least one constraint should be enabled on the role")
        check_bounds(role.bounds)
        await logins.put_role(
            context.caller, context.user, context.mount, _role(context), role, context.path
        )

    async def read(context: Context) -> Reply:
        role = await role_of(context)
        return Reply(
            shown(role.bounds)
            | {
                "bind_secret_id": role.bind_secret_id,
                "local_secret_ids": False,
                "secret_id_bound_cidrs": role.secret_id_cidrs or None,
                "secret_id_num_uses": role.secret_id_num_uses,
                "secret_id_ttl": role.secret_id_ttl,
            }
        )

    async def delete(context: Context) -> None:
        await logins.delete_role(
            context.caller, context.user, context.mount, _role(context), context.path
        )

    async def names(context: Context) -> Reply:
        found = await list_objects(
            core, context.caller, context.user, APPROLES, context.path, context.mount.accessor
        )
        return _keys(found)

    async def read_id(context: Context) -> Reply:
        return Reply({"role_id": (await role_of(context)).role_id})

    async def write_id(context: Context) -> None:
        role = await role_of(context)
        role.role_id = fields.text(context.body, "role_id")
        if not role.role_id:
            raise InvalidInput("missing role_id")
        await put(context, role)

    async def make(context: Context, text: str) -> Reply:
        body = context.body
        wanted = SecretId(
            "",
            0,
            ttl=fields.seconds(body.get("ttl"), "ttl"),
            num_uses=fields.count(body.get("num_uses") or 0, "num_uses"),
            metadata=_metadata(body.get("metadata")),
            cidrs=fields.networks(body.get("cidr_list"), "cidr_list"),
        )
        made = await logins.make_secret_id(
            context.caller, context.user, context.mount, _role(context), text, wanted, context.path
        )
        return Reply(
            {
                "secret_id": text,
                "secret_id_accessor": made.accessor,
                "secret_id_num_uses": made.num_uses,
                "secret_id_ttl": made.ttl,
            }
        )

    async def generate(context: Context) -> Reply:
        return await make(context, str(uuid.uuid4()))

    async def custom(context: Context) -> Reply:
        text = fields.text(context.body, "secret_id")
        if not text:
            raise InvalidInput("missing secret_id")
        return await make(context, text)

    async def accessors(context: Context) -> Reply:
        await role_of(context)
        return _keys(
            await list_objects(
                core, context.caller, context.user, SECRET_ACCESSORS, context.path, _folder(context)
            )
        )

    async def ident_of(context: Context) -> str:
        if "accessor" in context.path.rsplit("/", 2)[-2]:
            accessor = fields.text(context.body, "secret_id_accessor")
            if not accessor:
                raise InvalidInput("missing secret_id_accessor")
            ref = await read_object(
                core, context.caller, context.user, SECRET_ACCESSORS, accessor, context.path,
                _folder(context),
            )  # fmt: skip
            return ref.id
        text = fields.text(context.body, "secret_id")
        if not text:
            raise InvalidInput("missing secret_id")
        return secret_hash(text)

    async def lookup(context: Context) -> Reply | None:
        await role_of(context)
        try:
            found = await read_object(
                core, context.caller, context.user, SECRET_IDS, await ident_of(context),
                context.path, _folder(context),
            )  # fmt: skip
        except SecretNotFound:
            if "accessor" in context.path.rsplit("/", 2)[-2]:
                raise
            return None
        return Reply(
            {
                "cidr_list": found.cidrs,
                "creation_time": iso(found.created_us),
                "expiration_time": iso(found.expires_us) or "0001-01-01T00:00:00Z",
                "last_updated_time": iso(found.created_us),
                "metadata": found.metadata,
                "secret_id_accessor": found.accessor,
                "secret_id_num_uses": found.num_uses,
                "secret_id_ttl": found.ttl,
                "token_bound_cidrs": [],
            }
        )

    async def destroy(context: Context) -> None:
        await logins.destroy_secret_id(
            context.caller, context.user, context.mount, _role(context),
            await ident_of(context), context.path,
        )  # fmt: skip

    async def exists(context: Context) -> bool:
        return await services.has_object(
            context.user, APPROLES, _role(context), context.mount.accessor
        )

    add = routes.add
    add("login", {UPDATE: login}, public=True)
    add("role", {LIST: names})
    add("role/{role}", {UPDATE: write, READ: read, DELETE: delete}, exists=exists, folded=ROLE)
    add("role/{role}/role-id", {READ: read_id, UPDATE: write_id}, folded=ROLE)
    add("role/{role}/secret-id", {UPDATE: generate, LIST: accessors}, folded=ROLE)
    add("role/{role}/custom-secret-id", {UPDATE: custom}, folded=ROLE)
    for kind in ("secret-id", "secret-id-accessor"):
        add(f"role/{{role}}/{kind}/lookup", {UPDATE: lookup}, folded=ROLE)
        add(f"role/{{role}}/{kind}/destroy", {UPDATE: destroy, DELETE: destroy}, folded=ROLE)
    add_fields(routes, role_of, put)
    add("tidy/secret-id", {UPDATE: tidy_handler(services)})
    return Method(routes)


def userpass(services: Services, logins: Logins) -> Method:
    """The routes of userpass."""
    core = services.core
    routes = Routes()

    async def login(context: Context) -> Reply:
        password = fields.text(context.body, "password")
        issued = await logins.password(context.caller, context.mount, _name(context), password)
        auth = auth_of(issued.text, issued.token, core.clock.now_us())
        return Reply(auth=auth, warnings=issued.warnings or None)

    async def user_of(context: Context) -> PasswordUser:
        return await read_object(
            core, context.caller, context.user, PASSWORD_USERS, _name(context), context.path,
            context.mount.accessor,
        )  # fmt: skip

    async def put(context: Context, user: PasswordUser) -> None:
        check_bounds(user.bounds)
        await put_object(
            core, context.caller, context.user, PASSWORD_USERS, _name(context), user,
            context.path, context.mount.accessor,
        )  # fmt: skip

    async def hashed(context: Context) -> str:
        password = fields.text(context.body, "password").encode("utf-8", "replace")
        return await logins.hasher.hash(password)

    async def write(context: Context) -> None:
        try:
            old = await user_of(context)
        except SecretNotFound:
            old = PasswordUser("", Bounds())
            if "password" not in context.body:
                raise InvalidInput("missing password") from None
        bounds = bounds_of(context.body, old.bounds)
        text = await hashed(context) if "password" in context.body else old.password
        await put(context, PasswordUser(text, bounds))

    async def password(context: Context) -> None:
        old = await user_of(context)
        await put(context, PasswordUser(await hashed(context), old.bounds))

    async def policies(context: Context) -> None:
        old = await user_of(context)
        await put(context, PasswordUser(old.password, bounds_of(context.body, old.bounds)))

    async def read(context: Context) -> Reply:
        user = await user_of(context)
        older = {"policies": user.bounds.policies} if user.bounds.policies else {}
        return Reply(shown(user.bounds) | older)

    async def delete(context: Context) -> None:
        await delete_object(
            core, context.caller, context.user, PASSWORD_USERS, _name(context), context.path,
            context.mount.accessor,
        )  # fmt: skip

    async def names(context: Context) -> Reply:
        found = await list_objects(
            core, context.caller, context.user, PASSWORD_USERS, context.path, context.mount.accessor
        )
        return _keys(found)

    async def exists(context: Context) -> bool:
        return await services.has_object(
            context.user, PASSWORD_USERS, _name(context), context.mount.accessor
        )

    add = routes.add
    add("login/{name}", {UPDATE: login}, public=True, folded=NAME)
    add("users", {LIST: names})
    add("users/{name}", {UPDATE: write, READ: read, DELETE: delete}, exists=exists, folded=NAME)
    add("users/{name}/password", {UPDATE: password}, folded=NAME)
    add("users/{name}/policies", {UPDATE: policies}, folded=NAME)
    return Method(routes)


def _name(context: Context) -> str:
    return context.args["name"]


def _role(context: Context) -> str:
    return context.args["role"]


def _folder(context: Context) -> str:
    return f"{context.mount.accessor}/{_role(context)}"


def _keys(names: list[str]) -> Reply:
    if not names:
        raise SecretNotFound("there are none")
    return Reply({"keys": names})


def _metadata(value: object) -> dict[str, str]:
    if value in (None, ""):
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise InvalidInput("metadata is not the text of a JSON object") from None
    return fields.string_map(value, "metadata") or {}
