"""Sealed objects of a namespace: what access control keeps (``docs/spec/store.md``, section 5).

An object is found by the keyed indexes of its kind and of its id, and sealed under its user's
metadata key, bound to both. The audit record of each change holds the SHA-256 of what it says
then, so that a row that was put back or removed does not fit the log.
"""

from hashlib import sha256
from typing import Any, Final, Generic, TypeVar

import msgspec

from adyton.errors import IntegrityError
from adyton.ports import Rows
from adyton.rows import ObjectRow
from adyton.service.commit import Scope
from adyton.service.journal import Draft
from adyton.service.userkeys import UserKeys

T = TypeVar("T")

ABSENT: Final = bytes(32)
"""Stands for the digest of an object that is gone."""
_FORMAT: Final = 1
_PAGE: Final = 1_000

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def body_of(ident: str, value: object) -> bytes:
    """What is sealed of an object: the same bytes for the same id and value."""
    return _encode((_FORMAT, ident, value))


class Shelf(Generic[T]):
    """All objects of one kind.

    Args:
        kind: The kind's name; part of the format.
        type_: A msgspec struct. Its fields are stored by name: new ones need a default.
    """

    __slots__ = ("_decode", "kind")

    def __init__(self, kind: str, type_: type[T]) -> None:
        self.kind = kind
        self._decode = msgspec.msgpack.Decoder(tuple[int, str, type_]).decode  # type: ignore[valid-type]

    def bucket(self, keys: UserKeys, folder: str = "") -> bytes:
        """The keyed index of the kind, or of one folder of it."""
        return keys.index(f"\x00{self.kind}\x00{folder}")

    def place(self, keys: UserKeys, ident: str, folder: str = "") -> tuple[bytes, bytes]:
        """Where an object lies. Names of secrets have no control characters: no index meets."""
        return self.bucket(keys, folder), keys.index(f"\x01{self.kind}\x00{folder}\x00{ident}")

    async def get(self, rows: Rows, keys: UserKeys, ident: str, folder: str = "") -> T | None:
        """One object, or None.

        Raises:
            IntegrityError: It was changed or moved.
        """
        row = await rows.object(keys.user, *self.place(keys, ident, folder))
        return None if row is None else self.open(keys, row, ident)

    def open(self, keys: UserKeys, row: ObjectRow, ident: str) -> T:
        """The object of a row that was found at its place.

        Raises:
            IntegrityError: It was changed or moved.
        """
        found, value = self._open(keys, row)
        if found != ident:
            raise _damaged()
        return value

    async def at(self, rows: Rows, keys: UserKeys, place: bytes) -> tuple[str, T] | None:
        """The object whose keyed index is known, with its id; or None.

        Raises:
            IntegrityError: It was changed or moved.
        """
        row = await rows.object(keys.user, self.bucket(keys), place)
        return None if row is None else self._open(keys, row)

    async def all(self, rows: Rows, keys: UserKeys, folder: str = "") -> dict[str, T]:
        """All objects of the kind, or of one folder, by id in order.

        Raises:
            IntegrityError: One was changed or moved.
        """
        found: list[tuple[str, T]] = []
        bucket, after = self.bucket(keys, folder), b""
        while page := await rows.objects(keys.user, bucket, after, _PAGE):
            found += [self._open(keys, row) for row in page]
            after = page[-1].ident
        return dict(sorted(found, key=lambda pair: pair[0]))

    async def some(self, rows: Rows, keys: UserKeys, limit: int, folder: str = "") -> dict[str, T]:
        """The first objects of one folder, by id.

        Raises:
            IntegrityError: One was changed or moved.
        """
        page = await rows.objects(keys.user, self.bucket(keys, folder), b"", limit)
        return dict(self._open(keys, row) for row in page)

    def _open(self, keys: UserKeys, row: ObjectRow) -> tuple[str, T]:
        try:
            number, ident, value = self._decode(keys.open_object(*row))
        except msgspec.MsgspecError:
            raise _damaged() from None
        if number != _FORMAT:
            raise _damaged()
        return ident, value


def _damaged() -> IntegrityError:
    return IntegrityError(
        "an object of access control does not parse",
        hint="Run 'adyton audit verify', and restore the store from a backup.",
    )


class ObjectChanges:
    """Changes of objects inside one unit of a group, told by one audit record.

    Args:
        scope: The group.
        keys: The user's keys.
    """

    MOST: Final = 900
    """Places that fit one record."""

    def __init__(self, scope: Scope, keys: UserKeys) -> None:
        self._scope = scope
        self.keys = keys
        self._rows: dict[tuple[bytes, bytes], ObjectRow | None] = {}
        self._digests: dict[tuple[bytes, bytes], bytes] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, shelf: Shelf[Any], ident: str, value: object, folder: str = "") -> None:
        """Write an object."""
        keys = self.keys
        place = shelf.place(keys, ident, folder)
        body = body_of(ident, value)
        self._rows[place] = ObjectRow(*place, keys.meta_current, keys.seal_object(*place, body))
        self._digests[place] = sha256(body).digest()

    def delete(self, shelf: Shelf[Any], ident: str, folder: str = "") -> None:
        """Erase an object that is there."""
        place = shelf.place(self.keys, ident, folder)
        self._rows[place] = None
        self._digests[place] = ABSENT

    async def write(self, draft: Draft) -> None:
        """Write the rows and queue the record, which tells each object's new state."""
        rows = [row for row in self._rows.values() if row is not None]
        gone = [place for place, row in self._rows.items() if row is None]
        if rows:
            await self._scope.tx.put_objects(self.keys.user, rows)
        if gone:
            await self._scope.tx.delete_objects(self.keys.user, gone)
        draft.keys = self.keys
        draft.name_index = b"".join(bucket + ident for bucket, ident in self._digests)
        draft.digest = b"".join(self._digests.values())
        self._scope.record(draft)
        self._rows, self._digests = {}, {}
