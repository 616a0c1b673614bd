"""A buffer for one secret: locked, wiped at its end, never shown by accident."""

import hmac
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, NoReturn, Self, SupportsIndex

from adyton.crypto import arena
from adyton.errors import SecretWiped

_urandom_fd: Final = os.open("/dev/urandom", os.O_RDONLY | os.O_CLOEXEC)


def fill_random(buffer: memoryview) -> None:
    """Fill a writable buffer with random bytes of the kernel, leaving no copy elsewhere."""
    done = 0
    while done < len(buffer):
        done += os.readv(_urandom_fd, [buffer[done:]])


class SecretBytes:
    """Bytes that are locked in memory and wiped when the block, or the object, ends.

    It has no printable form, can't be pickled, copied or iterated, and ``==`` is refused:
    :meth:`equals` compares in constant time. :meth:`reveal` and :meth:`text` make ordinary
    Python objects, which nobody can wipe; ``docs/limitations.md`` says what that means.
    """

    __slots__ = ("__weakref__", "_slot", "_view")

    _slot: memoryview | None
    _view: memoryview

    def __init__(self, data: bytes | bytearray | memoryview = b"") -> None:
        size = len(data)
        slot = arena.acquire(size)
        slot[:size] = data
        self._slot = slot
        self._view = slot[:size]

    @classmethod
    def sized(cls, size: int) -> Self:
        """A zeroed buffer of ``size`` bytes, to be written by :meth:`writable`."""
        new = cls.__new__(cls)
        slot = arena.acquire(size)
        new._slot = slot
        new._view = slot[:size]
        return new

    @classmethod
    def random(cls, size: int) -> Self:
        """``size`` random bytes of the kernel's generator."""
        new = cls.sized(size)
        fill_random(new._view)
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
            SecretWiped: The buffer was wiped.
        """
        if self._slot is None:
            raise SecretWiped("the secret was wiped when its block ended")
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
            self._view.release()
            arena.release(slot, used)

    @property
    def wiped(self) -> bool:
        """Whether the buffer has been wiped."""
        return self._slot is None

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
        try:
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

    def __bytes__(self) -> bytes:
        self._refuse()

    def __format__(self, spec: str) -> str:
        return "<SecretBytes>"


def wipe_at_end(owner: object, *secrets: SecretBytes) -> None:
    """Wipe secrets when ``owner`` is collected, for objects that hold keys without a block."""
    for secret in secrets:
        weakref.finalize(owner, secret.wipe).atexit = False
