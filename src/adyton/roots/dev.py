"""The root ``dev:``: a key in memory, for tests and trying things out (``docs/spec/roots.md``)."""

import logging
from typing import Self

from adyton.crypto.aead import new_key
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError
from adyton.roots._asking import Ask
from adyton.roots._local import KIND_DEV, OneKeyRoot

_log = logging.getLogger("adyton")


class DevRoot(OneKeyRoot):
    """Wraps the master key under a key that is gone when the process ends; says so loudly.

    Args:
        key: A 256-bit key to use instead of a random one; the caller keeps and wipes it.
    """

    _kind_byte = KIND_DEV

    def __init__(self, key: SecretBytes | None = None) -> None:
        _log.warning(
            "the dev root is in use: its key lives in this process only, and what it wraps can't "
            "be opened after a restart; never use it for secrets that matter"
        )
        if key is not None:
            super().__init__(key)
        else:
            with new_key() as made:
                super().__init__(made)

    @classmethod
    def from_uri(cls, rest: str, *, create: bool, ask: Ask | None) -> Self:  # noqa: ARG003
        """Open ``dev:``.

        Raises:
            ConfigurationError: Something follows the colon.
        """
        if rest:
            raise ConfigurationError("the root 'dev:' takes nothing after its colon")
        return cls()

    def describe(self) -> dict[str, str]:
        """Kind and a warning."""
        return {"kind": self.kind, "warning": "in memory only; not for secrets that matter"}
