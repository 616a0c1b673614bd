"""Every seam on one page: what storage, roots of trust, sinks and clocks must offer.

Rows are ciphertext, keyed indexes, counters and times; no implementation of these Protocols
ever sees a name, a value or a key in the clear, save a root, which sees the master key.
Rotators have theirs in ``rotating.py``. The methods are coroutines so that an engine behind a
network may suspend. An embedded one never does: the synchronous face needs no event loop then
(``docs/adr/0001-one-implementation-two-faces.md``).
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol, runtime_checkable

from adyton.crypto.secretbytes import SecretBytes
from adyton.dueports import DueReading, DueWriting
from adyton.evidence import Parts
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


class Rows(DueReading, Protocol):
    """Reading, from one consistent state."""

    async def setting(self, key: str) -> bytes | None:
        """A setting of the store."""

    async def master_keys(self) -> list[MasterKeyRow]:
        """All master key rows, oldest version first."""

    async def store_keys(self) -> list[StoreKeyRow]:
        """All keys of the store itself."""

    async def user(self, user: bytes) -> UserRow | None:
        """One namespace."""

    async def users(self, after: bytes, limit: int) -> list[UserRow]:
        """Namespaces in order of their index, from behind ``after``."""

    async def user_keys(self, user: bytes) -> list[UserKeyRow]:
        """A user's keys, oldest first."""

    async def user_keys_under(self, master_below: int, limit: int) -> list[UserKeyRow]:
        """User keys wrapped by a master key older than the given version."""

    async def users_with_retired_keys(self, after: bytes, limit: int) -> list[bytes]:
        """Users that have retired keys, in order."""

    async def subkeys(self, user: bytes) -> list[SubkeyRow]:
        """A user's subkeys."""

    async def secret(self, user: bytes, name: bytes) -> SecretRow | None:
        """A secret with its current version: one indexed select."""

    async def metadata(self, user: bytes, name: bytes) -> MetaRow | None:
        """A secret's metadata without its value."""

    async def metadata_page(self, user: bytes, after: bytes, limit: int) -> list[MetaRow]:
        """Metadata in order of the keyed index, from behind ``after``."""

    async def secrets_page(self, user: bytes, after: bytes, limit: int) -> list[SecretRow]:
        """Whole secrets in order of the keyed index, from behind ``after``."""

    async def names(self, user: bytes) -> set[bytes]:
        """The keyed indexes of all of a user's secrets."""

    async def version(self, user: bytes, name: bytes, version: int) -> VersionRow | None:
        """An older version."""

    async def versions(self, user: bytes, name: bytes) -> list[VersionRow]:
        """All older versions of a secret, oldest first."""

    async def wraps(
        self, user: bytes, *, older: bool, after: tuple[bytes, int], limit: int
    ) -> list[WrapRow]:
        """Wrapped data keys of current (or older) versions behind a position, in order."""

    async def count_secrets(self, user: bytes | None = None) -> int:
        """How many secrets a user, or the store, has."""

    async def object(self, user: bytes, bucket: bytes, ident: bytes) -> ObjectRow | None:
        """One sealed object."""

    async def objects(
        self, user: bytes, bucket: bytes | None, after: bytes, limit: int
    ) -> list[ObjectRow]:
        """Sealed objects behind ``after``, in order: of one bucket, or of all.

        ``after`` is an object's index; without a bucket, a bucket's and an object's.
        """

    async def log_range(self, log: int) -> tuple[int, int]:
        """First entry still held, and size, of a log."""

    async def entries(self, log: int, start: int, limit: int) -> list[EntryRow]:
        """Entries from ``start`` on, in order."""

    async def entries_of(self, log: int, user: bytes, below: int, limit: int) -> list[EntryRow]:
        """A user's entries with an index below ``below``, newest first."""

    async def entries_from(self, log: int, user: bytes, start: int, limit: int) -> list[EntryRow]:
        """A user's entries from ``start`` on, in order."""

    async def users_in(self, log: int, start: int, end: int) -> dict[bytes, int]:
        """Whose the entries from ``start`` up to ``end`` are, and how many of each."""

    async def tile(self, log: int, level: int, index: int) -> bytes | None:
        """A full tile of hashes."""

    async def checkpoints(self, log: int) -> list[CheckpointRow]:
        """All checkpoints, smallest first."""

    async def job(self, key: str) -> bytes | None:
        """The saved position of a resumable job."""

    async def counted(self, user: bytes) -> UsageRow:
        """What a user stores, counted from the rows."""


class Transaction(Rows, DueWriting, Protocol):
    """Writing. Nothing is visible to other readers before the commit."""

    async def usage(self, user: bytes) -> UsageRow:
        """What a user stores as this transaction sees it, after ``Storage.keep_usage``."""

    async def savepoint(self) -> None:
        """Open a nested scope."""

    async def release(self) -> None:
        """Keep the nested scope's changes."""

    async def rollback_to(self) -> None:
        """Undo the nested scope's changes and close it."""

    async def put_setting(self, key: str, value: bytes) -> None:
        """Write a setting of the store."""

    async def put_master_key(self, row: MasterKeyRow) -> None:
        """Insert or replace a master key row."""

    async def delete_master_key(self, version: int) -> None:
        """Destroy one version of the master key, in all slots."""

    async def delete_master_slot(self, slot: int) -> None:
        """Destroy what one root has wrapped: all versions of the master key in its slot."""

    async def put_store_key(self, row: StoreKeyRow) -> None:
        """Insert or replace a key of the store."""

    async def put_user(self, row: UserRow) -> None:
        """Insert or replace a namespace."""

    async def put_user_keys(self, rows: Iterable[UserKeyRow]) -> None:
        """Insert or replace user keys."""

    async def put_wrap_count(self, user: bytes, version: int, wraps: int) -> None:
        """Set the upper bound of how often a user key has wrapped."""

    async def delete_user_keys(self, user: bytes, below: int) -> None:
        """Destroy a user's keys older than a version."""

    async def put_subkeys(self, rows: Iterable[SubkeyRow]) -> None:
        """Insert or replace subkeys."""

    async def delete_subkeys(self, user: bytes, purpose: int, below: int) -> None:
        """Destroy a user's subkeys of one purpose older than a version."""

    async def delete_user(self, user: bytes) -> int:
        """Remove a namespace, its keys and its secrets; how many secrets went."""

    async def put_secrets(
        self, user: bytes, rows: Iterable[SecretRow], *, new: bool = True
    ) -> None:
        """Insert or replace secrets.

        Args:
            user: Whose.
            rows: The rows.
            new: False if it is certain that each row replaces one: then no name has come.
        """

    async def put_metadata(self, user: bytes, rows: Iterable[MetaRow]) -> None:
        """Replace metadata, keeping the current version's value."""

    async def move_to_versions(self, user: bytes, name: bytes) -> None:
        """Copy a secret's current version among its older versions."""

    async def put_versions(self, user: bytes, rows: Iterable[VersionRow]) -> None:
        """Insert or replace older versions."""

    async def destroy_current(self, user: bytes, name: bytes) -> None:
        """Erase the current version's key and value, keeping the row."""

    async def delete_versions(self, user: bytes, name: bytes, versions: Sequence[int]) -> None:
        """Erase older versions."""

    async def delete_secret(self, user: bytes, name: bytes) -> None:
        """Erase a secret with all its versions."""

    async def put_objects(self, user: bytes, rows: Iterable[ObjectRow]) -> None:
        """Insert or replace sealed objects."""

    async def delete_objects(self, user: bytes, places: Iterable[tuple[bytes, bytes]]) -> None:
        """Erase sealed objects: (bucket, object)."""

    async def put_wraps(self, user: bytes, rows: Iterable[WrapRow], *, older: bool) -> None:
        """Replace wrapped data keys of current (or older) versions."""

    async def put_accessed(self, times: Iterable[tuple[bytes, bytes, int]]) -> None:
        """Set times of last access: (user, name, microseconds)."""

    async def append_entries(self, log: int, rows: Sequence[EntryRow]) -> None:
        """Append leaves to a log; an index that exists already is an error."""

    async def put_tiles(self, log: int, tiles: Iterable[tuple[int, int, bytes]]) -> None:
        """Insert full tiles of hashes: (level, index, hashes)."""

    async def put_checkpoint(self, log: int, row: CheckpointRow) -> None:
        """Insert a checkpoint."""

    async def delete_entries(self, log: int, below: int) -> None:
        """Drop entries that have been archived."""

    async def put_job(self, key: str, state: bytes | None) -> None:
        """Save a job's position, or forget it."""

    async def commit(self) -> None:
        """Make the changes durable; when this returns they survive a power cut.

        Raises:
            StorageFull: The disk is full; nothing was kept.
            StoreError: Any other failure; nothing was kept.
        """

    async def rollback(self) -> None:
        """Drop the changes."""


class Storage(Protocol):
    """A place for rows: one writing transaction at a time, which the service sees to.

    Reading goes on beside it, from the last committed state.
    """

    async def secret(self, user: bytes, name: bytes) -> SecretRow | None:
        """A secret with its current version, from the last commit: the hot path."""

    async def object(self, user: bytes, bucket: bytes, ident: bytes) -> ObjectRow | None:
        """A sealed object, from the last commit."""

    def snapshot(self) -> AbstractAsyncContextManager[Rows]:
        """One consistent state for several reads."""

    def names_version(self, user: bytes) -> int:
        """A number that has changed once a name of the user's secrets may have come or gone.

        It has by the commit; a storage that others write to gives another one each time.
        """

    def keep_usage(self) -> None:
        """Keep count of what users store from now on; a transaction may roll that back, too."""

    async def begin(self) -> Transaction:
        """Open the writing transaction."""

    async def compact(self) -> None:
        """Fold the write-ahead log into the database, so that erased bytes leave the disk."""

    async def check(self) -> list[str]:
        """Problems that the engine itself finds, one text each; empty when sound."""

    def close(self) -> None:
        """Release everything; may be called again."""


class RootOfTrust(Protocol):
    """What wraps the master key.

    ``context`` is mandatory and authenticated: a wrapped key opens only for the store and key
    version it was wrapped for.
    """

    @property
    def kind(self) -> str:
        """Short stable name, such as ``keyfile``."""

    def wrap(self, key: SecretBytes, context: bytes) -> bytes:
        """Wrap a key.

        Raises:
            RootUnavailable: The root does not answer.
            RootError: It refuses.
        """

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        """Open a wrapped key into locked memory; the caller wipes it.

        Raises:
            RootLocked: Wrong passphrase, key, context or damaged bytes.
            RootUnavailable: The root does not answer.
        """

    def describe(self) -> dict[str, str]:
        """What and where the root is, for people; nothing secret."""

    def close(self) -> None:
        """Forget what is held in memory."""


@runtime_checkable
class SlotChooser(Protocol):
    """A root that is best shown all that it could open before it asks people for anything."""

    def choose(self, wrapped: Sequence[bytes]) -> int:
        """Which of several wrapped keys, one from each slot, is this root's.

        Raises:
            RootLocked: None is.
        """


@runtime_checkable
class SettlingRoot(Protocol):
    """A root that can refuse what it wrapped earlier, as a guard against older stores."""

    def settle(self, wrapped: bytes) -> None:
        """Take note that nothing older than this wrapped key is needed any more.

        Raises:
            RootLocked: This is itself refused by now.
            RootUnavailable: The root does not answer.
        """


class Evidence(Protocol):
    """A platform that can show which code runs on it (``docs/spec/attestation.md``)."""

    @property
    def platform(self) -> str:
        """Its name, such as ``tpm``."""

    def produce(self, report_data: bytes) -> Parts:
        """Fresh evidence that is bound to 64 bytes; may take a second, called by one thread.

        Raises:
            ServerUnavailable: The platform does not answer now.
        """


class SinkEvent(NamedTuple):
    """One audit record on its way to a sink: its leaf index and one JSON object as text."""

    leaf: int
    line: str


class Sink(Protocol):
    """A place outside the store that audit records are copied to, at least once."""

    def position(self) -> int:
        """The leaf index of the next record it lacks.

        Raises:
            OSError: The sink can't be reached now; it will be tried again.
        """

    def write(self, events: Sequence[SinkEvent]) -> None:
        """Append records durably.

        Raises:
            OSError: The sink can't be reached now; it will be tried again.
        """

    def close(self) -> None:
        """Release everything."""


class Clock(Protocol):
    """Where time comes from."""

    def now_us(self) -> int:
        """Microseconds since the epoch, UTC."""
