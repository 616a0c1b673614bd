"""A rotation by signed requests to an address that the policy names.

Each request has the headers ``Adyton-Timestamp``, seconds since the epoch, and
``Adyton-Signature``, ``v1=`` and the HMAC-SHA-256 of ``timestamp.body`` in hexadecimal under the
admin's secret: the receiver can tell who asks, and refuse what is replayed. Redirects are not
followed; values go to this machine or over TLS, never in the clear.
"""

import asyncio
import hmac
import ssl
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final

import httpx

from adyton.errors import InvalidInput, RotationError
from adyton.outbound import checked_address, tls_context
from adyton.rotating import Generated, Turn, known, needed
from adyton.rotators import _message
from adyton.rotators._bounded import is_file

_WHO: Final = "the webhook"


class WebhookRotator:
    """Posts each step (``rotating.Rotator``)."""

    def check(self, settings: Mapping[str, str], *, admin: bool) -> None:
        """Check the settings; an admin is needed: its value is the key of the signature.

        Raises:
            InvalidInput: They can't be used.
        """
        known({key for key in settings if not key.startswith("x-")}, "url", "ca_file")  # type: ignore[arg-type]
        checked_address(needed(settings, "url"))
        if not admin:
            raise InvalidInput(
                "the rotator 'webhook' needs a secret to sign its requests with",
                hint="Name it as admin.",
            )

    def create(self, turn: Turn, generate: Callable[[], Generated]) -> Generated:
        """Ask for a new value, with one to be taken if the other side has none of its own."""
        value = generate()
        offered = Turn(turn.token, turn.settings, turn.bounds, turn.admin, turn.former, value.value)
        return _message.value_of(self._post("create", offered), value, _WHO)

    def set(self, turn: Turn) -> None:
        """Tell that the new value is to work."""
        self._post("set", turn)

    def test(self, turn: Turn) -> None:
        """Ask whether it does."""
        self._post("test", turn)

    def retire(self, turn: Turn) -> None:
        """Tell that the former value is to work no more."""
        self._post("retire", turn)

    def undo(self, turn: Turn) -> None:
        """Tell that the new value is to work no more."""
        self._post("undo", turn)

    def _post(self, step: str, turn: Turn) -> _message.Answer:
        if not turn.admin:
            raise RotationError("the admin's secret, which signs the requests, is empty")
        url = httpx.URL(checked_address(turn.settings["url"]))
        turn.bounds.allow(url.host, url.port or (443 if url.scheme == "https" else 80))
        told = {k[2:]: value for k, value in turn.settings.items() if k.startswith("x-")}
        body = _message.message(step, turn, told)
        when = str(int(time.time()))
        signature = hmac.new(turn.admin, f"{when}.".encode() + body, sha256).hexdigest()
        headers = {
            "content-type": "application/json",
            "adyton-timestamp": when,
            "adyton-signature": f"v1={signature}",
            "idempotency-key": f"{turn.token}-{step}",
        }
        ca_file = turn.settings.get("ca_file")
        try:
            if not is_file(ca_file):
                raise _unreachable()
            work = self._exchange(url, headers, body, turn.bounds.seconds, tls_context(ca_file))
            return _message.answer(asyncio.run(work), _WHO)
        except httpx.HTTPError:  # its exceptions hold the request, and that holds values
            raise _unreachable() from None
        except TimeoutError:
            raise RotationError("the webhook takes too long") from None

    @staticmethod
    async def _exchange(
        url: httpx.URL, headers: dict[str, str], body: bytes, seconds: float, tls: ssl.SSLContext
    ) -> bytes:
        client = httpx.AsyncClient(verify=tls, timeout=seconds / 3, trust_env=False)
        async with (
            asyncio.timeout(seconds),  # of all of it; httpx bounds each wait alone
            client,
            client.stream("POST", url, headers=headers, content=body) as response,
        ):
            if response.status_code != 200:
                raise RotationError(f"the webhook answers with status {response.status_code}")
            found = bytearray()
            async for part in response.aiter_bytes():
                found += part
                if len(found) > _message.MAX_ANSWER:
                    raise RotationError("the webhook's answer is too long")
            return bytes(found)


def _unreachable() -> RotationError:
    return RotationError(
        "the webhook can't be reached, or breaks off", hint="Check the policy's url and ca_file."
    )
