"""``sys/policies/acl``, ``sys/policy`` and ``sys/capabilities*``."""

from typing import Any

from adyton.actions import Action
from adyton.errors import AccessDenied, InvalidInput, SecretNotFound
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.reply import Reply, both
from adyton.server.vault.routes import DELETE, LIST, READ, UPDATE, Routes
from adyton.server.vault.service import Services
from adyton.service.access.policy import policy_names
from adyton.service.access.sessions import Session
from adyton.service.access.shelves import record_path


def add_routes(routes: Routes, services: Services) -> None:
    """Add the routes of policies."""
    core, spaces, gate = services.core, services.spaces, services.gate

    async def names(context: Context) -> list[str]:
        await record_path(core, context.caller, context.user, Action.ACCESS_LIST, context.path)
        return context.space.policy_names()

    async def list_new(context: Context) -> Reply:
        return Reply({"keys": await names(context)})

    async def list_old(context: Context) -> Reply:
        found = await names(context)
        return both({"keys": found, "policies": found})

    async def read(context: Context) -> tuple[str, str]:
        name = _name(context)
        await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        text = context.space.policy_text(name)
        if text is None:
            raise SecretNotFound("there is no such policy")
        return name, text

    async def read_new(context: Context) -> Reply:
        name, text = await read(context)
        return Reply({"name": name, "policy": text})

    async def read_old(context: Context) -> Reply:
        name, text = await read(context)
        return both({"name": name, "rules": text})

    async def write(context: Context) -> None:
        text = fields.text(context.body, "policy")
        await spaces.put_policy(context.caller, context.user, _name(context), text)

    async def write_old(context: Context) -> Reply | None:
        text = fields.text(context.body, "policy")
        if text:
            await write(context)
            return None
        text = fields.text(context.body, "rules")
        await spaces.put_policy(context.caller, context.user, _name(context), text)
        return Reply(warnings=["'rules' is deprecated, please use 'policy' instead"])

    async def delete(context: Context) -> None:
        await spaces.delete_policy(context.caller, context.user, _name(context))

    def answer(context: Context, session: Session | None) -> Reply:
        body = context.body
        paths = fields.strings(body.get("paths") or body.get("path"), "paths")
        if not paths:
            raise InvalidInput("paths must be supplied")
        found: dict[str, Any] = {
            path: ["deny"]
            if session is None
            else gate.capabilities(session, context.user, path.removeprefix("/"))
            for path in paths
        }
        if len(paths) == 1:
            found["capabilities"] = found[paths[0]]
        return both(found)

    async def of_self(context: Context) -> Reply:
        await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        return answer(context, context.session)

    async def of_token(context: Context) -> Reply:
        text = fields.text(context.body, "token")
        if not text:
            raise InvalidInput("no token found")
        try:
            ident, token = await services.tokens.find(context.caller, context.user, text=text)
        except AccessDenied:
            raise InvalidInput("invalid token") from None
        return answer(context, await gate.sessions.make(ident, token, context.user))

    async def of_accessor(context: Context) -> Reply:
        accessor = fields.text(context.body, "accessor")
        if not accessor:
            raise InvalidInput("missing accessor")
        ident, token = await services.tokens.find(context.caller, context.user, accessor=accessor)
        return answer(context, await gate.sessions.make(ident, token, context.user))

    routes.add("sys/policies/acl", {LIST: list_new, READ: list_new})
    name = ("name", _folded)
    routes.add(
        "sys/policies/acl/{name}", {READ: read_new, UPDATE: write, DELETE: delete}, folded=name
    )
    routes.add("sys/policy", {LIST: list_old, READ: list_old})
    routes.add(
        "sys/policy/{name}", {READ: read_old, UPDATE: write_old, DELETE: delete}, folded=name
    )
    routes.add("sys/capabilities-self", {UPDATE: of_self})
    routes.add("sys/capabilities", {UPDATE: of_token})
    routes.add("sys/capabilities-accessor", {UPDATE: of_accessor})


def _folded(name: str) -> str:
    """The canonical form of a policy's name, which is what policies on policies see."""
    return next(iter(policy_names([name])), name)


def _name(context: Context) -> str:
    found = policy_names([context.args["name"]])
    if not found:
        raise InvalidInput("the policy's name is empty")
    return found[0]
