"""The root ``passphrase:``: a key derived by Argon2id (``docs/spec/roots.md``).

Each wrap has a salt of its own, so the same passphrase in two stores makes unrelated keys. The
cost parameters are stored beside the salt; they come from a store that may be hostile, so they
are checked against fixed bounds before any memory is asked for.
"""

import os
import struct
import threading
from pathlib import Path
from typing import Final, NamedTuple, Self

from adyton.crypto.aead import OVERHEAD, AeadKey
from adyton.crypto.kdf import argon2id
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, InvalidInput, RootLocked
from adyton.roots import _asking
from adyton.roots._asking import MAX_PASSPHRASE_BYTES, Ask
from adyton.roots._local import KIND_PASSPHRASE, LocalRoot

MIN_PASSPHRASE_CHARS: Final = 12
SALT_BYTES: Final = 16

MIN_MEMORY_PER_LANE_KIB: Final = 8  # RFC 9106, section 3.1
MAX_MEMORY_KIB: Final = 2 * 1024 * 1024  # 2 GiB, the larger recommendation of RFC 9106, section 4
MAX_ITERATIONS: Final = 32
MAX_LANES: Final = 16

_FIELDS: Final = struct.Struct(f">IIB{SALT_BYTES}s")
_CACHED: Final = 16
_CONTINUATION: Final = range(0x80, 0xC0)


class Argon2Params(NamedTuple):
    """What a guess of the passphrase costs: memory, passes over it, and parallel lanes."""

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4

    def problem(self) -> str:
        """Which bound is broken, or an empty text."""
        if not 1 <= self.lanes <= MAX_LANES:
            return f"{self.lanes} lanes are not 1 to {MAX_LANES}"
        if not 1 <= self.iterations <= MAX_ITERATIONS:
            return f"{self.iterations} iterations are not 1 to {MAX_ITERATIONS}"
        lowest = MIN_MEMORY_PER_LANE_KIB * self.lanes
        if not lowest <= self.memory_kib <= MAX_MEMORY_KIB:
            return f"{self.memory_kib} KiB of memory are not {lowest} to {MAX_MEMORY_KIB}"
        return ""


DEFAULT_PARAMS: Final = Argon2Params()
"""The second recommendation of RFC 9106, section 4."""

TEST_PARAMS: Final = Argon2Params(memory_kib=8, iterations=1, lanes=1)
"""The cheapest there are. Only for tests."""


class PassphraseRoot(LocalRoot):
    """Wraps the master key under keys that Argon2id makes of a passphrase.

    Args:
        passphrase: At least 12 characters. It is copied; the caller wipes its own.
        params: Cost of the keys of new wraps; opening uses the parameters stored in the wrap.

    Raises:
        InvalidInput: The passphrase is too short or too long, or the parameters break a bound.
    """

    _kind_byte = KIND_PASSPHRASE

    def __init__(
        self, passphrase: SecretBytes | str | bytes, *, params: Argon2Params = DEFAULT_PARAMS
    ) -> None:
        super().__init__()
        problem = params.problem()
        if problem:
            raise InvalidInput(
                f"Argon2id can't be used like this: {problem}", hint="Leave params= out."
            )
        self._params = params
        self._file = ""
        self._passphrase = _checked(passphrase)
        # One derivation at a time: each needs the memory of its parameters.
        self._lock = threading.Lock()
        self._keys: dict[bytes, AeadKey] = {}

    @classmethod
    def from_uri(cls, rest: str, *, create: bool, ask: Ask | None) -> Self:
        """Open ``passphrase:``, ``passphrase:env=NAME`` or ``passphrase:file=PATH``.

        Raises:
            ConfigurationError: Anything else follows the colon, or there is nobody to ask.
            InvalidInput: The passphrase is too short, or not the same the second time.
            RootUnavailable: The file is missing, or others could read it.
        """
        how, _, what = rest.partition("=")
        if not rest:
            passphrase = _asking.from_person(ask, confirm=create)
        elif how == "env":
            passphrase = _asking.from_environment(what)
        elif how == "file":
            passphrase = _asking.from_file(what)
        else:
            # The text is not shown: it is probably the passphrase.
            raise ConfigurationError(
                "a passphrase does not belong into the root's URI: URIs end up in process lists, "
                "logs and shell histories",
                hint="Use 'passphrase:' to be asked, 'passphrase:file=PATH' or "
                "'passphrase:env=NAME', and choose a new passphrase if this was a real one.",
            )
        with passphrase:
            made = cls(passphrase)
        made._file = str(Path(what).absolute()) if how == "file" else ""
        return made

    def check_source(self) -> None:
        """Read the file again, where the passphrase came from one.

        Raises:
            RootUnavailable: It is not there, or can't be read.
            RootLocked: It holds another passphrase.
        """
        if not self._file:
            return
        with _asking.from_file(self._file) as found, self._lock:
            self._check_usable()
            if not found.equals(self._passphrase):
                raise RootLocked(
                    "the file of the passphrase holds another one than at the start",
                    hint="Put it back: the store would not open by this one.",
                )

    def wrap(self, key: SecretBytes, context: bytes) -> bytes:
        """Wrap a key under a fresh salt.

        Raises:
            RootUnavailable: The root was closed, or opened before a fork.
        """
        self._check_usable()
        fields = _FIELDS.pack(*self._params, os.urandom(SALT_BYTES))
        cipher = self._derive(fields)
        self._keep(fields, cipher)
        return self._seal(cipher, self._header(fields), key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        """Open a wrapped key into locked memory; the caller wipes it.

        Raises:
            RootLocked: Another passphrase or context, or damaged bytes.
            RootUnavailable: The root was closed, or opened before a fork.
        """
        self._check_usable()
        header, box = self._split(wrapped, _FIELDS.size)
        if len(box) < OVERHEAD:
            raise self._locked()
        fields = header[2:]
        memory_kib, iterations, lanes, _ = _FIELDS.unpack(fields)
        problem = Argon2Params(memory_kib, iterations, lanes).problem()
        if problem:
            raise RootLocked(
                f"the wrapped master key asks for what Argon2id won't do here: {problem}",
                hint="The store was changed: restore it from a backup.",
            )
        cipher = self._keys.get(fields) or self._derive(fields)
        opened = self._open(cipher, header, box, context)
        # Only what has opened is kept, so that forged salts can't fill the memory.
        self._keep(fields, cipher)
        return opened

    def describe(self) -> dict[str, str]:
        """Kind and the cost parameters of new wraps."""
        return {
            "kind": self.kind,
            "kdf": "argon2id",
            "memory_kib": str(self._params.memory_kib),
            "iterations": str(self._params.iterations),
            "lanes": str(self._params.lanes),
        }

    def close(self) -> None:
        """Forget the passphrase and the derived keys. May be called again."""
        super().close()
        if os.getpid() != self._pid:
            return  # the lock may have been held when we were forked, and the memory is zero
        with self._lock:  # a derivation that runs now keeps the passphrase until it is done
            self._passphrase.wipe()
            self._keys.clear()

    def _derive(self, fields: bytes) -> AeadKey:
        memory_kib, iterations, lanes, salt = _FIELDS.unpack(fields)
        with self._lock:
            self._check_usable()
            found = self._keys.get(fields)
            if found is not None:  # made while we waited
                return found
            with argon2id(
                self._passphrase, salt, memory_kib=memory_kib, iterations=iterations, lanes=lanes
            ) as key:
                return AeadKey(key)

    def _keep(self, fields: bytes, cipher: AeadKey) -> None:
        with self._lock:
            if self._closed:
                return
            if fields not in self._keys and len(self._keys) >= _CACHED:
                del self._keys[next(iter(self._keys))]
            self._keys[fields] = cipher


def _checked(passphrase: SecretBytes | str | bytes) -> SecretBytes:
    """Our own copy of a passphrase that is long enough.

    Raises:
        InvalidInput: It is too short or too long, or is text that is not Unicode.
    """
    copy = _copied(passphrase)
    # Characters of UTF-8 are counted without making text of the passphrase.
    chars = sum(byte not in _CONTINUATION for byte in copy.writable())
    size = len(copy)
    if chars < MIN_PASSPHRASE_CHARS:
        copy.wipe()
        raise InvalidInput(
            f"the passphrase has fewer than {MIN_PASSPHRASE_CHARS} characters",
            hint="Take several random words: a stolen store can be guessed at for years.",
        )
    if size > MAX_PASSPHRASE_BYTES:
        copy.wipe()
        raise InvalidInput(
            f"the passphrase has more than {MAX_PASSPHRASE_BYTES} bytes",
            hint="Shorten it, or use a key file.",
        )
    return copy


def _copied(passphrase: SecretBytes | str | bytes) -> SecretBytes:
    if isinstance(passphrase, SecretBytes):
        with passphrase.borrow() as view:
            return SecretBytes(view)
    if isinstance(passphrase, bytes):
        return SecretBytes(passphrase)
    try:
        return SecretBytes(passphrase.encode())
    except UnicodeEncodeError:
        message = "the passphrase has surrogate characters, which are no Unicode text"
    # Raised out here: the encoding error carries the passphrase, and would be shown with it.
    raise InvalidInput(message, hint="Give it as bytes.")
