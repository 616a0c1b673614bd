"""What a process that holds keys does to itself before it takes any (DESIGN section 7).

Each step is tried, none is taken for granted: :class:`Hardening` tells what holds. What it is
worth was measured by reading the process's memory from outside; ``docs/limitations.md`` has the
figures. Nothing here defends against root while secrets are in use.
"""

import ctypes
import logging
import os
import resource
from pathlib import Path
from typing import Final, NamedTuple

from adyton.crypto import arena

_PR_SET_DUMPABLE: Final = 4
_PR_GET_DUMPABLE: Final = 3
# Requests and answers lie in memory of the HTTP server's library, which brings an allocator of its
# own (jemalloc) that reads this when it is loaded. The C library's counterpart (M_PERTURB) was
# measured to find no more of the values, and to cost as much again.
_JEMALLOC: Final = ("_RJEM_MALLOC_CONF", "junk:free")

_log = logging.getLogger("adyton.memory")
_libc = ctypes.CDLL(None, use_errno=True)


class Hardening(NamedTuple):
    """What holds of this process.

    Attributes:
        no_core_dumps: The limit on core dumps is zero, and can't be raised again.
        not_dumpable: Processes of the same user can't attach to it or read its memory.
        wipes_freed_memory: The HTTP server's allocator overwrites what is given back to it.
        hidden_memory: Keys and plaintext lie in memory that the kernel itself can't read.
    """

    no_core_dumps: bool
    not_dumpable: bool
    wipes_freed_memory: bool
    hidden_memory: bool


def harden_process() -> Hardening:
    """Harden this process as far as the kernel lets us; for programs, not for libraries.

    To be called before the HTTP server's library is loaded and before there are threads.
    """
    wanted = Hardening(_forbid_dumps(), _deny_tracing(), _wipe_freed(), arena.use_memfd_secret())
    missing = [name.replace("_", " ") for name, held in wanted._asdict().items() if not held]
    if missing:
        _log.warning("this system does not let the process have: %s", ", ".join(missing))
    return wanted


def _forbid_dumps() -> bool:
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError):
        return False
    return True


def _deny_tracing() -> bool:
    """Also excludes the process from dumps by a pipe of the kernel, which no limit does."""
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return int(_libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0)) == 0


def _wipe_freed() -> bool:
    name, value = _JEMALLOC
    return os.environ.setdefault(name, value) == value


def forget_variable(name: str) -> bytes | None:
    """Take a variable out of the environment, also where the kernel shows it to others.

    ``/proc/PID/environ`` is the memory that the process was started with: its bytes are
    overwritten, which taking the variable out of ``os.environ`` does not do.

    Returns:
        Its value, or None where it is not set.
    """
    value = os.environb.pop(name.encode(), None)
    if value is None:
        return None
    for address, size in _initial_values(name.encode() + b"="):
        ctypes.memset(address, 0, size)
    return value


def _initial_values(prefix: bytes) -> list[tuple[int, int]]:
    """Where the values of a variable lie in the memory that the kernel shows as environment."""
    try:
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        start, end = int(fields[47]), int(fields[48])  # env_start, env_end: proc(5), 50 and 51
    except (OSError, IndexError, ValueError):
        return []
    if not 0 < start < end:  # hidden from a process that may not be traced
        return []
    block = ctypes.string_at(start, end - start)
    found = []
    at = 0
    for entry in block.split(b"\0"):
        if entry.startswith(prefix):
            found.append((start + at + len(prefix), len(entry) - len(prefix)))
        at += len(entry) + 1
    return found
