"""One server's connections, for asynchronous callers: bounded, retried, never redirected.

``connection.py`` beside it is generated from this file by ``scripts/generate_faces.py``.

The transports of httpx are used without its clients: these would keep cookies, obey proxies of
the environment and log each URL, and that holds names. No error of theirs is the cause or context
of one of ours, because it holds the request, and that holds the token.
"""

import asyncio
import time
from typing import Final

import httpx

from adyton.client.aio_attesting import AsyncAttesting, passing
from adyton.client.answers import Answer, failure_of
from adyton.client.pinning import unattested
from adyton.client.requests import Call
from adyton.client.retry import Failure, Retries
from adyton.client.settings import Settings, Token
from adyton.client.transports import AsyncHTTPTransport
from adyton.errors import AdytonError, AttestationError, ServerUnavailable
from adyton.outbound import untrusted, why_unreachable

_PATIENCE_SECONDS: Final = 3_600.0
"""How long an operation over a whole store may take to answer."""
_DRIP: Final = 10
"""An answer may take this many times the timeout: a drip of bytes must end too."""
_FORMER: Final = 2
"""Transports to former keys that are kept for requests under way."""
_HINT: Final = "Check its address and that it runs."


class AsyncConnection:
    """Sends requests to one server. Safe to use from any number of tasks.

    Args:
        settings: Which server, and how.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._retries = Retries(settings.retries, settings.retry_seconds)
        self._attesting: AsyncAttesting | None = None
        if settings.policy is not None:
            self._attesting = AsyncAttesting(settings, settings.policy)
        self._transport = self._make_transport()
        self._former: list[AsyncHTTPTransport] = []

    def _make_transport(self) -> AsyncHTTPTransport:
        return AsyncHTTPTransport(verify=self._settings.tls or False, trust_env=False)

    async def close(self) -> None:
        """Close all connections. May be called again."""
        for each in (self._transport, *self._former):
            await each.aclose()

    async def attest(self) -> None:
        """Have the server attested, if a policy asks for that and it is due.

        Raises:
            AttestationError: The policy refuses it.
            ServerUnavailable: It can't be asked now.
        """
        if self._attesting is not None:
            await self._attesting.ensure(self._replace)
            if len(self._former) > _FORMER:
                await self._former.pop(0).aclose()

    def _replace(self) -> None:
        """Use the present connections no more; requests on them may end."""
        self._former.append(self._transport)
        self._transport = self._make_transport()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    async def exchange(self, call: Call, token: Token) -> Answer:
        """Send a request, again after passing failures where that is safe.

        Raises:
            AdytonError: The server refuses; the class is that of the embedded store's refusal.
            ServerUnavailable: It can't be reached, or does not answer as it should.
        """
        began = time.monotonic()
        attempt = 0
        while True:
            outcome = await self._once(call, token)
            if isinstance(outcome, Answer):
                return outcome
            elapsed = time.monotonic() - began
            wait = self._retries.wait(outcome, safe=call.safe, attempt=attempt, elapsed=elapsed)
            if wait is None:
                raise outcome.error
            await asyncio.sleep(wait)
            attempt += 1

    async def _once(self, call: Call, token: Token) -> Answer | Failure:
        try:
            await self.attest()
        except AdytonError as error:
            return Failure(error, unsent=passing(error), passing=False)
        return await self._send(call, token)

    async def _send(self, call: Call, token: Token) -> Answer | Failure:
        settings = self._settings
        patience = _PATIENCE_SECONDS if call.patient else settings.timeout
        request = httpx.Request(
            call.method,
            f"{settings.base}/v1/{call.target}",
            headers=call.headers(token.text, settings.namespace),
            content=call.body,
            extensions={"timeout": httpx.Timeout(settings.timeout, read=patience).as_dict()},
        )
        try:
            response = await self._transport.handle_async_request(request)
            try:
                answer = await self._read(response, patience + _DRIP * settings.timeout)
            finally:
                await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            if self._attesting is not None and unattested(error):
                self._attesting.pins.expire()
                return Failure(_another_key(), unsent=True)
            return Failure(_unreachable(settings.base, error), unsent=True)
        except httpx.PoolTimeout:
            return Failure(ServerUnavailable("too many requests are under way"), unsent=True)
        except httpx.TimeoutException:
            return _passing("the server does not answer in time")
        except (httpx.HTTPError, httpx.StreamError, OSError):  # asyncio's TLS errors come bare
            return _passing("the connection to the server broke")
        return answer if isinstance(answer, Failure) else failure_of(answer) or answer

    async def _read(self, response: httpx.Response, patience: float) -> Answer | Failure:
        """The answer, no larger than the limit and as it was sent: it must not be compressed."""
        limit = self._settings.max_answer_bytes
        if response.headers.get("Content-Encoding", "identity") != "identity":
            return _wrong("the server compresses its answer, though asked not to")
        end = time.monotonic() + patience
        body = bytearray()
        async for chunk in response.aiter_raw():
            if len(body) + len(chunk) > limit:
                return _wrong(f"the server's answer has more than {limit} bytes")
            if time.monotonic() > end:
                return _passing("the server answers too slowly")
            body += chunk
        return Answer(response.status_code, response.headers, body)


def _another_key() -> AttestationError:
    return AttestationError(
        "the server shows another TLS key than was attested", rule="tls-key", hint="Try again."
    )


def _passing(text: str) -> Failure:
    return Failure(ServerUnavailable(text, hint=_HINT))


def _wrong(text: str) -> Failure:
    return Failure(ServerUnavailable(text), passing=False)


def _unreachable(base: str, error: Exception) -> ServerUnavailable:
    if untrusted(error):
        return ServerUnavailable(
            "the server's certificate is not trusted",
            hint="Give the certificate of its authority as ca, or set ADYTON_CACERT.",
        )
    why = why_unreachable(error)
    return ServerUnavailable(
        f"the server {base} can't be reached{': ' if why else ''}{why}", hint=_HINT
    )
