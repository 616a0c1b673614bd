"""A buffer for one secret: locked, wiped at its end, never shown by accident."""

import ctypes
import errno
import hmac
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, NoReturn, Self, SupportsIndex

from adyton.crypto import arena
from adyton.errors import SecretWiped

_getrandom: Final = ctypes.CDLL(None, use_errno=True).getrandom
_getrandom.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint)
_getrandom.restype = ctypes.c_ssize_t


def fill_random(buffer: memoryview) -> None:
    """Fill a writable buffer with random bytes of the kernel, leaving no copy elsewhere.

    By the system call, as a descriptor of /dev/urandom could have been closed by somebody, and
    its number given to another file.
    """
    done = 0
    while done < len(buffer):
        target = ctypes.c_char.from_buffer(buffer, done)
        got = _getrandom(ctypes.byref(target), len(buffer) - done, 0)
        if got >= 0:
            done += got
        elif ctypes.get_errno() != errno.EINTR:  # pragma: no cover - kernels before 3.17
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class SecretBytes:
    """Bytes that are locked in memory and wiped when the block, or the object, ends.

    It has no printable form, can't be pickled, copied or iterated, and ``==`` is refused:
    :meth:`equals` compares in constant time. :meth:`reveal` and :meth:`text` make ordinary
    Python objects, which nobody can wipe; ``docs/limitations.md`` says what that means.
    """

    __slots__ = ("__weakref__", "_generation", "_slot", "_view")

    _slot: memoryview | None
    _view: memoryview
    _generation: int

    def __init__(self, data: bytes | bytearray | memoryview = b"") -> None:
        size = len(data)
        slot = arena.acquire(size)
        self._slot = slot
        self._view = slot[:size]
        self._generation = arena.generation
        self._view[:] = data

    @classmethod
    def sized(cls, size: int) -> Self:
        """A zeroed buffer of ``size`` bytes, to be written by :meth:`writable`."""
        new = cls.__new__(cls)
        slot = arena.acquire(size)
        new._slot = slot  # noqa: SLF001 - our own
        new._view = slot[:size]  # noqa: SLF001 - idem
        new._generation = arena.generation  # noqa: SLF001 - idem
        return new

    @classmethod
    def random(cls, size: int) -> Self:
        """``size`` random bytes of the kernel's generator."""
        new = cls.sized(size)
        fill_random(new.writable())
        return new

    @classmethod
    def take(cls, data: bytearray) -> Self:
        """Move the content of a bytearray in; the source is wiped."""
        new = cls(data)
        data[:] = bytes(len(data))
        return new

    def writable(self) -> memoryview:
        """The buffer itself, for a cipher to write into; valid until :meth:`wipe`.

        Raises:
            SecretWiped: The buffer was wiped, by the end of its block or by a fork.
        """
        if self._slot is None:
            raise SecretWiped("the secret was wiped when its block ended")
        if self._generation != arena.generation:
            # The child has zeros in its place: as a key they would be one that everybody knows.
            raise SecretWiped(
                "the secret belongs to the process that this one was forked from",
                hint="Open the store after the fork, in the process that uses it.",
            )
        return self._view

    @contextmanager
    def borrow(self) -> Iterator[memoryview]:
        """A read-only view for the length of a block; keep no reference to it.

        Raises:
            SecretWiped: The buffer was wiped.
        """
        with self.writable().toreadonly() as view:
            yield view

    def reveal(self) -> bytes:
        """The content as ``bytes``, a copy that can't be wiped.

        Raises:
            SecretWiped: The buffer was wiped.
        """
        return self.writable().tobytes()

    def text(self) -> str:
        """The content as text, a copy that can't be wiped.

        Raises:
            SecretWiped: The buffer was wiped.
            UnicodeDecodeError: Never: a value that is not UTF-8 raises ValueError without content.
        """
        try:
            return str(self.writable(), "utf-8")
        except UnicodeDecodeError:
            message = "the secret is not UTF-8 text; use reveal()"
        raise ValueError(message)

    def equals(self, other: "SecretBytes | bytes | bytearray | memoryview") -> bool:
        """Whether both hold the same bytes, compared in constant time for equal lengths."""
        theirs = other.writable() if isinstance(other, SecretBytes) else other
        return hmac.compare_digest(self.writable(), theirs)

    def wipe(self) -> None:
        """Overwrite the buffer with zeros and give it up. May be called again."""
        slot = self._slot
        if slot is not None:
            self._slot = None
            used = len(self._view)
            try:
                self._view.release()
            except BufferError:
                # Somebody, such as a cipher in another thread, still has the buffer: its slot
                # is never used again, or that one would write into the secret of another.
                arena.wipe(slot, used)
            else:
                arena.release(slot, used)

    @property
    def wiped(self) -> bool:
        """Whether the buffer has been wiped."""
        return self._slot is None or self._generation != arena.generation

    def __len__(self) -> int:
        return len(self.writable())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wipe()

    def __del__(self) -> None:
        try:  # noqa: SIM105 - on the hot path, where suppress() costs a microsecond
            self.wipe()
        except (AttributeError, TypeError):  # half-made, or the interpreter is going down
            pass

    def __repr__(self) -> str:
        return "<SecretBytes>"

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise TypeError("== on a secret takes variable time; use equals()")

    def _refuse(self) -> NoReturn:
        raise TypeError("a SecretBytes can't be copied, pickled or iterated; use reveal()")

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        self._refuse()

    def __copy__(self) -> NoReturn:
        self._refuse()

    def __deepcopy__(self, memo: object) -> NoReturn:
        self._refuse()

    def __iter__(self) -> NoReturn:
        self._refuse()

    def __bytes__(self) -> bytes:  # noqa: PLE0308 - never returns
        self._refuse()

    def __format__(self, spec: str) -> str:
        return "<SecretBytes>"


def wipe_at_end(owner: object, *secrets: SecretBytes) -> None:
    """Wipe secrets when ``owner`` is collected, for objects that hold keys without a block."""
    for secret in secrets:
        weakref.finalize(owner, secret.wipe).atexit = False
