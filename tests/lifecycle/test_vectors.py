"""What is stored of rules and holds, by the specification alone, with an encoder of its own."""

import hashlib
import hmac
import json
from pathlib import Path

from adyton.crypto.kdf import IndexKey
from adyton.crypto.secretbytes import SecretBytes
from adyton.service.lifecycle import plan
from adyton.service.lifecycle.held import HOLDS, Hold
from adyton.service.lifecycle.records import LIFECYCLE, Rules
from adyton.service.objects import body_of
from packing import packed

FILE = Path(__file__).resolve().parents[2] / "vectors/lifecycle/objects.json"
KEY = bytes(range(32))
NAME = "db/password"
OBJECTS = {
    "rules": ("lifecycle", "all", {"retention": 0, "notice": {"": [2592000, 86400], "db/": []}}),
    "no rules": ("lifecycle", "all", {}),
    "hold": (
        "hold", "AAAAAAAAAAAAAAAAAAAAAAAA",
        {"where": "case/", "reason": "case 4711", "created_us": 1_700_000_000_000_000,
         "created_by": "tok"},
    ),
    "hold of the operator": (
        "hold", "BBBBBBBBBBBBBBBBBBBBBBBB",
        {"where": "", "reason": "court order", "created_us": 1, "created_by": "op",
         "operator": True},
    ),
}  # fmt: skip
OURS = {
    "rules": (LIFECYCLE, Rules(0, {"db/": [], "": [2592000, 86400]})),
    "no rules": (LIFECYCLE, Rules()),
    "hold": (HOLDS, Hold("case/", "case 4711", 1_700_000_000_000_000, "tok")),
    "hold of the operator": (HOLDS, Hold("", "court order", 1, "op", True)),
}


def index(text):
    return hmac.new(KEY, text, hashlib.sha256).digest()[:16]


def vector_text():
    """The file of vectors."""
    made = {"index_key": KEY.hex(), "objects": [], "due": []}
    for title, (kind, ident, fields) in OBJECTS.items():
        made["objects"].append(
            {
                "title": title, "kind": kind, "id": ident, "fields": fields,
                "bucket": index(f"\0{kind}\0".encode()).hex(),
                "object": index(f"\1{kind}\0\0{ident}".encode()).hex(),
                "body": packed([1, ident, fields]).hex(),
            }
        )  # fmt: skip
    for kind in ("lifecycle-notice", "lifecycle-retention"):
        made["due"].append(
            {"kind": kind, "name": NAME, "bucket": index(f"\0due\0{kind}".encode()).hex(),
             "object": index(NAME.encode()).hex()}
        )  # fmt: skip
    return json.dumps(made, indent=1) + "\n"


class Keys:
    """The index key of a user, and nothing else."""

    index = staticmethod(IndexKey(SecretBytes(KEY)).index)


def test_the_vectors_are_what_the_specification_says():
    assert FILE.read_text("utf-8") == vector_text()


def test_our_objects_are_those_of_the_vectors():
    """Places and bodies; what was stored is read as what it says."""
    for vector in json.loads(FILE.read_text("utf-8"))["objects"]:
        shelf, value = OURS[vector["title"]]
        place = shelf.place(Keys, vector["id"])
        assert [part.hex() for part in place] == [vector["bucket"], vector["object"]]
        assert body_of(vector["id"], value).hex() == vector["body"]
        assert shelf._decode(bytes.fromhex(vector["body"])) == (1, vector["id"], value)


def test_our_rows_are_those_of_the_vectors():
    for vector in json.loads(FILE.read_text("utf-8"))["due"]:
        assert plan.bucket(Keys, vector["kind"]).hex() == vector["bucket"]
        assert Keys.index(vector["name"]).hex() == vector["object"]
