"""``sys/leases/*``: leases, which only tokens have."""

from adyton.errors import InvalidInput, SecretNotFound
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.reply import Reply, iso
from adyton.server.vault.routes import LIST, UPDATE, Handler, Routes
from adyton.server.vault.service import Services
from adyton.service.access.leases import Leases
from adyton.service.access.tidy import Tidy
from adyton.service.access.tokens import seconds_left


def tidy_handler(services: Services) -> Handler:
    """Answers a request to remove what has ended in a namespace."""

    async def tidy(context: Context) -> Reply:
        tidy = Tidy(services.core, services.spaces, services.tokens)
        removed = await tidy.space(context.caller, context.user)
        return Reply(warnings=[f"{removed} tokens and SecretIDs had ended"], status=202)

    return tidy


def add_routes(routes: Routes, services: Services) -> None:
    """Add the routes of leases."""
    core = services.core
    leases = Leases(core, services.tokens)

    def named(context: Context) -> str:
        found = fields.text(context.body, "lease_id") or context.args.get("lease", "")
        if not found:
            raise InvalidInput("lease_id must be specified")
        return found

    async def lookup(context: Context) -> Reply:
        lease = named(context)
        _, token = await leases.find(context.caller, context.user, lease)
        return Reply(
            {
                "id": lease,
                "issue_time": iso(token.created_us),
                "expire_time": iso(token.expires_us),
                "last_renewal": iso(token.renewed_us),
                "renewable": token.renewable,
                "ttl": seconds_left(token, core.clock.now_us()),
            }
        )

    async def renew(context: Context) -> None:
        raise await leases.refuse_renewal(context.caller, context.user, named(context))

    async def revoke(context: Context) -> None:
        await leases.revoke(context.caller, context.user, named(context))

    async def revoke_prefix(context: Context) -> None:
        await leases.revoke_prefix(context.caller, context.user, context.args["prefix"])

    async def listing(context: Context) -> Reply:
        prefix = context.args.get("prefix", "")
        keys = await leases.names(context.caller, context.user, prefix, context.path)
        if not keys:
            raise SecretNotFound("there are none")
        return Reply({"keys": keys})

    add = routes.add
    add("sys/leases/lookup", {UPDATE: lookup, LIST: listing}, sudo=LIST)
    add("sys/leases/lookup/{prefix*}", {LIST: listing}, sudo=LIST)
    for old in ("sys/renew", "sys/leases/renew"):
        add(old, {UPDATE: renew})
    for old in ("sys/revoke", "sys/leases/revoke"):
        add(old, {UPDATE: revoke})
    add("sys/leases/renew/{lease*}", {UPDATE: renew})
    add("sys/leases/revoke/{lease*}", {UPDATE: revoke})
    add("sys/leases/tidy", {UPDATE: tidy_handler(services)}, sudo=UPDATE)
    for name in ("revoke-prefix", "revoke-force"):
        add(f"sys/leases/{name}/{{prefix*}}", {UPDATE: revoke_prefix}, sudo=UPDATE)
