"""The way of a request: route, token, body, policy, handler, answer."""

from typing import Final

from adyton.errors import AdytonError, InvalidInput, LimitExceeded
from adyton.server.errors import problem_of
from adyton.server.http import Request, Response, token_text
from adyton.server.native import bodies, rights, userroots
from adyton.server.native.call import Call
from adyton.server.native.routes import MERGE_PATCH, Reply, Route, allowed
from adyton.server.native.table import TABLE
from adyton.server.refusals import NATIVE, problem_answer, refusal
from adyton.server.vault.service import Services
from adyton.service.aside import Threads
from adyton.service.once import Replayed

_NOT_HERE: Final = ("x-vault-namespace", "x-vault-wrap-ttl")
_CONDITIONS: Final = ("if-match", "if-none-match")
_JUDGED_BY_BODY: Final = (
    rights.to_read_each, rights.to_write_each, rights.to_rotate, rights.to_connect,
)  # fmt: skip


class NativeApi:
    """Answers requests under ``/v1/adyton/``.

    Args:
        services: The open store's services.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._threads = Threads("native", 2, 64, "too many long operations at once")

    async def handle(self, request: Request) -> Response:
        """Answer one request; every error of ours becomes an answer here."""
        found = TABLE.find(request.path.removeprefix(NATIVE))
        if found is None:
            return _refused(request, 404, "nothing is served at this path")
        methods, args = found
        route = methods.get("GET" if request.method == "HEAD" else request.method)
        if route is None:
            names = allowed(methods)
            return _refused(request, 405, f"this path takes {names}", ("allow", names))
        if not _is_media(request, route):
            text = "the body is not " + " or ".join(route.media)
            return _refused(request, 415, text)
        try:
            reply = await self._answer(Call(request, route, args, self._services, self._threads))
        except Replayed as earlier:
            kept = earlier.answer
            replayed = ("idempotency-replayed", "true")
            return _sent(request, kept.status, kept.etag, kept.body, replayed)
        except AdytonError as error:
            problem = problem_of(error)
            again: tuple[tuple[str, str], ...] = ()
            if isinstance(error, LimitExceeded):
                again = (("retry-after", str(error.again_seconds or 1)),)
            return problem_answer(problem, error.message, error.hint, request.request_id, *again)
        return _sent(request, *reply.parts())

    async def _answer(self, call: Call) -> Reply:
        route = call.route
        if route.place == "public":
            refused = None if route.body is None else await _take(call)
            if refused is not None:
                raise refused
            return await route.handler(call)
        if route.while_away and await userroots.enter_while_away(call):
            refused = await _take(call)
            if refused is not None:
                raise await call.core.refused(call.caller, route.action, call.user, refused)
            return await route.handler(call)
        gate = self._services.gate
        text = token_text(call.request.headers)
        session = call.request.session or gate.sessions.known(text)
        if session is None or session.token.num_uses or session.token.cidrs or session.token.wraps:
            session = await gate.enter(text, call.origin)
        call.request.session = session
        call.enter(session)
        if call.user != session.space.user:
            await gate.reach(session, call.user)
        failure = await _take(call)
        if failure is not None and route.judge in _JUDGED_BY_BODY:
            own = session.space.user
            caller = gate.caller(session, own, call.origin)
            raise await call.core.refused(caller, route.action, own, failure)
        await route.judge(call)
        if failure is not None:
            raise await call.core.refused(call.caller, route.action, call.user, failure)
        return await route.handler(call)


async def _take(call: Call) -> InvalidInput | None:
    """Read query and body; what is wrong is told once it is known that anything may be."""
    route, request = call.route, call.request
    try:
        query = bodies.read_query(request.query_string, route.query)
    except InvalidInput as error:
        call.take(bodies.read_query("", route.query), None)
        return error
    call.take(query, None)
    unmeant: tuple[str, ...] = _NOT_HERE
    if not route.conditional and request.method not in {"GET", "HEAD"}:
        unmeant += _CONDITIONS
    for name in unmeant:
        if name in request.headers:
            return InvalidInput(f"{name} has no meaning here", hint="Leave it out.")
    if route.body is None and request.body:
        return InvalidInput("this route takes no body", hint="Leave it out.")
    shape = route.merge_body if _kind(request) == MERGE_PATCH else None
    try:
        call.take_key()
        if route.body is not None:
            call.take(query, await bodies.read_body(request.body, shape or route.body))
    except InvalidInput as error:
        return error
    return None


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _is_media(request: Request, route: Route) -> bool:
    """Whether a body is of a type that the route takes."""
    if route.body is None:
        return True
    headers = request.headers
    if headers.get("content-encoding", "identity") != "identity":
        return False
    kind, _, parameters = headers.get("content-type", "").partition(";")
    if not kind:
        return not request.body
    charset = parameters.strip().lower().replace('"', "")
    return kind.strip().lower() in route.media and charset in {"", "charset=utf-8"}


def _refused(request: Request, status: int, text: str, *headers: tuple[str, str]) -> Response:
    return refusal(request.path, request.request_id, status, text, *headers)


def _sent(
    request: Request, status: int, etag: str, body: bytes, *headers: tuple[str, str]
) -> Response:
    tag = (("etag", etag),) if etag else ()
    return Response(status, body, headers=(("x-request-id", request.request_id), *tag, *headers))
