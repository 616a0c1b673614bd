"""Posting messages to addresses that users have named (``docs/spec/notices.md``, section 5).

Nobody who names an address learns more than whether it took the message: no part of the answer
but its status is kept, and places inside of the operator's network are not connected to.
"""

import asyncio
import ipaddress
import re
import ssl
from collections.abc import Mapping, Sequence
from typing import Final

import httpx

from adyton.errors import AdytonError, InvalidInput
from adyton.noticevalues import MAX_URL_CHARS, WebhookAnswer
from adyton.outbound import check_numbers, place_outside, tls_context, untrusted, why_unreachable

_MAX_PORT: Final = 65_535
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}", re.ASCII)


class WebhookSender:
    """Posts over TLS (``noticeports.Sender``).

    Args:
        seconds: Longest time for one message, from connecting to the head of the answer.
        allowed: Networks that may be connected to besides the internet, in CIDR notation.
        ca_file: Certificates to trust instead of the system's, PEM; empty for the system's.

    Raises:
        ValueError: A network can't be read.
    """

    def __init__(self, seconds: float, allowed: Sequence[str] = (), ca_file: str = "") -> None:
        self._seconds = seconds
        self._allowed = [ipaddress.ip_network(text) for text in allowed]
        self._ca_file = ca_file or None
        self._tls: ssl.SSLContext | None = None

    def check(self, url: str) -> str:
        """An address that messages may be sent to, as far as can be told without a network.

        Raises:
            InvalidInput: It is none.
        """
        parsed = self._parsed(url)
        check_numbers(parsed.host, self._allowed)
        return str(parsed)

    def _parsed(self, url: str) -> httpx.URL:
        hint = "Give one such as https://example.org/hooks/adyton."
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, ValueError, TypeError):
            raise InvalidInput("the webhook's address is not a URL", hint=hint) from None
        schemes = {"https", "http"} if self._allowed else {"https"}
        if parsed.scheme not in schemes or not parsed.host:
            raise InvalidInput("the webhook's address is not an https URL", hint=hint)
        if not _HOST.fullmatch(parsed.host):
            raise InvalidInput("the webhook's address has a host that is none", hint=hint)
        if len(url) > MAX_URL_CHARS:
            raise InvalidInput(f"the webhook's address is longer than {MAX_URL_CHARS}")
        if parsed.userinfo or parsed.fragment:
            raise InvalidInput("the webhook's address has a user or a fragment", hint=hint)
        if parsed.port is not None and not 1 <= parsed.port <= _MAX_PORT:
            raise InvalidInput("the webhook's address has a port that is none")
        return parsed

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Post a message; whatever comes of it is an answer, and nothing is raised."""
        try:
            parsed = self._parsed(url)
            port = parsed.port or (443 if parsed.scheme == "https" else 80)
            address, inside = place_outside(parsed.host, port, self._allowed)
            if parsed.scheme == "http" and not inside:
                raise InvalidInput("messages cross the internet by https alone")
            if self._tls is None:
                self._tls = tls_context(self._ca_file)
            status = asyncio.run(self._exchange(parsed, str(address), headers, body, self._tls))
        except AdytonError as error:
            return WebhookAnswer(delivered=False, status=0, error=error.message)
        except TimeoutError:
            return WebhookAnswer(delivered=False, status=0, error="it takes too long")
        except (httpx.HTTPError, OSError, ssl.SSLError) as error:
            return WebhookAnswer(delivered=False, status=0, error=_why(error))
        if 200 <= status < 300:
            return WebhookAnswer(delivered=True, status=status, error="")
        return WebhookAnswer(delivered=False, status=status, error=f"it answers with {status}")

    async def _exchange(
        self,
        url: httpx.URL,
        address: str,
        headers: Mapping[str, str],
        body: bytes,
        tls: ssl.SSLContext,
    ) -> int:
        """The status of the answer, whose body is not read."""
        # The connection goes to the address that was looked at; the certificate and the header
        # are for the name.
        request = httpx.Request(
            "POST",
            url.copy_with(host=address),
            headers={**headers, "host": url.netloc.decode("ascii")},
            content=body,
            extensions={"sni_hostname": url.raw_host.decode("ascii").strip("[]")},
        )
        async with asyncio.timeout(self._seconds), httpx.AsyncHTTPTransport(verify=tls) as http:
            response = await http.handle_async_request(request)
            await response.aclose()
            return response.status_code


def _why(error: BaseException) -> str:
    if untrusted(error):
        return "its certificate is not one that is trusted for its name"
    return why_unreachable(error) or "it can't be reached, or breaks off"
