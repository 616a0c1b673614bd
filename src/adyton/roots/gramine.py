"""The root ``gramine:``: the sealing key of an SGX enclave, given by the Gramine library OS.

``mrenclave`` binds to this very code on this very machine, ``mrsigner`` to all code of the same
signer on it. Gramine gives 16 bytes; the root's key is derived from them by HKDF-Expand.
"""

from pathlib import Path
from typing import Final, Literal, Self, cast

from adyton.crypto import kdf
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, RootLocked, RootUnavailable
from adyton.roots._asking import Ask
from adyton.roots._local import KIND_GRAMINE, OneKeyRoot

Policy = Literal["mrenclave", "mrsigner"]
KEYS: Final = Path("/dev/attestation/keys")
_SEALING_BYTES: Final = 16
_LABEL: Final = b"adyton/v1/root-gramine/"


class GramineRoot(OneKeyRoot):
    """Wraps the master key under a key that only the enclave can derive.

    Args:
        policy: What the processor binds the key to.
        keys: Where Gramine shows keys.

    Raises:
        RootUnavailable: This process does not run under Gramine on SGX.
        RootLocked: What is there is not a sealing key.
    """

    _kind_byte = KIND_GRAMINE

    def __init__(self, policy: Policy, *, keys: Path = KEYS) -> None:
        self._policy = policy
        self._path = keys / f"_sgx_{policy}"
        with self._derived() as key:
            super().__init__(key)

    def _derived(self) -> SecretBytes:
        with SecretBytes.sized(_SEALING_BYTES + 1) as buffer:
            view = buffer.writable()
            try:
                with self._path.open("rb", buffering=0) as file:
                    size = file.readinto(view) or 0
            except OSError as error:
                raise RootUnavailable(
                    f"there is no sealing key of SGX here: {error.strerror}",
                    hint="Run under gramine-sgx with sgx.remote_attestation, on an SGX processor.",
                ) from None
            if size != _SEALING_BYTES or not any(view[:size]):
                raise RootLocked("what Gramine shows as a sealing key is not one")
            with SecretBytes(view[:size]) as sealing:
                return kdf.expand(sealing, _LABEL + self._policy.encode())

    def check_source(self) -> None:
        """Ask Gramine again.

        Raises:
            RootUnavailable: It shows no key any more.
            RootLocked: It shows another one.
        """
        with self._derived() as key:
            self._compare(key)

    @classmethod
    def from_uri(cls, rest: str, *, create: bool, ask: Ask | None) -> Self:  # noqa: ARG003
        """Open ``gramine:mrenclave`` or ``gramine:mrsigner``.

        Raises:
            ConfigurationError: It names neither.
            RootError: As :class:`GramineRoot`.
        """
        if rest not in {"mrenclave", "mrsigner"}:
            raise ConfigurationError(
                "the root 'gramine:' needs what the key is bound to",
                hint="Write 'gramine:mrenclave' or 'gramine:mrsigner'.",
            )
        return cls(cast("Policy", rest))

    def describe(self) -> dict[str, str]:
        """Kind and policy."""
        return {"kind": self.kind, "policy": self._policy}
