"""The root ``credential:``: a key that systemd has decrypted for the service (systemd-creds(1)).

It lies encrypted on the disk, bound to the machine's TPM if it was made so, and in the clear only
in a file system in memory that this service alone can enter, named by ``$CREDENTIALS_DIRECTORY``.
"""

import os
import re
from pathlib import Path
from typing import Final, Self

from adyton.crypto.aead import KEY_BYTES
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, RootLocked
from adyton.roots import _asking
from adyton.roots._asking import Ask
from adyton.roots._local import KIND_CREDENTIAL, OneKeyRoot

DIRECTORY_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_ZEROS: Final = bytes(KEY_BYTES)


class CredentialRoot(OneKeyRoot):
    """Wraps the master key under a credential of 32 bytes, or of 64 hexadecimal digits.

    Args:
        name: The credential's name, as in ``LoadCredentialEncrypted=NAME``.

    Raises:
        ConfigurationError: It is not a name, or systemd has given no credentials.
        RootUnavailable: There is no such credential, or others could read it.
        RootLocked: It is not a key.
    """

    _kind_byte = KIND_CREDENTIAL

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name) or name in {".", ".."}:
            raise ConfigurationError(
                "the root 'credential:' needs the name of a credential",
                hint="Write 'credential:NAME'.",
            )
        folder = os.environ.get(DIRECTORY_VARIABLE, "")
        if not os.path.isabs(folder):  # noqa: PTH117 - an empty path is none
            raise ConfigurationError(
                f"systemd has given this process no credentials: {DIRECTORY_VARIABLE} is not set",
                hint="Put LoadCredentialEncrypted=NAME into the service's unit.",
            )
        self._name = name
        self._path = str(Path(folder) / name)
        with self._read() as key:
            super().__init__(key)

    def _read(self) -> SecretBytes:
        with _asking.from_file(self._path, what="credential") as content:
            return _key(content)

    def check_source(self) -> None:
        """Read the credential again.

        Raises:
            RootUnavailable: It is not there any more.
            RootLocked: Another one is.
        """
        with self._read() as key:
            self._compare(key)

    @classmethod
    def from_uri(cls, rest: str, *, create: bool, ask: Ask | None) -> Self:  # noqa: ARG003
        """Open ``credential:NAME``.

        Raises:
            ConfigurationError: As :class:`CredentialRoot`.
            RootError: Idem.
        """
        return cls(rest)

    def describe(self) -> dict[str, str]:
        """Kind and name."""
        return {"kind": self.kind, "name": self._name}


def _key(content: SecretBytes) -> SecretBytes:
    key = None
    if len(content) == KEY_BYTES:
        with content.borrow() as view:
            key = SecretBytes(view)
    elif len(content) == 2 * KEY_BYTES:
        try:
            key = SecretBytes.take(bytearray.fromhex(content.text()))
        except ValueError:
            key = None
    if key is None or len(key) != KEY_BYTES or key.equals(_ZEROS):
        raise RootLocked(
            f"the credential is neither {KEY_BYTES} bytes nor {2 * KEY_BYTES} hexadecimal digits",
            hint="Make one: head -c 32 /dev/urandom | systemd-creds encrypt --name=NAME - FILE.",
        )
    return key
