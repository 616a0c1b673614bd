"""Counting what each user stores, for quotas (``docs/spec/store.md``, section 6).

A table and triggers of the writing connection alone (TEMP): they see every change in the
transaction that makes it and are rolled back with it, nothing of them is in the file, and a store
without quotas has none. A user is counted when first asked for, and kept count of from then on.
"""

from typing import Final

import apsw

_KEPT: Final = (
    ("AFTER INSERT ON main.secrets", "new", (1, 1, 0), "ifnull(length(new.value), 0)"),
    ("AFTER DELETE ON main.secrets", "old", (-1, -1, 0), "-ifnull(length(old.value), 0)"),
    ("AFTER UPDATE OF value ON main.secrets", "new", (0, 0, 0),
     "ifnull(length(new.value), 0) - ifnull(length(old.value), 0)"),
    ("AFTER INSERT ON main.versions", "new", (0, 1, 0), "length(new.value)"),
    ("AFTER DELETE ON main.versions", "old", (0, -1, 0), "-length(old.value)"),
    ("AFTER UPDATE OF value ON main.versions", "new", (0, 0, 0),
     "length(new.value) - length(old.value)"),
    ("AFTER INSERT ON main.objects", "new", (0, 0, 1), "length(new.box)"),
    ("AFTER DELETE ON main.objects", "old", (0, 0, -1), "-length(old.box)"),
    ("AFTER UPDATE OF box ON main.objects", "new", (0, 0, 0),
     "length(new.box) - length(old.box)"),
)  # fmt: skip

COUNTED: Final = """
  SELECT
    (SELECT count(*) FROM main.secrets WHERE user = ?1),
    (SELECT count(*) FROM main.secrets WHERE user = ?1)
      + (SELECT count(*) FROM main.versions WHERE user = ?1),
    (SELECT count(*) FROM main.objects WHERE user = ?1),
    (SELECT ifnull(sum(length(value)), 0) FROM main.secrets WHERE user = ?1)
      + (SELECT ifnull(sum(length(value)), 0) FROM main.versions WHERE user = ?1)
      + (SELECT ifnull(sum(length(box)), 0) FROM main.objects WHERE user = ?1)
"""
COUNT: Final = COUNTED.replace("SELECT", "INSERT INTO temp.usage SELECT ?1,", 1)
READ: Final = "SELECT secrets, versions, objects, bytes FROM temp.usage WHERE user = ?"


def keep_usage(connection: apsw.Connection) -> None:
    """Make the table and its triggers."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS usage (user BLOB PRIMARY KEY, secrets INTEGER,"
        " versions INTEGER, objects INTEGER, bytes INTEGER) STRICT, WITHOUT ROWID"
    )
    for number, (event, row, (secrets, versions, objects), size) in enumerate(_KEPT):
        connection.execute(
            f"CREATE TEMP TRIGGER IF NOT EXISTS usage_{number} {event} BEGIN"  # noqa: S608 - ours
            f" UPDATE usage SET secrets = secrets + {secrets}, versions = versions + {versions},"
            f" objects = objects + {objects}, bytes = bytes + {size}"
            f" WHERE user = {row}.user; END"
        )
