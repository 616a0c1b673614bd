"""The root ``transit:``: a key of the transit engine of OpenBao or HashiCorp Vault.

The key never leaves that server. What it wraps is bound there by ``associated_data`` too, which
the key's type must support (``aes256-gcm96``, ``aes128-gcm96``, ``chacha20-poly1305``).
"""

import base64
import re
import time
from collections.abc import Callable
from typing import Any, Final, Self

import httpx
import msgspec

from adyton import outbound
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, InvalidInput, RootLocked, RootUnavailable
from adyton.roots import _asking
from adyton.roots._asking import Ask
from adyton.roots._local import KIND_TRANSIT
from adyton.roots._parameters import parameters
from adyton.roots._remote import RemoteRoot

TOKEN_VARIABLE: Final = "ADYTON_TRANSIT_TOKEN"  # noqa: S105 - a variable's name
_PATH: Final = re.compile(r"/(?P<mount>[\w./-]+)/keys/(?P<name>[\w.-]+)", re.ASCII)
_CIPHERTEXT: Final = re.compile(rb"vault:v[1-9][0-9]{0,9}:[A-Za-z0-9+/]+={0,2}")
_TIMEOUT: Final = 10.0
_TRIES: Final = 4
_PAUSE: Final = 0.25
_MAX_ANSWER: Final = 64 * 1024


class TransitRoot(RemoteRoot):
    """Wraps by the transit engine.

    Args:
        address: The server, such as ``https://bao.example:8200``.
        mount: Where the engine is mounted.
        name: The key's name.
        token: Gives the token for one request; asked anew each time, so that it can be renewed.
        namespace: The server's namespace, or empty.
        ca: Certificates to trust instead of the system's, PEM.

    Raises:
        ConfigurationError: The address or the certificates can't be used.
    """

    _kind_byte = KIND_TRANSIT

    def __init__(
        self,
        address: str,
        mount: str,
        name: str,
        token: Callable[[], SecretBytes],
        *,
        namespace: str = "",
        ca: str | None = None,
    ) -> None:
        super().__init__()
        try:
            self._address = outbound.checked_address(address)
        except InvalidInput as error:
            raise ConfigurationError(error.message, hint=error.hint) from None
        self._mount = mount
        self._name = name
        self._token = token
        self._headers = {"X-Vault-Namespace": namespace} if namespace else {}
        self._client = httpx.Client(
            verify=outbound.tls_context(ca), timeout=_TIMEOUT, follow_redirects=False
        )

    @classmethod
    def from_uri(cls, rest: str, *, create: bool, ask: Ask | None) -> Self:  # noqa: ARG003
        """Open ``transit:https://HOST/MOUNT/keys/NAME?token_file=PATH&namespace=..&ca=PATH``.

        Without ``token_file`` the token is taken out of the variable ``ADYTON_TRANSIT_TOKEN``.

        Raises:
            ConfigurationError: The URI is wrong, or there is no token.
        """
        place, _, query = rest.partition("?")
        given = parameters("transit", query, ("token_file", "namespace", "ca"))
        try:
            url = httpx.URL(place)
        except (httpx.InvalidURL, ValueError):
            url = httpx.URL("")
        found = _PATH.fullmatch(url.path)
        if found is None or not url.host or url.userinfo:
            raise ConfigurationError(
                "the root 'transit:' is not the URL of a key of the transit engine",
                hint="Write 'transit:https://host:8200/transit/keys/NAME'.",
            )
        address = str(url.copy_with(path="/"))
        return cls(
            address,
            found["mount"],
            found["name"],
            _token_source(given.get("token_file")),
            namespace=given.get("namespace", ""),
            ca=given.get("ca"),
        )

    def describe(self) -> dict[str, str]:
        """Kind, server, engine and key."""
        return {
            "kind": self.kind,
            "server": self._address,
            "key": f"{self._mount}/keys/{self._name}",
        }

    def close(self) -> None:
        """Close the connection. May be called again."""
        super().close()
        self._client.close()

    def _wrap_remotely(self, key: SecretBytes, binding: bytes) -> bytes:
        with key.borrow() as view:
            plaintext = base64.b64encode(view).decode()
        data = self._ask("encrypt", {"plaintext": plaintext}, binding)
        wrapped = str(data.get("ciphertext", "")).encode()
        if not _CIPHERTEXT.fullmatch(wrapped):
            raise self._odd()
        if self._opens(wrapped, bytes(len(binding))):
            raise RootUnavailable(
                "the transit key does not bind associated data, so it is no root of trust",
                hint="Use a key of type aes256-gcm96 on OpenBao, or on Vault 1.14 or newer.",
            )
        return wrapped

    def _opens(self, wrapped: bytes, binding: bytes) -> bool:
        try:
            self._unwrap_remotely(wrapped, binding).wipe()
        except RootLocked:
            return False
        return True

    def _unwrap_remotely(self, wrapped: bytes, binding: bytes) -> SecretBytes:
        if not _CIPHERTEXT.fullmatch(wrapped):
            raise self._locked()
        data = self._ask("decrypt", {"ciphertext": wrapped.decode()}, binding)
        try:
            plain = bytearray(base64.b64decode(str(data["plaintext"]), validate=True))
        except (KeyError, ValueError):
            raise self._odd() from None
        return SecretBytes.take(plain)

    def _ask(self, verb: str, body: dict[str, str], binding: bytes) -> dict[str, Any]:
        """One operation; tried again where the server did not get to it.

        Raises:
            RootLocked: The server has judged it, and refuses.
            RootUnavailable: It can't be reached, is sealed, or does not know the token.
        """
        body |= {"associated_data": base64.b64encode(binding).decode()}
        url = f"{self._address}/v1/{self._mount}/{verb}/{self._name}"
        why = ""
        for attempt in range(_TRIES):
            self._check_usable()
            if attempt:
                time.sleep(_PAUSE * 2**attempt)
            with self._token() as token:
                headers = {
                    **self._headers,
                    "X-Vault-Token": outbound.header_text(token.text(), "the token"),
                }
            try:
                answer = self._client.post(url, json=body, headers=headers)
            except httpx.HTTPError as error:
                trusted = not outbound.untrusted(error)
                why = "it can't be reached" if trusted else "its certificate is not trusted"
                continue
            except RuntimeError:  # closed by another thread at this moment
                raise self._was_closed() from None
            if answer.status_code == httpx.codes.OK:
                return self._data(answer)
            if answer.status_code == httpx.codes.BAD_REQUEST:
                raise self._locked()
            if answer.status_code in {httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND}:
                raise self._refused(
                    "the server does not let the token use the key, or has no such key",
                    "Check the policy of the token, its time to live, and the key's name.",
                )
            why = "it is sealed or not ready" if answer.status_code >= 500 else "it is busy"
        raise self._away(why)

    def _data(self, answer: httpx.Response) -> dict[str, Any]:
        if len(answer.content) > _MAX_ANSWER:
            raise self._odd()
        try:
            found = msgspec.json.decode(answer.content, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise self._odd() from None
        data = found.get("data")
        if not isinstance(data, dict):
            raise self._odd()
        return data

    def _away(self, why: str) -> RootUnavailable:
        return RootUnavailable(
            f"the transit server at {self._address} does not answer as a root of trust: {why}",
            hint="Check the network, and whether the server is unsealed.",
        )

    def _odd(self) -> RootUnavailable:
        return self._away("its answer is not of the transit engine")


def _token_source(path: str | None) -> Callable[[], SecretBytes]:
    if path is not None:
        return lambda: _asking.from_file(path, what="token")
    held = _asking.variable(TOKEN_VARIABLE)
    if not held:
        raise ConfigurationError(
            "there is no token for the root 'transit:'",
            hint=f"Give ?token_file=PATH, or set {TOKEN_VARIABLE}.",
        )

    def copied() -> SecretBytes:
        with held.borrow() as view:
            return SecretBytes(view)

    return copied


__all__ = ["TOKEN_VARIABLE", "TransitRoot"]
