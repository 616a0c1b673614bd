"""Files that survive a power cut, and files that nobody else may read: the one place for both.

The order of calls in :func:`replace` is the usual one, and each is needed::

    open(temp, O_EXCL)  write  fsync(temp)  rename(temp, path)  fsync(directory)

Without the first fsync the new name can point at an empty file after a power cut; without the
second the old name can come back. Failures are plain ``OSError``; callers give them a meaning.

Known gaps: a crash before the rename leaves a stray ``.NAME.XXXXXXXX.tmp``; a crash inside
:func:`create` leaves a file that is shorter than it should be, which its reader has to notice;
and a disk that lies about fsync is believed.
"""

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Final, TypeAlias

Data: TypeAlias = bytes | bytearray | memoryview
"""What can be written without a copy: key files are written out of locked memory."""

_BASE: Final = os.O_CLOEXEC | os.O_NOFOLLOW


class UnsafeFile(OSError):
    """The file is there, but others could read, replace or have made it; the text says how."""


def write_all(fd: int, data: Data) -> None:
    """Write all of ``data``, however many calls that takes.

    Raises:
        OSError: The disk is full, or anything else; a part may have been written.
    """
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += os.write(fd, view[done:])


def fsync_directory(path: Path) -> None:
    """Make the names inside a directory durable.

    Raises:
        OSError: The directory can't be opened or synced.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folders(path: Path) -> None:
    """Make a folder, and those above it, for their owner alone; they survive a power cut then.

    Raises:
        OSError: One can't be made or synced.
    """
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        fsync_directory(folder.parent)


def create(path: Path, data: Data, *, mode: int = 0o600) -> None:
    """Create a file that must not exist yet; when this returns it survives a power cut.

    Raises:
        FileExistsError: Something has that name, a dangling symlink included.
        OSError: Anything else; no file is left behind.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BASE, mode)
    try:
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        fsync_directory(path.parent)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def replace(path: Path, data: Data, *, mode: int = 0o600) -> None:
    """Give a file new content: after a crash it has the old one or the new one, whole.

    A symlink at ``path`` is replaced, not followed.

    Raises:
        OSError: The old content, or absence, is untouched.
    """
    temp = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BASE, mode)
    try:
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        temp.replace(path)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    fsync_directory(path.parent)


def open_private(path: Path) -> tuple[int, int]:
    """Open a file for reading that only its owner can read; return descriptor and size.

    A file of root may be open to a group as well where this process is not root's: that is how
    service managers hand out credentials (by group, or by an access list, whose mask shows as the
    group's bits). Root could give it to anybody anyhow.

    The checks are made on the open file, so nothing can be swapped in after them.

    Raises:
        UnsafeFile: A symlink, not a regular file, of another owner, or open to others
            than it may be.
        OSError: It is missing or can't be read.
    """
    try:
        # O_NONBLOCK: a FIFO put there must be refused, not waited for.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _BASE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnsafeFile(errno.ELOOP, "is a symbolic link; name the file itself") from None
        raise
    try:
        return fd, _private_size(os.fstat(fd))
    except BaseException:
        os.close(fd)
        raise


def _private_size(found: os.stat_result) -> int:
    if not stat.S_ISREG(found.st_mode):
        raise UnsafeFile(errno.EINVAL, "is not a regular file")
    if found.st_uid not in {os.geteuid(), 0}:
        raise UnsafeFile(errno.EPERM, f"belongs to user {found.st_uid}, not to us or root")
    mode = stat.S_IMODE(found.st_mode)
    handed_out = found.st_uid == 0 != os.geteuid()
    if mode & ~(0o640 if handed_out else 0o600):
        raise UnsafeFile(errno.EPERM, f"has mode {mode:04o}; only 0600 and 0400 are private")
    return found.st_size


def read_into(fd: int, buffer: memoryview) -> int:
    """Read into a buffer until it is full or the file ends; how many bytes were read.

    Raises:
        OSError: Reading failed; the buffer may hold a part.
    """
    done = 0
    while done < len(buffer):
        got = os.readv(fd, [buffer[done:]])
        if got == 0:
            break
        done += got
    return done
