"""The end of the audit log in memory: the tree's right edge, times of access, checkpoints.

It is changed by staging and accepting: what a failed commit has staged is dropped.
"""

import time
from typing import Final

from adyton.errors import AuditError, InvalidDocument
from adyton.ports import Rows, Transaction
from adyton.rows import CheckpointRow, EntryRow
from adyton.service.journal import Draft
from adyton.translog import (
    Checkpoint,
    NoteSigner,
    TileBuilder,
    leaf_hash,
    sign_checkpoint,
)

CHECKPOINT_RECORDS: Final = 10_000
CHECKPOINT_SECONDS: Final = 60.0
FLUSH_NAMES: Final = 4_096
FLUSH_RECORDS: Final = 50_000
FLUSH_SECONDS: Final = 30.0
ACCESSED_UPTO: Final = "accessed-upto"
"""Setting: times of access of all records below this leaf are in the secrets' rows."""


class LogState:
    """Where the log ends, and what is due to be written with it.

    Attributes:
        accessed: Times of last access that are not yet in the rows: (user, name) to microseconds.
        checkpoint_size: Size of the newest stored checkpoint.
    """

    def __init__(self, log: int, builder: TileBuilder, signer: NoteSigner, last_us: int) -> None:
        self.log = log
        self.builder = builder
        self.signer = signer
        self.last_us = last_us
        self.accessed: dict[tuple[bytes, bytes], int] = {}
        self.flushed_size = builder.size
        self.flushed_at = time.monotonic()
        self.checkpoint_size = 0
        self.checkpoint_at = time.monotonic()

    @classmethod
    async def load(cls, rows: Rows, log: int, signer: NoteSigner) -> "LogState":
        """Read the log's end from storage.

        Raises:
            AuditError: Entries or hash tiles of the end are missing.
        """
        _, size = await rows.log_range(log)
        checkpoints = await rows.checkpoints(log)
        size = max(size, checkpoints[-1].size if checkpoints else 0)
        builder, _ = await edge_of(rows, log, size)
        # Without opening a record, the newest checkpoint bounds the time of the last one.
        state = cls(log, builder, signer, checkpoints[-1].created_us if checkpoints else 0)
        state.checkpoint_size = checkpoints[-1].size if checkpoints else 0
        upto = await rows.setting(ACCESSED_UPTO)
        state.flushed_size = int.from_bytes(upto or b"", "big")
        return state

    @property
    def size(self) -> int:
        """How many leaves the log has."""
        return self.builder.size

    def forget_access(self, place: tuple[bytes, bytes]) -> None:
        """Drop the time of access of a secret that is gone."""
        self.accessed.pop(place, None)

    def forget_user(self, user: bytes) -> None:
        """Drop the times of access of a user who is gone."""
        self.accessed = {place: us for place, us in self.accessed.items() if place[0] != user}

    def stage(self) -> "Stage":
        """Begin a change of the log's end."""
        return Stage(self)

    def accept(self, stage: "Stage") -> None:
        """Take over what a commit has made durable."""
        self.builder = stage.builder
        if stage.flushed:
            self.accessed = {}
            self.flushed_size = stage.builder.size
            self.flushed_at = time.monotonic()
        else:
            self.accessed.update(stage.touched)
        if stage.checkpointed:
            self.checkpoint_size = stage.builder.size
            self.checkpoint_at = time.monotonic()


async def edge_of(
    rows: Rows, log: int, size: int
) -> tuple[TileBuilder, dict[tuple[int, int], bytes]]:
    """The right edge of the tree of the first ``size`` leaves, and the tiles it was made of.

    Raises:
        AuditError: Entries or hash tiles are missing.
    """
    entries = await rows.entries(log, size - size % 256, size % 256) if size % 256 else []
    tiles: dict[tuple[int, int], bytes] = {}
    level, count = 0, size >> 8
    while count:
        for index in range(count - count % 256, count):
            found = await rows.tile(log, level, index)
            if found is not None:
                tiles[level, index] = found
        level, count = level + 1, count >> 8
    try:
        builder = TileBuilder.resume(
            size, lambda lv, n: tiles[lv, n], [leaf_hash(row.record) for row in entries]
        )
    except (InvalidDocument, KeyError):
        raise AuditError(
            "the audit log's end is not complete: entries or hash tiles are missing",
            hint="Restore the store from a backup; keep the damaged file as evidence.",
        ) from None
    return builder, tiles


class Stage:
    """A change of the log's end that a commit has not yet made durable."""

    __slots__ = ("_state", "builder", "checkpointed", "flush", "flushed", "sign", "touched")

    def __init__(self, state: LogState) -> None:
        self._state = state
        self.builder = state.builder.fork()
        self.touched: dict[tuple[bytes, bytes], int] = {}
        self.flush = False
        self.flushed = False
        self.sign = False
        self.checkpointed = False

    @property
    def size(self) -> int:
        """The next record's leaf index."""
        return self.builder.size

    def extend(self, rows: list[EntryRow]) -> None:
        """Add records to the tree."""
        self.builder.extend([leaf_hash(row.record) for row in rows])

    async def write(self, tx: Transaction, drafts: list[Draft], now_us: int) -> None:
        """Write full tiles, and whatever else is due.

        Args:
            tx: The group's transaction.
            drafts: What the group has recorded.
            now_us: The group's time.
        """
        state = self._state
        tiles = self.builder.take_full()
        if tiles:
            await tx.put_tiles(state.log, tiles)
        for draft in drafts:
            if draft.touch and draft.keys is not None:
                self.touched[draft.keys.user, draft.touch] = now_us
        now = time.monotonic()
        if (
            self.flush
            or len(state.accessed) >= FLUSH_NAMES
            or self.size - state.flushed_size >= FLUSH_RECORDS
            or (state.accessed and now - state.flushed_at >= FLUSH_SECONDS)
        ):
            times = {**state.accessed, **self.touched}
            await tx.put_accessed((user, name, us) for (user, name), us in times.items())
            await tx.put_setting(ACCESSED_UPTO, self.size.to_bytes(8, "big"))
            self.flushed = True
        grown = self.size - state.checkpoint_size
        if grown and (
            self.sign
            or grown >= CHECKPOINT_RECORDS
            or now - state.checkpoint_at >= CHECKPOINT_SECONDS
        ):
            await tx.put_checkpoint(state.log, self.checkpoint(now_us))
            self.checkpointed = True

    def checkpoint(self, now_us: int) -> CheckpointRow:
        """Sign the tree as it is with this change."""
        signer = self._state.signer
        body = Checkpoint(signer.name, self.size, self.builder.root())
        return CheckpointRow(self.size, now_us, sign_checkpoint(body, [signer]))
