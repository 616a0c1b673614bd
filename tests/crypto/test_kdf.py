"""Key derivation against the vectors of RFC 5869, RFC 4231 and RFC 9106."""

import cryptography_vectors
import pytest

from adyton.crypto.kdf import INDEX_BYTES, IndexKey, argon2id, expand
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import SecretWiped


def load(path):
    """The records of a file of 'name = value' lines; each begins with COUNT or Len."""
    records = []
    with cryptography_vectors.open_vector_file(path, "r") as lines:
        for raw in lines:
            name, equals, value = (part.strip() for part in raw.partition("="))
            if not equals or name.startswith("#"):
                continue
            if not records or name in records[-1]:
                records.append({})
            records[-1][name] = value
    return records


def is_text(message):
    """Whether bytes are UTF-8: an index is made of text, and two vectors are 0xcd and 0xdd."""
    try:
        bytes.fromhex(message).decode()
    except UnicodeDecodeError:
        return False
    return True


HKDF = [r for r in load("KDF/rfc-5869-HKDF-SHA256.txt") if "OKM" in r]
HMAC = [r for r in load("HMAC/rfc-4231-sha256.txt") if "MD" in r and is_text(r["Msg"])]
ARGON2 = [r for r in load("KDF/argon2id.txt") if not {"secret", "ad"} & set(r)]


def test_the_vector_files_are_read():
    """No parametrized test below is empty because a file was not understood."""
    assert len(HKDF) == 3
    assert len(HMAC) >= 4
    assert sum(r["length"] == "32" for r in ARGON2) >= 2


@pytest.mark.parametrize("vector", HKDF)
def test_hkdf_expand_of_rfc_5869(vector):
    """expand() makes the OKM of each SHA-256 test case out of its PRK."""
    okm = bytes.fromhex(vector["OKM"])
    with (
        SecretBytes(bytes.fromhex(vector["PRK"])) as prk,
        expand(prk, bytes.fromhex(vector.get("info", "")), len(okm)) as made,
    ):
        assert made.equals(okm)


@pytest.mark.parametrize("vector", HMAC)
def test_hmac_of_rfc_4231(vector):
    """The index of a text is the HMAC of its UTF-8 bytes, cut to 128 bits."""
    text = bytes.fromhex(vector["Msg"]).decode()
    with SecretBytes(bytes.fromhex(vector["Key"])) as key:
        index = IndexKey(key)
    # The key was wiped; the index goes on from the keyed state.
    assert index.index(text) == bytes.fromhex(vector["MD"])[:INDEX_BYTES]
    assert index.index(text) == index.index(text)
    assert index.index(text) != index.index(text + "x")
    assert repr(index) == "<IndexKey>"


@pytest.mark.parametrize("vector", [r for r in ARGON2 if r["length"] == "32"])
def test_argon2id_of_rfc_9106(vector):
    """argon2id() makes the tag of each vector that has 32 bytes and no secret or data."""
    with (
        SecretBytes(bytes.fromhex(vector["pass"])) as passphrase,
        argon2id(
            passphrase,
            bytes.fromhex(vector["salt"]),
            memory_kib=int(vector["memcost"]),
            iterations=int(vector["iter"]),
            lanes=int(vector["lanes"]),
        ) as key,
    ):
        assert key.reveal().hex() == vector["output"]


def test_a_wiped_key_derives_nothing():
    """Every derivation refuses a key that was wiped instead of using zeros."""
    key = SecretBytes(b"k" * 32)
    key.wipe()
    for derive in (
        IndexKey,
        lambda k: expand(k, b"info"),
        lambda k: argon2id(k, bytes(16), memory_kib=8, iterations=1, lanes=1),
    ):
        with pytest.raises(SecretWiped):
            derive(key)
