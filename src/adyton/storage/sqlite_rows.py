"""SQL of the SQLite storage that reads: one method per statement, rows out.

The statements of the hot path select by a whole primary key from one table: with STAT4, SQLite
plans a statement anew for each bound value where a partial key or a join is involved.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, TypeVar

import apsw

from adyton.errors import (
    IntegrityError,
    StorageFull,
    StorageReadOnly,
    StoreError,
    StoreLocked,
)
from adyton.rows import (
    CheckpointRow,
    EntryRow,
    MasterKeyRow,
    MetaRow,
    ObjectRow,
    SecretRow,
    StoreKeyRow,
    SubkeyRow,
    UsageRow,
    UserKeyRow,
    UserRow,
    VersionRow,
    WrapRow,
)
from adyton.storage import sqlite_usage
from adyton.storage.sqlite_due import DueReading

Row = TypeVar("Row", bound=tuple[Any, ...])

SELECT_CURRENT: Final = (
    "SELECT name,current,meta_version,meta,accessed_us,key_version,wrapped_key,value"
    " FROM secrets WHERE user=? AND name=?"
)

FAILURES: Final = (apsw.Error, UnicodeDecodeError)
"""What reading can raise: a blob that was made text by a tamperer does not decode."""


def translate(error: Exception) -> StoreError | IntegrityError:  # noqa: PLR0911 - a table
    """SQLite's exception as one of ours. The text never holds a bound value."""
    if isinstance(error, UnicodeDecodeError):
        return IntegrityError(
            "a stored cell is of another kind than what was written",
            hint="Run 'adyton audit verify', and restore the store from a backup.",
        )
    if isinstance(error, apsw.FullError):
        return StorageFull(
            "the disk that holds the store is full; nothing of this operation was kept",
            hint="Free some space; the store goes on by itself.",
        )
    if isinstance(error, apsw.ReadOnlyError | apsw.PermissionsError):
        return StorageReadOnly(
            "the store's file or its folder does not take writes",
            hint="Check owner, mode and mount of the file and its folder.",
        )
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreLocked(
            "another program holds a lock on the store's file",
            hint="Stop other programs that have the file open, then try again.",
        )
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        return IntegrityError(
            "the store's file is damaged or is not a database",
            hint="Run 'adyton doctor', and restore the file from a backup.",
        )
    if isinstance(error, apsw.CantOpenError):
        return StorageReadOnly(
            "the store's file or its write-ahead log can't be opened",
            hint="Check that the folder exists and is writable, and the limit on open files.",
        )
    kind = type(error).__name__
    return StoreError(
        f"the storage failed ({kind}); nothing of this operation was kept",
        hint="Look at the system log for disk errors, then run 'adyton doctor'.",
    )


class SqliteRows(DueReading):
    """Reading over one connection (``ports.Rows``)."""

    def __init__(self, connection: apsw.Connection, path: str) -> None:
        self.connection = connection
        self.execute = connection.execute
        self._path = path

    def _all(self, sql: str, args: Sequence[Any] = ()) -> list[Any]:
        try:
            return self.execute(sql, args).fetchall()
        except FAILURES as error:
            raise translate(error) from None

    def _rows(self, kind: type[Row], sql: str, args: Sequence[Any] = ()) -> list[Row]:
        # What NamedTuple._make does, without a Python call for each row.
        return list(map(partial(tuple.__new__, kind), self._all(sql, args)))

    def _one(self, kind: type[Row], sql: str, args: Sequence[Any]) -> Row | None:
        found = self._all(sql, args)
        return kind._make(found[0]) if found else None  # type: ignore[attr-defined]

    def _value(self, sql: str, args: Sequence[Any] = ()) -> Any:  # noqa: ANN401 - a cell
        found = self._all(sql, args)
        return found[0][0] if found else None

    async def setting(self, key: str) -> bytes | None:
        return self._value("SELECT value FROM settings WHERE key=?", (key,))  # type: ignore[no-any-return]

    async def master_keys(self) -> list[MasterKeyRow]:
        return [
            MasterKeyRow(version, slot, root, wrapped, created, bool(retired))
            for version, slot, root, wrapped, created, retired in self._all(
                "SELECT version,slot,root,wrapped,created_us,retired FROM master_keys"
                " ORDER BY version,slot"
            )
        ]

    async def store_keys(self) -> list[StoreKeyRow]:
        return self._rows(StoreKeyRow, "SELECT purpose,master_version,wrapped FROM store_keys")

    async def user(self, user: bytes) -> UserRow | None:
        return self._one(UserRow, "SELECT user,id_box,created_us FROM users WHERE user=?", (user,))

    async def users(self, after: bytes, limit: int) -> list[UserRow]:
        return self._rows(
            UserRow,
            "SELECT user,id_box,created_us FROM users WHERE user>? ORDER BY user LIMIT ?",
            (after, limit),
        )

    def _user_keys(self, where: str, args: Sequence[Any]) -> list[UserKeyRow]:
        sql = "SELECT user,version,master_version,wrapped,created_us,wraps,retired FROM user_keys "
        return [
            UserKeyRow._make(row)._replace(retired=bool(row[6]))
            for row in self._all(sql + where, args)
        ]

    async def user_keys(self, user: bytes) -> list[UserKeyRow]:
        return self._user_keys("WHERE user=? ORDER BY version", (user,))

    async def user_keys_under(self, master_below: int, limit: int) -> list[UserKeyRow]:
        return self._user_keys("WHERE master_version<? LIMIT ?", (master_below, limit))

    async def users_with_retired_keys(self, after: bytes, limit: int) -> list[bytes]:
        return [
            user
            for (user,) in self._all(
                "SELECT DISTINCT user FROM user_keys WHERE retired=1 AND user>?"
                " ORDER BY user LIMIT ?",
                (after, limit),
            )
        ]

    async def subkeys(self, user: bytes) -> list[SubkeyRow]:
        return self._rows(
            SubkeyRow,
            "SELECT user,purpose,version,key_version,wrapped FROM user_subkeys WHERE user=?"
            " ORDER BY purpose,version",
            (user,),
        )

    async def secret(self, user: bytes, name: bytes) -> SecretRow | None:
        return self._one(SecretRow, SELECT_CURRENT, (user, name))

    async def metadata(self, user: bytes, name: bytes) -> MetaRow | None:
        return self._one(
            MetaRow,
            "SELECT name,current,meta_version,meta,accessed_us FROM secrets"
            " WHERE user=? AND name=?",
            (user, name),
        )

    async def metadata_page(self, user: bytes, after: bytes, limit: int) -> list[MetaRow]:
        return self._rows(
            MetaRow,
            "SELECT name,current,meta_version,meta,accessed_us FROM secrets"
            " WHERE user=? AND name>? ORDER BY name LIMIT ?",
            (user, after, limit),
        )

    async def secrets_page(self, user: bytes, after: bytes, limit: int) -> list[SecretRow]:
        return self._rows(
            SecretRow,
            "SELECT name,current,meta_version,meta,accessed_us,key_version,wrapped_key,value"
            " FROM secrets WHERE user=? AND name>? ORDER BY name LIMIT ?",
            (user, after, limit),
        )

    async def names(self, user: bytes) -> set[bytes]:
        return {name for (name,) in self._all("SELECT name FROM secrets WHERE user=?", (user,))}

    async def version(self, user: bytes, name: bytes, version: int) -> VersionRow | None:
        return self._one(
            VersionRow,
            "SELECT name,version,key_version,wrapped_key,value FROM versions"
            " WHERE user=? AND name=? AND version=?",
            (user, name, version),
        )

    async def versions(self, user: bytes, name: bytes) -> list[VersionRow]:
        return self._rows(
            VersionRow,
            "SELECT name,version,key_version,wrapped_key,value FROM versions"
            " WHERE user=? AND name=? ORDER BY version",
            (user, name),
        )

    async def wraps(
        self, user: bytes, *, older: bool, after: tuple[bytes, int], limit: int
    ) -> list[WrapRow]:
        if older:
            sql = (
                "SELECT name,version,key_version,wrapped_key FROM versions"
                " WHERE user=? AND (name,version)>(?,?) ORDER BY name,version LIMIT ?"
            )
            return self._rows(WrapRow, sql, (user, *after, limit))
        # The row without a key (a destroyed value) is kept out here, so a page may be short.
        sql = (
            "SELECT name,current,key_version,wrapped_key FROM secrets"
            " WHERE user=? AND name>? AND wrapped_key IS NOT NULL ORDER BY name LIMIT ?"
        )
        return self._rows(WrapRow, sql, (user, after[0], limit))

    async def count_secrets(self, user: bytes | None = None) -> int:
        if user is None:
            return int(self._value("SELECT count(*) FROM secrets"))
        return int(self._value("SELECT count(*) FROM secrets WHERE user=?", (user,)))

    async def object(self, user: bytes, bucket: bytes, ident: bytes) -> ObjectRow | None:
        return self._one(
            ObjectRow,
            "SELECT bucket,object,meta_version,box FROM objects"
            " WHERE user=? AND bucket=? AND object=?",
            (user, bucket, ident),
        )

    async def objects(
        self, user: bytes, bucket: bytes | None, after: bytes, limit: int
    ) -> list[ObjectRow]:
        if bucket is None:
            sql = (
                "SELECT bucket,object,meta_version,box FROM objects"
                " WHERE user=? AND (bucket,object)>(?,?) ORDER BY bucket,object LIMIT ?"
            )
            return self._rows(ObjectRow, sql, (user, after[:16], after[16:], limit))
        return self._rows(
            ObjectRow,
            "SELECT bucket,object,meta_version,box FROM objects"
            " WHERE user=? AND bucket=? AND object>? ORDER BY object LIMIT ?",
            (user, bucket, after, limit),
        )

    async def log_range(self, log: int) -> tuple[int, int]:
        first = self._value("SELECT min(leaf) FROM audit_entries WHERE log=?", (log,))
        last = self._value("SELECT max(leaf) FROM audit_entries WHERE log=?", (log,))
        return (0, 0) if last is None else (int(first), int(last) + 1)

    async def entries(self, log: int, start: int, limit: int) -> list[EntryRow]:
        return self._rows(
            EntryRow,
            "SELECT leaf,user,record FROM audit_entries WHERE log=? AND leaf>=?"
            " ORDER BY leaf LIMIT ?",
            (log, start, limit),
        )

    async def entries_of(self, log: int, user: bytes, below: int, limit: int) -> list[EntryRow]:
        return self._rows(
            EntryRow,
            "SELECT e.leaf,e.user,e.record FROM audit_entries AS e WHERE e.log=? AND e.leaf IN"
            " (SELECT leaf FROM audit_entries WHERE log=? AND user=? AND leaf<?"
            "  ORDER BY leaf DESC LIMIT ?) ORDER BY e.leaf DESC",
            (log, log, user, below, limit),
        )

    async def entries_from(self, log: int, user: bytes, start: int, limit: int) -> list[EntryRow]:
        return self._rows(
            EntryRow,
            "SELECT e.leaf,e.user,e.record FROM audit_entries AS e WHERE e.log=? AND e.leaf IN"
            " (SELECT leaf FROM audit_entries WHERE log=? AND user=? AND leaf>=?"
            "  ORDER BY leaf LIMIT ?) ORDER BY e.leaf",
            (log, log, user, start, limit),
        )

    async def users_in(self, log: int, start: int, end: int) -> dict[bytes, int]:
        return dict(
            self._all(
                "SELECT user,count(*) FROM audit_entries WHERE log=? AND leaf>=? AND leaf<?"
                " GROUP BY user",
                (log, start, end),
            )
        )

    async def tile(self, log: int, level: int, index: int) -> bytes | None:
        return self._value(  # type: ignore[no-any-return]
            "SELECT hashes FROM audit_tiles WHERE log=? AND level=? AND tile=?",
            (log, level, index),
        )

    async def checkpoints(self, log: int) -> list[CheckpointRow]:
        return self._rows(
            CheckpointRow,
            "SELECT size,created_us,note FROM audit_checkpoints WHERE log=? ORDER BY size",
            (log,),
        )

    async def counted(self, user: bytes) -> UsageRow:
        return self._one(UsageRow, sqlite_usage.COUNTED, (user,)) or UsageRow(0, 0, 0, 0)
