"""``auth/token/*``: making, looking up, renewing and revoking tokens."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from adyton.errors import AccessDenied, InvalidInput, SecretNotFound
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.leases import tidy_handler
from adyton.server.vault.reply import Reply, auth_of, lookup_of
from adyton.server.vault.routes import DELETE, LIST, READ, UPDATE, Routes
from adyton.server.vault.service import Services
from adyton.service.access.batch import BATCH, refuse
from adyton.service.access.policy import ROOT_NAME
from adyton.service.access.records import TOKEN_ROLES, Token, TokenRole
from adyton.service.access.shaping import TokenRequest
from adyton.service.access.shelves import delete_object, list_objects, put_object, read_object
from adyton.service.access.tokentext import parse_batch, token_id

_SUFFIX: Final = re.compile(r"\w[\w.-]+\w")


def add_routes(routes: Routes, services: Services) -> None:
    """Add the routes of tokens."""
    core, tokens, gate = services.core, services.tokens, services.gate

    def now() -> int:
        return core.clock.now_us()

    async def create(context: Context, *, orphan: bool = False, role: str = "") -> Reply:
        body = context.body
        parent = context.session
        no_parent = fields.boolean(body.get("no_parent", False), "no_parent")
        is_root = ROOT_NAME in parent.token.policies
        sudo = is_root or context.is_sudo(gate)
        if parent.space.user != context.user and not sudo:
            raise InvalidInput("root or sudo privileges required in another namespace")
        if (no_parent or fields.text(body, "id")) and not sudo:
            raise InvalidInput("root or sudo privileges required to create orphan token")
        if fields.seconds(body.get("period", 0), "period") and not sudo:
            raise InvalidInput("root or sudo privileges required to create periodic token")
        request = TokenRequest(
            id=fields.text(body, "id"),
            policies=tuple(fields.strings(body.get("policies"), "policies")),
            ttl=fields.seconds(body.get("ttl") or body.get("lease", 0), "ttl"),
            explicit_max_ttl=fields.seconds(body.get("explicit_max_ttl", 0), "explicit_max_ttl"),
            period=fields.seconds(body.get("period", 0), "period"),
            display_name=fields.text(body, "display_name"),
            num_uses=fields.integer(body.get("num_uses") or 0, "num_uses"),
            renewable=fields.boolean(body.get("renewable", True), "renewable"),
            no_parent=orphan or no_parent,
            no_default_policy=fields.boolean(
                body.get("no_default_policy", False), "no_default_policy"
            ),
            meta=fields.string_map(body.get("meta"), "meta"),
            path="auth/token/create-orphan" if orphan else "auth/token/create",
            role=role,
            type=fields.text(body, "type"),
            entity_alias=fields.text(body, "entity_alias"),
        )
        issued = await tokens.create(context.caller, parent, request)
        known = (await services.spaces.get(context.user)).policy_names()
        absent = [name for name in issued.token.policies if name not in known]
        warnings = [*issued.warnings, *(f'Policy "{name}" does not exist' for name in absent)]
        if request.id and issued.text != request.id:
            warnings.append("the ID of a batch token can't be chosen; the one given is not used")
        return Reply(auth=auth_of(issued.text, issued.token, now()), warnings=warnings or None)

    async def create_orphan(context: Context) -> Reply:
        return await create(context, orphan=True)

    async def create_by_role(context: Context) -> Reply:
        return await create(context, role=context.args["role"])

    async def lookup_self(context: Context) -> Reply:
        session = context.session
        await tokens.record_lookup(context.own, session)
        return Reply(lookup_of(context.token_text, session.token, now()))

    async def lookup(context: Context) -> Reply:
        text = fields.text(context.body, "token") or context.args.get("token", "")
        if not text:
            return await lookup_self(context)
        _, token = await tokens.find(context.caller, context.user, text=text)
        return Reply(lookup_of(text, token, now()))

    async def lookup_accessor(context: Context) -> Reply:
        _, token = await tokens.find(context.caller, context.user, accessor=_accessor(context))
        return Reply(lookup_of("", token, now()))

    async def renew_ident(context: Context, ident: str, text: str) -> Reply:
        increment = fields.seconds(context.body.get("increment") or 0, "increment")
        found = await tokens.renew(context.caller, context.user, ident, increment)
        return Reply(auth=auth_of(text, found.token, now()), warnings=found.warnings or None)

    async def renew_self(context: Context) -> Reply:
        increment = fields.seconds(context.body.get("increment") or 0, "increment")
        session = context.session
        refuse(session.token, "be renewed")
        found = await tokens.renew(context.own, session.space.user, session.ident, increment)
        auth = auth_of(context.token_text, found.token, now())
        return Reply(auth=auth, warnings=found.warnings or None)

    async def renew(context: Context) -> Reply:
        text = fields.text(context.body, "token") or context.args.get("token", "")
        if not text:
            raise InvalidInput("missing token ID")
        ident, token = await _found(context, text)
        refuse(token, "be renewed")
        return await renew_ident(context, ident, text)

    async def _found(context: Context, text: str) -> tuple[str, Token]:
        try:
            return await tokens.find(context.caller, context.user, text=text)
        except AccessDenied:
            raise InvalidInput("token not found") from None

    async def renew_accessor(context: Context) -> Reply:
        ident, _ = await tokens.find(context.caller, context.user, accessor=_accessor(context))
        return await renew_ident(context, ident, "")

    async def revoke_self(context: Context) -> None:
        refuse(context.session.token, "be revoked")
        await tokens.revoke(context.own, context.session.space.user, context.session.ident)

    async def revoke(context: Context, *, orphan: bool = False) -> None:
        text = fields.text(context.body, "token") or context.args.get("token", "")
        if not text:
            raise InvalidInput("missing token ID")
        if orphan or parse_batch(text) is not None:
            try:
                _, token = await tokens.find(context.caller, context.user, text=text)
            except AccessDenied:
                if orphan:
                    raise InvalidInput("token to revoke not found") from None
            else:
                refuse(token, "be revoked")
        await tokens.revoke(context.caller, context.user, token_id(text), orphan_children=orphan)

    async def revoke_orphan(context: Context) -> None:
        await revoke(context, orphan=True)

    async def revoke_accessor(context: Context) -> Reply | None:
        accessor = _accessor(context)
        try:
            ident, _ = await tokens.find(context.caller, context.user, accessor=accessor)
        except InvalidInput:
            return Reply(warnings=["No token found with this accessor"])
        await tokens.revoke(context.caller, context.user, ident)
        return None

    async def accessors(context: Context) -> Reply:
        return Reply({"keys": await tokens.accessors(context.caller, context.user)})

    async def write_role(context: Context) -> None:
        name, old = context.args["role"], TokenRole()
        with suppress(SecretNotFound):
            old = await read_object(
                core, context.caller, context.user, TOKEN_ROLES, name, context.path
            )
        role = _role(context.body, old)
        await put_object(core, context.caller, context.user, TOKEN_ROLES, name, role, context.path)

    async def read_role(context: Context) -> Reply:
        name = context.args["role"]
        role = await read_object(
            core, context.caller, context.user, TOKEN_ROLES, name, context.path
        )
        data: dict[str, Any] = msgspec.to_builtins(role)
        shown = {field: getattr(role, field) for field in TokenRole.__struct_fields__} | data
        return Reply(
            shown
            | {
                "name": name,
                "explicit_max_ttl": role.token_explicit_max_ttl,
                "period": role.token_period,
            }
        )

    async def delete_role(context: Context) -> None:
        await delete_object(
            core, context.caller, context.user, TOKEN_ROLES, context.args["role"], context.path
        )

    async def list_roles(context: Context) -> Reply:
        names = await list_objects(core, context.caller, context.user, TOKEN_ROLES, context.path)
        if not names:
            raise SecretNotFound("there are no roles")
        return Reply({"keys": names})

    add = routes.add
    add("auth/token/create", {UPDATE: create})
    add("auth/token/create-orphan", {UPDATE: create_orphan}, sudo=UPDATE)
    add("auth/token/create/{role}", {UPDATE: create_by_role})
    add("auth/token/lookup-self", {READ: lookup_self, UPDATE: lookup_self})
    add("auth/token/lookup", {READ: lookup, UPDATE: lookup})
    add("auth/token/lookup-accessor", {UPDATE: lookup_accessor})
    add("auth/token/renew-self", {UPDATE: renew_self})
    add("auth/token/renew", {UPDATE: renew})
    add("auth/token/renew-accessor", {UPDATE: renew_accessor})
    add("auth/token/revoke-self", {UPDATE: revoke_self})
    add("auth/token/revoke", {UPDATE: revoke})
    add("auth/token/revoke-orphan", {UPDATE: revoke_orphan}, sudo=UPDATE)
    add("auth/token/revoke-accessor", {UPDATE: revoke_accessor})
    add("auth/token/accessors", {LIST: accessors}, sudo=LIST)
    add("auth/token/tidy", {UPDATE: tidy_handler(services)}, sudo=UPDATE)
    add("auth/token/roles", {LIST: list_roles})
    add(
        "auth/token/roles/{role}",
        {UPDATE: write_role, READ: read_role, DELETE: delete_role},
    )


def _accessor(context: Context) -> str:
    found = fields.text(context.body, "accessor")
    if not found:
        raise InvalidInput("missing accessor")
    return found


def _role(body: fields.Body, old: TokenRole) -> TokenRole:
    """A role, changed by what is given."""

    def given(name: str, read: Callable[[object, str], Any], older: str = "") -> Any:  # noqa: ANN401 - JSON
        value = body.get(name)
        if value is None and older:
            value = body.get(older)
        return getattr(old, name) if value is None else read(value, name)

    role = TokenRole(
        allowed_policies=given("allowed_policies", fields.policies),
        disallowed_policies=given("disallowed_policies", fields.policies),
        allowed_policies_glob=given("allowed_policies_glob", fields.strings),
        disallowed_policies_glob=given("disallowed_policies_glob", fields.strings),
        orphan=given("orphan", fields.boolean),
        renewable=given("renewable", fields.boolean),
        path_suffix=given("path_suffix", _path_suffix),
        allowed_entity_aliases=given("allowed_entity_aliases", fields.strings),
        token_bound_cidrs=given("token_bound_cidrs", fields.networks, "bound_cidrs"),
        token_explicit_max_ttl=given("token_explicit_max_ttl", fields.seconds, "explicit_max_ttl"),
        token_period=given("token_period", fields.seconds, "period"),
        token_num_uses=given("token_num_uses", fields.count),
        token_no_default_policy=given("token_no_default_policy", fields.boolean),
        token_type=given("token_type", _token_type),
    )
    if role.token_type == BATCH:
        _check_batch(role)
    return role


def _path_suffix(value: object, name: str) -> str:
    text = fields.text({name: value}, name)
    if text and not _SUFFIX.fullmatch(text):
        raise InvalidInput(
            "given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w"
        )
    return text


def _check_batch(role: TokenRole) -> None:
    for is_wrong, what in (
        (not role.orphan, "non-orphan tokens"),
        (role.token_period, "periodic tokens"),
        (role.renewable, "renewable tokens"),
        (role.token_explicit_max_ttl, "tokens with an explicit max TTL"),
        (role.token_num_uses, "tokens with limited use count"),
    ):
        if is_wrong:
            raise InvalidInput(
                f"'token_type' cannot be 'batch' when role is set to generate {what}"
            )


def _token_type(value: object, name: str) -> str:
    text = fields.text({name: value}, name)
    if text not in fields.ROLE_TYPES:
        raise fields.wrong_token_type(text)
    return text
