"""What a client is before its operations: a connection, a token, and how long that lasts."""

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self

from adyton.attest.verifier.policy import Policy
from adyton.client import settings
from adyton.client.aio_connection import AsyncConnection
from adyton.client.answers import Answer
from adyton.client.lease import Lease
from adyton.client.requests import Call, once, read
from adyton.client.vault_shapes import AuthAnswer, LookupAnswer
from adyton.errors import AdytonError, StoreClosed
from adyton.model import UserId, user_id
from adyton.outbound import header_text


class AsyncClientFace:
    """A client without its operations.

    Args:
        addr: The server's address, such as ``https://host:8200``; by default ``ADYTON_ADDR``.
            Plain ``http`` goes to this machine only.
        token: Its token; by default ``ADYTON_TOKEN``, then what ``adyton login`` keeps in
            ``~/.adyton-token``. An empty text for none yet.
        user: The namespace that log-ins, tokens and policies belong to; by default that of
            the token in ``~/.adyton-token`` if it is used, else the operator's.
        ca: Certificates to trust instead of the system's, a PEM file; by default
            ``ADYTON_CACERT``.
        cert: Our own certificate for mutual TLS: a PEM file with its key, or a pair of files.
        timeout: Seconds for each of connecting, sending, and waiting for a part of an answer.
        retries: How often a request is sent again after a passing failure.
        retry_seconds: Most seconds that all attempts of one request take together.
        renew: Whether the client renews its token when two thirds of its time are over.
        allow_http: Whether plain ``http`` may go to other machines, where whoever is on the way
            reads the token and every secret.
        max_answer_bytes: Largest answer that is taken.
        attestation: A policy, or the path of its file; by default what ``ADYTON_ATTEST`` names.
            The server must show evidence of its code that the policy accepts, before the token
            or anything else is sent to it, and again after the policy's ``max_age`` and where it
            shows another key in TLS.

    Raises:
        AttestationError: There is a policy, and the address is one without TLS. Each operation
            raises it where the policy refuses the server.
        ConfigurationError: No server is named, or a file can't be read.
        InvalidInput: The address or the token can't be used.
    """

    def __init__(
        self,
        addr: str | None = None,
        token: str | None = None,
        *,
        user: UserId | None = None,
        ca: str | Path | None = None,
        cert: str | Path | tuple[str | Path, str | Path] | None = None,
        timeout: float = 30.0,
        retries: int = 4,
        retry_seconds: float = 60.0,
        renew: bool = False,
        allow_http: bool = False,
        max_answer_bytes: int = settings.MAX_ANSWER_BYTES,
        attestation: str | Path | Policy | None = None,
    ) -> None:
        found = settings.find(
            addr,
            token,
            namespace="" if user is None else header_text(user_id(user), "the user id"),
            ca=ca,
            cert=cert,
            allow_http=allow_http,
            timeout=timeout,
            retries=retries,
            retry_seconds=retry_seconds,
            max_answer_bytes=max_answer_bytes,
            attestation=attestation,
        )
        self._connection = AsyncConnection(found)
        self._base = found.base
        self._token = found.token
        self._lease = Lease(renew)
        self._closed = False

    @property
    def address(self) -> str:
        """The server's address."""
        return self._base

    async def attest(self) -> None:
        """Have the server attested now, instead of with the first request, if there is a policy.

        Raises:
            AttestationError: The policy refuses it.
            ServerUnavailable: It can't be asked now.
        """
        if self._closed:
            raise StoreClosed("the client has been closed")
        await self._connection.attest()

    async def close(self) -> None:
        """Close all connections; the token lives on. May be called again."""
        self._closed = True
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        # The address is left out: it can name an installation, and a repr ends up in logs.
        return f"<{type(self).__name__} {'closed' if self._closed else 'open'}>"

    async def _call(self, call: Call) -> Answer:
        """Send a request with the token, renewed first if that is wanted and due."""
        if self._token and (self._lease.unknown or self._lease.due):
            await self._keep_token()
        return await self._send(call)

    async def _send(self, call: Call, token: settings.Token | None = None) -> Answer:
        if self._closed:
            raise StoreClosed("the client has been closed")
        return await self._connection.exchange(call, self._token if token is None else token)

    async def _keep_token(self) -> None:
        """Find out how long the token lasts, or renew it; a failure is one of renewal alone."""
        with contextlib.suppress(AdytonError):
            if self._lease.unknown:
                self._lease.pause()
                answer = await self._send(read("auth/token/lookup-self"))
                found = answer.parse(LookupAnswer).data
                self._lease.learn(found.ttl, renewable=found.renewable)
            if self._lease.due:
                self._lease.pause()
                answer = await self._send(once("auth/token/renew-self", {}))
                auth = answer.parse(AuthAnswer).auth
                self._lease.learn(auth.lease_duration, renewable=auth.renewable)

    def _use(self, token: str) -> None:
        """Send another token from now on."""
        self._token = settings.Token(token)
        self._lease.forget()
