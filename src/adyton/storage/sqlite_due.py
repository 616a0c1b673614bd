"""SQL of jobs and of what is due: halves of ``SqliteRows`` and ``SqliteTransaction``."""

from collections.abc import Sequence
from typing import Any

from adyton.dueports import DueRow


class DueReading:
    """Reading."""

    def _rows(self, kind: type[Any], sql: str, args: Sequence[Any] = ()) -> list[Any]:
        raise NotImplementedError

    def _value(self, sql: str, args: Sequence[Any] = ()) -> Any:  # noqa: ANN401 - a cell
        raise NotImplementedError

    async def job(self, key: str) -> bytes | None:
        """The saved position of a resumable job."""
        return self._value("SELECT state FROM jobs WHERE key=?", (key,))  # type: ignore[no-any-return]

    async def due(self, now_us: int, limit: int, kind: bytes = b"") -> list[DueRow]:
        """What is ready of one kind, in order of its time."""
        return self._rows(
            DueRow,
            "SELECT user,bucket,object,ready_us,lease,kind FROM due WHERE kind=? AND ready_us<=?"
            " ORDER BY ready_us LIMIT ?",
            (kind, now_us, limit),
        )

    async def due_of(self, user: bytes, bucket: bytes, ident: bytes) -> DueRow | None:
        """When one object is ready."""
        found = self._rows(
            DueRow,
            "SELECT user,bucket,object,ready_us,lease,kind FROM due"
            " WHERE user=? AND bucket=? AND object=?",
            (user, bucket, ident),
        )
        return found[0] if found else None


class DueWriting:
    """Changing."""

    def _run(self, sql: str, args: Sequence[Any] = ()) -> None:
        raise NotImplementedError

    async def put_job(self, key: str, state: bytes | None) -> None:
        """Save a job's position, or forget it."""
        if state is None:
            self._run("DELETE FROM jobs WHERE key=?", (key,))
        else:
            self._run("INSERT OR REPLACE INTO jobs VALUES (?,?)", (key, state))

    async def put_due(self, row: DueRow) -> None:
        """Insert or replace a time; 0 for never."""
        if row.ready_us:
            self._run("INSERT OR REPLACE INTO due VALUES (?,?,?,?,?,?)", row)
        else:
            self._run("DELETE FROM due WHERE user=? AND bucket=? AND object=?", row[:3])
