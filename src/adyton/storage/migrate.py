"""Numbered migrations with checksums.

Each ``NNNN_name.sql`` is applied once, in its own transaction, and its SHA-256 is kept. A store
whose applied migrations are not the ones this program has, or that knows newer ones, is refused
rather than guessed at.
"""

import hashlib
import re
from importlib import resources
from typing import Final, NamedTuple

import apsw

from adyton.errors import SchemaError

APPLICATION_ID: Final = 0x41445954
"""``ADYT``: marks the file for ``file(1)`` and keeps foreign databases out."""


class Migration(NamedTuple):
    """One step of the schema."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> bytes:
        """SHA-256 of the text."""
        return hashlib.sha256(self.sql.encode()).digest()


def migrations() -> list[Migration]:
    """All migrations that this program has, in order."""
    found = []
    for item in resources.files("adyton.storage").joinpath("migrations").iterdir():
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", item.name)
        if match:
            found.append(Migration(int(match[1]), match[2], item.read_text("utf-8")))
    return sorted(found)


def migrate(connection: apsw.Connection, now_us: int) -> int:
    """Bring the schema up to date; returns how many steps were applied.

    Raises:
        SchemaError: The store is of a newer program, of another one, or its history was changed.
    """
    application_id = connection.pragma("application_id")
    empty = not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    if not empty and application_id != APPLICATION_ID:
        raise SchemaError(
            "the file is an SQLite database, but not a store of Adyton",
            hint="Give another path, or move that file away.",
        )
    known = migrations()
    applied = []
    if not empty:
        applied = connection.execute(
            "SELECT number, checksum FROM schema_migrations ORDER BY number"
        ).fetchall()
    for (number, checksum), step in zip(applied, known, strict=False):
        if number != step.number or checksum != step.checksum:
            raise SchemaError(
                f"migration {number} of this store is not the one this program has",
                hint="Use the program that made the store, or restore a backup.",
            )
    if len(applied) > len(known):
        raise SchemaError(
            f"the store's schema has {len(applied)} migrations, this program knows {len(known)}",
            hint="Upgrade Adyton.",
        )
    for step in known[len(applied) :]:
        with connection:
            if empty:
                connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                connection.execute(
                    "CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT"
                    " NULL, checksum BLOB NOT NULL, applied_us INTEGER NOT NULL)"
                )
                empty = False
            connection.execute(step.sql)
            connection.execute(
                "INSERT INTO schema_migrations VALUES (?,?,?,?)",
                (step.number, step.name, step.checksum, now_us),
            )
    return len(known) - len(applied)
