"""What generators make is of the form that they promise, and fresh each time."""

import json
import math
import string
import uuid

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from adyton.errors import InvalidInput
from adyton.service.rotation import generators

PAIRS = [
    ("ssh", {}), ("ssh", {"type": "p256"}), ("ssh", {"type": "rsa", "bits": "2048"}),
    ("x25519", {}), ("rsa", {"bits": "2048"}), ("ecdsa", {"curve": "p384"}),
    ("tls", {"common_name": "db.example", "names": "db.example, 10.0.0.1"}),
    ("tls", {"type": "rsa", "bits": "2048", "common_name": "x"}),
]  # fmt: skip


def made(kind, options):
    return generators.generate(kind, options).value.decode()


@pytest.mark.parametrize(("kind", "options"), PAIRS)
def test_key_pairs_fit(kind, options):
    """The public key is that of the private key, in the form that is named."""
    found = json.loads(made(kind, options))
    private = found["private_key"].encode()
    if kind == "ssh":
        key = serialization.load_ssh_private_key(private, None)
        public = serialization.load_ssh_public_key(found["public_key"].encode())
    else:
        key = serialization.load_pem_private_key(private, None)
        public = serialization.load_pem_public_key(found["public_key"].encode())
    raw = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert key.public_key().public_bytes(*raw) == public.public_bytes(*raw)
    assert found != json.loads(made(kind, options))
    if kind == "tls":
        request = x509.load_pem_x509_csr(found["csr"].encode())
        assert request.is_signature_valid
        assert request.public_key().public_bytes(*raw) == public.public_bytes(*raw)


@pytest.mark.parametrize(
    ("options", "length", "characters"),
    [
        ({}, 32, string.ascii_letters + string.digits),
        ({"length": "64", "alphabet": "hex"}, 64, "0123456789abcdef"),
        ({"length": "99", "characters": "äöü"}, 99, "äöü"),
    ],
)
def test_texts_use_their_alphabet_evenly(options, length, characters):
    """All characters, none else, and none much more often than the others."""
    text = "".join(made("text", options) for _ in range(400))
    assert len(text) == 400 * length
    assert set(text) == set(characters)
    mean = len(text) / len(characters)
    for each in characters:
        assert abs(text.count(each) - mean) < 8 * math.sqrt(mean)


def test_words_are_of_the_long_list():
    """7,776 words, all of them different, six by default."""
    words = generators._word_list()
    assert len(words) == 7776
    found = made("words", {"separator": " "}).split(" ")
    assert len(found) == 6
    assert set(found) <= set(words)


def test_uuids_are_random_ones():
    """Version 4."""
    assert uuid.UUID(made("uuid", {})).version == 4


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("text", {"length": "10"}), ("text", {"length": "0"}), ("text", {"characters": "aab"}),
        ("text", {"alphabet": "klingon"}), ("text", {"len": "40"}), ("text", {"characters": "a"}),
        ("words", {"words": "4"}), ("words", {"words": "x"}), ("rsa", {"bits": "1024"}),
        ("rsa", {"bits": "3000"}), ("ecdsa", {"curve": "p192"}), ("ssh", {"type": "dsa"}),
        ("tls", {}), ("tls", {"common_name": "x" * 65}), ("nonsense", {}),
        ("ssh", {"comment": "a\nb"}), ("tls", {"common_name": "x", "names": "ä"}),
    ],
)  # fmt: skip
def test_weak_and_unknown_options_are_refused(kind, options):
    """With an error that says what to give instead."""
    with pytest.raises(InvalidInput):
        generators.generate(kind, options)
