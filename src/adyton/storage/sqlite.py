"""The embedded store: SQLite in WAL mode, one writing process.

A commit returns after ``fsync`` (``synchronous=FULL``). A second process is kept out by an
advisory lock on a file beside the database, taken before the database is opened and given up
by the kernel when the process ends, however it ends: two writing processes cost a factor of
twenty in p99 and would each hold their own idea of the audit log's end.
"""

import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import apsw

from adyton.errors import (
    IntegrityError,
    StorageReadOnly,
    StoreClosed,
    StoreExists,
    StoreLocked,
    StoreNotFound,
)
from adyton.ports import Rows, Transaction
from adyton.rows import ObjectRow, SecretRow
from adyton.storage.migrate import migrate
from adyton.storage.sqlite_folding import Folding
from adyton.storage.sqlite_readers import ReaderPool
from adyton.storage.sqlite_recent import RecentRows
from adyton.storage.sqlite_rows import FAILURES, translate
from adyton.storage.sqlite_usage import keep_usage
from adyton.storage.sqlite_writing import SqliteTransaction

_OPEN_FLAGS: Final = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
_WAL_PAGES: Final = 8_000
"""Pages in the write-ahead log at which it is folded into the database: 32 MiB."""

_MAX_COUNTED: Final = 100_000
"""Users whose changes of names are counted one by one."""


class SqliteStorage:
    """A ``ports.Storage`` in one SQLite file.

    Args:
        path: The database file.
        create: Make the file when it is missing. A file that exists with content is then an
            error only if ``exist_ok`` is false.
        lock_timeout: Seconds to wait for another process to close the store.
        vfs: Name of an SQLite VFS, for fault injection.

    Raises:
        StoreNotFound: The file is missing and ``create`` is false.
        StoreLocked: Another process has the store open.
        StorageReadOnly: The file or its folder does not take writes.
        SchemaError: The file is no store of this program.
        IntegrityError: The file is damaged.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        create: bool = False,
        lock_timeout: float = 10.0,
        vfs: str | None = None,
    ) -> None:
        self.path = os.fspath(Path(path).absolute())
        self._vfs = vfs
        self._closed = False
        self._lock_fd = -1
        self._readers = ReaderPool(self._connect, self.path)
        self._recent = RecentRows[SecretRow]()
        self._recent_objects = RecentRows[ObjectRow]()
        self._names: dict[bytes, int] = {}
        self._names_floor = 0
        # While there is something to fold, all files exist: no umask is needed.
        self._folding = Folding(self._connect_bare, self._readers.let_go)
        try:
            self._check_place(create=create)
            self._take_lock(lock_timeout)
            self._writer = SqliteTransaction(self._connect(), self.path, self._committed)
            self._prepare(self._writer.connection)
        except (apsw.Error, OSError) as error:
            self.close()
            if isinstance(error, OSError):
                raise StorageReadOnly(
                    f"the folder of the store {self.path} is missing or does not take writes",
                    hint="Check owner, mode and mount of the folder.",
                ) from error
            raise translate(error) from error
        except BaseException:
            self.close()
            raise

    def _check_place(self, *, create: bool) -> None:
        found = Path(self.path)
        if not found.exists() and not create:
            raise StoreNotFound(
                f"there is no store at {self.path}",
                hint="Check the path, or make one with 'adyton init' or create=True.",
            )
        if found.is_dir():
            raise StoreExists("the path is a folder", hint="Give the path of a file in it.")

    def _take_lock(self, timeout: float) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._lock_fd = os.open(self.path + ".lock", flags, 0o600)
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = os.pread(self._lock_fd, 32, 0).decode("ascii", "replace").strip()
                    raise StoreLocked(
                        f"the store is open in another process (pid {holder or 'unknown'})",
                        hint="Wait for it or stop it; one process writes a store at a time.",
                    ) from None
                time.sleep(0.02)
        os.ftruncate(self._lock_fd, 0)
        os.pwrite(self._lock_fd, f"{os.getpid()}\n".encode(), 0)

    def _connect(self) -> apsw.Connection:
        old_umask = os.umask(0o077)  # the database and its WAL are for their owner alone
        try:
            connection = self._connect_bare()
        finally:
            os.umask(old_umask)
        connection.execute("PRAGMA temp_store=MEMORY; PRAGMA cache_size=-8192")
        return connection

    def _connect_bare(self) -> apsw.Connection:
        connection = apsw.Connection(
            self.path, flags=_OPEN_FLAGS, vfs=self._vfs, statementcachesize=128
        )
        connection.set_busy_timeout(0)
        return connection

    def _prepare(self, connection: apsw.Connection) -> None:
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchall()[0][0]
        if mode != "wal":
            raise StorageReadOnly(
                "the file system can't hold a write-ahead log",
                hint="Put the store on a local file system.",
            )
        connection.execute(
            "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA foreign_keys=ON;"
            "PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-24576"
        )
        migrate(connection, time.time_ns() // 1000)
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.set_wal_hook(self._fold_when_large)

    def _fold_when_large(self, _: apsw.Connection, __: str, pages: int) -> int:
        """Called by SQLite after a commit: fold the WAL when it has grown."""
        if pages >= _WAL_PAGES:
            if self._folding.take_ended():
                self._readers.let_go()
                with suppress(apsw.BusyError):  # a reader is at work; it is tried again later
                    self._writer.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            else:
                self._folding.begin()
        return apsw.SQLITE_OK

    async def secret(self, user: bytes, name: bytes) -> SecretRow | None:
        """See ``ports.Storage``; written out flat because every read passes here."""
        row = self._recent.get((user, name))
        if row is not None:
            return row
        readers = self._readers
        commits = self._recent.commits
        try:
            reader = readers.take()
            try:
                if reader.seen != readers.commits:
                    reader.refresh(readers.commits)
                found = reader.current(user, name)
            finally:
                readers.give_back(reader)
        except FAILURES as error:
            raise translate(error) from None
        if not found:
            return None
        row = SecretRow(*found)
        parts = (row.meta, row.wrapped_key, row.value)
        self._recent.keep((user, row.name), row, parts, commits)
        return row

    async def object(self, user: bytes, bucket: bytes, ident: bytes) -> ObjectRow | None:
        """See ``ports.Storage``."""
        place = (user, bucket + ident)
        row = self._recent_objects.get(place)
        if row is None:
            commits = self._recent_objects.commits
            async with self._snapshot() as rows:
                row = await rows.object(user, bucket, ident)
            if row is not None:
                self._recent_objects.keep(place, row, (row.box,), commits)
        return row

    def snapshot(self) -> AbstractAsyncContextManager[Rows]:
        """See ``ports.Storage``."""
        return self._snapshot()

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Rows]:
        readers = self._readers
        try:
            reader = readers.take()
            try:
                reader.refresh(readers.commits)
                yield reader
            finally:
                readers.give_back(reader)
        except apsw.Error as error:
            raise translate(error) from error

    def keep_usage(self) -> None:
        """See ``ports.Storage``."""
        try:
            keep_usage(self._writer.connection)
        except apsw.Error as error:
            raise translate(error) from error

    async def begin(self) -> Transaction:
        """See ``ports.Storage``."""
        if self._closed:
            raise StoreClosed("the store has been closed")
        writer = self._writer
        try:
            if writer.connection.in_transaction:  # a commit failed half-way
                writer.connection.execute("ROLLBACK")
            writer.connection.execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            raise translate(error) from error
        return writer

    def _committed(self) -> None:
        self._readers.commits += 1
        self._recent.committed(self._writer.changed)
        self._recent_objects.committed(self._writer.changed)
        self._writer.changed.clear()
        renamed = self._writer.renamed
        if renamed:
            if len(self._names) > _MAX_COUNTED:
                self._names.clear()
                self._names_floor = self._readers.commits
            self._names.update(dict.fromkeys(renamed, self._readers.commits))
            renamed.clear()

    def names_version(self, user: bytes) -> int:
        """See ``ports.Storage``."""
        return self._names.get(user, self._names_floor)

    async def compact(self) -> None:
        """See ``ports.Storage``."""
        try:
            self._folding.wait()
            self._readers.let_go()
            self._writer.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            pass  # a reader is at work; the next commit folds the rest
        except apsw.Error as error:
            raise translate(error) from error

    async def check(self) -> list[str]:
        """See ``ports.Storage``."""
        readers = self._readers
        try:
            reader = readers.take()
            try:
                reader.refresh(readers.commits)
                lines = [str(row[0]) for row in reader.execute("PRAGMA integrity_check")]
            finally:
                readers.give_back(reader)
        except apsw.Error as error:
            translated = translate(error)
            if isinstance(translated, IntegrityError):
                return [translated.message]
            raise translated from error
        return [] if lines == ["ok"] else lines

    def close(self) -> None:
        """See ``ports.Storage``."""
        if self._closed:
            return
        self._closed = True
        self._folding.wait()
        self._readers.close()
        self._recent.close()
        self._recent_objects.close()
        writer = getattr(self, "_writer", None)
        if writer is not None:
            with suppress(apsw.Error):
                # Closing the last connection folds the WAL into the database and removes it.
                writer.connection.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1
