"""Tiles, bundles and the builder that keeps the tree's right edge."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.errors import InvalidDocument
from adyton.translog import (
    EMPTY_ROOT,
    TileBuilder,
    consistency_proof,
    decode_bundle,
    encode_bundle,
    entries_path,
    inclusion_proof,
    leaf_hash,
    parse_tile_path,
    root,
    tile_path,
)
from translog import naive

SIZES = [0, 1, 2, 255, 256, 257, 511, 512, 600, 65_535, 65_536, 65_537, 65_793]
LARGEST = SIZES[-1]


@pytest.fixture(scope="module")
def hashes():
    return [naive.leaf(at.to_bytes(8, "big")) for at in range(LARGEST)]


@pytest.fixture(scope="module")
def grown(hashes):
    """A builder, its full tiles and its roots at the sizes of interest."""
    builder, tiles, roots = TileBuilder(), {}, {0: TileBuilder().root()}
    for size, one in enumerate(hashes, 1):
        builder.append(one)
        for level, index, tile in builder.take_full():
            assert (level, index) not in tiles
            tiles[level, index] = tile
        if size in SIZES:
            roots[size] = builder.root()
    return builder, tiles, roots


def small(size):
    builder, tiles = TileBuilder(), {}
    for at in range(size):
        builder.append(naive.leaf(b"%d" % at))
    for level, index, tile in builder.take_full():
        tiles[level, index] = tile
    return builder, tiles


def no_tile(level, index):
    pytest.fail(f"tile {level}/{index} was read")


def test_roots_at_tile_boundaries(hashes, grown):
    """The builder's root is the definition's at, before and after each tile boundary."""
    for size, found in grown[2].items():
        assert found == naive.mth(hashes[:size])
    assert grown[2].keys() == set(SIZES)


def test_full_tiles_are_those_of_the_definition(hashes, grown):
    """Each full tile of each level comes out once, with the hashes of tlog-tiles."""
    expected = {
        place: b"".join(tile) for place, tile in naive.tiles(hashes).items() if len(tile) == 256
    }
    assert grown[1] == expected
    assert (1, 0) in expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 600))
def test_random_sizes(size):
    """Root and tiles of a tree of 0 to 600 leaves are the definition's."""
    builder, tiles = small(size)
    hashes = [naive.leaf(b"%d" % at) for at in range(size)]
    assert builder.size == size
    assert builder.root() == naive.mth(hashes)
    wanted = {p: b"".join(t) for p, t in naive.tiles(hashes).items() if len(t) == 256}
    assert tiles == wanted


@pytest.mark.parametrize("size", SIZES)
def test_resumed_builder_is_the_same(hashes, grown, size):
    """A builder made again from full tiles and last leaves has the root and goes on alike."""
    reads = []

    def read(level, index):
        reads.append((level, index))
        return grown[1][level, index]

    builder = TileBuilder.resume(size, read, hashes[size - size % 256 : size])
    assert builder.root() == grown[2][size]
    # Only the tiles whose hashes make up the right edge, which stays below 255 for each level.
    assert len(reads) == sum((size >> 8 * level) % 256 for level in range(1, 8))
    for one in hashes[size : size + 300]:
        builder.append(one)
    end = min(size + 300, LARGEST)
    assert builder.root() == naive.mth(hashes[:end])
    new = builder.take_full()
    assert all(grown[1][level, index] == tile for level, index, tile in new)
    assert len(new) == sum((end >> 8 * lv) - (size >> 8 * lv) for lv in range(1, 8))


def test_resume_refuses_what_does_not_fit():
    """Too few or malformed last hashes, or a short tile, are refused and not guessed at."""
    builder, tiles = small(300)
    last = [naive.leaf(b"%d" % at) for at in range(256, 300)]

    def read(level, index):
        return tiles[level, index]

    assert TileBuilder.resume(300, read, last).root() == builder.root()
    for bad in (last[:-1], [*last, bytes(32)], [], [*last[:-1], b"short"]):
        with pytest.raises(InvalidDocument):
            TileBuilder.resume(300, read, bad)
    for tile in (b"", tiles[0, 0][:-1], tiles[0, 0] + b"\0"):
        with pytest.raises(InvalidDocument):
            TileBuilder.resume(300, lambda *_, tile=tile: tile, last)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([0, 1, 200, 255, 256, 300, 511]), st.integers(0, 400))
def test_fork_leaves_the_original_alone(before, more):
    """What is appended to a fork is not in the original, and a fork kept is like no fork at all."""
    builder, _ = small(before)
    top = builder.root()
    fork = builder.fork()
    for at in range(before, before + more):
        fork.append(naive.leaf(b"%d" % at))
    assert (builder.size, builder.root(), builder.take_full()) == (before, top, [])
    straight, _ = small(before + more)
    assert (fork.size, fork.root()) == (straight.size, straight.root())
    for at in range(before, before + 300):  # a discarded fork has left nothing behind
        builder.append(naive.leaf(b"%d" % at))
    assert builder.root() == naive.mth([naive.leaf(b"%d" % at) for at in range(before + 300)])


def test_forks_of_forks_do_not_touch_upper_levels():
    """Two forks that both fill a tile keep separate hashes on the level above."""
    builder, _ = small(255)
    one, two = builder.fork(), builder.fork()
    one.append(leaf_hash(b"one"))
    two.append(leaf_hash(b"two"))
    assert one.root() != two.root()
    assert one.take_full() != two.take_full()
    base = [naive.leaf(b"%d" % at) for at in range(255)]
    assert one.root() == naive.mth([*base, leaf_hash(b"one")])


def test_fork_keeps_tiles_that_nobody_has_taken():
    """A tile that filled before the fork is still to be had from the fork."""
    builder = TileBuilder()
    for at in range(256):
        builder.append(naive.leaf(b"%d" % at))
    fork = builder.fork()
    taken = fork.take_full()
    assert [place[:2] for place in taken] == [(0, 0)]
    assert (builder.take_full(), builder.take_full()) == (taken, [])


@pytest.mark.parametrize("leaf", [b"", bytes(31), bytes(33)])
def test_append_refuses_what_is_no_hash(leaf):
    """A leaf hash of another length is refused, and nothing is added."""
    builder = TileBuilder()
    with pytest.raises(InvalidDocument):
        builder.append(leaf)
    assert (builder.size, builder.root()) == (0, EMPTY_ROOT)


def test_hash_at_agrees_with_the_definition(hashes, grown):
    """Complete subtrees at every level come out of tiles or the edge as the definition has them."""
    builder, tiles, _ = grown
    for level in range(17):
        last = (LARGEST >> level) - 1
        for index in {0, last // 2, last}:
            found = builder.hash_at(level, index, lambda lv, n: tiles[lv, n])
            assert found == naive.mth(hashes[index << level : (index + 1) << level])


def test_hash_at_refuses_what_is_not_complete():
    """A subtree that is not complete yet is refused, and so is a tile of another length."""
    builder, tiles = small(300)
    for level, index in ((0, 300), (1, 150), (9, 0), (8, 1), (3, 37), (40, 0)):
        with pytest.raises(InvalidDocument):
            builder.hash_at(level, index, lambda lv, n: tiles[lv, n])
    with pytest.raises(InvalidDocument):
        builder.hash_at(0, 5, lambda *_: tiles[0, 0][:-32])


@pytest.mark.parametrize("size", [1, 256, 300, 600, LARGEST])
def test_proofs_from_tiles(hashes, grown, size):
    """Proofs made from tiles and edge are the definition's and read few tiles."""
    tiles = grown[1]
    builder = TileBuilder.resume(size, lambda lv, n: tiles[lv, n], hashes[size - size % 256 : size])
    reads = set()

    def read(level, index):
        def tile(lv, n):
            reads.add((lv, n))
            return tiles[lv, n]

        return builder.hash_at(level, index, tile)

    assert root(size, read) == builder.root()
    assert not reads, "the root is all in the edge"
    for index in {0, size // 3, size - 1}:
        reads.clear()
        assert inclusion_proof(index, size, read) == naive.path(index, hashes[:size])
        assert len(reads) <= 3
    for old in {1, size // 2 + 1, size}:
        reads.clear()
        assert consistency_proof(old, size, read) == naive.consistency(old, hashes[:size])
        assert len(reads) <= 5


def test_paths_of_the_standard():
    """The index 1234067 of tlog-tiles is written in its three parts, partial or not."""
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(3, 5, 17) == "tile/3/005.p/17"
    assert entries_path(1234067, 1) == "tile/entries/x001/x234/067.p/1"


@given(st.integers(0, 63), st.integers(0, 10**18 - 1), st.integers(1, 256))
def test_paths_round_trip(level, index, width):
    """Each path that is written is read back as what it was made from."""
    assert parse_tile_path(tile_path(level, index, width)) == (level, index, width)
    assert parse_tile_path(entries_path(index, width)) == (None, index, width)


BAD_PATHS = [
    "",
    "tile",
    "tile/0",
    "tile/0/",
    "/tile/0/000",
    "tile/0/000/",
    "tile/0/000\n",
    "tile/00/000",
    "tile/64/000",
    "tile/-1/000",
    "tile/100/000",
    "tile/0/0",
    "tile/0/0000",
    "tile/0/x000/001",
    "tile/0/x001",
    "tile/0/001/000",
    "tile/0/001/x000",
    "tile/0/000.p/0",
    "tile/0/000.p/256",
    "tile/0/000.p/999",
    "tile/0/000.p/01",
    "tile/0/000.p/",
    "tile/0/000.p/+1",
    "tile/Entries/000",
    "tile/0/\u0661\u0661\u0661",
    "tile/0/../000",
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_bad_paths(path):
    """A path that is not exactly as it would be written is refused."""
    with pytest.raises(InvalidDocument):
        parse_tile_path(path)


@given(st.one_of(st.text(), st.text("tile/enrsxp.0123456789", max_size=40)))
def test_any_text_as_a_path(text):
    """Any text either is the path of a tile, written the one way, or is InvalidDocument."""
    try:
        level, index, width = parse_tile_path(text)
    except InvalidDocument:
        return
    again = entries_path(index, width) if level is None else tile_path(level, index, width)
    assert again == text


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundles_round_trip(entries):
    """A bundle gives back its entries, when it is asked for as many as it holds."""
    data = encode_bundle(entries)
    assert data == b"".join(len(one).to_bytes(2, "big") + one for one in entries)
    assert decode_bundle(data, len(entries)) == entries
    with pytest.raises(InvalidDocument):
        decode_bundle(data, len(entries) + 1)
    with pytest.raises(InvalidDocument):
        decode_bundle(data + b"\0", len(entries))
    if entries:
        with pytest.raises(InvalidDocument):
            decode_bundle(data[:-1], len(entries))
        with pytest.raises(InvalidDocument):
            decode_bundle(data, len(entries) - 1)


def test_bundle_limits():
    """256 entries of 65,535 bytes fit; one entry or one byte more does not."""
    full = [bytes(65_535)] * 256
    assert decode_bundle(encode_bundle(full)) == full
    with pytest.raises(InvalidDocument):
        encode_bundle([b""] * 257)
    with pytest.raises(InvalidDocument):
        encode_bundle([bytes(65_536)])


@given(st.binary(max_size=400), st.integers(0, 256))
def test_any_bytes_as_a_bundle(data, count):
    """Any bytes either are the bundle of that many entries or are InvalidDocument."""
    try:
        entries = decode_bundle(data, count)
    except InvalidDocument:
        return
    assert len(entries) == count
    assert encode_bundle(entries) == data
