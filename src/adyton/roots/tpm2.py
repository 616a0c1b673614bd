"""The root ``tpm2:``: sealed in this machine's TPM, to be opened in a state that was chosen.

The state is what the platform configuration registers (PCRs) hold: the software that was started.
Either the state at the time of wrapping, or any that a key has approved by a signature, so that an
update of the measured software does not lose the master key. A counter in the TPM's own memory can
refuse stores that are older than the last rotation of the master key.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from adyton.crypto.aead import KEY_BYTES
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError
from adyton.roots._asking import Ask
from adyton.roots._local import KIND_TPM2
from adyton.roots._parameters import parameters
from adyton.roots._remote import RemoteRoot
from adyton.roots._tpm_policy import canonical_selection, load_approver

if TYPE_CHECKING:
    from adyton.roots._tpm_sealing import Sealing

DEFAULT_PCRS: Final = "sha256:7"
NO_COUNTER: Final = 2**64 - 1
_NV_FIRST: Final = 0x01000000
_NV_LAST: Final = 0x01FFFFFF


class Sealed(NamedTuple):
    """What the store keeps of a sealed wrapping key (``docs/spec/roots.md``, section 6).

    Attributes:
        approved: Whether approved policies open it; otherwise the PCRs of its time.
        counter: What the TPM's counter must have reached and not passed; or none.
        pcrs: The PCRs' selection.
        parent: Name of the TPM's key that it is wrapped under.
        public: The TPM's public part.
        private: The TPM's encrypted part.
    """

    approved: bool
    counter: int
    pcrs: str
    parent: bytes
    public: bytes
    private: bytes

    def pack(self) -> bytes:
        """As bytes."""
        head = bytes((2 if self.approved else 1,)) + self.counter.to_bytes(8, "big")
        parts = (self.pcrs.encode(), self.parent, self.public, self.private)
        return head + b"".join(len(part).to_bytes(2, "big") + part for part in parts)

    @classmethod
    def parse(cls, data: bytes) -> Self | None:
        """From bytes; None if they are not of that form."""
        if len(data) < 9 or data[0] not in {1, 2}:
            return None
        parts, at = [], 9
        for _ in range(4):
            size = int.from_bytes(data[at : at + 2], "big")
            parts.append(data[at + 2 : at + 2 + size])
            at += 2 + size
        if at != len(data) or not parts[0].isascii():
            return None
        try:
            pcrs = canonical_selection(parts[0].decode())
        except ConfigurationError:
            return None
        counter = int.from_bytes(data[1:9], "big")
        made = cls(data[0] == 2, counter, pcrs, *parts[1:])
        return made if made.pack() == data else None


class Tpm2Root(RemoteRoot):
    """Wraps by sealing in a TPM 2.0.

    Args:
        pcrs: The PCRs, such as ``sha256:7+11``.
        tcti: How the TPM is reached; empty for the system's way.
        approver: Public key whose approved policies open; None for the PCRs at wrapping.
        policies: Folder of approved policies.
        counter: Index of the counter in the TPM's memory, or None.
        create: Make the counter if it is missing.

    Raises:
        ConfigurationError: An argument is wrong, or tpm2-pytss is not installed.
        RootUnavailable: There is no TPM, or no such counter.
    """

    _kind_byte = KIND_TPM2

    def __init__(
        self,
        pcrs: str = DEFAULT_PCRS,
        *,
        tcti: str = "",
        approver: Path | None = None,
        policies: Path | None = None,
        counter: int | None = None,
        create: bool = False,
    ) -> None:
        super().__init__()
        if (approver is None) != (policies is None):
            raise ConfigurationError(
                "approved policies need a key and a folder",
                hint="Give 'approver=' and 'policies='.",
            )
        try:
            from adyton.roots import _tpm_sealing  # noqa: PLC0415 - an optional library
        except ImportError:
            raise ConfigurationError(
                "the root 'tpm2:' needs the library tpm2-pytss",
                hint="Install it: apt-get install libtss2-dev, then pip install 'adyton[tpm]'.",
            ) from None
        self._pcrs = canonical_selection(pcrs)
        key = None if approver is None else load_approver(approver)
        self._policies = policies
        self._counter = counter
        self._sealing: Sealing = _tpm_sealing.Sealing(tcti, key, policies)
        if counter is not None:
            self._sealing.counter(counter, create=create)
        else:
            self._sealing.reach()

    @classmethod
    def from_uri(cls, rest: str, *, create: bool, ask: Ask | None) -> Self:  # noqa: ARG003
        """Open ``tpm2:?pcrs=sha256:7+11&tcti=...&approver=PEM&policies=DIR&counter=0x01500010``.

        Raises:
            ConfigurationError: The URI is wrong.
            RootError: As :class:`Tpm2Root`.
        """
        given = parameters(
            "tpm2",
            rest.removeprefix("?").replace("+", "%2B"),
            ("pcrs", "tcti", "approver", "policies", "counter"),
        )
        return cls(
            given.get("pcrs", DEFAULT_PCRS),
            tcti=given.get("tcti", ""),
            approver=Path(given["approver"]) if "approver" in given else None,
            policies=Path(given["policies"]) if "policies" in given else None,
            counter=_index(given["counter"]) if "counter" in given else None,
            create=create,
        )

    def describe(self) -> dict[str, str]:
        """Kind, PCRs, and how the state is judged."""
        found = {"kind": self.kind, "pcrs": self._pcrs}
        found["policy"] = "as when wrapped" if self._policies is None else "approved by a key"
        if self._counter is not None:
            found["counter"] = f"{self._counter:#010x}"
        return found

    def settle(self, wrapped: bytes) -> None:
        """Refuse from now on whatever was wrapped before this: the store needs nothing older.

        Raises:
            RootLocked: This is itself too old, or not of this root.
            RootUnavailable: The TPM does not answer.
        """
        self._check_usable()
        sealed = self._parse(self._split(wrapped, 2)[1][: int.from_bytes(wrapped[2:4], "big")])
        if self._counter is not None and sealed.counter != NO_COUNTER:
            with self._judged():
                self._sealing.advance(self._counter, sealed.counter)

    def _wrap_remotely(self, key: SecretBytes, binding: bytes) -> bytes:
        counter = NO_COUNTER
        if self._counter is not None:
            # One more than it holds: only settle() makes the older ones too old.
            counter = self._sealing.counter(self._counter) + 1
        with SecretBytes.sized(2 * KEY_BYTES) as content:
            view = content.writable()
            view[:KEY_BYTES] = binding
            with key.borrow() as source:
                view[KEY_BYTES:] = source
            parent, public, private = self._sealing.seal(self._pcrs, content)
        approved = self._policies is not None
        return Sealed(approved, counter, self._pcrs, parent, public, private).pack()

    def _unwrap_remotely(self, wrapped: bytes, binding: bytes) -> SecretBytes:
        sealed = self._parse(wrapped)
        if sealed.approved and self._policies is None:
            raise self._refused(
                "it is opened by approved policies", "Give 'approver=' and 'policies='."
            )
        with self._judged():
            if sealed.counter != NO_COUNTER:
                self._check_age(sealed.counter)
            opened = self._sealing.unseal(
                sealed.pcrs, sealed.parent, sealed.public, sealed.private, approved=sealed.approved
            )
        with opened:
            view = opened.writable()
            if len(opened) != 2 * KEY_BYTES:
                raise self._locked()
            with SecretBytes(view[:KEY_BYTES]) as bound:
                if not bound.equals(binding):
                    raise self._locked()
            return SecretBytes(view[KEY_BYTES:])

    def _check_age(self, wanted: int) -> None:
        if self._counter is None:
            raise self._refused(
                "it needs the TPM's counter", "Give 'counter=' as when it was made."
            )
        now = self._sealing.counter(self._counter)
        if wanted not in {now, now + 1}:
            raise self._refused(
                "the store is older than the last rotation of its master key",
                "An older copy was put back. If that was you: restore the newest one.",
            )

    def _parse(self, blob: bytes) -> Sealed:
        sealed = Sealed.parse(blob)
        if sealed is None:
            raise self._locked()
        return sealed

    @contextmanager
    def _judged(self) -> Iterator[None]:
        from adyton.roots._tpm_sealing import Refused  # noqa: PLC0415 - an optional library

        try:
            yield
        except Refused as refusal:
            raise self._refused(refusal.why, refusal.hint) from None


def _index(text: str) -> int:
    try:
        index = int(text, 0)
    except ValueError:
        index = 0
    if not _NV_FIRST <= index <= _NV_LAST:
        raise ConfigurationError(
            "the counter of the root 'tpm2:' is not an index of the TPM's memory",
            hint="Write one of the owner's, such as 'counter=0x01500010'.",
        )
    return index
