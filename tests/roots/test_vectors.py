"""The vectors of ``docs/spec/roots.md``, section 8, read from the page itself."""

import json
import re
from pathlib import Path

import pytest

from adyton.crypto.gathering import Gathering
from adyton.crypto.secretbytes import SecretBytes
from adyton.crypto.shares import parse
from adyton.roots import KeyFileRoot, PassphraseRoot, ShamirRoot
from roots import shamir_vectors

SPEC = Path(__file__).parents[2] / "docs" / "spec" / "roots.md"


def vectors():
    section = SPEC.read_text().split("## 9. Vectors")[1]
    blocks = re.findall(r"(?:^    [0-9a-f]+\n)+", section, re.MULTILINE)
    return [bytes.fromhex(block) for block in blocks]


@pytest.fixture
def roots(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"\x01" * 32)
    path.chmod(0o600)
    return KeyFileRoot(path), PassphraseRoot("correct horse battery")


def test_the_vectors_of_the_spec_open(roots):
    """Each wrapped key printed in the spec, made by other code, opens to its key."""
    assert [len(wrapped) for wrapped in vectors()] == [63, 88]
    for root, wrapped in zip(roots, vectors(), strict=True):
        with root.unwrap(wrapped, b"c") as key:
            assert key.equals(b"k" * 32)


@pytest.mark.parametrize("form", ["hex", "base64", "text"])
def test_wrapped_keys_open_by_their_shares(form):
    """The vectors in ``vectors/shamir``, by shares that are asked for in each of their forms."""
    for case in json.loads((shamir_vectors.FOLDER / "v1.json").read_text())["cases"]:
        shares = iter(reversed(case["shares"]))
        root = ShamirRoot(lambda _, shares=shares: SecretBytes(next(shares)[form].encode()))
        with root.unwrap(bytes.fromhex(case["wrapped"]), bytes.fromhex(case["context"])) as key:
            assert key.equals(bytes.fromhex(case["master_key"]))
        assert len(list(shares)) == case["count"] - case["threshold"]
        gathering = Gathering([root.known])
        for forms in case["shares"][: case["threshold"]]:
            gathering.enter(parse(forms[form].encode()))
        with gathering.key(root.known) as key:
            assert key.equals(bytes.fromhex(case["key"]))
