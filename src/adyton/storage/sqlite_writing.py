"""SQL of the SQLite storage that writes: one method per statement."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import apsw

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
from adyton.storage.sqlite_due import DueWriting
from adyton.storage.sqlite_rows import SqliteRows, translate

_ROWS: Final = 32
"""Rows in one statement at the most; each number of rows is a statement that stays prepared."""
_MAX_EMPTY: Final = 100_000
"""Buckets of users that are known to hold no objects."""
_INSERT_ENTRIES: Final = [
    f"INSERT INTO audit_entries VALUES {','.join(['(?,?,?,?)'] * rows)}"  # noqa: S608 - no values
    for rows in range(_ROWS + 1)
]


class SqliteTransaction(SqliteRows, DueWriting):
    """Writing over the one writing connection (``ports.Transaction``).

    Args:
        connection: The writing connection.
        path: The database's path.
        committed: Called after each commit.

    Attributes:
        renamed: Users of whose secrets a name may have come or gone since the last commit.
        changed: Rows that may have changed since then: user and name, user and object (by bucket
            and id), or a user alone.
    """

    def __init__(
        self, connection: apsw.Connection, path: str, committed: Callable[[], None]
    ) -> None:
        super().__init__(connection, path)
        self._committed = committed
        self.renamed: set[bytes] = set()
        self.changed: set[tuple[bytes, bytes] | bytes] = set()
        self._empty: set[tuple[bytes, bytes]] = set()

    def _run(self, sql: str, args: Sequence[Any] = ()) -> None:
        try:
            self.execute(sql, args)
        except apsw.Error as error:
            raise translate(error) from error

    def _many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            self.connection.executemany(sql, rows)
        except apsw.Error as error:
            raise translate(error) from error

    async def savepoint(self) -> None:
        self._run("SAVEPOINT unit")

    async def release(self) -> None:
        self._run("RELEASE unit")

    async def rollback_to(self) -> None:
        self._empty.clear()
        self._run("ROLLBACK TO unit; RELEASE unit")

    async def usage(self, user: bytes) -> UsageRow:
        found = self._one(UsageRow, sqlite_usage.READ, (user,))
        if found is None:
            self._run(sqlite_usage.COUNT, (user,))
        return found or await self.counted(user)

    async def put_setting(self, key: str, value: bytes) -> None:
        self._run("INSERT OR REPLACE INTO settings VALUES (?,?)", (key, value))

    async def put_master_key(self, row: MasterKeyRow) -> None:
        self._run("INSERT OR REPLACE INTO master_keys VALUES (?,?,?,?,?,?)", row)

    async def delete_master_key(self, version: int) -> None:
        self._run("DELETE FROM master_keys WHERE version=?", (version,))

    async def delete_master_slot(self, slot: int) -> None:
        self._run("DELETE FROM master_keys WHERE slot=?", (slot,))

    async def put_store_key(self, row: StoreKeyRow) -> None:
        self._run("INSERT OR REPLACE INTO store_keys VALUES (?,?,?)", row)

    async def put_user(self, row: UserRow) -> None:
        self._run("INSERT OR REPLACE INTO users VALUES (?,?,?)", row)

    async def put_user_keys(self, rows: Iterable[UserKeyRow]) -> None:
        self._many("INSERT OR REPLACE INTO user_keys VALUES (?,?,?,?,?,?,?)", rows)

    async def put_wrap_count(self, user: bytes, version: int, wraps: int) -> None:
        self._run("UPDATE user_keys SET wraps=? WHERE user=? AND version=?", (wraps, user, version))

    async def delete_user_keys(self, user: bytes, below: int) -> None:
        self._run("DELETE FROM user_keys WHERE user=? AND version<?", (user, below))

    async def put_subkeys(self, rows: Iterable[SubkeyRow]) -> None:
        self._many("INSERT OR REPLACE INTO user_subkeys VALUES (?,?,?,?,?)", rows)

    async def delete_subkeys(self, user: bytes, purpose: int, below: int) -> None:
        self._run(
            "DELETE FROM user_subkeys WHERE user=? AND purpose=? AND version<?",
            (user, purpose, below),
        )

    async def delete_user(self, user: bytes) -> int:
        self.renamed.add(user)
        self.changed.add(user)
        count = await self.count_secrets(user)
        for table in (
            "versions",
            "secrets",
            "objects",
            "due",
            "user_subkeys",
            "user_keys",
            "users",
        ):
            self._run(f"DELETE FROM {table} WHERE user=?", (user,))  # noqa: S608 - own names
        return count

    async def put_secrets(
        self, user: bytes, rows: Iterable[SecretRow], *, new: bool = True
    ) -> None:
        if new:
            self.renamed.add(user)
        rows = list(rows)
        self.changed.update([(user, row.name) for row in rows])
        self._many(
            "INSERT INTO secrets VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (user,name) DO UPDATE SET"
            " current=excluded.current, meta_version=excluded.meta_version, meta=excluded.meta,"
            " key_version=excluded.key_version, wrapped_key=excluded.wrapped_key,"
            " value=excluded.value",
            [(user, *row) for row in rows],
        )

    async def put_metadata(self, user: bytes, rows: Iterable[MetaRow]) -> None:
        self.changed.add(user)
        self._many(
            "UPDATE secrets SET meta_version=?, meta=? WHERE user=? AND name=? AND current=?",
            ((row.meta_version, row.meta, user, row.name, row.current) for row in rows),
        )

    async def move_to_versions(self, user: bytes, name: bytes) -> None:
        self._run(
            "INSERT INTO versions SELECT user,name,current,key_version,wrapped_key,value"
            " FROM secrets WHERE user=? AND name=? AND wrapped_key IS NOT NULL",
            (user, name),
        )

    async def put_versions(self, user: bytes, rows: Iterable[VersionRow]) -> None:
        self._many(
            "INSERT INTO versions VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET key_version="
            "excluded.key_version, wrapped_key=excluded.wrapped_key, value=excluded.value",
            ((user, *row) for row in rows),
        )

    async def destroy_current(self, user: bytes, name: bytes) -> None:
        self.changed.add((user, name))
        self._run(
            "UPDATE secrets SET wrapped_key=NULL, value=NULL WHERE user=? AND name=?", (user, name)
        )

    async def delete_versions(self, user: bytes, name: bytes, versions: Sequence[int]) -> None:
        self._many(
            "DELETE FROM versions WHERE user=? AND name=? AND version=?",
            ((user, name, version) for version in versions),
        )

    async def delete_secret(self, user: bytes, name: bytes) -> None:
        self.renamed.add(user)
        self.changed.add((user, name))
        self._run("DELETE FROM versions WHERE user=? AND name=?", (user, name))
        self._run("DELETE FROM secrets WHERE user=? AND name=?", (user, name))

    async def objects(
        self, user: bytes, bucket: bytes | None, after: bytes, limit: int
    ) -> list[ObjectRow]:
        # Writing asks for objects that few users have, and SQLite plans this statement each time.
        if bucket is None or after:
            return await super().objects(user, bucket, after, limit)
        if (user, bucket) in self._empty:
            return []
        found = await super().objects(user, bucket, after, limit)
        if not found:
            if len(self._empty) >= _MAX_EMPTY:
                self._empty.clear()
            self._empty.add((user, bucket))
        return found

    async def put_objects(self, user: bytes, rows: Iterable[ObjectRow]) -> None:
        rows = list(rows)
        self._empty.difference_update([(user, row.bucket) for row in rows])
        self.changed.update([(user, row.bucket + row.ident) for row in rows])
        self._many(
            "INSERT INTO objects VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET"
            " meta_version=excluded.meta_version, box=excluded.box",
            [(user, *row) for row in rows],
        )

    async def delete_objects(self, user: bytes, places: Iterable[tuple[bytes, bytes]]) -> None:
        places = list(places)
        self.changed.update([(user, bucket + ident) for bucket, ident in places])
        self._many(
            "DELETE FROM objects WHERE user=? AND bucket=? AND object=?",
            [(user, *place) for place in places],
        )

    async def put_wraps(self, user: bytes, rows: Iterable[WrapRow], *, older: bool) -> None:
        table, version = ("versions", "version") if older else ("secrets", "current")
        self.changed.add(user)
        self._many(
            f"UPDATE {table} SET key_version=?, wrapped_key=?"  # noqa: S608 - own names
            f" WHERE user=? AND name=? AND {version}=?",
            ((row.key_version, row.wrapped_key, user, row.name, row.version) for row in rows),
        )

    async def put_accessed(self, times: Iterable[tuple[bytes, bytes, int]]) -> None:
        rows = [(time, user, name) for user, name, time in times]
        self.changed.update([(user, name) for _, user, name in rows])
        self._many("UPDATE secrets SET accessed_us=? WHERE user=? AND name=?", rows)

    async def append_entries(self, log: int, rows: Sequence[EntryRow]) -> None:
        # Many rows in one statement: the interpreter is given up, and contended for, once for each.
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            self._run(_INSERT_ENTRIES[len(part)], [cell for row in part for cell in (log, *row)])

    async def put_tiles(self, log: int, tiles: Iterable[tuple[int, int, bytes]]) -> None:
        self._many("INSERT INTO audit_tiles VALUES (?,?,?,?)", ((log, *tile) for tile in tiles))

    async def put_checkpoint(self, log: int, row: CheckpointRow) -> None:
        self._run("INSERT OR REPLACE INTO audit_checkpoints VALUES (?,?,?,?)", (log, *row))

    async def delete_entries(self, log: int, below: int) -> None:
        self._run("DELETE FROM audit_entries WHERE log=? AND leaf<?", (log, below))

    async def commit(self) -> None:
        self._run("COMMIT")
        self._committed()

    async def rollback(self) -> None:
        self._empty.clear()
        if self.connection.in_transaction:
            self._run("ROLLBACK")
