"""Locked memory for keys and plaintext.

A few private anonymous mappings are locked (``mlock``), kept out of core dumps
(``MADV_DONTDUMP``) and zeroed in a forked child (``MADV_WIPEONFORK``), then cut into slots of
fixed size classes. A slot is wiped before it goes back to its free list, so a fresh slot is
always zero.

Where the limit on locked memory (``RLIMIT_MEMLOCK``) forbids a lock, the memory is used
unlocked, one warning is logged, and :func:`status` says how much. Measured pitfalls: a mapping
that is not ``MAP_PRIVATE`` refuses ``MADV_WIPEONFORK``.
"""

import ctypes
import logging
import mmap
import threading
from collections import deque
from typing import Final, NamedTuple

_MADV_DONTDUMP: Final = 16
_MADV_WIPEONFORK: Final = 18
_CHUNK: Final = 64 * 1024
_CLASSES: Final = tuple(64 << (2 * n) for n in range(8))  # 64 B, 256 B, ... 1 MiB

_log = logging.getLogger("adyton.memory")
_libc = ctypes.CDLL(None, use_errno=True)
_grow_lock = threading.Lock()
_free: dict[int, "deque[memoryview]"] = {size: deque() for size in _CLASSES}
_maps: list[mmap.mmap] = []
_ZEROS: Final = bytes(_CLASSES[-1])


class MemoryStatus(NamedTuple):
    """How much secret memory this process holds, in bytes."""

    locked: int
    unlocked: int


_locked = 0
_unlocked = 0


def status() -> MemoryStatus:
    """Bytes of secret memory that are locked, and bytes that the limits left unlocked."""
    return MemoryStatus(_locked, _unlocked)


def _map(size: int) -> memoryview:
    global _locked, _unlocked  # noqa: PLW0603 - one process, one memory
    mapping = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for advice in (_MADV_DONTDUMP, _MADV_WIPEONFORK):
        try:
            mapping.madvise(advice)
        except (OSError, ValueError):  # pragma: no cover - kernels before 4.14
            _log.warning("the kernel refuses madvise(%d) for secret memory", advice)
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    if _libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(size)) == 0:
        _locked += size
    else:
        if _unlocked == 0:
            _log.warning(
                "can't lock secret memory (%s): it could be swapped to disk; "
                "raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=)",
                ctypes.get_errno(),
            )
        _unlocked += size
    _maps.append(mapping)
    return memoryview(mapping)


def acquire(size: int) -> memoryview:
    """A zeroed slot of at least ``size`` bytes; give it back with :func:`release`."""
    for slot_size in _CLASSES:
        if size <= slot_size:
            break
    else:
        return _acquire_large(size)
    free = _free[slot_size]
    try:
        return free.pop()
    except IndexError:
        pass
    with _grow_lock:
        chunk = _map(max(_CHUNK, slot_size))
        free.extend(chunk[at : at + slot_size] for at in range(0, len(chunk), slot_size))
    return free.pop()


def _acquire_large(size: int) -> memoryview:
    # Rounded up so that slots of values over the default limit are found again for reuse.
    rounded = -(-size // _CLASSES[-1]) * _CLASSES[-1]
    free = _free.setdefault(rounded, deque())
    try:
        return free.pop()
    except IndexError:
        with _grow_lock:
            return _map(rounded)


def release(slot: memoryview, used: int) -> None:
    """Wipe the first ``used`` bytes of a slot (the rest is zero already) and take it back."""
    if used <= len(_ZEROS):
        slot[:used] = _ZEROS[:used]
    else:
        slot[:used] = bytes(used)
    _free[len(slot)].append(slot)
