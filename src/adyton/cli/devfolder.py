"""The folder of a development server: held by a lock, removed at the end or by a later server.

A server that is killed can't remove its folder. The lock in it ends with its process, so whoever
gets the lock of another's folder knows that nobody uses it, whatever process ids say.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PREFIX: Final = "adyton-dev-"
_LOCK: Final = "in-use"


@contextlib.contextmanager
def dev_folder() -> Iterator[Path]:
    """A new folder, private to its owner, that is removed at the end; left ones are removed first.

    Raises:
        OSError: It can't be made.
    """
    _remove_left(Path(tempfile.gettempdir()))
    held = None
    while held is None:  # a server that looks for folders just now may be first to lock it
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        held = _locked(folder, os.O_CREAT)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _remove_left(parent: Path) -> None:
    """Remove folders of servers that were killed, as far as they are this user's own."""
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            held = _locked(folder)
        except OSError:
            continue  # gone meanwhile, or without a lock: then nothing tells whether it is used
        if held is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def _locked(folder: Path, flags: int = 0) -> int | None:
    """The open lock of a folder; None if another process has it, or had it and removed it."""
    fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        there = os.fstat(fd).st_nlink > 0
    except OSError:
        there = False
    if not there:
        os.close(fd)
        return None
    return fd
