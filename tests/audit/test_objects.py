"""Objects of access control: sealed, bound to their place, and held against the log."""

import sqlite3

import msgspec
import pytest

from adyton.errors import AuditError, IntegrityError, InvalidInput
from adyton.model import Caller
from adyton.service.access.gate import Gate, Request
from adyton.service.access.records import POLICIES, TOKENS
from adyton.service.access.spaces import Spaces
from adyton.service.access.tidy import Tidy
from adyton.service.access.tokens import Tokens
from adyton.service.access.wrapping import Wrapping
from support import Place


class Access:
    """Tokens and policies of an open store."""

    def __init__(self, store):
        self.core = store._opened.core
        self.caller = Caller("test", "root")
        self.spaces = Spaces(self.core)
        self.gate = Gate(self.core, self.spaces)
        self.tokens = Tokens(self.core, self.gate)

    def run(self, operation):
        return self.core.commit.run_sync(operation)

    def policy(self, name, text='path "secret/*" { capabilities = ["read"] }'):
        self.run(self.spaces.put_policy(self.caller, "root", name, text))

    def root(self):
        return self.run(self.tokens.create_root(Caller("operator")))

    def enter(self, text):
        return self.run(self.gate.enter(text, Request("127.0.0.1", "r")))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def made(place):
    with place.open() as store:
        access = Access(store)
        access.policy("one")
        access.policy("two")
        issued = access.root()
        access.policy("one", 'path "else/*" { capabilities = ["read"] }')
        store.audit.verify()
    return issued


def test_objects_come_through_everything(place):
    """Rotation, deep re-encryption, reopening: they open, and verification agrees."""
    issued = made(place)
    with place.open() as store:
        store.keys.rotate()
        store.keys.rewrap(deep=True)
        store.audit.verify()
    with place.open() as store:
        access = Access(store)
        assert access.enter(issued.text).token.policies == ["root"]
        assert "else" in access.run(access.spaces.get("root")).policy_text("one")
        assert store.purge_user("root") == 0
        store.audit.verify()
        with pytest.raises(Exception, match="permission denied"):
            Access(store).enter(issued.text)
    assert place.sql("SELECT count(*) FROM objects") == [(0,)]


def test_every_tampering_of_an_object_is_found(place):
    """A byte changed, a row moved, removed or put back."""
    issued = made(place)
    rows = place.sql("SELECT user, bucket, object, meta_version, box FROM objects")
    assert len(rows) == 4
    (old,) = [row for row in rows if row == rows[0]]
    boxes = [row[4] for row in rows]

    def broken(*statements):
        before = place.copy()
        place.sql(*statements)
        with place.open() as store, pytest.raises(AuditError):
            store.audit.verify()
        place.put_back(before)

    flipped = bytes([*boxes[0][:-1], boxes[0][-1] ^ 1])
    where = "WHERE bucket=? AND object=?"
    broken((f"UPDATE objects SET box=? {where}", (flipped, *old[1:3])))
    broken((f"DELETE FROM objects {where}", old[1:3]))
    broken((f"UPDATE objects SET box=? {where}", (boxes[1], *old[1:3])))
    broken((f"UPDATE objects SET object=zeroblob(16) {where}", old[1:3]))
    broken(("INSERT INTO objects VALUES (?,?,zeroblob(16),?,?)", (old[0], *old[1:2], *old[3:5])))
    with place.open() as store:
        store.audit.verify()
        assert Access(store).enter(issued.text)


def test_an_older_policy_put_back_is_found(place):
    """The row as it was sealed by us, of a time before the change."""
    made(place)
    before = place.sql("SELECT user, bucket, object, meta_version, box FROM objects")
    with place.open() as store:
        Access(store).policy("one", 'path "third/*" { capabilities = ["read"] }')
    (changed,) = [
        row for row in before if place.sql(("SELECT 1 FROM objects WHERE box=?", (row[4],))) == []
    ]
    place.sql(("UPDATE objects SET box=? WHERE object=?", (changed[4], changed[2])))
    with place.open() as store, pytest.raises(AuditError, match="older row"):
        store.audit.verify()


def test_objects_follow_their_specification(place):
    """The layout of docs/spec/store.md, section 5, put together here."""
    made(place)
    with place.open() as store:
        keys = store._opened.core.ring.cached("root") or Access(store).run(
            store._opened.core.keys("root")
        )
        bucket, ident = keys.index("\x00policy\x00"), keys.index("\x01policy\x00\x00two")
        (row,) = place.sql(
            ("SELECT meta_version, box FROM objects WHERE bucket=? AND object=?", (bucket, ident))
        )
        body = msgspec.msgpack.decode(keys.open_object(bucket, ident, *row))
        assert body[:2] == [1, "two"]
        assert set(body[2]) == {"text"}
        with pytest.raises(IntegrityError):
            keys.open_object(ident, bucket, *row)
        assert POLICIES.kind == "policy"
        assert TOKENS.kind == "token"


def test_what_has_ended_is_removed(place):
    """Tokens, what they wrapped, and nothing that lives; each removal in the log."""
    import time

    with place.open() as store:
        access = Access(store)
        alive = access.root()
        wrapping = Wrapping(access.core, access.tokens)
        gone = access.run(wrapping.wrap(access.caller, "root", b"{}", 1, "secret/data/x"))
        kept = access.run(wrapping.wrap(access.caller, "root", b"{}", 60, "secret/data/x"))
        before = place_rows(place)
        time.sleep(1.1)
        tidy = Tidy(access.core, access.spaces, access.tokens)
        assert access.run(tidy.run(Caller("operator"))) == 1
        assert place_rows(place) == before - 3  # token, accessor, response
        assert access.enter(alive.text)
        origin = Request("127.0.0.1", "r")
        with pytest.raises(InvalidInput):
            access.run(wrapping.unwrap(gone.text, origin))
        assert access.run(wrapping.unwrap(kept.text, origin)) == b"{}"
        assert access.run(tidy.run(Caller("operator"))) == 0
        store.audit.verify()


def place_rows(place):
    """Objects in the file, read beside the open store."""
    connection = sqlite3.connect(f"file:{place.path}?mode=ro", uri=True)
    try:
        return connection.execute("SELECT count(*) FROM objects").fetchone()[0]
    finally:
        connection.close()
