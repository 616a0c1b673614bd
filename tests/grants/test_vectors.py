"""The ledger's sum, by vectors that were made by hand (``docs/spec/grants.md``, section 3)."""

import hashlib
import json
from pathlib import Path

import msgspec
import pytest

from adyton.service.grants.records import COUNTED, added, digest_of
from adyton.service.objects import body_of

FOUND = json.loads((Path(__file__).parents[2] / "vectors/grants/ledger.json").read_text("utf-8"))
SHELVES = {shelf.kind: shelf for shelf in COUNTED}
TYPES = {"member": "Member", "role": "Role", "grant": "Grant", "grant-uses": "Uses",
         "access-request": "Request"}  # fmt: skip


def value_of(one):
    import adyton.service.grants.records as records

    return msgspec.convert(one["value"], getattr(records, TYPES[one["kind"]]))


@pytest.mark.parametrize("one", FOUND["objects"], ids=lambda one: f"{one['kind']} {one['id']}")
def test_an_object_and_its_digest(one):
    body = body_of(one["id"], value_of(one))
    assert body.hex() == one["body"]
    by_hand = hashlib.sha256(one["kind"].encode() + b"\x00" + body).hexdigest()
    assert by_hand == one["digest"]
    assert f"{digest_of(SHELVES[one['kind']], one['id'], value_of(one)):064x}" == one["digest"]


def test_the_sum_in_any_order_and_back():
    digests = [int(one["digest"], 16) for one in FOUND["objects"]]
    assert added(bytes(32), *digests).hex() == FOUND["sum"]
    assert added(bytes(32), *reversed(digests)).hex() == FOUND["sum"]
    assert added(bytes.fromhex(FOUND["sum"]), *(-one for one in digests)) == bytes(32)


def test_an_object_with_what_is_not_known_is_refused_whole():
    for one in FOUND["objects"]:
        with pytest.raises(msgspec.ValidationError):
            value_of({**one, "value": {**one["value"], "unheard_of": 1}})
    grant = next(one for one in FOUND["objects"] if one["kind"] == "grant")
    with pytest.raises(msgspec.ValidationError):
        value_of({**grant, "value": {**grant["value"], "conditions": {"moon": "full"}}})
