"""What is stored of dynamic credentials and folders' policies is what the vectors say."""

import json
import runpy
from pathlib import Path

import msgspec
import pytest

from adyton.errors import IntegrityError
from adyton.rows import ObjectRow
from adyton.service.dynamic.records import CONNECTIONS, COUNTS, LEASES, OF_TOKEN, ROLES
from adyton.service.rotation.folders import FOLDERS

HERE = Path(__file__)
FILE = HERE.parents[2] / "vectors" / "dynamic" / "records.json"
VECTORS = json.loads(FILE.read_text())
SHELVES = {shelf.kind: shelf for shelf in (CONNECTIONS, ROLES, LEASES, COUNTS, OF_TOKEN, FOLDERS)}
ENCODE = msgspec.msgpack.Encoder(order="deterministic").encode


class Opened:
    """Keys for which a box is what it holds."""

    def open_object(self, bucket, ident, meta_version, box):
        return box


def test_the_vectors_are_made_by_the_specification():
    """By the script beside this, which uses nothing of ours."""
    made = runpy.run_path(str(HERE.with_name("make_vectors.py")))["vectors"]()
    assert made == VECTORS
    assert {vector["kind"] for vector in VECTORS} == set(SHELVES)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['kind']} {v['id']}")
def test_bodies(vector):
    """They are read, and written the same."""
    body = bytes.fromhex(vector["body"])
    ident, value = SHELVES[vector["kind"]]._open(Opened(), ObjectRow(b"", b"", 1, body))
    assert ident == vector["id"]
    assert ENCODE((1, ident, value)) == body
    with pytest.raises(IntegrityError):  # of a format to come
        SHELVES[vector["kind"]]._open(Opened(), ObjectRow(b"", b"", 1, b"\x93\x02" + body[2:]))


def test_a_lease_has_no_room_for_a_password():
    """Whatever is added to it."""
    lease = SHELVES["dynamic-lease"]._open(
        Opened(), ObjectRow(b"", b"", 1, bytes.fromhex(VECTORS[3]["body"]))
    )[1]
    assert not [name for name in lease.__struct_fields__ if "password" in name or "secret" in name]
