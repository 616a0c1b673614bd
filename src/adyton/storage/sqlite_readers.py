"""Reading connections that keep their view of the database between commits.

To begin a read costs SQLite more than the read itself (locks in shared memory, by system
calls). As this process is the only writer, it knows when a view is out of date: only then does
a reader begin anew. A view that is kept holds the write-ahead log back, so the pool lets go of
all idle ones before a checkpoint.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import apsw

from adyton.errors import StoreClosed
from adyton.storage.sqlite_rows import SELECT_CURRENT, SqliteRows

MAX_READERS: Final = 16


class Reader(SqliteRows):
    """One reading connection.

    Attributes:
        seen: Number of the commit whose state it shows; -1 while it shows none.
    """

    def __init__(self, connection: apsw.Connection, path: str) -> None:
        super().__init__(connection, path)
        self.seen = -1
        self._cursor = connection.cursor()

    def current(self, user: bytes, name: bytes) -> tuple[Any, ...] | None:
        """The row of a secret. Its statement is left where it is until the next one."""
        return self._cursor.execute(SELECT_CURRENT, (user, name)).fetchone()

    def refresh(self, commits: int) -> None:
        """Show the state of the last commit."""
        self.end()
        self.execute("BEGIN")
        self.seen = commits

    def end(self) -> None:
        """Show no state, and hold nothing back."""
        if self.seen >= 0:
            self.seen = -1
            self._cursor.close(force=True)  # a statement that is not at its end holds the view
            self._cursor = self.connection.cursor()
            self.execute("COMMIT")


class ReaderPool:
    """The reading connections of one store.

    Args:
        connect: Opens a connection.
        path: The database's path.

    Attributes:
        commits: Counted up by the writer after each commit, before anybody is told of it.
    """

    def __init__(self, connect: Callable[[], apsw.Connection], path: str) -> None:
        self._connect = connect
        self._path = path
        self._idle: deque[Reader] = deque()
        self._closed = False
        self._spare = 0
        self.commits = 0

    def take(self) -> Reader:
        """A reader for one thread to use, and to give back.

        Raises:
            StoreClosed: The store has been closed.
            apsw.Error: No connection can be opened.
        """
        try:
            found = self._idle.pop()
        except IndexError:
            pass
        else:
            self._spare = min(self._spare, len(self._idle))
            return found
        if self._closed:
            raise StoreClosed("the store has been closed")
        connection = self._connect()
        connection.execute("PRAGMA query_only=ON")
        return Reader(connection, self._path)

    def give_back(self, reader: Reader) -> None:
        """Put a reader back."""
        if self._closed or len(self._idle) >= MAX_READERS:
            reader.connection.close()
        else:
            self._idle.append(reader)

    def let_go(self) -> None:
        """Make all idle readers hold nothing back; close those that were not needed since the last.

        Each holds pages of its own, and many readers are needed for moments only.
        """
        spare, self._spare = self._spare, MAX_READERS
        for _ in range(min(spare, len(self._idle) - 1)):  # the ones that have lain there longest
            with suppress(IndexError):
                self._idle.popleft().connection.close()
        for _ in range(len(self._idle)):
            try:
                reader = self._idle.popleft()
            except IndexError:
                return
            reader.end()
            self._idle.append(reader)

    def close(self) -> None:
        """Close all; those in use are closed when they come back."""
        self._closed = True
        while self._idle:
            self._idle.pop().connection.close()
