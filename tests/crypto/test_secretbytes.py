"""SecretBytes: never shown, copied or compared by accident; wiped at its end."""

import copy
import gc
import json
import pickle
import threading

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.crypto.secretbytes import SecretBytes, fill_random, wipe_at_end
from adyton.errors import SecretWiped
from isolated import run_isolated

CANARY = b"canary-9f31-never-shown"


@pytest.fixture
def secret():
    with SecretBytes(CANARY) as made:
        yield made


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        "{}".format,
        "{!r:>40}".format,
        "{:>40}".format,
        lambda s: f"{s}",
        lambda s: "%s %r" % (s, s),  # noqa: UP031 - the old way must not show it either
        lambda s: repr([s, {"k": s}]),
        lambda s: str(ValueError(s)),
        lambda s: repr(dir(s)),
    ],
)
def test_no_text_of_a_secret_shows_it(secret, show):
    """Whatever makes text of the object makes none of its content, nor its length."""
    text = show(secret)
    assert CANARY.decode() not in text
    assert CANARY.hex() not in text
    assert str(len(CANARY)) not in text


@pytest.mark.parametrize(
    "misuse",
    [
        pickle.dumps,
        lambda s: pickle.dumps(s, protocol=0),
        copy.copy,
        copy.deepcopy,
        lambda s: copy.deepcopy({"inside": [s]}),
        iter,
        list,
        bytes,
        bytearray,
        memoryview,
        lambda s: b"c" in s,
        lambda s: s == s,
        lambda s: s == CANARY,
        lambda s: s != CANARY,
        lambda s: s < s,
        lambda s: s[0],
        lambda s: s + b"x",
        hash,
        lambda s: {s},
        json.dumps,
        msgspec.json.encode,
    ],
)
def test_misuse_is_refused_without_showing_the_secret(secret, misuse):
    """Copies, pickles, iteration, ==, hash and encoders raise TypeError, without content."""
    with pytest.raises(TypeError) as caught:
        misuse(secret)
    assert CANARY.decode() not in str(caught.value)


def test_the_content_is_shown_only_when_asked_for(secret):
    """reveal(), text() and borrow() give the content, and len() its length."""
    assert secret.reveal() == CANARY
    assert secret.text() == CANARY.decode()
    assert len(secret) == len(CANARY)
    with secret.borrow() as view:
        assert view == CANARY
        assert view.readonly


def test_text_that_is_not_utf8_is_refused_without_content():
    """A value that is not UTF-8 raises an error that carries none of it, also not as a cause."""
    with SecretBytes(b"\xff" + CANARY) as secret, pytest.raises(ValueError, match="not UTF-8") as e:
        secret.text()
    assert type(e.value) is ValueError
    assert e.value.__cause__ is None
    assert e.value.__context__ is None


@given(st.binary(max_size=200), st.binary(max_size=200))
@settings(deadline=None)
def test_equals_is_equality_of_bytes(one, other):
    """equals() agrees with == of the bytes, for bytes and for other secrets."""
    with SecretBytes(one) as a, SecretBytes(other) as b:
        assert a.equals(b) == a.equals(other) == (one == other)
        assert a.equals(bytearray(one))


@given(st.binary(max_size=5000))
@settings(deadline=None)
def test_the_slot_is_zero_after_the_block(data):
    """When the block ends, no byte of the memory that held the secret is left."""
    with SecretBytes(data) as secret:
        slot = secret._slot
        assert slot[: len(data)] == data
    assert not any(slot)


def test_the_slot_is_zero_after_an_error_in_the_block():
    """An exception that leaves the block wipes the secret on its way."""
    slots = []

    def fail():
        with SecretBytes(CANARY) as secret:
            slots.append(secret._slot)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not any(slots[0])


def test_the_slot_is_zero_after_garbage_collection():
    """A secret that is dropped without a block is wiped, also when it is in a cycle."""
    secret = SecretBytes(CANARY)
    slot = secret._slot
    del secret
    assert not any(slot)

    cycle = [SecretBytes(CANARY)]
    cycle.append(cycle)
    slot = cycle[0]._slot
    del cycle
    assert any(slot)
    gc.collect()
    assert not any(slot)


@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.reveal(),
        lambda s: s.text(),
        lambda s: s.writable(),
        lambda s: s.equals(b""),
        len,
        lambda s: s.borrow().__enter__(),
    ],
)
def test_a_wiped_secret_raises_instead_of_giving_zeros(use):
    """Every use after the end raises SecretWiped; wiping again does nothing."""
    secret = SecretBytes(CANARY)
    assert not secret.wiped
    secret.wipe()
    secret.wipe()
    assert secret.wiped
    with pytest.raises(SecretWiped):
        use(secret)


def test_wiping_twice_gives_the_slot_back_once():
    """Two secrets made after a double wipe have different memory."""
    secret = SecretBytes(CANARY)
    secret.wipe()
    secret.wipe()
    with SecretBytes(b"a" * 20) as one, SecretBytes(b"b" * 20) as two:
        assert one._slot is not two._slot
        assert one.reveal() == b"a" * 20


def test_a_buffer_in_use_elsewhere_is_wiped_and_never_used_again():
    """Wiping while a cipher holds the buffer zeros it, and no later secret gets that memory."""
    secret = SecretBytes(CANARY)
    slot = secret._slot
    held = pickle.PickleBuffer(secret.writable())  # takes the buffer as a cipher does
    secret.wipe()
    assert secret.wiped
    assert bytes(held) == bytes(len(CANARY))
    later = [SecretBytes(b"x" * 23) for _ in range(2000)]
    assert all(other._slot is not slot for other in later)
    held.release()


def test_take_moves_the_bytes_and_wipes_the_source():
    """After take() the source holds zeros of the same length."""
    source = bytearray(CANARY)
    with SecretBytes.take(source) as secret:
        assert secret.reveal() == CANARY
    assert source == bytes(len(CANARY))


def test_a_refused_source_leaves_no_half_made_secret():
    """Text instead of bytes raises TypeError, and the slot goes back."""
    with pytest.raises(TypeError):
        SecretBytes("text")
    with SecretBytes.sized(4) as fresh:
        assert fresh.reveal() == bytes(4)


@pytest.mark.parametrize("size", [0, 1, 32, 255, 257, 70_000])
def test_random_fills_all_of_a_buffer(size):
    """Every byte position of a random secret takes more than one value over a few draws."""
    seen = [set() for _ in range(size)]
    for _ in range(6):
        with SecretBytes.random(size) as secret:
            assert len(secret) == size
            for position, byte in enumerate(secret.writable()):
                seen[position].add(byte)
    assert all(len(values) > 1 for values in seen)


def test_random_does_not_depend_on_an_open_descriptor():
    """After every descriptor was closed, as daemons do, random bytes are still random."""
    out = run_isolated(
        """
        import os
        from adyton.crypto.secretbytes import SecretBytes

        os.closerange(3, 256)
        with open("/dev/zero", "rb"), open("/dev/zero", "rb"):
            with SecretBytes.random(32) as one, SecretBytes.random(32) as two:
                print(any(one.reveal()), one.equals(two))
        """
    )
    assert out.split() == ["True", "False"]


def test_fill_random_writes_nothing_behind_the_buffer():
    """A slice of a buffer is filled and its neighbours stay."""
    buffer = bytearray(100)
    fill_random(memoryview(buffer)[10:90])
    assert not any(buffer[:10])
    assert not any(buffer[90:])
    assert any(buffer[10:90])


def test_wipe_at_end_wipes_when_the_owner_goes():
    """Secrets given to an owner are wiped when the owner is collected."""

    class Owner:
        pass

    owner, secret = Owner(), SecretBytes(CANARY)
    wipe_at_end(owner, secret)
    assert not secret.wiped
    del owner
    gc.collect()
    assert secret.wiped


def test_threads_wipe_one_secret_once():
    """Threads that wipe the same secrets at once never give one slot to two later secrets."""
    secrets = [SecretBytes(b"t" * 40) for _ in range(500)]
    start = threading.Barrier(4)

    def wipe_all():
        start.wait()
        for secret in secrets:
            secret.wipe()

    threads = [threading.Thread(target=wipe_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    later = [SecretBytes(b"n" * 40) for _ in range(1000)]
    assert len({id(secret._slot) for secret in later}) == len(later)


def test_a_forked_child_has_zeros_and_is_told_so():
    """In a child the memory is zero and every use raises, so that zeros never serve as a key."""
    out = run_isolated(
        """
        import os
        from adyton.crypto.aead import AeadKey
        from adyton.crypto.secretbytes import SecretBytes
        from adyton.errors import SecretWiped

        secret = SecretBytes(b"k" * 32)
        child = os.fork()
        if child == 0:
            good = bytes(secret._view) == bytes(32) and secret.wiped
            for use in (SecretBytes.reveal, AeadKey, len):
                try:
                    use(secret)
                    good = False
                except SecretWiped as error:
                    good = good and "forked" in str(error)
            with SecretBytes(b"new") as own:
                good = good and own.reveal() == b"new"
            os._exit(0 if good else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), secret.reveal() == b"k" * 32)
        """
    )
    assert out.split() == ["0", "True"]
