"""Asks a server for evidence of its code, before it is shown anything, for asynchronous callers.

``attesting.py`` beside it is generated from this file by ``scripts/generate_faces.py``.
"""

import asyncio
import datetime as dt
import secrets
import ssl
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import httpx

from adyton.attest.verifier.appraisal import verify
from adyton.attest.verifier.claims import Claims
from adyton.attest.verifier.policy import Policy
from adyton.client.answers import Answer, failure_of, strange
from adyton.client.pinning import Pins, key_of
from adyton.client.settings import Settings
from adyton.client.transports import AsyncHTTPTransport, AsyncLock
from adyton.errors import AdytonError, AttestationError, ServerUnavailable
from adyton.evidence import MAX_ANSWER_BYTES, Document, parse_document
from adyton.outbound import untrusted

_DRIP: Final = 4
"""An answer may take this many times the timeout: a drip of bytes must end too."""
_TRIES: Final = 2
"""A certificate may change between the handshake and the answer, once."""


class Shown(NamedTuple):
    """What a server showed.

    Attributes:
        document: Its evidence.
        nonce: What it was asked with.
        tls_key: SHA-256 of the key that the connection showed.
        asked_at: When.
    """

    document: Document
    nonce: bytes
    tls_key: bytes
    asked_at: dt.datetime


async def fetch_evidence(settings: Settings, tls: ssl.SSLContext | None) -> Shown:
    """Ask for evidence, on a connection of its own, without a token.

    Args:
        settings: Which server.
        tls: How its certificate is checked; None without TLS.

    Raises:
        AttestationError: It shows none, or not as it should.
        ServerUnavailable: It can't be reached, or its platform gives none now.
    """
    transport = AsyncHTTPTransport(verify=tls or False, trust_env=False)
    nonce = secrets.token_bytes(32)
    asked_at = dt.datetime.now(dt.UTC)
    request = httpx.Request(
        "GET",
        f"{settings.base}/v1/adyton/attestation?nonce={nonce.hex()}",
        headers=[("Accept", "application/json"), ("Accept-Encoding", "identity")],
        extensions={"timeout": httpx.Timeout(settings.timeout).as_dict()},
    )
    try:
        response = await transport.handle_async_request(request)
        try:
            stream = response.extensions["network_stream"]
            shown = stream.get_extra_info("ssl_object") if tls is not None else None
            key = b"" if shown is None else key_of(shown.getpeercert(True))
            body = bytearray()
            end = time.monotonic() + _DRIP * settings.timeout
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES or time.monotonic() > end:
                    raise strange("is too large or too slow for evidence")
        finally:
            await response.aclose()
    except (httpx.HTTPError, httpx.StreamError, OSError) as error:
        why = (
            "'s certificate is not trusted" if untrusted(error) else " can't be asked for evidence"
        )
        raise ServerUnavailable(
            f"the server{why}", hint="Check its address, its authority (ca), and that it runs."
        ) from None
    finally:
        await transport.aclose()
    failure = failure_of(Answer(response.status_code, response.headers, body))
    if failure is not None:
        raise failure.error
    return Shown(parse_document(body), nonce, key, asked_at)


def judge(shown: Shown, policy: Policy) -> Claims:
    """Judge what a server showed.

    Raises:
        AttestationError: The policy refuses it.
    """
    return verify(
        shown.document,
        nonce=shown.nonce,
        tls_key=shown.tls_key,
        policy=policy,
        asked_at=shown.asked_at,
        now=dt.datetime.now(dt.UTC),
    )


class AsyncAttesting:
    """Keeps a client from sending anything to a server that was not attested.

    Args:
        settings: Which server, and by which policy.

    Raises:
        AttestationError: The address is one without TLS.
    """

    def __init__(self, settings: Settings, policy: Policy) -> None:
        if settings.tls is None or settings.asking_tls is None:
            raise AttestationError(
                "evidence binds a TLS key, and the address is one without TLS",
                rule="tls",
                hint="Use an https address.",
            )
        self._settings = settings
        self._policy = policy
        self._lock = AsyncLock()
        self.pins = Pins(policy.max_age)
        self.pins.watch(settings.tls)

    async def ensure(self, replace: Callable[[], None]) -> None:
        """Have the server attested, if that is due.

        Args:
            replace: Gives up connections to the key that counted before.

        Raises:
            AttestationError: It is refused.
            ServerUnavailable: It can't be asked now.
        """
        if self.pins.fresh:
            return
        async with self._lock:
            if self.pins.fresh:
                return
            for left in reversed(range(_TRIES)):
                shown = await fetch_evidence(self._settings, self._settings.asking_tls)
                try:
                    await asyncio.to_thread(judge, shown, self._policy)
                except AttestationError as error:
                    if not left or error.rule != "tls-key":
                        raise
                else:
                    break
            self.pins.learn(shown.tls_key, replace)


def passing(error: AdytonError) -> bool:
    """Whether asking again may do better."""
    return not isinstance(error, AttestationError)
