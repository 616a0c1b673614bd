"""Merkle tree hashing and proofs (RFC 6962, section 2; ``docs/spec/translog.md``, section 1)."""

import hmac
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from adyton.errors import AuditError

HASH_BYTES: Final = 32
MAX_SIZE: Final = 2**63 - 1
"""The largest tree: sizes and indexes fit a signed 64-bit integer everywhere."""

EMPTY_ROOT: Final = sha256(b"").digest()
"""Root of a tree without leaves: the hash of the empty string."""

MAX_PROOF: Final = 64
"""Hashes of the longest inclusion proof of a tree with fewer than 2^64 leaves."""

HashReader = Callable[[int, int], bytes]
"""``(level, index)`` to the hash of a complete subtree of ``2^level`` leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf: ``SHA-256(0x00 || data)``."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: ``SHA-256(0x01 || left || right)``."""
    return sha256(b"\x01" + left + right).digest()


def _cover(start: int, end: int) -> list[tuple[int, int]]:
    """The complete subtrees, left to right, that make up the leaves from start to end.

    ``start`` is a multiple of the greatest power of two below ``end - start``, as in every
    range that the proofs of RFC 6962 ask for.
    """
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        found.append((level, start >> level))
        start += 1 << level
    return found


def _range_hash(start: int, end: int, read: HashReader) -> bytes:
    """MTH(D[start:end]) from the hashes of complete subtrees."""
    hashes = [read(level, index) for level, index in _cover(start, end)]
    acc = hashes.pop()
    while hashes:
        acc = node_hash(hashes.pop(), acc)
    return acc


def root(size: int, read: HashReader) -> bytes:
    """Root of the tree of the first ``size`` leaves.

    Raises:
        AuditError: No tree has that size.
    """
    if not 0 <= size <= MAX_SIZE:
        raise AuditError(f"no tree has the size {size}")
    return _range_hash(0, size, read) if size else EMPTY_ROOT


def _split(count: int) -> int:
    """The largest power of two smaller than count (RFC 6962, section 2.1)."""
    return 1 << ((count - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """The audit path of a leaf (RFC 6962, section 2.1.1), leaf upwards.

    Raises:
        AuditError: The tree has no such leaf.
    """
    if not 0 <= index < size:
        raise AuditError(f"the tree of size {size} has no leaf {index}")
    proof = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_hash(middle, end, read))
            end = middle
        else:
            proof.append(_range_hash(start, middle, read))
            start = middle
    return proof[::-1]


def consistency_proof(old: int, new: int, read: HashReader) -> list[bytes]:
    """Proof that the first ``old`` leaves are a prefix (RFC 6962, section 2.1.2).

    Raises:
        AuditError: The sizes are not in order.
    """
    if not 0 <= old <= new:
        raise AuditError(f"a tree of size {old} can't be a prefix of one of size {new}")
    if old in {0, new}:
        return []
    proof = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_hash(middle, end, read))
            end = middle
        else:
            proof.append(_range_hash(start, middle, read))
            start, whole = middle, False
    if not whole:
        proof.append(_range_hash(start, end, read))
    return proof[::-1]


def _check_lengths(hashes: Sequence[bytes]) -> None:
    # A proof of no steps compares its arguments as they are, so they must be hashes.
    if any(len(one) != HASH_BYTES for one in hashes):
        raise AuditError(f"a hash of the proof does not have {HASH_BYTES} bytes")


def _equal(found: bytes, wanted: bytes, what: str) -> None:
    if not hmac.compare_digest(found, wanted):
        raise AuditError(f"{what} does not lead to the root hash")


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes
) -> None:
    """Check an inclusion proof (RFC 9162, section 2.1.3.2).

    Args:
        leaf: Hash of the leaf.
        index: Its index.
        size: Size of the tree.
        proof: The audit path, leaf upwards.
        root_hash: Root hash of the tree.

    Raises:
        AuditError: The proof does not show it.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise AuditError(f"the tree of size {size} has no leaf {index}")
    _check_lengths([leaf, root_hash, *proof])
    node, last, acc = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise AuditError("the inclusion proof is too long")
        if node & 1 or node == last:
            acc = node_hash(step, acc)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            acc = node_hash(acc, step)
        node >>= 1
        last >>= 1
    if last:
        raise AuditError("the inclusion proof is too short")
    _equal(acc, root_hash, "the inclusion proof")


def _check_without_path(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Consistency from an empty tree, or of two trees of one size."""
    if proof:
        raise AuditError("the consistency proof is too long")
    _equal(old_root, new_root if old else EMPTY_ROOT, "the consistency proof")
    if new == 0:
        _equal(new_root, EMPTY_ROOT, "the consistency proof")


def verify_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check a consistency proof (RFC 9162, section 2.1.4.2).

    RFC 6962 defines none from an empty tree or between equal sizes. Here both are the empty
    proof; an empty tree must have :data:`EMPTY_ROOT`, and equal sizes equal roots.

    Raises:
        AuditError: The proof does not show that the old tree is a prefix of the new one.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise AuditError(f"a tree of size {old} can't be a prefix of one of size {new}")
    _check_lengths([old_root, new_root, *proof])
    if old in {0, new}:
        _check_without_path(old, old_root, new, new_root, proof)
        return
    path = list(proof)
    if old & (old - 1) == 0:  # the old tree is complete: its root is the first node
        path.insert(0, old_root)
    if not path:
        raise AuditError("the consistency proof is too short")
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old_acc = new_acc = path[0]
    for step in path[1:]:
        if last == 0:
            raise AuditError("the consistency proof is too long")
        if node & 1 or node == last:
            old_acc = node_hash(step, old_acc)
            new_acc = node_hash(step, new_acc)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new_acc = node_hash(new_acc, step)
        node >>= 1
        last >>= 1
    if last:
        raise AuditError("the consistency proof is too short")
    _equal(old_acc, old_root, "the consistency proof")
    _equal(new_acc, new_root, "the consistency proof")
