"""The way of a request: route, token, policy, handler, wrapping, answer."""

from typing import Final, TypeAlias

from adyton.actions import Action
from adyton.errors import AccessDenied, AdytonError, LimitExceeded, SecretNotFound
from adyton.server.errors import status_of
from adyton.server.http import Request, Response
from adyton.server.jsonbody import LARGE, check_large
from adyton.server.telemetry.state import StoreState
from adyton.server.vault import (
    auditapi,
    identity,
    leases,
    metrics,
    policies,
    quotas,
    sealing,
    sysapi,
    tokens,
    wrapping,
)
from adyton.server.vault.context import Context
from adyton.server.vault.database import database
from adyton.server.vault.kv import Kv
from adyton.server.vault.logins import approle, userpass
from adyton.server.vault.reply import EMPTY, UNSUPPORTED_PATH, Reply, errors, wrapped
from adyton.server.vault.routes import (
    LIST,
    OPERATIONS,
    PATCH,
    READ,
    UPDATE,
    Answer,
    Exists,
    Found,
    Routes,
)
from adyton.server.vault.service import Services
from adyton.service.access.logins import Logins, method_of
from adyton.service.access.policy import Capability
from adyton.service.access.records import Mount
from adyton.service.journal import Draft
from adyton.service.userroot.given import away

_TRUE: Final = frozenset({"1", "t", "T", "true", "True", "TRUE"})
"""As Go reads a truth value; hvac writes one of them."""
_ACTIONS: Final = {
    "GET": Action.ACCESS_READ,
    "HEAD": Action.ACCESS_READ,
    "LIST": Action.ACCESS_LIST,
    "DELETE": Action.ACCESS_DELETE,
}
_DENIED: Final = "permission denied"
Place: TypeAlias = tuple[str, Mount]
"""A mount with its own whole path."""


class VaultApi:
    """Answers requests under ``/v1/``.

    Args:
        services: The open store's services.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._routes = Routes()
        rooms = (
            sealing, sysapi, auditapi, metrics, policies, tokens, leases, wrapping, identity,
            quotas,
        )  # fmt: skip
        for room in rooms:
            room.add_routes(self._routes, services)
        self._kv = Kv(services)
        logins = Logins(services.core, services.tokens)
        services.telemetry.store = StoreState(services.core, services.gate, logins.stats)
        services.logins = {
            "approle": approle(services, logins),
            "userpass": userpass(services, logins),
        }
        services.engines = {"database": database(services)}

    async def handle(self, request: Request) -> Response:
        """Answer one request; every error of ours becomes an answer here.

        An answer without a body that holds it names the request's id, as its records do.
        """
        context: Context | None = None
        try:
            known = self._kv.known.find(request)
            if known is not None:
                response = await self._kv.read_known(request, known)
            else:
                if len(request.body) > LARGE:
                    await check_large(request.body)
                    request.session = None  # others went on meanwhile, and may have ended it
                context = Context(request)
                response = await self._answer(context)
        except SecretNotFound:
            response = errors(404)
        except AdytonError as error:
            response = await self._failed(context, error)
        return response if response.status == 200 else response.identified(request.request_id)

    async def _failed(self, context: Context | None, error: AdytonError) -> Response:
        """The answer of an error, which has its record once somebody was let in."""
        caller = getattr(context, "caller", None)
        if context is not None and caller is not None and not error.is_recorded():
            action = _ACTIONS.get(context.request.method, Action.ACCESS_WRITE)
            draft = Draft(caller, action, user_id=context.user, name=context.path[:700])
            try:
                await self._services.core.refuse(draft, error)
            except AdytonError as unavailable:
                error = unavailable
        if isinstance(error, AccessDenied):
            return errors(403, _DENIED)
        answer = errors(status_of(error), error.message)
        if isinstance(error, LimitExceeded) and error.again_seconds:
            answer.headers += (("retry-after", str(error.again_seconds)),)
        return answer

    async def _answer(self, context: Context) -> Response:
        operation = _operation(context.request)
        if operation is None:
            return errors(405, "unsupported operation")
        services = self._services
        spaces, gate = services.spaces, services.gate
        found = self._routes.find(context.path, listing=operation is LIST)
        place = None
        if found is None:
            context.space = spaces.cached(context.user) or await spaces.get(context.user)
            place = context.space.mount_at(context.path)
            if place is None and context.enter_namespace():
                return await self._answer(context)
        public = self._public(context, operation, found, place)
        if public is not None:
            return await self._unchecked(context, operation, public)
        text = context.token_text
        session = context.request.session or gate.sessions.known(text)
        if session is None or session.token.num_uses or session.token.cidrs or session.token.wraps:
            session = await gate.enter(text, context.origin)
        context.session = context.request.session = session
        if context.user != session.space.user:
            await gate.reach(session, context.user)
        context.space = spaces.cached(context.user) or await spaces.get(context.user)
        if place is not None:
            prefix, context.mount = place
            if context.mount.type == "kv":
                return await self._kv.handle(context, operation, context.path[len(prefix) :], self)
            kind = context.mount.type
            login = services.logins.get(kind) or services.engines.get(kind)
            found = login.find(context.path, prefix, operation) if login else None
        if found is None:
            await self.check(context, operation)
            asked = context.request.path.removeprefix("v1/")
            nowhere = f'no handler for route "{asked}". route entry not found.'
            return errors(404, nowhere if place is None else UNSUPPORTED_PATH)
        route, context.args, context.path = found
        handler = route.handlers.get(operation)
        if not route.own_check:
            await self.check(context, operation, exists=route.exists, sudo=route.sudo)
        if handler is None:
            return errors(405, "unsupported operation")
        return await self._finish(context, await handler(context))

    def _public(
        self, context: Context, operation: Capability, found: Found | None, place: Place | None
    ) -> Found | None:
        """The route of a path that needs no token: one of the table, or a login."""
        if found is not None:
            if not found.route.public:
                return None
            context.caller = self._services.anonymous(context)
            return found
        if place is None or not context.path.startswith("auth/"):
            return None
        method = self._services.logins.get(place[1].type)
        at = method.find(context.path, place[0], operation) if method else None
        if at is None or not at.route.public:
            return None
        context.mount = place[1]
        context.caller = self._services.anonymous(context, method_of(place[1]))
        return at

    async def _unchecked(self, context: Context, operation: Capability, found: Found) -> Response:
        route, context.args, context.path = found
        handler = route.handlers.get(operation)
        if handler is None:
            return errors(405, "unsupported operation")
        return await self._finish(context, await handler(context))

    async def check(
        self,
        context: Context,
        operation: Capability,
        *,
        exists: Exists | None = None,
        sudo: Capability = Capability(0),  # noqa: B008 - a constant
    ) -> None:
        """Let only what policies allow pass.

        Raises:
            AccessDenied: They don't.
        """
        gate, session = self._services.gate, context.session
        body = context.body if operation is UPDATE or operation is PATCH else None
        if operation is UPDATE and exists is not None:
            operation = await self._create_or_update(context, exists)
        decision = gate.decide(
            session, context.user, context.path, operation,
            body=body, wrap_ttl=context.wrap_seconds, address=context.origin.address, spend=True,
        )  # fmt: skip
        if not decision or (sudo and operation & sudo and not context.is_sudo(gate)):
            raise await gate.refuse(session, context.user, context.path, operation, context.origin)
        context.allow(gate, decision)
        if context.space.away:
            raise away()

    async def _create_or_update(self, context: Context, exists: Exists) -> Capability:
        """Which of both a write is; asked of the store only where policies tell them apart."""
        gate = self._services.gate
        may = [
            bool(gate.decide(context.session, context.user, context.path, capability))
            for capability in (Capability.CREATE, Capability.UPDATE)
        ]
        if may[0] == may[1]:
            return Capability.UPDATE
        return Capability.UPDATE if await exists(context) else Capability.CREATE

    async def _finish(self, context: Context, answer: Answer) -> Response:
        if answer is None:
            return EMPTY
        if isinstance(answer, Response):
            return answer
        return await self.render(context, answer)

    async def render(self, context: Context, reply: Reply) -> Response:
        """Render an answer, wrapped if that was asked for."""
        request_id = context.request.request_id
        if not context.wrap_seconds or not reply.wrappable:
            return reply.response(request_id)
        services = self._services
        user = context.user
        caller = getattr(context, "caller", None) or services.anonymous(context)
        issued = await services.wrapping.wrap(
            caller, user, reply.render(request_id), context.wrap_seconds, context.path
        )
        accessor = str(reply.auth.get("accessor", "")) if reply.auth else ""
        answer = wrapped(issued, context.path, accessor).response(request_id)
        return answer.identified(request_id)


def _operation(request: Request) -> Capability | None:
    """What is asked for; a list is asked for by its method, or by GET with ``list=true``."""
    operation = OPERATIONS.get(request.method)
    return LIST if operation is READ and request.query.get("list") in _TRUE else operation
