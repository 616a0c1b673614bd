"""A sink that appends audit records to a file, one JSON object a line.

The file may be moved away at any time (logrotate without ``copytruncate``, or with it): the next
write makes a new one. What was delivered is known from three places, of which the highest
counts: memory, the last complete line of the file, and ``PATH.position``, which is what remains
of it when the file was moved away and the process ended.

A record is delivered at least once. It is never half there: what a full disk or a crash leaves
of a line is cut off before the next is written.
"""

import errno
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from adyton import durable
from adyton.errors import InvalidInput
from adyton.ports import SinkEvent

_BLOCK: Final = 64 * 1024
_MAX_LINE: Final = 16 * 1024 * 1024


class FileSink:
    """Appends to a JSON-lines file that only its owner can read.

    Nothing is opened before the first use, so a missing directory is an ``OSError`` of
    :meth:`position` and :meth:`write`, and may be mended while the process runs.

    Args:
        path: The file; made with mode 0600 when it is missing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()
        self._sidecar = self._path.with_name(self._path.name + ".position")
        self._fd = -1
        self._next = 0  # the leaf that is written next
        self._saved = -1  # what the sidecar says, -1 before it has been read

    def position(self) -> int:
        """The leaf index of the next record that the file lacks.

        Raises:
            OSError: The file can't be opened, or is not one of audit records.
        """
        self._open()
        return self._next

    def write(self, events: Sequence[SinkEvent]) -> None:
        """Append records and sync; those that are there already are left out.

        Raises:
            OSError: The disk is full or the file can't be opened; no part of a line is left.
            InvalidInput: A line has a line break in it.
        """
        self._open()
        new = [event for event in events if event.leaf >= self._next]
        for event in new:
            if "\n" in event.line:
                raise InvalidInput(f"the record of leaf {event.leaf} is not on one line")
        if new:
            self._append("".join(f"{event.line}\n" for event in new).encode())
            self._next = new[-1].leaf + 1
        # Also without new lines: a former save may have failed.
        self._save()

    def close(self) -> None:
        """Close the file. May be called again, and the sink opens it again when it is used."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __repr__(self) -> str:
        return f"<FileSink {self._path}>"

    def _append(self, data: bytes) -> None:
        end = os.fstat(self._fd).st_size
        try:
            durable.write_all(self._fd, data)
            os.fsync(self._fd)
        except OSError:
            # After a failed fsync nobody knows what is on disk: all of it is written again.
            try:
                os.ftruncate(self._fd, end)
                os.fsync(self._fd)
            finally:
                self.close()  # opening it again cuts off what the truncation could not
            raise

    def _save(self) -> None:
        if self._saved < self._next:
            durable.replace(self._sidecar, b"%d\n" % self._next)
            self._saved = self._next

    def _open(self) -> None:
        """Open the file, or open it anew if it was moved away, and find the position."""
        if self._fd >= 0 and self._is_current():
            return
        self.close()
        made = not self._path.exists()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(self._path, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise _foreign(self._path, "is not a regular file")  # noqa: TRY301 - fd is closed
            if made:
                durable.fsync_directory(self._path.parent)
            last = _repair(fd, self._path)
            if self._saved < 0:
                self._saved = self._read_sidecar()
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        self._next = max(self._next, self._saved, last + 1)

    def _is_current(self) -> bool:
        try:
            there = self._path.lstat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._fd))

    def _read_sidecar(self) -> int:
        try:
            text = self._sidecar.read_bytes()
        except FileNotFoundError:
            return 0
        # A damaged sidecar costs records that are sent twice, which is allowed; none is lost.
        number = text.removesuffix(b"\n")
        return int(number) if number.isdigit() and len(number) < 20 else 0


def _foreign(path: Path, why: str) -> OSError:
    return OSError(errno.EINVAL, f"the audit sink {path} {why}; name another file")


def _repair(fd: int, path: Path) -> int:
    """Cut off a torn last line; return the index of the last complete one, or -1.

    Raises:
        OSError: Reading failed, or the file holds something else, which is not touched.
    """
    size = os.fstat(fd).st_size
    end = _after_newline(fd, size)
    last = -1
    if end:
        start = _after_newline(fd, end - 1)
        last = _index(os.pread(fd, end - start, start), path)
    if end < size:
        # Our own torn line begins like a record, or is zeros that a crash left in its place.
        if os.pread(fd, 1, end) not in {b"{", b"\0"}:
            raise _foreign(path, "ends in something that is not an audit record")
        os.ftruncate(fd, end)
        os.fsync(fd)
    return last


def _after_newline(fd: int, end: int) -> int:
    """Where the line begins that the byte at ``end`` would belong to: behind a newline, or 0."""
    at = end
    while at > 0:
        if end - at > _MAX_LINE:
            raise OSError(errno.EINVAL, "the audit sink's last line is too long to be a record")
        start = max(0, at - _BLOCK)
        found = os.pread(fd, at - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        at = start
    return 0


def _index(line: bytes, path: Path) -> int:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    index = record.get("index") if isinstance(record, dict) else None
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise _foreign(path, "has a last line that is not an audit record")
    return index
