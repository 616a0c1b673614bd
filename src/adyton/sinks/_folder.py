"""What sinks that are folders have in common: settings in small files, a position, batches.

A folder has a file for each setting and ``position``, kept here: the leaf of the next record. A
file ``only`` with the word ``notices`` leaves all other records out; certificates in ``ca.pem``
are trusted instead of the system's.
"""

import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from adyton import durable
from adyton.ports import SinkEvent

_MOST: Final = 500
_BYTES: Final = 512 * 1024
_MARK: Final = '"notice":'
SECONDS: Final = 5.0
"""Longest time that a sink waits for the other side, for each connection, write or answer."""


class FolderSink(ABC):
    """Sends records in batches (``ports.Sink``).

    Nothing is read before the first use, so what is missing is an ``OSError`` of :meth:`position`
    and :meth:`write`, and may be mended while the process runs.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder).absolute()
        self._next = -1
        self._noting = False  # whether the position could be kept the last time

    @abstractmethod
    def _send(self, events: Sequence[SinkEvent]) -> None:
        """Send one batch.

        Raises:
            OSError: It can't be reached now, or does not take it.
        """

    def position(self) -> int:
        """The leaf index of the next record that was not taken.

        Raises:
            OSError: The folder can't be read.
        """
        if self._next < 0:
            try:
                text = (self._folder / "position").read_text("ascii").strip()
            except FileNotFoundError:
                text = "0"
                self._read("url")  # a folder that is none does not look like a new one
            # A damaged position costs records that are sent twice, which is allowed.
            self._next = int(text) if text.isdigit() and len(text) < 20 else 0
        return self._next

    def write(self, events: Sequence[SinkEvent]) -> None:
        """Send records; those that were taken already are left out.

        Raises:
            OSError: It can't be reached now, or does not take them; or the position can't be kept.
        """
        at = self.position()
        new = [event for event in events if event.leaf >= at]
        if new and not self._noting:
            self._note(at)  # what can't be kept would be sent again and again
        for batch in _batches(new):
            wanted = batch
            if self._read("only", "records") == "notices":
                wanted = [event for event in batch if _MARK in event.line]
            if wanted:
                self._send(wanted)
            self._note(batch[-1].leaf + 1)

    def _note(self, leaf: int) -> None:
        self._noting = False
        self._next = leaf
        durable.replace(self._folder / "position", b"%d\n" % leaf)
        self._noting = True

    def close(self) -> None:  # noqa: B027 - none of them holds anything between batches
        """Nothing is held."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def _read(self, name: str, default: str | None = None) -> str:
        try:
            return (self._folder / name).read_text("utf-8").strip()
        except FileNotFoundError:
            if default is None:
                raise
            return default
        except UnicodeError:
            raise OSError(errno.EINVAL, f"the file {name} of a sink is not text") from None

    def _private(self, name: str) -> str:
        """A file that nobody else may read."""
        try:
            fd, size = durable.open_private(self._folder / name)
        except durable.UnsafeFile as error:
            raise OSError(error.errno, f"its {name} {error.strerror}") from None
        try:
            return os.read(fd, size).decode("ascii", "replace").strip()
        finally:
            os.close(fd)

    def _file(self, name: str) -> str | None:
        """The path of a file that need not be there."""
        path = self._folder / name
        return str(path) if path.exists() else None


def _batches(events: Sequence[SinkEvent]) -> Iterator[list[SinkEvent]]:
    batch: list[SinkEvent] = []
    size = 0
    for event in events:
        if batch and (len(batch) >= _MOST or size + len(event.line) > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += len(event.line)
    if batch:
        yield batch
