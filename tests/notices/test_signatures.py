"""Signatures of webhooks: vectors of OpenSSL, and what must not verify."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adyton.crypto import webhooks
from adyton.errors import InvalidInput
from support import missing_component

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "notices" / "signatures.json"
KEYS = st.binary(min_size=24, max_size=64)
TEXTS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=40)


def test_the_vectors_are_what_openssl_makes():
    """The script gives what lies there."""
    if shutil.which("openssl") is None or shutil.which("xxd") is None:
        missing_component("openssl or xxd", "it is not installed")
    script = Path(__file__).with_name("make_vectors.sh")
    made = subprocess.run([script], capture_output=True, check=True).stdout
    assert made == VECTORS.read_bytes()


def test_signatures_are_those_of_the_vectors():
    """Key, id, time and body give the signature; the secret's text is read and written."""
    vectors = json.loads(VECTORS.read_text())
    assert len(vectors) == 3
    for vector in vectors:
        key = webhooks.secret_key(vector["secret"])
        body = base64.b64decode(vector["body_base64"])
        found = webhooks.signature([key], vector["id"], vector["timestamp"], body)
        assert found == vector["signature"]
        assert webhooks.secret_text(key) == vector["secret"]


@given(KEYS, KEYS, TEXTS, st.integers(0, 2**40), st.binary(max_size=100), st.data())
def test_only_the_same_message_under_the_same_key_verifies(key, other, ident, time, body, data):
    """One of several signatures is enough; another key, id, time, body or text is not."""
    given_ = webhooks.signature([key], ident, time, body)
    assert webhooks.verifies([key], ident, time, body, given_)
    both = webhooks.signature([other, key], ident, time, body)
    assert webhooks.verifies([key], ident, time, body, both)
    if key != other:
        assert not webhooks.verifies([other], ident, time, body, given_)
    assert not webhooks.verifies([key], ident + "x", time, body, given_)
    assert not webhooks.verifies([key], ident, time + 1, body, given_)
    assert not webhooks.verifies([key], ident, time, body + b"x", given_)
    at = data.draw(st.integers(0, len(given_) - 1))
    changed = given_[:at] + ("A" if given_[at] != "A" else "B") + given_[at + 1 :]
    assert not webhooks.verifies([key], ident, time, body, changed)
    assert not webhooks.verifies([key], ident, time, body, "")
    assert not webhooks.verifies([], ident, time, body, given_)


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_AAAA", "AAAA" * 11, "whsec_" + "A" * 88, "whsec_!" + "A" * 43]
)
def test_what_is_no_secret_is_refused(text):
    """Too short, too long, without prefix, not base64."""
    with pytest.raises(InvalidInput) as caught:
        webhooks.secret_key(text)
    assert "AAAA" not in str(caught.value)
