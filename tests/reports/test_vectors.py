"""Counts by the specification alone: a day's records, counted and encoded by other code."""

import json
from pathlib import Path

from adyton.service.following.reading import Record
from adyton.service.journal import Body
from adyton.service.objects import body_of
from adyton.service.reports.counting import Counter, Day
from adyton.service.reports.records import ALL, DAYS, STATES, State
from packing import packed

FILE = Path(__file__).resolve().parents[2] / "vectors/reports/day.json"
BEGIN = 1_769_817_600_000_000  # 2026-01-31T00:00:00Z
HOUR = 3_600_000_000
# Leaf, hour, actor, name, action, success, reason, address, outcome; then what it is counted as.
RECORDS = [
    (10, 0, "ann", "db/a", "secret.set", True, "", "10.1.2.3", "ok"),
    (11, 0, "ann", "db/a", "secret.get", True, "", "10.1.2.99", "ok"),
    (14, 7, "bob", "db/a", "secret.get", True, "", "::ffff:10.1.2.7", "ok"),
    (15, 7, "bob", "db/b", "secret.get", False, "SecretNotFound", "2001:db8::1", "absent"),
    (16, 7, "bob", "db/b", "access.deny", False, "AccessDenied", "2001:db8::2", "denied"),
    (17, 8, "bob", "db/b", "secret.get", False, "AccessDenied", "nowhere", ""),
    (20, 23, "bob", "db/a", "share.read", True, "shares/x by cyd", "", "ok"),
    (21, 23, "ann", "shares/y", "share.read", True, "", "", "ok"),
    (22, 23, "ann", "db/a", "secret.metadata", True, "", "", "ok"),
    (23, 23, "ann", "", "secret.list", True, "", "", "ok"),
]
V4, V6 = "10.1.2.0/24", "2001:db8::/48"
DAY = {
    "first": 10, "last": 23, "records": 10,
    "hours": {"00": [2, 0, 0], "07": [1, 1, 1], "08": [0, 0, 1], "23": [4, 0, 0]},
    "actions": {
        "access.deny": [0, 0, 1], "secret.get": [2, 1, 1], "secret.list": [1, 0, 0],
        "secret.metadata": [1, 0, 0], "secret.set": [1, 0, 0], "share.read": [2, 0, 0],
    },
    "actors": {"ann": [5, 0, 0], "bob": [2, 1, 2]},
    "networks": {V4: [3, 0, 0], V6: [0, 1, 1], "local": [4, 0, 0], "unknown": [0, 0, 1]},
    "secrets": {"db/a": [3, 1, 1]},
    "readers": {"db/a": {"ann": 1, "bob": 1, "bob (share with cyd)": 1}},
    "missed": {"db/b": [0, 1, 2]},
    "failures": {
        "access.deny AccessDenied": 1, "secret.get AccessDenied": 1,
        "secret.get SecretNotFound": 1,
    },
}  # fmt: skip
STATE = {
    "next": 24, "first": 10, "records": 10, "unopened": 0, "gap": False, "from_us": BEGIN,
    "upto_us": BEGIN + 23 * HOUR, "oldest": BEGIN // (24 * HOUR),
}  # fmt: skip


def vector_text():
    """The file of vectors."""
    keys = ("leaf", "hour", "actor", "name", "action", "success", "reason", "address", "outcome")
    return json.dumps(
        {
            "begin_us": BEGIN,
            "records": [dict(zip(keys, each, strict=True)) for each in RECORDS],
            "objects": [
                {"kind": kind, "id": ident, "fields": fields,
                 "body": packed([1, ident, fields]).hex()}
                for kind, ident, fields in (
                    ("report-day", "2026-01-31", DAY), ("report-state", "all", STATE),
                )
            ],
        },
        indent=1,
    ) + "\n"  # fmt: skip


def test_the_vectors_are_what_the_specification_says():
    assert FILE.read_text("utf-8") == vector_text()


def test_our_counts_are_those_of_the_vectors():
    """The same records come to the same bytes; what was stored is read as what it says."""
    vectors = json.loads(FILE.read_text("utf-8"))
    day = Day(vectors["records"][0]["leaf"])
    counter = Counter(day)
    for each in vectors["records"]:
        body = Body(
            vectors["begin_us"] + each["hour"] * HOUR, each["actor"], "u", each["name"], 1,
            each["action"], each["success"], each["reason"], "", each["address"], b"", b"",
            outcome=each["outcome"],
        )  # fmt: skip
        counter.add(Record(each["leaf"], body))
    stored, state = vectors["objects"]
    assert body_of(stored["id"], day).hex() == stored["body"]
    assert DAYS._decode(bytes.fromhex(stored["body"])) == (1, "2026-01-31", day)
    ours = State(**state["fields"])
    assert body_of(ALL, ours).hex() == state["body"]
    assert STATES._decode(bytes.fromhex(state["body"])) == (1, "all", ours)
