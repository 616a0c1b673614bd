"""The tree: published roots and proofs, a naive RFC 6962 as oracle, and tampering."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.errors import AuditError
from adyton.translog import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from translog import naive

# The leaves, roots and proofs of the reference tests of Certificate Transparency
# (github.com/transparency-dev/merkle, proof/verify_test.go).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CA85 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
BC1A = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
X5F0 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
X6B4 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
X96A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
X0EB = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
B086 = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"
INCLUSION = {
    (0, 1): [],
    (0, 8): [X96A, X5F0, X6B4],
    (5, 8): [BC1A, CA85, ROOTS[3]],
    (2, 3): [ROOTS[1]],
    (1, 5): [ROOTS[0], X5F0, BC1A],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [X96A, X5F0, X6B4],
    (6, 8): [X0EB, CA85, ROOTS[3]],
    (2, 5): [X5F0, BC1A],
    (6, 7): [X0EB, B086, ROOTS[3]],
}


def reader(hashes):
    """Hashes of complete subtrees, by the naive definition; refuses any that is not complete."""

    def read(level, index):
        found = hashes[index << level : (index + 1) << level]
        assert len(found) == 1 << level, "a subtree was asked for that is not complete"
        return naive.mth(found)

    return read


def tree(size):
    hashes = [naive.leaf(b"%d" % at) for at in range(size)]
    return hashes, reader(hashes)


def wrongs(proof):
    """Every proof that differs by one element changed, dropped, added or swapped."""
    for at, one in enumerate(proof):
        yield [*proof[:at], bytes([one[0] ^ 1]) + one[1:], *proof[at + 1 :]]
        yield [*proof[:at], one[:-1] + bytes([one[-1] ^ 0x80]), *proof[at + 1 :]]
        yield proof[:at] + proof[at + 1 :]
        yield [*proof[:at], one, *proof[at:]]
        yield [*proof[:at], b"", *proof[at + 1 :]]
    for extra in (bytes(32), b""):
        yield [*proof, extra]
        yield [extra, *proof]
    for at in range(len(proof) - 1):
        yield [*proof[:at], proof[at + 1], proof[at], *proof[at + 2 :]]


def test_empty_root():
    """The empty tree's root is the hash of the empty string, as RFC 6962 says."""
    text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert bytes.fromhex(text) == EMPTY_ROOT == root(0, lambda *_: b"never read")


def test_leaves_and_nodes_are_kept_apart():
    """The hash of a leaf that holds two hashes is not the hash of their node."""
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert node_hash(left, right) != leaf_hash(left + right)
    assert node_hash(left, right) == naive.node(left, right)


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size):
    """The roots over the published leaves are the published ones."""
    assert root(size, reader([leaf_hash(one) for one in LEAVES])).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_published_inclusion_proofs(index, size):
    """The published inclusion proofs are what is made, and they hold."""
    hashes = [leaf_hash(one) for one in LEAVES]
    proof = inclusion_proof(index, size, reader(hashes))
    assert [one.hex() for one in proof] == INCLUSION[index, size]
    verify_inclusion(hashes[index], index, size, proof, bytes.fromhex(ROOTS[size - 1]))


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_published_consistency_proofs(old, new):
    """The published consistency proofs are what is made, and they hold."""
    proof = consistency_proof(old, new, reader([leaf_hash(one) for one in LEAVES]))
    assert [one.hex() for one in proof] == CONSISTENCY[old, new]
    roots = [bytes.fromhex(text) for text in ROOTS]
    verify_consistency(old, roots[old - 1], new, roots[new - 1], proof)


def test_every_small_tree_agrees_with_the_definition():
    """All roots, inclusion and consistency proofs up to 40 leaves are the definition's."""
    hashes, read = tree(40)
    roots = [naive.mth(hashes[:size]) for size in range(41)]
    for size in range(41):
        assert root(size, read) == roots[size]
        for index in range(size):
            proof = inclusion_proof(index, size, read)
            assert proof == naive.path(index, hashes[:size])
            verify_inclusion(hashes[index], index, size, proof, roots[size])
        for old in range(size + 1):
            proof = consistency_proof(old, size, read)
            assert proof == naive.consistency(old, hashes[:size])
            verify_consistency(old, roots[old], size, roots[size], proof)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_trees_agree_with_the_definition(data):
    """Roots and proofs of trees of up to 600 leaves are the definition's."""
    size = data.draw(
        st.one_of(st.sampled_from([255, 256, 257, 511, 512, 513]), st.integers(1, 600))
    )
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    hashes, read = tree(size)
    assert root(size, read) == naive.mth(hashes)
    assert inclusion_proof(index, size, read) == naive.path(index, hashes)
    assert consistency_proof(old, size, read) == naive.consistency(old, hashes)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 13, 16, 21])
def test_tampered_inclusion_proofs_fail(size):
    """No changed, dropped, added or swapped hash, and no other place, leaf or root, is accepted."""
    hashes, read = tree(size)
    top = naive.mth(hashes)
    for index in range(size):
        proof = inclusion_proof(index, size, read)
        bad = [(hashes[index], index, size, wrong, top) for wrong in wrongs(proof)]
        bad += [(hashes[index], other, size, proof, top) for other in range(-2, size + 2)]
        bad += [
            (hashes[index], index, index, proof, top),
            (hashes[index], index, 0, proof, top),
            (leaf_hash(b"other"), index, size, proof, top),
            (hashes[index], index, size, proof, leaf_hash(b"other")),
            (hashes[index], index, size, proof, EMPTY_ROOT),
            (b"", index, size, proof, top),
            (hashes[index], index, size, proof, top[:-1]),
        ]
        bad.remove((hashes[index], index, size, proof, top))
        for case in bad:
            with pytest.raises(AuditError):
                verify_inclusion(*case)


@pytest.mark.parametrize("new", [1, 2, 3, 7, 8, 9, 13, 16])
def test_tampered_consistency_proofs_fail(new):
    """No changed, dropped, added or swapped hash, and no other size or root, is accepted."""
    hashes, read = tree(new)
    roots = [naive.mth(hashes[:size]) for size in range(new + 1)]
    for old in range(1, new + 1):
        proof = consistency_proof(old, new, read)
        bad = [(old, roots[old], new, roots[new], wrong) for wrong in wrongs(proof)]
        bad += [(other, roots[old], new, roots[new], proof) for other in (old - 1, old + 1, -1)]
        bad += [
            (old, leaf_hash(b"x"), new, roots[new], proof),
            (old, roots[old], new, leaf_hash(b"x"), proof),
            (old, roots[old][:5], new, roots[new], proof),
            (new + 1, roots[new], new, roots[old], proof),
            (old, roots[old], 2**63, roots[new], proof),
        ]
        if old < new:
            bad += [
                (old, roots[new], new, roots[old], proof),
                (old, roots[old], new, roots[new], []),
            ]
        for case in bad:
            with pytest.raises(AuditError):
                verify_consistency(*case)


def test_size_that_shares_a_path_does_not_move_the_leaf():
    """A proof for one size holds for another only where RFC 6962 gives both the same path shape.

    The size is not hashed into the root, so it is the signed checkpoint that fixes it; the leaf
    and root proven are the same ones in any case.
    """
    hashes, read = tree(13)
    for index in range(13):
        proof = inclusion_proof(index, 13, read)
        for size in range(1, 40):
            try:
                verify_inclusion(hashes[index], index, size, proof, naive.mth(hashes))
            except AuditError:
                continue
            assert size > index
            assert len(naive.path(index, [bytes(32)] * size)) == len(proof)


def test_empty_trees_and_equal_sizes():
    """Between equal sizes or from nothing the proof is empty, and an empty log has its one root."""
    one = leaf_hash(b"1")
    verify_consistency(0, EMPTY_ROOT, 0, EMPTY_ROOT, [])
    verify_consistency(0, EMPTY_ROOT, 1, one, [])
    verify_consistency(1, one, 1, one, [])
    for case in (
        (0, one, 0, one, []),
        (0, EMPTY_ROOT, 0, one, []),
        (0, one, 1, one, []),
        (1, one, 1, leaf_hash(b"2"), []),
        (0, EMPTY_ROOT, 1, one, [one]),
        (1, one, 1, one, [one]),
        (1, one, 0, EMPTY_ROOT, []),
    ):
        with pytest.raises(AuditError):
            verify_consistency(*case)


def test_values_that_are_no_hashes_prove_nothing():
    """A tree of one leaf is not proven by a short string that is both leaf and root."""
    with pytest.raises(AuditError, match="32 bytes"):
        verify_inclusion(b"x", 0, 1, [], b"x")


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_proof_is_made_for_a_leaf_that_is_not_there(index, size):
    """Asking for a leaf outside the tree is an AuditError, without reading."""
    with pytest.raises(AuditError):
        inclusion_proof(index, size, lambda *_: pytest.fail("read"))


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3), (1, 0)])
def test_no_proof_is_made_for_a_tree_that_shrinks(old, new):
    """Asking for sizes out of order is an AuditError, without reading."""
    with pytest.raises(AuditError):
        consistency_proof(old, new, lambda *_: pytest.fail("read"))


@pytest.mark.parametrize("size", [-1, 2**63])
def test_no_root_of_an_impossible_size(size):
    """A negative size, or one over 63 bits, has no root."""
    with pytest.raises(AuditError):
        root(size, lambda *_: bytes(32))


def test_large_trees_need_few_reads():
    """Proofs in a tree of 2^62 leaves and more read no more than a few hundred hashes."""
    reads = []

    def read(level, index):
        reads.append((level, index))
        return bytes(32)

    assert len(inclusion_proof(2**61 + 12345, 2**63 - 1, read)) == 63
    consistency_proof(2**61 + 12345, 2**63 - 1, read)
    assert len(reads) < 300
