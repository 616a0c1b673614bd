"""The wider areas that hang on a store by name: keys and the audit log."""

from collections.abc import Sequence
from pathlib import Path

from adyton.library.aio_base import AsyncFace
from adyton.model import UserId
from adyton.service.auditlog import AuditLog
from adyton.service.keyadmin import KeyAdmin
from adyton.service.keylist import KeyList
from adyton.values import ArchiveReport, KeyInfo, RewrapReport, VerifyReport, Watch, no_watch
from adyton.wiring import opened_roots

KeyInfos = list[KeyInfo]


class AsyncKeys:
    """Rotation and re-wrapping of keys."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _admin(self) -> KeyAdmin:
        return KeyAdmin(self._store._opened.core)

    async def list(self) -> KeyInfos:
        """The versions of the master key and of every user's keys."""
        return await self._store._run(
            KeyList(self._store._opened.core).list_keys(self._store._caller)
        )

    async def rotate(
        self,
        user: UserId | None = None,
        *,
        master: bool = False,
        roots: Sequence[str] = (),
        drop_absent: bool = False,
        watch: Watch = no_watch,
    ) -> int:
        """Make a new current key for one user, or for all; with ``master``, a new master key.

        Older keys go on to open what they wrap until :meth:`rewrap`, or the background, has
        moved it over.

        Args:
            user: One user, or None for all.
            master: The master key instead.
            roots: URIs of roots of the store that are at hand for the new master key alone.
            drop_absent: Whether roots that are not at hand cease to open the store.
            watch: Told of progress.

        Returns:
            How many user keys were rotated, or the new version of the master key.

        Raises:
            UserNotFound: The user has no namespace.
            RootUnavailable: A root is not at hand, or does not answer.
        """
        store = self._store
        if master:
            with opened_roots(roots, store._opened.options.ask) as opened:
                work = self._admin.rotate_master(
                    store._caller, roots=opened, drop_absent=drop_absent, watch=watch
                )
                return await store._run(work)
        return await store._run(self._admin.rotate(store._caller, user, watch=watch))

    async def rewrap(
        self, user: UserId | None = None, *, deep: bool = False, watch: Watch = no_watch
    ) -> RewrapReport:
        """Move everything to the current keys, then destroy the older ones.

        Args:
            user: One user, or None for all.
            deep: Also re-encrypt every value under a new data key.
            watch: Told of progress.

        Raises:
            UserNotFound: The user has no namespace.
        """
        store = self._store
        return await store._run(self._admin.rewrap(store._caller, user, deep=deep, watch=watch))


class AsyncAudit:
    """The audit log: verification, proofs, checkpoints, archives."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _log(self) -> AuditLog:
        return AuditLog(self._store._opened.core)

    @property
    def vkey(self) -> str:
        """The log's verifier key; keep it outside the store to check proofs with."""
        return self._log.vkey()

    async def verify(
        self,
        *,
        checkpoints: Sequence[bytes | str] = (),
        archive: Path | str | None = None,
        watch: Watch = no_watch,
    ) -> VerifyReport:
        """Check the whole log, and the store against it.

        Args:
            checkpoints: Signed checkpoints that were kept outside the store.
            archive: Folder of archived records, if there are any.
            watch: Told of progress.

        Raises:
            AuditError: On the first lie.
            InvalidDocument: A checkpoint or the archive does not parse.
        """
        store = self._store
        folder = None if archive is None else Path(archive)
        return await store._run(
            self._log.verify(
                store._caller,
                checkpoints=checkpoints,
                archive_dir=folder,
                watch=watch,
            )
        )

    async def checkpoint(self) -> bytes:
        """A signed checkpoint of the log as it is now; keep it outside the store."""
        return await self._store._run(self._log.checkpoint(self._store._caller))

    async def prove(self, index: int, *, user: UserId | None = None) -> bytes:
        """A self-contained proof of one record, to be checked offline.

        Raises:
            InvalidInput: There is no such record for this user.
        """
        store = self._store
        return await store._run(self._log.prove(store._caller, user, index))

    async def archive(self, folder: Path | str, *, keep: int = 0) -> ArchiveReport:
        """Move full bundles of 256 records to files; the newest ``keep`` records stay.

        Raises:
            InvalidInput: There is nothing to archive.
            StoreError: The folder does not take writes.
        """
        store = self._store
        return await store._run(self._log.archive(store._caller, Path(folder), keep=keep))
