"""Texts of tokens, by vectors that were made by hand (``docs/spec/tokens.md``)."""

import json
from pathlib import Path

import pytest
from Crypto.Cipher import AES
from hypothesis import given, settings
from hypothesis import strategies as st

from access.make_vectors import (
    KEY,
    LOGIN,
    STORE,
    USER,
    VERSION,
    batch,
    checked,
    context,
    ident,
    vector_text,
)
from adyton.crypto.aead import AeadKey
from adyton.crypto.kdf import IndexKey
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import InvalidInput
from adyton.service.access import batch as batches
from adyton.service.access.batch import BatchToken
from adyton.service.access.tokentext import make_token, parse_batch, parse_token, token_id
from adyton.service.userkeys import AuditKey, UserKeys
from packing import packed

PATH = Path(__file__).parents[2] / "vectors" / "tokens" / "tokens.json"
FOUND = json.loads(PATH.read_text("utf-8"))


def keys_of(user=USER, store=STORE, key=KEY, version=VERSION):
    def secret():
        return SecretBytes(bytearray(key))

    return UserKeys(
        store, user, "u", wrapping={1: AeadKey(secret())}, index_key=IndexKey(secret()),
        meta={version: AeadKey(secret())}, audit=AuditKey(secret()), created_us=0, wraps=0,
    )  # fmt: skip


KEYS = keys_of()


def opened(text, keys=KEYS):
    parts = parse_batch(text)
    return None if parts is None else batches.open_text(keys, text, parts)


def test_the_vectors_are_what_their_generator_makes():
    assert PATH.read_text("utf-8") == vector_text()


def test_a_service_token():
    text = FOUND["service"]["text"]
    assert make_token(USER, bytes(range(24))) == text
    assert (parse_token(text), token_id(text)) == (USER, FOUND["service"]["id"])
    assert parse_batch(text) is None


@pytest.mark.parametrize("one", FOUND["batch"], ids=["of a token", "of a login"])
def test_a_batch_token(one):
    """What it holds is found; and what is sealed again holds the same, byte for byte."""
    token = opened(one["text"])
    assert (token.accessor, token_id(one["text"])) == (one["name"], one["id"])
    assert token.expires_us == token.created_us + token.creation_ttl * 1_000_000
    assert (token.renewable, token.num_uses, token.period) == (False, 0, 0)
    again = batches.seal(KEYS, token)
    assert again != one["text"]  # another nonce
    parts = parse_batch(again)
    assert (parts.user_index, parts.key_version) == (USER, VERSION)
    cipher = AES.new(KEY, AES.MODE_GCM, nonce=parts.box[1:13])
    cipher.update(context(b"adyton/v1/batch-token", STORE, USER, VERSION.to_bytes(8, "big")))
    assert cipher.decrypt_and_verify(parts.box[13:-16], parts.box[-16:]).hex() == one["body"]
    assert parse_token(again) is None


@pytest.mark.parametrize("one", FOUND["refused"], ids=lambda one: one["case"])
def test_what_is_no_batch_token(one):
    assert opened(one["text"]) is None


def test_another_store_another_user_another_key():
    text = FOUND["batch"][0]["text"]
    assert opened(text) is not None
    for other in (
        keys_of(store=USER), keys_of(user=STORE), keys_of(key=bytes(32)), keys_of(version=4),
    ):  # fmt: skip
        assert opened(text, other) is None


@given(st.data())
@settings(max_examples=150)
def test_no_change_of_a_text_opens(data):
    """A digit changed, put in or taken out, the checksum made right or not."""
    text = FOUND["batch"][1]["text"]
    at = data.draw(st.integers(0, len(text) - 1))
    digit = data.draw(st.characters(min_codepoint=33, max_codepoint=0x17F))
    changed = data.draw(
        st.sampled_from(
            [text[:at] + digit + text[at + 1 :], text[:at] + digit + text[at:],
             text[:at] + text[at + 1 :], text[:at]]
        )
    )  # fmt: skip
    for found in (changed, checked(changed[:-6])):
        if found != text:
            assert opened(found) is None


@given(st.text(max_size=80), st.booleans())
def test_no_text_fails_otherwise_than_by_being_none(text, is_checked):
    found = "adb_" + text
    assert opened(checked(found) if is_checked else found) is None


def test_one_that_is_too_long_is_refused_and_not_parsed():
    token = BatchToken("", policies=["p" * 4_000], created_us=1, creation_ttl=1)
    with pytest.raises(InvalidInput, match="too long"):
        batches.seal(KEYS, token)
    long = batch(LOGIN, box=b"\x01" * 3_100)
    assert len(long) > 4_096
    assert parse_batch(long) is None


def test_names_in_records_tell_nothing_of_the_text():
    text = FOUND["batch"][0]["text"]
    name = opened(text).accessor
    assert name == f"batch-{ident(text)[:32]}"
    assert repr(opened(text)) == "<BatchToken>"
    assert text not in repr(parse_batch(text))
    assert packed(["x"]).hex() not in name
