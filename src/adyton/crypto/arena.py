"""Locked memory for keys and plaintext.

A few private anonymous mappings are locked (``mlock``), kept out of core dumps
(``MADV_DONTDUMP``) and zeroed in a forked child (``MADV_WIPEONFORK``), then cut into slots of
fixed size classes. A slot is wiped before it goes back to its free list, so a fresh slot is
always zero. A child inherits the mappings, zeroed, but not their locks: they are locked again,
and :data:`generation` tells what was filled before the fork from what was filled after it.

Where the limit on locked memory (``RLIMIT_MEMLOCK``) forbids a lock, the memory is used
unlocked, one warning is logged, and :func:`status` says how much. Measured pitfalls: a mapping
that is not ``MAP_PRIVATE`` refuses ``MADV_WIPEONFORK``.

A process that does not fork may ask for :func:`use_memfd_secret`: new mappings are then out of
the kernel's own reach too (``memfd_secret(2)``), so that not even root reads them by ``ptrace``
or ``/proc/PID/mem``. Such memory is shared, a child would wipe the parent's: so it is not given
to children at all (``MADV_DONTFORK``), and zeros are mapped in its place.
"""

import ctypes
import logging
import mmap
import os
import threading
from collections import deque
from typing import Final, NamedTuple

_MADV_DONTFORK: Final = 10
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
_secret_maps: list[tuple[int, int]] = []
"""Address and size of what ``memfd_secret`` has given; it is never unmapped."""
_ZEROS: Final = bytes(_CLASSES[-1])

_MAP_FIXED: Final = 0x10
_SYS_MEMFD_SECRET: Final = 447  # the same on all architectures
_MAP_FAILED: Final = ctypes.c_void_p(-1).value
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)


class MemoryStatus(NamedTuple):
    """How much secret memory this process holds, in bytes.

    Attributes:
        locked: Kept in memory; not swapped out.
        unlocked: What the limits left unlocked.
        hidden: Of the locked, what the kernel hides from itself too (``memfd_secret``).
    """

    locked: int
    unlocked: int
    hidden: int


_locked = 0
_unlocked = 0
_hidden = 0
_use_memfd_secret = False

generation = 0
"""How many forks lie between this process and the one that imported the module first."""


def status() -> MemoryStatus:
    """Bytes of secret memory that are locked, and bytes that the limits left unlocked."""
    return MemoryStatus(_locked, _unlocked, _hidden)


def use_memfd_secret() -> bool:
    """From now on map new chunks by ``memfd_secret(2)``, where the kernel and the limits let us.

    For processes that do not fork: in a child, what is freed before Python's own handlers have
    run would touch memory that is not there.

    Returns:
        Whether the kernel has it.
    """
    global _use_memfd_secret  # noqa: PLW0603 - one process, one memory
    fd = _libc.syscall(_SYS_MEMFD_SECRET, os.O_CLOEXEC)
    if fd < 0:
        return False
    os.close(fd)
    _use_memfd_secret = True
    return True


def _map(size: int) -> memoryview:
    if _use_memfd_secret:
        hidden = _map_secret(size)
        if hidden is not None:
            return hidden
    return _map_anonymous(size)


def _map_secret(size: int) -> memoryview | None:
    """Memory that is missing in the kernel's own page tables; None where the limits forbid it."""
    global _locked, _hidden  # noqa: PLW0603 - idem
    fd = _libc.syscall(_SYS_MEMFD_SECRET, os.O_CLOEXEC)
    if fd < 0:
        return None
    try:
        os.ftruncate(fd, size)
        # Not by mmap.mmap(), which would keep a descriptor for each chunk.
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        address = _libc.mmap(None, size, protection, mmap.MAP_SHARED, fd, 0)
    except OSError:
        return None
    finally:
        os.close(fd)
    if address is None or address == _MAP_FAILED:
        return None
    if _libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), _MADV_DONTFORK) != 0:
        _libc.munmap(ctypes.c_void_p(address), ctypes.c_size_t(size))
        return None
    _secret_maps.append((address, size))
    _locked += size
    _hidden += size
    return memoryview((ctypes.c_char * size).from_address(address)).cast("B")


def _map_anonymous(size: int) -> memoryview:
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
    _lock_range(ctypes.addressof(ctypes.c_char.from_buffer(mapping)), len(mapping))


def _lock_range(address: int, size: int) -> None:
    global _locked, _unlocked  # noqa: PLW0603 - one process, one memory
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
    global _locked, _unlocked, _hidden, _grow_lock, generation  # noqa: PLW0603 - idem
    generation += 1
    _grow_lock = threading.Lock()  # another thread of the parent may have held it
    _locked = _unlocked = _hidden = 0
    protection = mmap.PROT_READ | mmap.PROT_WRITE
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_FIXED
    for address, size in _secret_maps:
        _libc.mmap(address, size, protection, flags, -1, 0)
        for advice in (_MADV_DONTDUMP, _MADV_WIPEONFORK):
            _libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), advice)
        _lock_range(address, size)
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
