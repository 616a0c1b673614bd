"""The root ``pkcs11:``: an AES-256 key that can't leave a hardware security module.

It is named by a PKCS#11 URI (RFC 7512). The token wraps the wrapping key of each wrap by AES-GCM
with the binding as associated data (PKCS#11 v3.0, section 2.11.3), or, where it has no GCM, by AES
key wrap with padding (RFC 5649).
"""

import os
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import unquote

from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError
from adyton.roots import _asking
from adyton.roots._asking import Ask
from adyton.roots._local import KIND_PKCS11
from adyton.roots._remote import RemoteRoot

if TYPE_CHECKING:
    from adyton.roots._hsm import Hsm

MODULE_VARIABLE: Final = "ADYTON_PKCS11_MODULE"
_PATH_NAMES: Final = frozenset({"token", "serial", "object", "id", "type", "manufacturer", "model"})
_QUERY_NAMES: Final = frozenset({"module-path", "pin-source"})


class Pkcs11Root(RemoteRoot):
    """Wraps by a key in a token.

    Args:
        module: Path of the vendor's library.
        label: The token's label, or empty.
        serial: The token's serial number, or empty.
        key: Label of the key, or empty.
        key_id: The key's id, or None.
        pin: The user's PIN; taken over and wiped at the end.
        create: Make the key if it is missing.

    Raises:
        ConfigurationError: The library python-pkcs11 is not installed, or several tokens match.
        RootUnavailable: The token is not there, or has no such key.
        RootLocked: The PIN is wrong, or the key is one that can leave the token.
    """

    _kind_byte = KIND_PKCS11

    def __init__(
        self,
        module: str,
        *,
        label: str = "",
        serial: str = "",
        key: str = "",
        key_id: bytes | None = None,
        pin: SecretBytes,
        create: bool = False,
    ) -> None:
        super().__init__()
        try:
            from adyton.roots import _hsm, _hsm_key  # noqa: PLC0415 - an optional library
        except ImportError:
            raise ConfigurationError(
                "the root 'pkcs11:' needs the library python-pkcs11",
                hint="Install it: pip install 'adyton[pkcs11]'.",
            ) from None
        self._place = _hsm.TokenName(module, label, serial)
        self._key = _hsm_key.TokenKey(key, key_id)
        self._hsm: Hsm | None = _hsm.connect(self._place, pin)
        try:
            self._hsm.run(lambda session: self._key.check(session, create=create))
        except BaseException:
            self.close()
            raise

    @classmethod
    def from_uri(cls, rest: str, *, create: bool, ask: Ask | None) -> Self:
        """Open ``pkcs11:token=LABEL;object=KEY?module-path=PATH&pin-source=file:PATH``.

        The PIN comes from the file or variable (``env:NAME``) of ``pin-source``, or is asked for.

        Raises:
            ConfigurationError: The URI is wrong, or there is nobody to ask for the PIN.
            RootError: As :class:`Pkcs11Root`.
        """
        place, _, query = rest.partition("?")
        given = _parts(place, ";", _PATH_NAMES) | _parts(query, "&", _QUERY_NAMES)
        module = given.get("module-path") or os.environ.get(MODULE_VARIABLE, "")
        if (
            not module
            or not (given.keys() & {"token", "serial"})
            or not (given.keys() & {"object", "id"})
        ):
            raise ConfigurationError(
                "the root 'pkcs11:' needs a module, a token and a key",
                hint="Write 'pkcs11:token=LABEL;object=KEY?module-path=/usr/lib/....so'.",
            )
        if given.get("type", "secret-key") != "secret-key":
            raise ConfigurationError(
                "the key of the root 'pkcs11:' is of type secret-key", hint="Leave the type out."
            )
        return cls(
            module,
            label=given.get("token", ""),
            serial=given.get("serial", ""),
            key=given.get("object", ""),
            key_id=given["id"].encode("latin-1") if "id" in given else None,
            pin=_pin(given.get("pin-source", ""), ask),
            create=create,
        )

    def describe(self) -> dict[str, str]:
        """Kind, module, token and key."""
        named = {"token": self._place.label, "serial": self._place.serial, "key": self._key.label}
        return {
            "kind": self.kind,
            "module": self._place.module,
            **{name: text for name, text in named.items() if text},
        }

    def close(self) -> None:
        """Log out, unless another root uses the token. May be called again."""
        super().close()
        hsm, self._hsm = self._hsm, None
        if hsm is not None and os.getpid() == self._pid:
            hsm.release()

    def _wrap_remotely(self, key: SecretBytes, binding: bytes) -> bytes:
        return self._token().run(lambda session: self._key.wrap(session, key, binding))

    def _unwrap_remotely(self, wrapped: bytes, binding: bytes) -> SecretBytes:
        opened = self._token().run(lambda session: self._key.unwrap(session, wrapped, binding))
        if opened is None:
            raise self._locked()
        return opened

    def _token(self) -> "Hsm":
        hsm = self._hsm
        if hsm is None:  # another thread closes the root at this moment
            raise self._was_closed()
        return hsm


def _parts(text: str, separator: str, known: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if name == "pin-value":
            raise ConfigurationError(
                "the URI of the root 'pkcs11:' has a PIN in it",
                hint="Write 'pin-source=file:PATH', or leave it out to be asked; change that PIN.",
            )
        if name not in known or not equals or name in found:
            raise ConfigurationError(
                "the URI of the root 'pkcs11:' has a part that is unknown or given twice",
                hint=f"Known here are {', '.join(sorted(known))}.",
            )
        # The id is bytes, percent-encoded (RFC 7512, section 2.3).
        encoding = "latin-1" if name == "id" else "utf-8"
        found[name] = unquote(value, encoding=encoding)
    return found


def _pin(source: str, ask: Ask | None) -> SecretBytes:
    if source.startswith("env:"):
        return _asking.from_environment(source[4:])
    if source:
        return _asking.from_file(source.removeprefix("file:"), what="PIN")
    if ask is None:
        raise ConfigurationError(
            "there is nobody to ask for the PIN of the root 'pkcs11:'",
            hint="Write 'pin-source=file:PATH' or 'pin-source=env:NAME'.",
        )
    return ask("PIN of the token: ")
