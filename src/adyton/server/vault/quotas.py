"""``sys/quotas/*``: rates that an operator sets by name."""

from adyton.actions import Action
from adyton.errors import AdytonError, InvalidInput, SecretNotFound
from adyton.server.admission import FREE
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.reply import Reply
from adyton.server.vault.routes import DELETE, LIST, READ, UPDATE, Routes
from adyton.server.vault.service import Services
from adyton.service.access.shelves import record_path
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.quota.named import RateQuota


def add_routes(routes: Routes, services: Services) -> None:
    """Add the routes of quotas."""
    core, quotas = services.core, services.rate_quotas

    async def operator_only(context: Context) -> None:
        if context.user != OPERATOR_SPACE:
            error = InvalidInput("quotas are set in the operator's namespace alone")
            raise await core.refused(context.caller, Action.ACCESS_WRITE, context.user, error)

    async def read(context: Context) -> Reply:
        await operator_only(context)
        name = context.args["name"]
        quota = await quotas.read(context.caller, name)
        whole = int(quota.rate) if quota.rate == int(quota.rate) else quota.rate
        return Reply(
            {
                "block_interval": quota.block_interval,
                "inheritable": True,
                "interval": quota.interval,
                "name": name,
                "path": f"{quota.path}/" if quota.path else "",
                "rate": whole,
                "role": "",
                "type": "rate-limit",
            }
        )

    async def write(context: Context) -> None:
        await operator_only(context)
        try:
            quota = _quota(context.body)
        except AdytonError as error:
            raise await core.refused(
                context.caller, Action.ACCESS_WRITE, context.user, error
            ) from None
        await quotas.put(context.caller, context.args["name"], quota)

    async def delete(context: Context) -> None:
        await operator_only(context)
        await quotas.delete(context.caller, context.args["name"])

    async def listing(context: Context) -> Reply:
        await operator_only(context)
        names = await quotas.names(context.caller)
        if not names:
            raise SecretNotFound("there are none")
        return Reply({"keys": names})

    async def config(context: Context) -> Reply:
        await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        return Reply(
            {
                "enable_rate_limit_audit_logging": False,
                "enable_rate_limit_response_headers": False,
                "rate_limit_exempt_paths": sorted(path.removeprefix("v1/") for path in FREE),
            }
        )

    add = routes.add
    add("sys/quotas/config", {READ: config})
    add("sys/quotas/rate-limit", {LIST: listing})
    add("sys/quotas/rate-limit/{name}", {READ: read, UPDATE: write, DELETE: delete})


def _quota(body: fields.Body) -> RateQuota:
    rate = body.get("rate")
    if isinstance(rate, str):
        try:
            rate = float(rate)
        except ValueError:
            rate = None
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise InvalidInput("'rate' is required: a number of requests")
    if fields.text(body, "role"):
        raise InvalidInput("quotas of a login's role are not supported")
    if fields.text(body, "type") not in {"", "rate-limit"}:
        raise InvalidInput("only quotas of the type rate-limit are supported")
    return RateQuota(
        fields.text(body, "path"),
        float(rate),
        fields.seconds(body.get("interval") or 1, "interval"),
        fields.seconds(body.get("block_interval"), "block_interval"),
    )
