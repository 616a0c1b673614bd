"""The memory of the process: when the store opens, after a user is closed, after it was sealed."""

import asyncio
import contextlib
import ctypes
import gc
import sys
from collections.abc import Iterator
from itertools import repeat
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
_LARGE: Final = (*range(528, 1_057, 16), *range(1_072, 8_193, 64))
_SMALL_BLOCKS: Final = 4_096
_LARGE_BLOCKS: Final = 64
_AGAIN_SECONDS: Final = 10.0
"""How long the next user who is closed waits at most: scrubbing takes some 100 ms."""
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
    taken = [bytes(size) for size in _free_blocks()]
    del taken
    _give_back()


def _free_blocks() -> Iterator[int]:
    for sizes, blocks in ((_SMALL, _SMALL_BLOCKS), (_LARGE, _LARGE_BLOCKS)):
        for size in sizes:
            yield from repeat(size - _BYTES_HEAD, blocks)


def _give_back() -> None:
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


class Scrubbing:
    """Overwrites what is free while the store stays open, once a user was closed or purged.

    Requests go on: it gives way to them between two steps of about a millisecond.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._asked = asyncio.Event()
        self._task = self._loop.create_task(self._run())

    def ask(self, _user: str) -> None:
        """Have it done soon, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._asked.set)

    async def stop(self) -> None:
        """End it."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._asked.wait()
            await asyncio.sleep(_SENT_SECONDS)
            self._asked.clear()
            gc.collect()
            taken = []
            for number, size in enumerate(_free_blocks()):
                taken.append(bytes(size))
                if number % 2_048 == 0:
                    await asyncio.sleep(0)
            del taken
            _give_back()
            await asyncio.sleep(_AGAIN_SECONDS)
