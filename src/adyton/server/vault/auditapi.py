"""``sys/audit`` and ``sys/audit-hash``: where records are copied to, and names as shown there."""

from typing import Any

from adyton.actions import Action
from adyton.errors import InvalidInput
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.reply import Reply, both
from adyton.server.vault.routes import DELETE, READ, UPDATE, Routes
from adyton.server.vault.service import Services
from adyton.service.access.shelves import record_path
from adyton.service.access.spaces import OPERATOR_SPACE


def add_routes(routes: Routes, services: Services) -> None:
    """Add the routes of audit devices."""
    core = services.core

    def devices(context: Context) -> dict[str, dict[str, Any]]:
        """The store's sinks; they are no business of other namespaces."""
        if context.session.space.user != OPERATOR_SPACE:
            return {}
        found: dict[str, dict[str, Any]] = {}
        for kind, place in core.sinks:
            name = f"{kind}/" if f"{kind}/" not in found else f"{kind}-{len(found) + 1}/"
            options = {"file_path": place} if kind == "file" else {}
            found[name] = {
                "type": kind, "path": name, "description": "", "options": options, "local": False,
            }  # fmt: skip
        return found

    async def listing(context: Context) -> Reply:
        await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        return both(devices(context))

    async def enable(_: Context) -> None:
        raise InvalidInput(
            "cannot enable audit device via API; use declarative, config-based audit device"
            " management instead"
        )

    async def disable(context: Context) -> None:
        await record_path(core, context.caller, context.user, Action.ACCESS_DELETE, context.path)
        if _device(context) in devices(context):
            raise InvalidInput(
                "cannot disable audit device via API; use declarative, config-based audit device"
                " management instead"
            )

    async def hashed(context: Context) -> Reply:
        await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        text = fields.text(context.body, "input")
        if not text:
            raise InvalidInput('the "input" parameter is empty')
        if _device(context) not in devices(context):
            raise InvalidInput(f'unknown audit backend "{_device(context)}"')
        keys = await core.keys(context.user)
        if keys is None:
            raise InvalidInput("the namespace has no records yet")
        return both({"hash": f"hmac-sha256:{keys.index(text).hex()}"})

    add = routes.add
    add("sys/audit", {READ: listing}, sudo=READ)
    add("sys/audit/{path*}", {UPDATE: enable, DELETE: disable}, sudo=UPDATE | DELETE)
    add("sys/audit-hash/{path*}", {UPDATE: hashed})


def _device(context: Context) -> str:
    return context.args["path"].rstrip("/") + "/"
