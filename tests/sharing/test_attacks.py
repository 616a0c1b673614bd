"""A storage thief who can write, against shares: every swap and every row put back."""

import json
import os
from pathlib import Path

import pytest
from Crypto.Cipher import AES

from adyton.crypto import context as ctx
from adyton.crypto.aead import AeadKey
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import AdytonError, AuditError, IntegrityError, SecretNotFound
from adyton.service.sharing.records import GIVEN, ITEMS, RECEIVED, Item
from adyton.service.sharing.records import Place as Where
from adyton.service.sharing.wraps import contexts_of, rewrap
from adyton.service.sharing.wraps import open_shared as open_item
from support import Place

VECTORS = json.loads(
    (Path(__file__).resolve().parents[2] / "vectors/sharing/shared-key.json").read_text("utf-8")
)
VALUES = {"a": "alice's a", "b": "alice's b"}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def fill(store):
    """Two secrets of alice's, each shared with bob and carol; their share ids."""
    found = {}
    for name, value in VALUES.items():
        store.set_secret("alice", name, "older " + value)
        store.set_secret("alice", name, value)
        for receiver in ("bob", "carol"):
            made = store.shares.create("alice", receiver, name)
            store.shares.accept(receiver, made.id)
            found[receiver, name] = made.id
    return found


def places_of(store, found):
    """Where the objects of each share are: (user, bucket, object)."""
    ring = store._opened.core.ring
    places = {}
    for (receiver, name), share in found.items():
        keys = ring.cached(receiver)
        places[receiver, name, "item"] = (keys.user, *ITEMS.place(keys, name, share))
        places[receiver, name, "received"] = (keys.user, *RECEIVED.place(keys, share))
        owner = ring.cached("alice")
        places[receiver, name, "given"] = (owner.user, *GIVEN.place(owner, share))
    return places


def row_of(place, where):
    (row,) = place.sql(
        ("SELECT meta_version, box FROM objects WHERE user=? AND bucket=? AND object=?", where)
    )
    return row


def put_row(place, where, row):
    place.sql(("INSERT OR REPLACE INTO objects VALUES (?,?,?,?,?)", (*where, *row)))


def harmless(place, found):
    """Nobody reads what is not theirs, and what was done is found out at reading or by verify."""
    with place.open() as store:
        for (receiver, name), share in found.items():
            try:
                with store.shares.get(receiver, share) as secret:
                    assert secret.text() == VALUES[name]
            except (IntegrityError, SecretNotFound):
                pass
        with pytest.raises(AuditError):
            store.audit.verify()


PAIRS = [
    (("bob", "a", "item"), ("bob", "b", "item")),  # another share and name of the same receiver
    (("bob", "a", "item"), ("carol", "a", "item")),  # another receiver of the same secret
    (("bob", "a", "received"), ("bob", "b", "received")),
    (("bob", "a", "received"), ("carol", "a", "received")),
    (("bob", "a", "item"), ("bob", "a", "received")),
    (("bob", "a", "given"), ("carol", "a", "given")),
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_rows_that_are_swapped(place, first, second):
    with place.open() as store:
        found = fill(store)
        places = places_of(store, found)
    one, two = row_of(place, places[first]), row_of(place, places[second])
    put_row(place, places[first], two)
    put_row(place, places[second], one)
    harmless(place, found)


def test_a_revoked_share_that_is_put_back(place):
    """Found by verification; and opens nothing at all where it was revoked with rotation."""
    with place.open() as store:
        found = fill(store)
        places = places_of(store, found)
    rows = {key: row_of(place, where) for key, where in places.items()}
    with place.open() as store:
        store.shares.revoke("alice", found["bob", "a"], rotate=True)
        checkpoint = store.audit.checkpoint()
    for kind in ("item", "received", "given"):
        put_row(place, places["bob", "a", kind], rows["bob", "a", kind])
    with place.open() as store:
        with pytest.raises(IntegrityError):
            store.shares.get("bob", found["bob", "a"])
        with pytest.raises(AuditError):
            store.audit.verify(checkpoints=[checkpoint])


def test_a_revoked_share_put_back_reads_nothing_of_later_versions(place):
    with place.open() as store:
        found = fill(store)
        places = places_of(store, found)
    rows = {key: row_of(place, where) for key, where in places.items()}
    with place.open() as store:
        store.shares.revoke("alice", found["bob", "a"])
        store.set_secret("alice", "a", "later")
    for kind in ("item", "received"):
        put_row(place, places["bob", "a", kind], rows["bob", "a", kind])
    with place.open() as store:
        with pytest.raises(IntegrityError):
            store.shares.get("bob", found["bob", "a"])
        with pytest.raises(AuditError):
            store.audit.verify()


def test_an_older_item_that_is_put_back(place):
    with place.open() as store:
        found = fill(store)
        places = places_of(store, found)
    older = row_of(place, places["bob", "a", "item"])
    with place.open() as store:
        store.set_secret("alice", "a", "newer")
    put_row(place, places["bob", "a", "item"], older)
    with place.open() as store:
        with pytest.raises(IntegrityError):
            store.shares.get("bob", found["bob", "a"])
        with pytest.raises(AuditError):
            store.audit.verify()


def test_an_older_secret_that_is_put_back(place):
    with place.open() as store:
        found = fill(store)
    rows = place.sql("SELECT * FROM secrets")
    with place.open() as store:
        store.set_secret("alice", "a", "newer")
    marks = ",".join("?" * len(rows[0]))
    place.sql(*((f"INSERT OR REPLACE INTO secrets VALUES ({marks})", row) for row in rows))
    with place.open() as store:
        with pytest.raises(IntegrityError):
            store.shares.get("bob", found["bob", "a"])
        with pytest.raises(AuditError):
            store.audit.verify()


def test_values_that_are_swapped(place):
    with place.open() as store:
        found = fill(store)
    first, second = place.sql(
        "SELECT user, name, value FROM secrets WHERE user IN"
        " (SELECT user FROM secrets GROUP BY user HAVING count(*) = 2)"
    )
    change = "UPDATE secrets SET value=? WHERE user=? AND name=?"
    place.sql((change, (second[2], *first[:2])), (change, (first[2], *second[:2])))
    with place.open() as store:
        for (receiver, _), share in found.items():
            with pytest.raises(IntegrityError):
                store.shares.get(receiver, share)
    harmless(place, found)


def test_every_bit_of_an_item_counts(place):
    with place.open() as store:
        found = fill(store)
        where = places_of(store, found)["bob", "a", "item"]
    version, box = row_of(place, where)
    for at in range(0, len(box), max(1, len(box) // 12)):
        put_row(place, where, (version, box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :]))
        with place.open() as store, pytest.raises(AdytonError):
            store.shares.get("bob", found["bob", "a"])


class Keys:
    """As much of a user's keys as wraps need."""

    wraps = 0

    def __init__(self, vector):
        self.store_id = bytes.fromhex(vector["store"])
        self.user = bytes.fromhex(vector["receiver"])
        with SecretBytes(bytes.fromhex(vector["user_key"])) as key:
            self.wrapping = {vector["key_version"]: AeadKey(key)}
        self.current = vector["key_version"]


def open_shared(keys, owner, item, box):
    return open_item(keys, item, contexts_of(keys, owner, item), box)


def item_of(vector, **changed):
    fields = {
        "share": vector["share"],
        "name": "n",
        "index": bytes.fromhex(vector["name"]),
        "version": vector["version"],
        "key_version": vector["key_version"],
        "wrapped": bytes.fromhex(vector["wrapped"]),
        "tag": bytes.fromhex(vector["value_box"])[-16:],
        "meta": bytes(32),
        "content_type": "text/plain",
    }
    return Item(**(fields | changed))


@pytest.mark.parametrize("vector", VECTORS["shares"], ids=lambda one: one["name_of"])
def test_vectors_by_a_second_reader(vector):
    """PyCryptodome opens what the specification says, and so does our own code."""

    def opened(key, box, label, *fields):
        cipher = AES.new(key, AES.MODE_GCM, nonce=box[1:13])
        for part in (label, *fields):
            cipher.update(len(part).to_bytes(4, "big") + part)
        return cipher.decrypt_and_verify(box[13:-16], box[-16:])

    store, receiver, owner, name = (
        bytes.fromhex(vector[key]) for key in ("store", "receiver", "owner", "name")
    )
    version = vector["version"].to_bytes(8, "big")
    key = opened(
        bytes.fromhex(vector["user_key"]), bytes.fromhex(vector["wrapped"]),
        b"adyton/v1/shared-key", store, receiver, owner, name, version,
        vector["share"].encode(), vector["key_version"].to_bytes(8, "big"),
    )  # fmt: skip
    box = bytes.fromhex(vector["value_box"])
    assert (
        opened(key, box, b"adyton/v1/value", store, owner, name, version).hex() == vector["value"]
    )
    assert open_shared(Keys(vector), owner, item_of(vector), box).reveal().hex() == vector["value"]


def test_a_wrapped_key_is_bound_to_all_that_it_is_of():
    """Also where whoever moves it could seal the object around it: each field, changed alone."""
    vector = VECTORS["shares"][0]
    keys, box = Keys(vector), bytes.fromhex(vector["value_box"])
    owner = bytes.fromhex(vector["owner"])
    assert open_shared(keys, owner, item_of(vector), box)
    for changed in (
        {"share": "another" + vector["share"][7:]}, {"index": os.urandom(16)},
        {"version": vector["version"] + 1}, {"key_version": vector["key_version"] + 1},
    ):  # fmt: skip
        with pytest.raises(IntegrityError):
            open_shared(keys, owner, item_of(vector, **changed), box)
    with pytest.raises(IntegrityError):
        open_shared(keys, os.urandom(16), item_of(vector), box)
    for name in ("user", "store_id"):
        other = Keys(vector)
        setattr(other, name, os.urandom(16))
        with pytest.raises(IntegrityError):
            open_shared(other, owner, item_of(vector), box)
    where = Where(owner, bytes.fromhex(vector["name"]), vector["version"], "another")
    with pytest.raises(IntegrityError):
        rewrap(keys, where, vector["key_version"], bytes.fromhex(vector["wrapped"]))
    assert ctx.LABEL_SHARED_KEY != ctx.LABEL_DATA_KEY
