"""AeadKey: AES-256-GCM of NIST, and no box opens changed, moved or under another key."""

import copy
import pickle
import re

import cryptography_vectors
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.crypto import arena
from adyton.crypto.aead import BOX_V1, KEY_BYTES, NONCE_BYTES, OVERHEAD, AeadKey, new_key
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import DecryptionFailed, SecretWiped

GCM = "ciphers/AES/GCM/"


def nist(name):
    """The records of a NIST response file, of 96-bit nonces and 128-bit tags."""
    with cryptography_vectors.open_vector_file(GCM + name, "r") as file:
        sections = re.split(r"\n(?=\[Keylen)", file.read())
    for section in sections:
        if "[IVlen = 96]" in section and "[Taglen = 128]" in section:
            for block in re.split(r"\n\s*\n", section):
                fields = dict(
                    re.findall(r"^(Key|IV|CT|AAD|Tag|PT) = ?([0-9a-f]*)\s*$", block, re.MULTILINE)
                )
                if "Key" in fields:
                    parsed = {name: bytes.fromhex(value) for name, value in fields.items()}
                    yield parsed, bool(re.search(r"^FAIL", block, re.MULTILINE))


def aead(key):
    with SecretBytes(key) as secret:
        return AeadKey(secret)


@pytest.fixture(scope="module")
def key():
    return aead(b"\x07" * 32)


def test_nist_encryption_vectors():
    """Sealing with the vector's nonce makes its ciphertext and tag, and the box opens again."""
    count = 0
    for vector, _ in nist("gcmEncryptExtIV256.rsp"):
        cipher = aead(vector["Key"])
        box = cipher.seal(vector["PT"], vector["AAD"], nonce=vector["IV"])
        assert box == bytes([BOX_V1]) + vector["IV"] + vector["CT"] + vector["Tag"]
        assert cipher.open(box, vector["AAD"]) == vector["PT"]
        count += 1
    assert count == 375


def test_nist_decryption_vectors():
    """Each vector opens to its plaintext, and each one marked FAIL is refused both ways."""
    good = bad = 0
    for vector, fails in nist("gcmDecrypt256.rsp"):
        cipher = aead(vector["Key"])
        box = bytes([BOX_V1]) + vector["IV"] + vector["CT"] + vector["Tag"]
        if fails:
            bad += 1
            for way in (cipher.open, cipher.open_secret):
                with pytest.raises(DecryptionFailed):
                    way(box, vector["AAD"])
        else:
            good += 1
            assert cipher.open(box, vector["AAD"]) == vector["PT"]
            with cipher.open_secret(box, vector["AAD"]) as secret:
                assert secret.equals(vector["PT"])
    assert good + bad == 375
    assert min(good, bad) > 100


@given(st.binary(max_size=3000), st.binary(max_size=100))
@settings(deadline=None)
def test_what_is_sealed_opens(plaintext, context):
    """A box has the documented layout and opens to its plaintext under its context."""
    cipher = aead(b"\x07" * 32)
    box = cipher.seal(plaintext, context)
    assert len(box) == len(plaintext) + OVERHEAD
    assert box[0] == BOX_V1
    assert cipher.open(box, context) == plaintext
    with cipher.open_secret(box, context) as secret:
        assert secret.equals(plaintext)


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_any_flipped_bit_is_refused(data):
    """One changed bit of box, context or key, anywhere, is refused, with one opaque text."""
    parts = {
        "key": data.draw(st.binary(min_size=32, max_size=32)),
        "context": data.draw(st.binary(min_size=1, max_size=30)),
    }
    parts["box"] = aead(parts["key"]).seal(data.draw(st.binary(max_size=60)), parts["context"])
    where = data.draw(st.sampled_from(sorted(parts)))
    bit = data.draw(st.integers(0, 8 * len(parts[where]) - 1))
    changed = bytearray(parts[where])
    changed[bit // 8] ^= 1 << bit % 8
    parts[where] = bytes(changed)
    cipher = aead(parts["key"])
    texts = set()
    for way in (cipher.open, cipher.open_secret):
        with pytest.raises(DecryptionFailed) as caught:
            way(parts["box"], parts["context"])
        texts.add(str(caught.value))
        assert caught.value.__cause__ is None
    assert len(texts) == 1


def test_every_single_bit_of_a_small_box_matters(key):
    """All bits of one box, flipped one by one, are refused."""
    box = key.seal(b"pw", b"context")
    for bit in range(8 * len(box)):
        changed = bytearray(box)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DecryptionFailed):
            key.open_secret(bytes(changed), b"context")


def test_every_truncation_and_an_extension_is_refused(key):
    """A box that is cut anywhere, or longer than it was, does not open."""
    box = key.seal(b"a longer plaintext", b"c")
    for changed in [*(box[:size] for size in range(len(box))), box + b"\0", b"\0" + box]:
        for way in (key.open, key.open_secret):
            with pytest.raises(DecryptionFailed):
                way(changed, b"c")


def test_two_boxes_of_one_plaintext_differ(key):
    """Each seal draws a nonce of its own."""
    boxes = [key.seal(b"same", b"c") for _ in range(200)]
    assert len({box[1 : 1 + NONCE_BYTES] for box in boxes}) == len(boxes)


def test_a_failed_open_leaves_no_plaintext_in_the_slot(key, monkeypatch):
    """When the tag is wrong, the slot that the cipher wrote into is zero before the error."""
    plaintext = b"unauthenticated plaintext " * 4
    slots, seen = [], []
    sized = SecretBytes.sized

    def watched(size):
        secret = sized(size)
        slots.append(secret._slot)
        return secret

    box = bytearray(key.seal(plaintext, b"c"))
    box[-1] ^= 1
    release = arena.release

    def spy(slot, used):
        seen.append(bytes(slot[:used]))
        release(slot, used)

    monkeypatch.setattr(SecretBytes, "sized", watched)
    monkeypatch.setattr(arena, "release", spy)
    with pytest.raises(DecryptionFailed):
        key.open_secret(bytes(box), b"c")
    # The cipher did write it there: without the wipe this test would find it.
    assert seen[0] == plaintext
    assert len(slots) == 1
    assert not any(slots[0])


@pytest.mark.parametrize("size", [0, 16, 24, 31, 33, 64])
def test_only_256_bit_keys_are_taken(size):
    """A key of another length is refused, also where AES has such keys."""
    with SecretBytes(bytes(size)) as short, pytest.raises(ValueError, match="32 bytes"):
        AeadKey(short)


def test_a_wiped_key_is_refused():
    """A key that was wiped makes no cipher of zeros."""
    key = new_key()
    assert len(key) == KEY_BYTES
    key.wipe()
    with pytest.raises(SecretWiped):
        AeadKey(key)


@pytest.mark.parametrize("misuse", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_cannot_be_copied(key, misuse):
    """Copies and pickles of a key are refused, and its text says nothing."""
    with pytest.raises(TypeError):
        misuse(key)
    assert repr(key) == str(key) == "<AeadKey>"
