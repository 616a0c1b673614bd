"""The per-thread place for a data key: random, private to its thread, and given back."""

import gc
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.crypto import arena
from adyton.crypto.aead import AeadKey, open_once, seal_once
from adyton.crypto.scratch import KeyScratch, scratch
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import DecryptionFailed


@pytest.fixture
def place():
    yield scratch()
    scratch().wipe()


def test_a_thread_has_one_place_of_its_own(place):
    """The same thread gets the same place again, and another thread another one."""
    assert scratch() is place
    others = []
    thread = threading.Thread(target=lambda: others.append(scratch()))
    thread.start()
    thread.join()
    assert others[0] is not place


def test_it_is_random_when_asked_and_zero_when_wiped(place):
    """Two draws differ and fill 32 bytes; wiping leaves zeros."""
    first = bytes(place.randomize())
    assert len(first) == 32
    assert first != bytes(place.randomize())
    place.wipe()
    assert bytes(place.view) == bytes(32)


def test_threads_that_end_give_their_place_back():
    """A process that starts and ends many threads does not use up its locked memory."""
    free = arena._free[64]
    warm = [KeyScratch() for _ in range(3)]
    del warm
    gc.collect()
    before = (len(free), arena.status())
    for _ in range(300):
        thread = threading.Thread(target=lambda: scratch().randomize())
        thread.start()
        thread.join()
    gc.collect()
    assert (len(free), arena.status()) == before
    assert not any(any(slot) for slot in free)


@given(st.binary(max_size=300), st.binary(max_size=40))
@settings(deadline=None)
def test_what_is_sealed_once_opens_once(plaintext, context):
    """seal_once() and AeadKey make the same boxes: each opens the other's."""
    raw = b"\x07" * 32
    with SecretBytes(raw) as key, SecretBytes(plaintext) as expected:
        box = seal_once(key.writable(), plaintext, context)
        assert AeadKey(key).open(box, context) == plaintext
        other = AeadKey(key).seal(plaintext, context)
        with open_once(key.writable(), other, context) as opened:
            assert opened.equals(expected)


def test_every_changed_bit_is_refused_by_open_once():
    """Each bit of a box matters here too, as do its length and its context."""
    with SecretBytes(b"\x07" * 32) as key:
        view = key.writable()
        box = seal_once(view, b"pw", b"c")
        changed = [bytes(b ^ (1 << bit) if i == at else b for i, b in enumerate(box))
                   for at in range(len(box)) for bit in range(8)]  # fmt: skip
        for bad in [*changed, *(box[:size] for size in range(len(box))), box + b"\0"]:
            with pytest.raises(DecryptionFailed):
                open_once(view, bad, b"c")
        with pytest.raises(DecryptionFailed):
            open_once(view, box, b"d")


def test_open_into_leaves_zeros_when_it_fails(place):
    """After any failure the buffer is zero: for a wrong tag, a wrong length and a wrong format."""
    with SecretBytes(b"\x07" * 32) as raw:
        key = AeadKey(raw)
    box = key.seal(b"k" * 32, b"c")
    key.open_into(box, b"c", place.view)
    assert bytes(place.view) == b"k" * 32
    wrong_tag = box[:-1] + bytes([box[-1] ^ 1])
    for bad in (wrong_tag, box[:-1], box + b"\0", b"\x02" + box[1:], b""):
        place.view[:] = b"o" * 32
        with pytest.raises(DecryptionFailed):
            key.open_into(bad, b"c", place.view)
        assert bytes(place.view) == bytes(32)
