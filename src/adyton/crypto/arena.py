"""Locked memory for keys and plaintext.

A few private anonymous mappings are locked (``mlock``), kept out of core dumps
(``MADV_DONTDUMP``) and zeroed in a forked child (``MADV_WIPEONFORK``), then cut into slots of
fixed size classes. A slot is wiped before it goes back to its free list, so a fresh slot is
always zero. A child inherits the mappings, zeroed, but not their locks: they are locked again,
and :data:`generation` tells what was filled before the fork from what was filled after it.

Where the limit on locked memory (``RLIMIT_MEMLOCK``) forbids a lock, the memory is used
unlocked, one warning is logged, and :func:`status` says how much. Measured pitfalls: a mapping
that is not ``MAP_PRIVATE`` refuses ``MADV_WIPEONFORK``.
"""

import ctypes
import logging
import mmap
import os
import threading
from collections import deque
from typing import Final, NamedTuple

_MADV_DONTDUMP: Final = 16
_MADV_WIPEONFORK: Final = 18
_CHUNK: Final = 64 * 1024
_CLASSES: Final = tuple(64 << (2 * n) for n in range(8))  # 64 B, 256 B, ... 1 MiB
_CLASS_OF_BITS: Final = tuple(
    next(size for size in _CLASSES if size.bit_length() > bits) for bits in range(21)
)
"""Smallest class for a size of which ``size - 1`` has so many bits."""

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

generation = 0
"""How many forks lie between this process and the one that imported the module first."""


def status() -> MemoryStatus:
    """Bytes of secret memory that are locked, and bytes that the limits left unlocked."""
    return MemoryStatus(_locked, _unlocked)


def _map(size: int) -> memoryview:
    mapping = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for advice in (_MADV_DONTDUMP, _MADV_WIPEONFORK):
        try:
            mapping.madvise(advice)
        except (OSError, ValueError):  # pragma: no cover - kernels before 4.14
            _log.warning("the kernel refuses madvise(%d) for secret memory", advice)
    _lock_pages(mapping)
    _maps.append(mapping)
    return memoryview(mapping)


def _lock_pages(mapping: mmap.mmap) -> None:
    global _locked, _unlocked  # noqa: PLW0603 - one process, one memory
    size = len(mapping)
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    if _libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(size)) == 0:
        _locked += size
    else:
        if _unlocked == 0:
            _log.warning(
                "can't lock secret memory (%s): it could be swapped to disk; "
                "raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=)",
                os.strerror(ctypes.get_errno()),
            )
        _unlocked += size


def _after_fork() -> None:
    global _locked, _unlocked, _grow_lock, generation  # noqa: PLW0603 - idem
    generation += 1
    _grow_lock = threading.Lock()  # another thread of the parent may have held it
    _locked = _unlocked = 0
    for mapping in _maps:
        _lock_pages(mapping)


os.register_at_fork(after_in_child=_after_fork)


def acquire(size: int) -> memoryview:
    """A zeroed slot of at least ``size`` bytes; give it back with :func:`release`."""
    if size > _CLASSES[-1]:
        return _acquire_large(size)
    slot_size = _CLASS_OF_BITS[(size - 1 if size else 0).bit_length()]
    free = _free[slot_size]
    try:
        return free.pop()
    except IndexError:
        pass
    with _grow_lock:
        chunk = _map(max(_CHUNK, slot_size))
        # The first is ours: other threads may take all the rest before we look.
        free.extend(chunk[at : at + slot_size] for at in range(slot_size, len(chunk), slot_size))
    return chunk[:slot_size]


def _acquire_large(size: int) -> memoryview:
    # Rounded up so that slots of values over the default limit are found again for reuse.
    rounded = -(-size // _CLASSES[-1]) * _CLASSES[-1]
    free = _free.setdefault(rounded, deque())
    try:
        return free.pop()
    except IndexError:
        with _grow_lock:
            return _map(rounded)


def wipe(slot: memoryview, used: int) -> None:
    """Overwrite the first ``used`` bytes of a slot; the rest is zero already."""
    if used <= len(_ZEROS):
        slot[:used] = _ZEROS[:used]
    else:
        slot[:used] = bytes(used)


def release(slot: memoryview, used: int) -> None:
    """Wipe a slot and take it back; nobody else may hold a view of it."""
    wipe(slot, used)
    _free[len(slot)].append(slot)
