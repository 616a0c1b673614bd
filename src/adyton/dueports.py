"""The part of the storage's seam that finds what is due (``docs/spec/store.md``, section 7)."""

from typing import NamedTuple, Protocol


class DueRow(NamedTuple):
    """When something is to be done to a sealed object, and who does it now (empty: nobody).

    ``kind`` is empty for rotations; of all other work it is ``service.due.tag``.
    """

    user: bytes
    bucket: bytes
    ident: bytes
    ready_us: int
    lease: bytes
    kind: bytes = b""


class DueReading(Protocol):
    """Reading what is due."""

    async def due(self, now_us: int, limit: int, kind: bytes = b"") -> list[DueRow]:
        """What is ready of one kind, the longest waiting first."""

    async def due_of(self, user: bytes, bucket: bytes, ident: bytes) -> DueRow | None:
        """When one object is ready."""


class DueWriting(Protocol):
    """Changing what is due."""

    async def put_due(self, row: DueRow) -> None:
        """Insert or replace when an object is ready; 0 for never."""
