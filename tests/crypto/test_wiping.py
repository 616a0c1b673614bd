"""Overwriting bytes objects that nobody else has."""

import os

from adyton.crypto.wiping import wipe_bytes


def test_the_content_is_zero_and_nothing_beside_it_changes():
    """Whatever the length; neighbours, the final zero and shared short ones stay as they were."""
    for size in (2, 3, 15, 16, 17, 100, 4096, 100_000):
        before, data, after = os.urandom(size), os.urandom(size), os.urandom(size)
        copies = bytearray(before), bytearray(after)
        wipe_bytes(data)
        assert data == bytes(size)
        assert (before, after) == tuple(map(bytes, copies))
    for short in (b"", b"a"):
        wipe_bytes(short)
    assert bytes([97]) == b"a"
