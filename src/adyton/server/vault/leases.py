"""``sys/leases/*``: leases of tokens, and of dynamic credentials."""

from adyton.errors import InvalidInput, LeaseError, SecretNotFound
from adyton.model import from_us, to_us
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.reply import Reply, iso
from adyton.server.vault.routes import LIST, UPDATE, Handler, Routes
from adyton.server.vault.service import Services
from adyton.service.access.leases import NOT_FOUND, Leases
from adyton.service.access.tidy import Tidy
from adyton.service.access.tokens import seconds_left
from adyton.service.dynamic.leases import DynamicLeases


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

    def mounted(context: Context, path: str) -> tuple[DynamicLeases, str] | None:
        """The leases of the engine that a path is of, and what is left of the path behind it."""
        place = context.space.mount_at(path)
        if place is None or place[1].type != "database":
            return None
        return DynamicLeases(core, place[1].prefix), path[len(place[0]) :].strip("/")

    def dynamic(context: Context, lease: str) -> tuple[DynamicLeases, str] | None:
        """The same, of one lease."""
        found = mounted(context, lease)
        if found is None or not found[1].startswith("creds/"):
            return None
        return found[0], found[1].removeprefix("creds/")

    def named(context: Context) -> str:
        found = fields.text(context.body, "lease_id") or context.args.get("lease", "")
        if not found:
            raise InvalidInput("lease_id must be specified")
        return found

    async def lookup(context: Context) -> Reply:
        lease = named(context)
        found = dynamic(context, lease)
        if found is not None:
            return await lookup_dynamic(context, lease, *found)
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

    async def lookup_dynamic(
        context: Context, lease: str, leases: DynamicLeases, ident: str
    ) -> Reply:
        try:
            info = await leases.get(context.caller, context.user, ident)
        except SecretNotFound:
            raise InvalidInput("invalid lease") from None
        left = info.expires_at - from_us(core.clock.now_us())
        return Reply(
            {
                "id": lease,
                "issue_time": iso(to_us(info.issued_at)),
                "expire_time": iso(to_us(info.expires_at)),
                "last_renewal": iso(to_us(info.renewed_at)) if info.renewed_at else None,
                "renewable": info.state == "live",
                "ttl": max(int(left.total_seconds()), 0),
            }
        )

    async def renew(context: Context) -> Reply:
        lease = named(context)
        found = dynamic(context, lease)
        if found is not None:
            ttl = fields.seconds(context.body.get("increment"), "increment")
            try:
                info = await found[0].renew(context.caller, context.user, found[1], ttl)
            except SecretNotFound:
                raise InvalidInput(NOT_FOUND) from None
            left = info.expires_at - from_us(core.clock.now_us())
            return Reply(lease=max(round(left.total_seconds()), 0), lease_id=lease)
        raise await leases.refuse_renewal(context.caller, context.user, lease)

    async def revoke(context: Context) -> None:
        lease = named(context)
        found = dynamic(context, lease)
        if found is None:
            await leases.revoke(context.caller, context.user, lease)
            return
        try:
            await found[0].revoke(context.caller, context.user, found[1])
        except SecretNotFound:
            return
        except LeaseError:
            if fields.boolean(context.body.get("sync", False), "sync"):
                raise  # else it is enough that it is durable, and done later

    async def revoke_prefix(context: Context) -> None:
        prefix = context.args["prefix"]
        found = mounted(context, prefix.strip("/") + "/")
        if found is not None:
            head, _, role = found[1].partition("/")
            if head in {"", "creds"}:
                force = context.path.startswith("sys/leases/revoke-force/")
                done = await found[0].revoke_prefix(context.caller, context.user, role, force=force)
                if done.failed and fields.boolean(context.body.get("sync", False), "sync"):
                    raise LeaseError(f"{done.failed} leases are not revoked yet")
            return
        await leases.revoke_prefix(context.caller, context.user, prefix)

    async def listing(context: Context) -> Reply:
        prefix = context.args.get("prefix", "")
        keys = set(await leases.names(context.caller, context.user, prefix, context.path))
        folder = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        for mount in context.space.table.engines:
            if mount.type == "database":
                found = await DynamicLeases(core, mount.prefix).list(context.caller, context.user)
                for lease in (f"{mount.path}creds/{info.id}" for info in found):
                    if lease.startswith(folder):
                        head, slash, _ = lease[len(folder) :].partition("/")
                        keys.add(head + slash)
        if not keys:
            raise SecretNotFound("there are none")
        return Reply({"keys": sorted(keys)})

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
