"""Checking the whole log, and the store against it (DESIGN section 5).

The tree is computed again from the records; every signed checkpoint must state a root that the
tree has had. That shows consistency between any two of them. Then each record is opened, and
what the last record of each secret says is held against what the store holds now.
"""

import hmac
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NoReturn

from adyton.actions import Action
from adyton.errors import AuditError, IntegrityError, InvalidDocument, UserRootAway
from adyton.model import State
from adyton.ports import Rows
from adyton.rows import CheckpointRow, EntryRow, SecretRow
from adyton.service import archive, secretmeta
from adyton.service.core import LOG, Core
from adyton.service.keyring import SYSTEM_USER
from adyton.service.userkeys import UserKeys
from adyton.translog import Checkpoint, NoteVerifier, TileBuilder, verify_checkpoint
from adyton.values import Progress, VerifyReport

CHUNK: Final = 4_096
_PAGE: Final = 1_000
PLACE_BYTES: Final = 32
"""An object's place in a record: the keyed indexes of its kind and of its id."""
_VALUES: Final = 64
"""Secrets read at once with their values, which may be large."""

_CHANGES: Final = frozenset(
    {
        Action.SECRET_SET.value,
        Action.SECRET_DELETE.value,
        Action.SECRET_UNDELETE.value,
        Action.SECRET_DESTROY.value,
        Action.SECRET_ROLLBACK.value,
        Action.SECRET_ROTATE.value,
        Action.SECRET_TAGS.value,
        Action.SECRET_UPDATE.value,
        Action.SECRET_REENCRYPT.value,
        Action.SECRET_IMPORT.value,
        Action.SHARE_WRITE.value,
        Action.SHARE_DELETE.value,
    }
)


def lie(text: str) -> NoReturn:
    """Raise the first lie found."""
    raise AuditError(text, hint="Keep the damaged store as evidence and restore a backup.")


class Verifier:
    """One verification.

    Args:
        core: The open store.
        rows: One state of the storage.
        watch: Told of progress.
    """

    def __init__(self, core: Core, rows: Rows, watch: Callable[[Progress], None]) -> None:
        self._core = core
        self._rows = rows
        self._watch = watch
        self._builder = TileBuilder()
        self._expected: dict[bytes, bytes] = {}
        self._keys: dict[bytes, UserKeys | None] = {SYSTEM_USER: core.ring.system}
        self._unopened: dict[bytes, int] = {}
        self._purged: dict[bytes, int] = {}
        self._closed: set[bytes] = set()

    async def run(self, outside: Sequence[bytes | str], archive_dir: Path | None) -> VerifyReport:
        """Check everything; raises at the first lie.

        Raises:
            AuditError: The log, a checkpoint or the store is not what it should be.
            InvalidDocument: A checkpoint given does not parse.
        """
        signer = self._core.commit.state.signer
        first, size = await self._rows.log_range(LOG)
        stored = await self._rows.checkpoints(LOG)
        known = self._checkpoints(stored, outside, signer.verifier, size)
        if first and archive_dir is None:
            raise InvalidDocument(
                f"the records before leaf {first} are in an archive",
                hint="Give the archive's folder: adyton audit verify --archive DIR.",
            )
        pending = sorted({checkpoint.size for checkpoint in known})
        for entries in archive.read(archive_dir, first) if archive_dir and first else ():
            await self._take(entries, known, pending)
        at = first
        while at < size:
            rows = await self._rows.entries(LOG, at, min(CHUNK, size - at))
            if not rows or rows[0].leaf != at or rows[-1].leaf != at + len(rows) - 1:
                lie(f"the record of leaf {at} or one behind it is missing")
            await self._take(rows, known, pending)
            at += len(rows)
            self._watch(Progress("verify", at, size))
        self._check_root(known, pending)
        self._check_unopened()
        users, secrets = await self._store()
        root = self._builder.root()
        return VerifyReport(size, first, len(known), secrets, users, root, len(self._closed))

    # -- tree -----------------------------------------------------------------------------------

    def _checkpoints(
        self,
        stored: list[CheckpointRow],
        outside: Iterable[bytes | str],
        verifier: NoteVerifier,
        size: int,
    ) -> list[Checkpoint]:
        found = []
        for row in stored:
            try:
                checkpoint = verify_checkpoint(row.note, [verifier])
            except (AuditError, InvalidDocument):
                lie(f"the stored checkpoint of size {row.size} was changed")
            if checkpoint.size != row.size:
                lie(f"the stored checkpoint of size {row.size} states another size")
            found.append(checkpoint)
        found.extend(verify_checkpoint(note, [verifier]) for note in outside)
        for checkpoint in found:
            if checkpoint.size > size:
                lie(
                    f"a checkpoint was signed for {checkpoint.size} records, the log has {size}:"
                    " records were dropped, or an older database was put back"
                )
        return found

    def _check_root(self, known: list[Checkpoint], pending: list[int]) -> None:
        while pending and pending[0] <= self._builder.size:
            size = pending.pop(0)
            if size != self._builder.size:
                raise AssertionError("a checkpoint's size was stepped over")
            root = self._builder.root()
            for checkpoint in known:
                if checkpoint.size == size and not hmac.compare_digest(checkpoint.root, root):
                    lie(f"the records before leaf {size} are not those that were signed")

    async def _take(
        self,
        rows: list[EntryRow],
        known: list[Checkpoint],
        pending: list[int],
    ) -> None:
        for leaf, user, record in rows:
            if record[1:17] != user:
                lie(f"the record of leaf {leaf} stands under another user")
        await self._open(rows)
        builder = self._builder
        start = 0
        while start < len(rows):
            stop = len(rows)
            if pending and pending[0] - builder.size < stop - start:
                stop = start + pending[0] - builder.size
            builder.extend([sha256(b"\x00" + row[2]).digest() for row in rows[start:stop]])
            self._check_root(known, pending)
            start = stop
        for level, index, tile in builder.take_full():
            if await self._rows.tile(LOG, level, index) != tile:
                lie(f"the stored hash tile {level}/{index} is not that of the records")

    # -- records --------------------------------------------------------------------------------

    async def _open(self, rows: list[EntryRow]) -> None:
        keys_of = self._keys
        expected = self._expected
        unopened = self._unopened
        open_record = self._core.journal.open
        for leaf, user, record in rows:
            keys = keys_of.get(user)
            if keys is None:
                keys = None if user in keys_of else await self._load(user)
                if keys is None:
                    unopened[user] = leaf
                    continue
            try:
                body, _ = open_record(keys, leaf, record)
            except IntegrityError:
                # Rightly so if the user was purged later on, and has new keys since.
                unopened[user] = leaf
                continue
            if body.success and body.name_index:
                if len(body.name_index) % PLACE_BYTES == 0:
                    self._objects_changed(user, body.name_index, body.digest)
                elif body.action in _CHANGES:
                    expected[user + body.name_index] = body.digest
                elif body.action == Action.USER_PURGE.value:
                    self._purge(body.name_index, leaf)

    def _objects_changed(self, user: bytes, places: bytes, digests: bytes) -> None:
        for at in range(0, len(places), PLACE_BYTES):
            digest = digests[at : at + PLACE_BYTES]
            # All zeros stand for an object that is gone (objects.ABSENT).
            self._expected[user + places[at : at + PLACE_BYTES]] = digest if any(digest) else b""

    async def _load(self, user: bytes) -> UserKeys | None:
        try:
            keys = await self._core.ring.load_index(self._rows, user)
        except UserRootAway:
            self._closed.add(user)
            keys = None
        except IntegrityError as error:
            lie(f"the keys of a user don't open: {error.message}")
        self._keys[user] = keys
        return keys

    def _purge(self, user: bytes, leaf: int) -> None:
        self._purged[user] = leaf
        for place in [place for place in self._expected if place.startswith(user)]:
            del self._expected[place]

    def _check_unopened(self) -> None:
        for user, leaf in self._unopened.items():
            if user not in self._closed and leaf > self._purged.get(user, -1):
                lie(f"the record of leaf {leaf} was changed, or its user's keys were removed")

    # -- store ----------------------------------------------------------------------------------

    async def _store(self) -> tuple[int, int]:
        users = secrets = 0
        after = b""
        total = await self._rows.count_secrets()
        while page := await self._rows.users(after, _PAGE):
            for row in page:
                keys = self._keys.get(row.user) or await self._load(row.user)
                if row.user in self._closed:
                    continue
                if keys is None:
                    lie("a namespace has no keys")
                secrets += await self._namespace(keys)
                await self._objects(keys)
                self._watch(Progress("cross-check", secrets, max(total, secrets)))
            users += sum(row.user not in self._closed for row in page)
            after = page[-1].user
        left = [place for place, digest in self._expected.items() if digest]
        if left:
            lie(
                f"{len(left)} secrets or objects are in the log and not in the store:"
                " rows were removed"
            )
        return users, secrets

    async def _namespace(self, keys: UserKeys) -> int:
        count = 0
        after = b""
        while page := await self._rows.secrets_page(keys.user, after, _VALUES):
            for row in page:
                try:
                    body = secretmeta.open_body(keys, row)
                    meta = secretmeta.parse(body, row)
                except IntegrityError:
                    lie("a secret's metadata was changed or moved")
                wanted = self._expected.pop(keys.user + row.name, b"")
                if not hmac.compare_digest(sha256(body).digest(), wanted):
                    lie(
                        "a secret is not in the state that its last record tells: an older row"
                        " was put back, or its record was left out"
                    )
                await self._values(keys, row, meta)
                count += 1
            after = page[-1].name
        return count

    async def _objects(self, keys: UserKeys) -> None:
        after = b""
        while page := await self._rows.objects(keys.user, None, after, _PAGE):
            for row in page:
                place = row.bucket + row.ident
                try:
                    body = keys.open_object(*row)
                except IntegrityError:
                    lie("an object of access control was changed or moved")
                wanted = self._expected.pop(keys.user + place, b"")
                if not hmac.compare_digest(sha256(body).digest(), wanted):
                    lie(
                        "an object of access control is not in the state that its last record"
                        " tells: an older row was put back, or its record was left out"
                    )
            after = page[-1].bucket + page[-1].ident

    async def _values(self, keys: UserKeys, row: SecretRow, meta: secretmeta.Meta) -> None:
        """Each version that lives is there, whole, and no other is."""
        name = row.name
        boxes: dict[int, tuple[int, bytes | None, bytes | None]] = {}
        if row.value is not None:
            boxes[row.current] = (row.key_version, row.wrapped_key, row.value)
        if len(meta.versions) > 1 or row.value is None:
            for older in await self._rows.versions(keys.user, name):
                boxes[older.version] = (older.key_version, older.wrapped_key, older.value)
        for version in meta.versions:
            if version.state == State.DESTROYED:
                continue
            key_version, wrapped, box = boxes.pop(version.version, (0, None, None))
            if wrapped is None or box is None or not hmac.compare_digest(box[-16:], version.tag):
                lie("a version's value is missing, or is not the one that was written")
            if not keys.opens(name, version.version, key_version, wrapped, box):
                lie("a version's value or key was changed")
        if boxes:
            lie("the store holds a version that its secret's metadata does not know")
