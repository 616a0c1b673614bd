"""One locked place per thread for the data key at hand.

A data key is used for one call and wiped; to take a buffer from the arena and give it back for
each would cost more than the cipher.
"""

import ctypes
import errno
import os
import threading
from typing import Final

from adyton.crypto import arena

_ZEROS: Final = bytes(32)
_getrandom = ctypes.CDLL(None, use_errno=True).getrandom


class KeyScratch:
    """32 locked bytes; whoever fills them wipes them.

    Attributes:
        view: The bytes.
    """

    __slots__ = ("_pointer", "_slot", "view")

    def __init__(self) -> None:
        self._slot = arena.acquire(32)
        self.view = self._slot[:32]
        self._pointer = ctypes.byref(ctypes.c_char.from_buffer(self.view))

    def randomize(self) -> memoryview:
        """Fill with random bytes of the kernel's generator, by ``getrandom(2)``."""
        while _getrandom(self._pointer, 32, 0) != 32:
            if ctypes.get_errno() != errno.EINTR:  # pragma: no cover - kernels before 3.17
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return self.view

    def wipe(self) -> None:
        """Overwrite with zeros."""
        self.view[:] = _ZEROS

    def __del__(self) -> None:
        # At the thread's end: else each thread that ever ran would keep its locked bytes.
        arena.release(self._slot, 32)


_local = threading.local()


def scratch() -> KeyScratch:
    """This thread's scratch, made at its first use."""
    try:
        return _local.scratch  # type: ignore[no-any-return]
    except AttributeError:
        _local.scratch = KeyScratch()
        return _local.scratch  # type: ignore[no-any-return]
