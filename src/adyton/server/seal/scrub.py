"""The memory of the process, when the store opens and after it was sealed."""

import asyncio
import ctypes
import gc
import sys
from typing import Any, Final

import msgspec

from adyton.crypto.wiping import wipe_bytes
from adyton.server.http import Response

_SENT_SECONDS: Final = 1.0
"""An answer is handed over within the step that makes it; this is ample."""
_ANSWER_BYTES: Final = 256 * 1024
"""More than 255 shares take, twice in hexadecimal and in base64."""
_encode_into: Final = msgspec.json.Encoder().encode_into
_BYTES_HEAD: Final = sys.getsizeof(b"")
_SMALL: Final = range(48, 513, 16)
"""Sizes of the interpreter's own blocks that could hold something worth reading."""
_LARGE: Final = range(528, 8_193, 64)
_SMALL_BLOCKS: Final = 4_096
_LARGE_BLOCKS: Final = 64
_libc: Final = ctypes.CDLL(None)


def tune_interpreter() -> None:
    """Spare requests what the interpreter does for programs of another kind."""
    # What lives as long as the store is open is never garbage, and little else survives a request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    # The HTTP server's threads need the interpreter for microseconds, and wait this long for it.
    # What they bring waits for the event loop anyway: shorter turns cost more than they bring.
    sys.setswitchinterval(0.002)


def encode_secret(document: dict[str, Any]) -> bytes:
    """JSON of a document with secrets, for :func:`wipe_when_sent`.

    Written into one buffer with room for it: the usual way leaves a copy each time that it grows.
    """
    buffer = bytearray(_ANSWER_BYTES)
    _encode_into(document, buffer)
    body = bytes(buffer)
    buffer[:] = bytes(len(buffer))
    return body


def wipe_when_sent(response: Response) -> Response:
    """Overwrite an answer with secrets in it once it was sent."""
    asyncio.get_running_loop().call_later(_SENT_SECONDS, wipe_bytes, response.body)
    return response


def scrub() -> None:
    """Collect what an open store has left, overwrite free memory, give it back to the kernel.

    Neither the interpreter nor the C library clears what is freed. Blocks of each size are taken,
    which come as zeros and out of the free ones first, and given back.
    """
    gc.unfreeze()
    gc.collect()
    taken = [bytes(size - _BYTES_HEAD) for size in _SMALL for _ in range(_SMALL_BLOCKS)]
    taken += [bytes(size - _BYTES_HEAD) for size in _LARGE for _ in range(_LARGE_BLOCKS)]
    del taken
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
