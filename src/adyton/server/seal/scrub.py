"""The memory of the process, when the store opens and after it was sealed."""

import ctypes
import gc
import sys
from typing import Final

_libc: Final = ctypes.CDLL(None)


def tune_interpreter() -> None:
    """Spare requests what the interpreter does for programs of another kind."""
    # What lives as long as the store is open is never garbage, and little else survives a request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    # The HTTP server's threads need the interpreter for microseconds, and wait this long for it.
    sys.setswitchinterval(0.0005)


def scrub() -> None:
    """Collect what an open store has left, and give free memory back to the kernel."""
    gc.unfreeze()
    gc.collect()
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
