"""Archives of the log: full bundles of entries and their hash tiles as files.

The folder has the layout of C2SP tlog-tiles, so that any reader of tile logs can check it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from adyton import durable
from adyton.errors import AuditError, InvalidDocument, StorageFull, StoreError
from adyton.ports import Rows
from adyton.rows import EntryRow
from adyton.translog import decode_bundle, encode_bundle, entries_path, tile_path

BUNDLE: Final = 256


async def write(rows: Rows, log: int, folder: Path, start: int, end: int) -> None:
    """Write the bundles from leaf ``start`` to ``end``, both multiples of 256, and their tiles.

    Raises:
        AuditError: An entry or tile is missing.
        StoreError: The folder does not take writes.
    """
    for index in range(start // BUNDLE, end // BUNDLE):
        entries = await rows.entries(log, index * BUNDLE, BUNDLE)
        tile = await rows.tile(log, 0, index)
        if [row.leaf for row in entries] != list(range(index * BUNDLE, (index + 1) * BUNDLE)):
            raise AuditError(f"entries of bundle {index} are missing")
        if tile is None:
            raise AuditError(f"the hash tile of bundle {index} is missing")
        put(folder / entries_path(index), encode_bundle(row.record for row in entries))
        put(folder / tile_path(0, index), tile)


def put(path: Path, data: bytes) -> None:
    """Write one file durably.

    Raises:
        StoreError: The folder does not take writes.
    """
    try:
        durable.make_folders(path.parent)
        durable.replace(path, data)
    except OSError as error:
        kind = StorageFull if error.errno == 28 else StoreError
        raise kind(
            f"the archive can't be written ({error.strerror})",
            hint="Check space, owner and mode of the archive's folder; nothing was removed.",
        ) from error


def read(folder: Path, end: int) -> Iterator[list[EntryRow]]:
    """The entries below ``end``, a bundle at a time.

    Raises:
        InvalidDocument: A bundle is missing, or damaged.
    """
    for index in range(end // BUNDLE):
        try:
            data = (folder / entries_path(index)).read_bytes()
        except OSError as error:
            raise InvalidDocument(
                f"bundle {index} of the archive can't be read ({error.strerror})",
                hint="Give the folder that 'adyton audit archive' wrote.",
            ) from error
        records = decode_bundle(data)
        yield [
            EntryRow(index * BUNDLE + at, record[1:17], record) for at, record in enumerate(records)
        ]
