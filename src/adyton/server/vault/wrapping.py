"""``sys/wrapping/*`` and ``cubbyhole/*``."""

from adyton.actions import Action
from adyton.errors import InvalidInput, SecretNotFound
from adyton.model import Caller
from adyton.server.http import Response
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.reply import Reply, encode, wrapped
from adyton.server.vault.routes import DELETE, LIST, READ, UPDATE, Routes
from adyton.server.vault.service import Services
from adyton.service.access.policy import Capability
from adyton.service.access.shelves import record_path
from adyton.service.access.tokens import iso


def add_routes(routes: Routes, services: Services) -> None:
    """Add the routes of wrapping and of cubbyholes."""
    core, gate, wrapping = services.core, services.gate, services.wrapping
    cubbyhole = services.cubbyhole

    async def wrap(context: Context) -> Reply:
        if not context.wrap_seconds:
            raise InvalidInput("endpoint requires response wrapping to be used")
        await record_path(core, context.caller, context.user, Action.ACCESS_WRITE, context.path)
        return Reply(context.body)

    async def allowed(context: Context, named: str) -> None:
        """A wrapping token may be used by itself; whoever names it in the body needs a right."""
        own = context.token_text
        if not named or named == own:
            return
        context.session = await gate.enter(own, context.origin)
        if not gate.decide(
            context.session, context.user, context.path, Capability.UPDATE, body=context.body
        ):
            raise await gate.refuse(
                context.session, context.user, context.path, Capability.UPDATE, context.origin
            )

    async def unwrap(context: Context) -> Response:
        named = fields.text(context.body, "token")
        await allowed(context, named)
        return Response(200, await wrapping.unwrap(named or context.token_text, context.origin))

    async def lookup(context: Context) -> Reply:
        text = fields.text(context.body, "token") or context.token_text
        if not text:
            raise InvalidInput('missing "token" value in input')
        token = await wrapping.lookup(text, context.origin)
        return Reply(
            {
                "creation_path": token.wraps,
                "creation_time": iso(token.created_us),
                "creation_ttl": token.creation_ttl,
            }
        )

    async def rewrap(context: Context) -> Reply:
        named = fields.text(context.body, "token")
        await allowed(context, named)
        issued = await wrapping.rewrap(named or context.token_text, context.origin)
        return wrapped(issued, issued.token.wraps, "")

    def own(context: Context) -> tuple[Caller, str, str]:
        return context.own, *cubbyhole.place_of(context.session)

    async def read(context: Context) -> Reply:
        return Reply(raw=await cubbyhole.read(*own(context), context.args["path"]))

    async def listing(context: Context) -> Reply:
        names = await cubbyhole.names(*own(context))
        prefix = context.args.get("path", "").rstrip("/")
        keys = folder(names, prefix + "/" if prefix else "")
        if not keys:
            raise SecretNotFound("there is nothing")
        return Reply({"keys": keys})

    async def write(context: Context) -> None:
        place = own(context)
        if not context.body:
            raise InvalidInput("missing data fields")
        path = context.args["path"]
        if path.endswith("/"):
            raise InvalidInput("the path is a folder")
        await cubbyhole.write(*place, path, encode(context.body))

    async def delete(context: Context) -> None:
        await cubbyhole.write(*own(context), context.args["path"], None)

    async def exists(context: Context) -> bool:
        session = context.session
        names = await cubbyhole.names(
            gate.caller(session, session.space.user, context.origin),
            session.space.user,
            session.ident,
        )
        return context.args["path"] in names

    routes.add("sys/wrapping/wrap", {UPDATE: wrap, READ: wrap})
    routes.add("sys/wrapping/unwrap", {UPDATE: unwrap}, public=True)
    routes.add("sys/wrapping/lookup", {UPDATE: lookup, READ: lookup}, public=True)
    routes.add("sys/wrapping/rewrap", {UPDATE: rewrap}, public=True)
    routes.add("cubbyhole", {LIST: listing})
    routes.add(
        "cubbyhole/{path*}",
        {READ: read, UPDATE: write, DELETE: delete, LIST: listing},
        exists=exists,
    )


def folder(names: list[str], prefix: str) -> list[str]:
    """What a listing of a folder shows: names in it, and its own folders with a slash."""
    found = set()
    for name in names:
        if name.startswith(prefix):
            head, slash, _ = name[len(prefix) :].partition("/")
            found.add(head + slash)
    return sorted(found)
