"""The vectors of ``docs/spec/roots.md``, section 7, read from the page itself."""

import re
from pathlib import Path

import pytest

from adyton.roots import KeyFileRoot, PassphraseRoot

SPEC = Path(__file__).parents[2] / "docs" / "spec" / "roots.md"


def vectors():
    section = SPEC.read_text().split("## 7. Vectors")[1]
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
