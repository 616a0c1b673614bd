"""What a sealed server answers: its state, shares that are entered, and nothing else.

Of all other requests neither path nor token is looked at, save for the shape of the refusal.
"""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec

from adyton.crypto.wiping import wipe_bytes
from adyton.errors import AdytonError, InvalidInput
from adyton.server.errors import problem_of, status_of
from adyton.server.http import Handler, Request, Response
from adyton.server.jsonbody import decode_json
from adyton.server.native import attesting
from adyton.server.refusals import problem_answer, sealed_refusal
from adyton.server.seal.lifecycle import Lifecycle
from adyton.server.seal.making import read_request
from adyton.server.seal.scrub import encode_secret, wipe_when_sent
from adyton.server.seal.status import health_answer, seal_status
from adyton.server.vault.reply import encode, errors

_READ: Final = frozenset({"GET", "HEAD"})
_WRITE: Final = frozenset({"PUT", "POST"})
_SEALED: Final = "Vault is sealed"
_MAX_BODY: Final = 64 * 1024
_MOST_KEYS: Final = 255
_QUOTE: Final = 0x22
_BACKSLASH: Final = 0x5C

_Answer: TypeAlias = Callable[[Lifecycle, Request], Awaitable[Response]]


class _Shares(msgspec.Struct):
    """The body of ``sys/unseal``; shares stay where they are, and are never made text of."""

    key: msgspec.Raw = msgspec.Raw(b"null")
    keys: list[msgspec.Raw] | None = None
    reset: bool | None = False
    migrate: bool | None = False


_decode_shares = msgspec.json.Decoder(_Shares).decode


def sealed_handler(life: Lifecycle) -> Handler:
    """The handler of a sealed server."""

    async def handle(request: Request) -> Response:
        answer = _ANSWERS.get(request.path)
        found = answer.get(request.method) if answer is not None else None
        if found is None:
            text = "the server is sealed" if life.initialised else "there is no store yet"
            return sealed_refusal(request.path, request.request_id, _SEALED, text)
        try:
            return await found(life, request)
        except AdytonError as error:
            return errors(status_of(error), error.message)
        finally:
            wipe_bytes(request.body)

    return handle


async def _attestation(life: Lifecycle, request: Request) -> Response:
    try:
        found = await attesting.answer(life.attestation, request, "")
    except AdytonError as error:
        problem = problem_of(error)
        return problem_answer(problem, error.message, error.hint, request.request_id)
    return Response(200, encode(found)).identified(request.request_id)


async def _health(life: Lifecycle, request: Request) -> Response:
    return health_answer(life.status(), request.query)


async def _seal_status(life: Lifecycle, _: Request) -> Response:
    return Response(200, encode(seal_status(life.status())))


async def _initialised(life: Lifecycle, _: Request) -> Response:
    return Response(200, encode({"initialized": life.initialised}))


async def _init(life: Lifecycle, request: Request) -> Response:
    body = decode_json(_small(request)) if request.body.strip() else {}
    if not isinstance(body, dict):
        raise InvalidInput("failed to parse JSON input: the body is not a JSON object")
    if life.initialised:
        raise InvalidInput("Vault is already initialized")
    made = await life.init(read_request(body, life.options))
    return wipe_when_sent(Response(200, encode_secret(made.answer())))


async def _unseal(life: Lifecycle, request: Request) -> Response:
    if not life.unsealing.possible:
        raise InvalidInput(life.why_not())
    try:
        body = _decode_shares(_small(request) or b"{}")
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise InvalidInput(
            "failed to parse JSON input: the body is not one of sys/unseal"
        ) from None
    if body.migrate:
        raise InvalidInput("can't perform a seal migration, no migration seal found")
    given = [memoryview(raw) for raw in (body.key, *(body.keys or ()))]
    given = [view for view in given if not _is_empty(view)]
    if body.reset:
        life.unsealing.take_back(request.address)
    elif not given:
        raise InvalidInput(
            "'key' must be specified in request body as JSON, or 'reset' set to true"
        )
    else:
        await _enter(life, given[:_MOST_KEYS], request.address)
    return Response(200, encode(seal_status(life.status())))


def _is_empty(view: memoryview) -> bool:
    return bytes(view[:3]) in {b"nul", b'""'}


async def _enter(life: Lifecycle, given: list[memoryview], address: str) -> None:
    complete = None
    for view in given:
        if len(view) < 2 or view[0] != _QUOTE or view[-1] != _QUOTE:
            raise InvalidInput("a share is a text")
        text: bytes | memoryview = view[1:-1]
        if _BACKSLASH in text:  # some write "/" of base64 as "\\/"
            text = msgspec.json.decode(view, type=str).encode()
        complete = life.unsealing.enter(text, address)
        if complete is not None:
            break
    if complete is not None:
        await life.unseal(complete)


def _small(request: Request) -> bytes:
    if len(request.body) > _MAX_BODY:
        raise InvalidInput("the body is too large for what is asked")
    return request.body


async def _already(_: Lifecycle, __: Request) -> Response:
    return Response(204)


def _on(methods: frozenset[str], answer: _Answer) -> dict[str, _Answer]:
    return dict.fromkeys(methods, answer)


_ANSWERS: Final[dict[str, dict[str, _Answer]]] = {
    "v1/adyton/attestation": _on(_READ | {"POST"}, _attestation),
    "v1/sys/health": _on(_READ, _health),
    "v1/sys/seal-status": _on(_READ, _seal_status),
    "v1/sys/init": _on(_READ, _initialised) | _on(_WRITE, _init),
    "v1/sys/unseal": _on(_WRITE, _unseal),
    "v1/sys/seal": _on(_WRITE, _already),
}
