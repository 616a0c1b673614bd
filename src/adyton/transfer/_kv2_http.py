"""One careful connection to a Vault or OpenBao server: GET only, sized, retried, never redirected.

What the server says is not quoted in errors: its texts may hold paths.
"""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

import httpx

from adyton.canonical import parse_exact
from adyton.errors import (
    AccessDenied,
    InvalidDocument,
    StoreError,
)
from adyton.outbound import checked_address, header_text, tls_context, untrusted

_RETRIED: Final = frozenset((429, 500, 502, 503, 504))
_SMALL_ANSWER: Final = 64 * 1024
_MAX_WAIT_SECONDS: Final = 5.0


class Answer:
    """A status and the JSON object that came with it; ``body`` is empty when there was none."""

    __slots__ = ("body", "status")

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        self.status = status
        self.body = body

    def data(self) -> Mapping[str, object]:
        """The ``data`` member.

        Raises:
            InvalidDocument: There is none.
        """
        data = self.body.get("data")
        if not isinstance(data, dict):
            raise InvalidDocument("the server's answer has no data")
        return data


class Connection:
    """GET requests to one server with one token.

    Args:
        address: ``https://host:8200``; plain ``http`` to this machine only.
        token: Sent as ``X-Vault-Token``.
        namespace: Sent as ``X-Vault-Namespace`` unless empty.
        ca_file: Certificates to trust instead of the system's.
        timeout: Seconds for each of connecting, sending and waiting.
        retries: How often a request is repeated after a passing failure.
        backoff: Seconds before the first repetition; doubled for each further one.
        sleep: How to wait.

    Raises:
        InvalidInput: The address, token or namespace can't be used.
        ConfigurationError: The certificates can't be read.
    """

    def __init__(
        self,
        address: str,
        token: str,
        *,
        namespace: str | None,
        ca_file: str | None,
        timeout: float,
        retries: int,
        backoff: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        headers = {
            "X-Vault-Token": header_text(token, "the token"),
            "X-Vault-Request": "true",
            # Compressed answers could grow without bound while they are unpacked.
            "Accept-Encoding": "identity",
        }
        if namespace:
            headers["X-Vault-Namespace"] = header_text(namespace, "the namespace")
        self._client = httpx.Client(
            base_url=checked_address(address),
            headers=headers,
            verify=tls_context(ca_file),
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
        )
        self._timeout = timeout
        self._retries = retries
        self._backoff = backoff
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._client.close()

    def __repr__(self) -> str:
        return "<Connection>"

    def get(self, path: str, *, query: str = "", limit: int) -> Answer:
        """GET ``/v1/`` and a path whose segments are encoded already; 200 and 404 are answers.

        Raises:
            AccessDenied: 403.
            StoreError: The server can't be reached, is sealed, or keeps failing.
            InvalidDocument: The answer is too large, no JSON object, or of another status.
        """
        attempt = 0
        while True:
            outcome = self._once(f"/v1/{path}{query}", limit)
            if isinstance(outcome, Answer):
                return outcome
            if attempt >= self._retries:
                raise outcome.error
            wait = max(self._backoff * 2**attempt, outcome.wait)
            self._sleep(min(wait, _MAX_WAIT_SECONDS))
            attempt += 1

    def _once(self, url: str, limit: int) -> "Answer | _Failure":
        try:
            with self._client.stream("GET", url) as response:
                status = response.status_code
                if status == 503 and b"sealed" in self._body(response, _SMALL_ANSWER):
                    raise StoreError("the server is sealed", hint="Unseal it and try again.")
                if status in _RETRIED:
                    wait = response.headers.get("Retry-After", "")
                    return _Failure(_failure(status), float(wait) if wait.isdecimal() else 0.0)
                if status == 403:
                    raise AccessDenied(
                        "the server denies the token what the import has to read",
                        hint="It needs read and list on the mount's metadata, and read on data.",
                    )
                if 300 <= status < 400:
                    raise InvalidDocument(
                        "the server redirects, which is not followed",
                        hint="Give the address of the active server.",
                    )
                if status not in {200, 404}:
                    raise InvalidDocument(f"the server answers with status {status}")
                return Answer(status, _object(self._body(response, limit)))
        except httpx.ConnectError as error:
            return _Failure(_unreachable(error), 0.0)
        except (httpx.HTTPError, httpx.StreamError):
            return _Failure(StoreError("the connection to the server fails"), 0.0)

    def _body(self, response: httpx.Response, limit: int) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise InvalidDocument("the server compresses its answer, though asked not to")
        # The timeout is for each read alone, so a drip of bytes needs a bound of its own.
        end = time.monotonic() + 10 * self._timeout
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > limit:
                raise InvalidDocument(f"an answer of the server has more than {limit} bytes")
            if time.monotonic() > end:
                raise StoreError("the server answers too slowly")
        return bytes(body)


class _Failure:
    """A failure that may pass: the error if it does not, and the seconds the server asks for."""

    __slots__ = ("error", "wait")

    def __init__(self, error: StoreError, wait: float) -> None:
        self.error = error
        self.wait = wait


def encode_path(name: str) -> str:
    """A name as it goes on the wire: each segment percent-encoded, folders as slashes."""
    return "/".join(quote(segment, safe="") for segment in name.split("/"))


def _failure(status: int) -> StoreError:
    if status == 503:
        return StoreError("the server is not available", hint="Try again later.")
    if status == 429:
        return StoreError("the server asks for fewer requests", hint="Try again later.")
    return StoreError(f"the server fails with status {status}")


def _unreachable(error: httpx.ConnectError) -> StoreError:
    if untrusted(error):
        return StoreError(
            "the server's certificate is not trusted",
            hint="Give the certificate of its authority as ca_file.",
        )
    return StoreError("the server can't be reached", hint="Check its address and that it runs.")


def _object(body: bytes) -> dict[str, object]:
    if not body:
        return {}
    parsed = parse_exact(body)
    if not isinstance(parsed, dict):
        raise InvalidDocument("the server's answer is not a JSON object")
    return parsed
