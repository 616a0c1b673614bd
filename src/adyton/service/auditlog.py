"""Reading, proving, checking and archiving the audit log (DESIGN section 5)."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from adyton.actions import Action
from adyton.errors import AdytonError, AuditError, IntegrityError, InvalidDocument, InvalidInput
from adyton.model import AuditEntry, Caller, UserId
from adyton.ports import Rows
from adyton.rows import EntryRow
from adyton.service import archive
from adyton.service.commit import Scope
from adyton.service.core import LOG, Core
from adyton.service.journal import Draft, to_entry
from adyton.service.keyring import SYSTEM_USER
from adyton.service.logstate import edge_of
from adyton.service.reports.folding import Folding
from adyton.service.secretmeta import not_found
from adyton.service.userkeys import UserKeys
from adyton.service.verify import Verifier
from adyton.translog import inclusion_proof, write_proof
from adyton.values import ArchiveReport, VerifyReport, Watch, no_watch

_PAGE: Final = 500

Filter = Callable[[AuditEntry], bool]


class AuditPage(NamedTuple):
    """Records, and below which leaf there may be more."""

    entries: list[AuditEntry]
    below: int | None

    def __repr__(self) -> str:
        return f"<AuditPage of {len(self.entries)}>"


class AuditLog:
    """Operations on the audit log.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def entries(
        self,
        caller: Caller,
        user: UserId | None,
        *,
        limit: int,
        below: int | None = None,
        wanted: Filter | None = None,
    ) -> list[AuditEntry]:
        """Opened records, newest first: of one user, or of the whole store.

        Args:
            caller: Who asks.
            user: Whose records; None for all, the store's own included.
            limit: How many at the most.
            below: Only records with a leaf index below this one.
            wanted: Which of them.
        """
        page = await self.page(caller, user, limit=limit, below=below, wanted=wanted)
        return page.entries

    async def page(
        self,
        caller: Caller,
        user: UserId | None,
        *,
        limit: int,
        below: int | None = None,
        wanted: Filter | None = None,
        scan: int | None = None,
    ) -> AuditPage:
        """As :meth:`entries`, looking at about ``scan`` records at the most."""
        core = self._core
        draft = Draft(caller, Action.AUDIT_READ)
        found: list[AuditEntry] = []
        rest: int | None = None
        async with core.guard(draft):
            if limit < 1:
                raise InvalidInput(f"the limit is {limit}", hint="Give 1 or more.")
            if user is None:
                core.authorise_operator(caller)
                keys = None
            else:
                draft.user_id = core.authorise(caller, user)
                keys = draft.keys = await core.keys(draft.user_id)
            if user is None or keys is not None:
                async with core.storage.snapshot() as rows:
                    rest = await self._collect(rows, keys, found, limit, below, wanted, scan)
        await core.record(draft)
        return AuditPage(found, rest)

    async def _collect(
        self,
        rows: Rows,
        keys: UserKeys | None,
        found: list[AuditEntry],
        limit: int,
        below: int | None,
        wanted: Filter | None,
        scan: int | None,
    ) -> int | None:
        """Collect records; returns below which leaf the rest is, or None where there is none."""
        first, size = await rows.log_range(LOG)
        at = size if below is None else min(below, size)
        seen = 0
        opened: dict[bytes, UserKeys | None] = {SYSTEM_USER: self._core.ring.system}
        while at > first and len(found) < limit:
            if keys is None:
                start = max(first, at - _PAGE)
                page = (await rows.entries(LOG, start, at - start))[::-1]
            else:
                page = await rows.entries_of(LOG, keys.user, at, _PAGE)
            if not page:
                return None
            seen += len(page)
            for row in page:
                owner = keys
                if owner is None:
                    if row.user not in opened:
                        opened[row.user] = await self._core.ring.load_open(rows, row.user)
                    owner = opened[row.user]
                entry = self._entry(owner, row)
                if entry is not None and (wanted is None or wanted(entry)):
                    found.append(entry)
                    if len(found) >= limit:
                        return row.leaf if row.leaf > first else None
            at = page[-1].leaf
            if scan is not None and seen >= scan:
                return at
        return None

    def _entry(self, keys: UserKeys | None, row: EntryRow) -> AuditEntry | None:
        """An opened record; None where its user was purged."""
        if keys is None:
            return None
        try:
            body, _ = self._core.journal.open(keys, row.leaf, row.record)
        except IntegrityError:
            if keys is self._core.ring.system:
                raise
            # Of a former life of a purged user, or changed: verify() tells which.
            return None
        return to_entry(row.leaf, body)

    # -- checkpoints and proofs -----------------------------------------------------------------

    def vkey(self) -> str:
        """The log's verifier key, to be kept by whoever checks proofs."""
        return self._core.commit.state.signer.verifier.vkey()

    async def checkpoint(self, caller: Caller) -> bytes:
        """A signed checkpoint of the log as it is, stored as well."""
        core = self._core
        draft = Draft(caller, Action.AUDIT_READ, reason="checkpoint")
        async with core.guard(draft):
            core.authorise_operator(caller)
        await core.record(draft)
        return await self._sign()

    async def _sign(self) -> bytes:
        async def work(scope: Scope) -> None:
            scope.sign = True

        await self._core.commit.submit(work)
        async with self._core.storage.snapshot() as rows:
            stored = await rows.checkpoints(LOG)
        return stored[-1].note

    async def prove(self, caller: Caller, user: UserId | None, leaf: int) -> bytes:
        """A self-contained proof of one record: a JSON document (``docs/spec/translog.md``)."""
        core = self._core
        draft = Draft(caller, Action.AUDIT_PROVE, reason=f"leaf {leaf}")
        async with core.guard(draft):
            if user is None:
                core.authorise_operator(caller)
                owner = None
            else:
                draft.user_id = core.authorise(caller, user)
                owner = draft.keys = await core.keys(draft.user_id)
                if owner is None:
                    raise not_found()
            await self._sign()
            async with core.storage.snapshot() as rows:
                found = await rows.entries(LOG, leaf, 1) if leaf >= 0 else []
                if not found or found[0].leaf != leaf:
                    raise not_found_record()
                row = found[0]
                if owner is None:
                    owner = core.ring.system
                    if row.user != SYSTEM_USER:
                        owner = await core.ring.load_index(rows, row.user)
                if owner is None or row.user != owner.user:
                    raise not_found_record()
                _, plain = core.journal.open(owner, leaf, row.record)
                checkpoint = (await rows.checkpoints(LOG))[-1]
                hashes = await self._path(rows, leaf, checkpoint.size)
        await core.record(draft)
        return write_proof(
            index=leaf,
            leaf=row.record,
            inclusion=hashes,
            checkpoint=checkpoint.note,
            vkey=self.vkey(),
            salt=plain[:16],
            body=plain[16:],
        )

    async def _path(self, rows: Rows, leaf: int, size: int) -> list[bytes]:
        """The inclusion proof, from O(log n) tiles."""
        builder, tiles = await edge_of(rows, LOG, size)
        needed: set[tuple[int, int]] = set()

        def probe(level: int, index: int) -> bytes:
            needed.add((level, index))
            return bytes(8192)

        inclusion_proof(leaf, size, lambda level, index: builder.hash_at(level, index, probe))
        for level, index in needed - set(tiles):
            tile = await rows.tile(LOG, level, index)
            if tile is None:
                raise AuditError(f"the hash tile {level}/{index} is missing")
            tiles[level, index] = tile
        return inclusion_proof(
            leaf,
            size,
            lambda level, index: builder.hash_at(level, index, lambda lv, n: tiles[lv, n]),
        )

    # -- checking and archiving -----------------------------------------------------------------

    async def verify(
        self,
        caller: Caller,
        *,
        checkpoints: Sequence[bytes | str] = (),
        archive_dir: Path | None = None,
        watch: Watch = no_watch,
    ) -> VerifyReport:
        """Recompute the tree, check every checkpoint, and hold the store against the log."""
        core = self._core
        draft = Draft(caller, Action.AUDIT_VERIFY)
        async with core.guard(draft):
            core.authorise_operator(caller)
            async with core.storage.snapshot() as rows:
                report = await Verifier(core, rows, watch).run(checkpoints, archive_dir)
        draft.reason = f"{report.records} records"
        await core.record(draft)
        return report

    async def archive(self, caller: Caller, folder: Path, *, keep: int = 0) -> ArchiveReport:
        """Move full bundles of records to files, and keep the newest ``keep`` records.

        Hash tiles and checkpoints stay in the store, so that proofs go on to work.
        """
        core = self._core
        draft = Draft(caller, Action.AUDIT_ARCHIVE)
        async with core.guard(draft):
            core.authorise_operator(caller)
            if keep < 0:
                raise InvalidInput(f"keep is {keep}", hint="Give 0 or more records.")
            # Times of access are made again from records after a crash: write them down first.
            note = await self._sign()
            async with core.storage.snapshot() as rows:
                first, size = await rows.log_range(LOG)
                floor = core.sink_floor()
                if floor is not None:  # a sink that is behind catches up from the store
                    size = min(size, floor)
                end = max(size - keep, 0) // archive.BUNDLE * archive.BUNDLE
                if end <= first:
                    raise InvalidInput(
                        "there is no full bundle of 256 records to archive",
                        hint="Archive later, or keep fewer records.",
                    )
                self._check_continues(folder, first)
            await self._count(first, end)
            async with core.storage.snapshot() as rows:
                await archive.write(rows, LOG, folder, first, end)
            archive.put(folder / "checkpoint", note)

        async def work(scope: Scope) -> None:
            await scope.tx.delete_entries(LOG, end)
            scope.record(Draft(caller, Action.AUDIT_ARCHIVE, reason=f"leaves {first} to {end - 1}"))

        await core.write(draft, work)
        return ArchiveReport(first, end, folder)

    async def _count(self, first: int, end: int) -> None:
        """Have records counted for reports before they leave the store."""
        core = self._core
        async with core.storage.snapshot() as rows:
            users = await rows.users_in(LOG, first, end)
        for user in users:
            with suppress(
                AdytonError
            ):  # a root that is away; reports tell that records are missing
                async with core.storage.snapshot() as rows:
                    keys = await core.ring.load_index(rows, user)
                if keys is not None:
                    await Folding(core).count(keys)

    @staticmethod
    def _check_continues(folder: Path, first: int) -> None:
        if first and sum(len(entries) for entries in archive.read(folder, first)) != first:
            raise InvalidDocument("the folder does not hold the records archived before")


def not_found_record() -> InvalidInput:
    """The refusal of a leaf that does not exist, was archived, or is another user's."""
    return InvalidInput(
        "the log has no such record for this user",
        hint="Look up the index with 'adyton audit log'.",
    )
