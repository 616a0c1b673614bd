"""Tiles of hashes and bundles of entries (C2SP tlog-tiles; ``docs/spec/translog.md``, section 2).

A tile at level L holds up to 256 hashes of complete subtrees of ``256^L`` leaves. Full tiles
never change. What is not yet in a full tile, the tree's right edge, is held in memory by
:class:`TileBuilder` and can be made again from the last entries.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

from adyton.errors import InvalidDocument
from adyton.translog.merkle import HASH_BYTES, root

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 256
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
MAX_ENTRY: Final = 65_535
MAX_LEVEL: Final = 63

TileSource = Callable[[int, int], bytes]
"""``(level, index)`` to the 8192 bytes of a full tile."""


def _number(index: int) -> str:
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*("x" + part for part in parts[:-1]), parts[-1]])


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Path of a tile, such as ``tile/0/x001/234`` or ``tile/1/000.p/7``."""
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{level}/{_number(index)}{partial}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """Path of a bundle of entries, such as ``tile/entries/x001/234``."""
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/entries/{_number(index)}{partial}"


_PATH: Final = re.compile(
    r"tile/(entries|\d{1,2})/((?:x\d{3}/){0,5}\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII
)


def parse_tile_path(path: str) -> tuple[int | None, int, int]:
    """A path as level (None for entries), index and width.

    Raises:
        InvalidDocument: It is not written as :func:`tile_path` writes it.
    """
    match = _PATH.fullmatch(path)
    if match:
        kind, digits, partial = match.groups()
        index = int(digits.replace("x", "").replace("/", ""))
        width = int(partial) if partial else TILE_WIDTH
        level = None if kind == "entries" else int(kind)
        again = entries_path(index, width) if level is None else tile_path(level, index, width)
        if again == path and width <= TILE_WIDTH and (level or 0) <= MAX_LEVEL:
            return level, index, width
    raise InvalidDocument("the path is not that of a tile")


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries as a bundle: each behind its length, 16 bits big-endian.

    Raises:
        InvalidDocument: There are more than 256, or one is longer than 65,535 bytes.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY or len(parts) >= 2 * TILE_WIDTH:
            raise InvalidDocument("a bundle holds 256 entries of 65,535 bytes at the most")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def decode_bundle(data: bytes, count: int = TILE_WIDTH) -> list[bytes]:
    """The entries of a bundle.

    Raises:
        InvalidDocument: It is cut short, or does not hold exactly ``count`` entries.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < count:
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise InvalidDocument("the bundle of entries is cut short")
        entries.append(data[at + 2 : end])
        at = end
    if at != len(data) or len(entries) != count:
        raise InvalidDocument(f"the bundle does not hold {count} entries")
    return entries


class TileBuilder:
    """The right edge of a growing tree.

    Holds, for each level, the hashes that are not yet in a full tile: at most 255 a level.
    :meth:`fork` gives a copy to append to while the original stays as it is, so that a commit
    that fails leaves no trace.
    """

    __slots__ = ("_edge", "_full", "size")

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[list[bytes]] = [[]]
        self._full: list[tuple[int, int, bytes]] = []

    @classmethod
    def resume(cls, size: int, tiles: TileSource, last: Sequence[bytes]) -> "TileBuilder":
        """The builder of a tree that exists.

        Args:
            size: The tree's size.
            tiles: Reads full tiles; asked for the last ``(size >> 8L) % 256`` tiles of each
                level.
            last: Leaf hashes of the entries behind the last full tile of level 0.

        Raises:
            InvalidDocument: The hashes or tiles given are not as many as the size says.
        """
        new = cls()
        new.size = size
        new._edge = [list(last)]
        if len(last) != size % TILE_WIDTH or any(len(one) != HASH_BYTES for one in last):
            raise InvalidDocument("the log's last entries do not fit its size")
        level, count = 0, size >> TILE_HEIGHT
        while count:
            level += 1
            first = count - count % TILE_WIDTH
            new._edge.append([_tile_root(tiles(level - 1, index)) for index in range(first, count)])
            count >>= TILE_HEIGHT
        return new

    def fork(self) -> "TileBuilder":
        """A copy that grows on its own."""
        new = TileBuilder()
        new.size = self.size
        new._edge = [*map(list.copy, self._edge)]
        new._full = self._full.copy()  # what nobody has taken yet must not get lost
        return new

    def append(self, leaf: bytes) -> None:
        """Add the hash of a leaf.

        Raises:
            InvalidDocument: It is not 32 bytes.
        """
        if len(leaf) != HASH_BYTES:  # in a tile it would shift every hash behind it
            raise InvalidDocument("a leaf hash has 32 bytes")
        edge = self._edge[0]
        edge.append(leaf)
        self.size += 1
        if len(edge) == TILE_WIDTH:
            self._fold()

    def extend(self, leaves: list[bytes]) -> None:
        """Add the hashes of many leaves, tile by tile.

        Raises:
            InvalidDocument: One is not 32 bytes; nothing has been added.
        """
        if leaves and set(map(len, leaves)) != {HASH_BYTES}:
            raise InvalidDocument("a leaf hash has 32 bytes")
        at = 0
        while at < len(leaves):
            edge = self._edge[0]
            part = leaves[at : at + TILE_WIDTH - len(edge)]
            edge += part
            self.size += len(part)
            at += len(part)
            if len(edge) == TILE_WIDTH:
                self._fold()

    def _fold(self) -> None:
        level = 0
        while len(self._edge[level]) == TILE_WIDTH:
            hashes = self._edge[level]
            index = (self.size >> (TILE_HEIGHT * (level + 1))) - 1
            self._full.append((level, index, b"".join(hashes)))
            self._edge[level] = []
            if level + 1 == len(self._edge):
                self._edge.append([])
            self._edge[level + 1].append(_fold_hashes(hashes))
            level += 1

    def take_full(self) -> list[tuple[int, int, bytes]]:
        """The tiles that have become full since the last call: level, index, hashes."""
        full, self._full = self._full, []
        return full

    def root(self) -> bytes:
        """Root hash of the tree."""
        return root(self.size, self._edge_hash)

    def _edge_hash(self, level: int, index: int) -> bytes:
        return self.hash_at(level, index, _no_tile)

    def hash_at(self, level: int, index: int, tiles: TileSource) -> bytes:
        """Hash of a complete subtree, from the edge or from a full tile.

        Raises:
            InvalidDocument: It is in neither.
        """
        tile_level, within = divmod(level, TILE_HEIGHT)
        first = index << within  # of the tile level's hashes
        tile_index, offset = divmod(first, TILE_WIDTH)
        if tile_index < self.size >> (TILE_HEIGHT * (tile_level + 1)):
            tile = _checked(tiles(tile_level, tile_index))
            start = offset * HASH_BYTES
            hashes = [
                tile[at : at + HASH_BYTES]
                for at in range(start, start + (HASH_BYTES << within), HASH_BYTES)
            ]
        else:
            edge = self._edge[tile_level] if tile_level < len(self._edge) else []
            hashes = edge[offset : offset + (1 << within)]
            if len(hashes) != 1 << within:
                raise InvalidDocument("the tree has no such complete subtree")
        return _fold_hashes(hashes)


def _fold_hashes(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        # node_hash() in place: this is one half of all hashing of a growing log.
        hashes = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(hashes[::2], hashes[1::2], strict=True)
        ]
    return hashes[0]


def _checked(tile: bytes) -> bytes:
    if len(tile) != TILE_BYTES:
        raise InvalidDocument(f"a full tile has {TILE_BYTES} bytes, not {len(tile)}")
    return tile


def _tile_root(tile: bytes) -> bytes:
    """Hash of the complete subtree over a full tile."""
    _checked(tile)
    return _fold_hashes([tile[at : at + HASH_BYTES] for at in range(0, TILE_BYTES, HASH_BYTES)])


def _no_tile(level: int, index: int) -> bytes:
    raise InvalidDocument(f"the hash is in the full tile {tile_path(level, index)}")
