"""vectors/bundle: the reader does what each says, and the generator still makes them."""

import json
import re

import pytest

from adyton.errors import InvalidDocument
from adyton.transfer import TransferLimits
from adyton.transfer.bundle import read_document
from transfer import bundle_vectors

FILES = sorted(bundle_vectors.DIRECTORY.glob("*.json"))
TEXTS = {
    "not json": "not JSON in UTF-8",
    "unknown format": "format is not known",
    "wrong shape": r"Expected '|Invalid base64|missing required|field|no format id",
    "bad count": "count of secrets is wrong",
    "duplicate name": "secret 3: its name is that of an earlier one",
    "rule broken": r"^(secret 1: |a time)(?!.*digest)",
    "version digest": r"secret \d: the digest of version \d does not match",
    "whole digest": "digest of the whole bundle does not match",
}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_reader_does_what_the_vector_expects(path):
    """Every vector is read as it says, or refused for the reason it names."""
    vector = json.loads(path.read_text())
    data = vector["document"].encode()
    if vector["expect"] == "ok":
        found = read_document(data, limits=TransferLimits())
        assert [
            {
                "name": s.name,
                "versions": [
                    [v.version, None if v.value is None else v.value.hex()] for v in s.versions
                ],
            }
            for s in found
        ] == vector["read"]
        return
    with pytest.raises(InvalidDocument) as caught:
        read_document(data, limits=TransferLimits())
    assert re.search(TEXTS[vector["expect"]], caught.value.message), caught.value.message


def test_every_class_of_the_specification_has_a_vector():
    """No class of the table in the specification is without a vector."""
    assert {json.loads(p.read_text())["expect"] for p in FILES} == {"ok", *TEXTS}


def test_the_generator_reproduces_the_files():
    """The files are exactly what the generator makes, none more and none less."""
    made = {name: bundle_vectors.render(v) for name, v in bundle_vectors.vectors().items()}
    assert {p.stem: p.read_text() for p in FILES} == made
