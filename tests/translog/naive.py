"""RFC 6962, section 2, word for word and slow; shares no code with the package it checks."""

import hashlib


def leaf(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(count):
    """The largest power of two smaller than count."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def mth(hashes):
    """The Merkle tree hash of leaf hashes (2.1)."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = split(len(hashes))
    return node(mth(hashes[:k]), mth(hashes[k:]))


def path(m, hashes):
    """The audit path of leaf m (2.1.1)."""
    if len(hashes) == 1:
        return []
    k = split(len(hashes))
    if m < k:
        return [*path(m, hashes[:k]), mth(hashes[k:])]
    return [*path(m - k, hashes[k:]), mth(hashes[:k])]


def consistency(m, hashes):
    """The consistency proof from the first m leaves (2.1.2)."""
    return [] if m in {0, len(hashes)} else subproof(m, hashes, whole=True)


def subproof(m, hashes, *, whole):
    if m == len(hashes):
        return [] if whole else [mth(hashes)]
    k = split(len(hashes))
    if m <= k:
        return [*subproof(m, hashes[:k], whole=whole), mth(hashes[k:])]
    return [*subproof(m - k, hashes[k:], whole=False), mth(hashes[:k])]


def tiles(hashes):
    """Every tile of a tree, full and partial: (level, index) to its hashes (tlog-tiles)."""
    found, level = {}, 0
    while hashes:
        for at in range(0, len(hashes), 256):
            found[level, at // 256] = hashes[at : at + 256]
        full = len(hashes) - len(hashes) % 256
        hashes = [mth(hashes[at : at + 256]) for at in range(0, full, 256)]
        level += 1
    return found
