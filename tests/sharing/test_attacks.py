"""A storage thief who can write, against shares: every swap and every row put back."""

import itertools
import json
import os
from contextlib import suppress
from pathlib import Path

import pytest
from Crypto.Cipher import AES

from adyton import SecretStore
from adyton.actions import Action
from adyton.crypto import context as ctx
from adyton.crypto.aead import AeadKey
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import AdytonError, AuditError, IntegrityError, SecretNotFound
from adyton.model import Caller
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.sharing.records import GIVEN, ITEMS, PASSED, RECEIVED, Given, Item
from adyton.service.sharing.records import Place as Where
from adyton.service.sharing.standing import chain_of
from adyton.service.sharing.wraps import contexts_of, rewrap
from adyton.service.sharing.wraps import open_shared as open_item
from adyton.service.ticket import run_now
from support import Place

VECTORS = json.loads(
    (Path(__file__).resolve().parents[2] / "vectors/sharing/shared-key.json").read_text("utf-8")
)
VALUES = {"a": "alice's a", "b": "alice's b"}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def fill(store, **more):
    """Two secrets of alice's, each shared with bob and carol; their share ids."""
    found = {}
    for name, value in VALUES.items():
        store.set_secret("alice", name, "older " + value)
        store.set_secret("alice", name, value)
        for receiver in ("bob", "carol"):
            made = store.shares.create("alice", receiver, name, **more)
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


PARTS = ["given", "received", "item", "secret"]


def parts_of(places, place, receiver="bob", name="a"):
    """Statements that put back all rows of a share, and the owner's secrets, as they are now."""
    back = {
        kind: [
            (
                "INSERT OR REPLACE INTO objects VALUES (?,?,?,?,?)",
                (*places[receiver, name, kind], *row_of(place, places[receiver, name, kind])),
            )
        ]
        for kind in PARTS[:3]
    }
    rows = place.sql("SELECT * FROM secrets")
    back["secret"] = [
        (f"INSERT OR REPLACE INTO secrets VALUES ({','.join('?' * len(row))})", row) for row in rows
    ]
    return back


SUBSETS = [
    [part for at, part in enumerate(PARTS) if number >> at & 1] for number in range(1, 1 << 4)
]


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize("put", SUBSETS, ids="+".join)
def test_a_revoked_share_that_is_put_back(place, put, rotate):
    """In part or whole, with the owner's secret or without it: refused at once, and found.

    With the owner's row as it was, what it held then is read again, until verification. Only with
    all of it could it be written to.
    """
    with place.open() as store:
        found = fill(store, write=True)
        places = places_of(store, found)
    back = parts_of(places, place)
    share = found["bob", "a"]
    with place.open() as store:
        store.shares.revoke("alice", share, rotate=rotate)
        checkpoint = store.audit.checkpoint()
    place.sql(*(statement for part in put for statement in back[part]))
    with place.open() as store:
        if {"received", "item", "secret"} <= set(put):
            assert store.shares.get("bob", share).text() == VALUES["a"]
        else:
            with pytest.raises((IntegrityError, SecretNotFound)):
                store.shares.get("bob", share)
        if len(put) < len(PARTS):
            with pytest.raises((IntegrityError, SecretNotFound)):
                store.shares.set("bob", share, "by bob")
        if put == ["secret"] and not rotate:  # it says what it said, in another box
            store.audit.verify(checkpoints=[checkpoint])
            return
        with pytest.raises(AuditError):
            store.audit.verify(checkpoints=[checkpoint])


def test_a_revoked_share_put_back_reads_nothing_of_later_versions(place):
    with place.open() as store:
        found = fill(store)
        places = places_of(store, found)
    back = parts_of(places, place)
    with place.open() as store:
        store.shares.revoke("alice", found["bob", "a"])
        store.set_secret("alice", "a", "later")
    place.sql(*(statement for part in PARTS[:3] for statement in back[part]))
    with place.open() as store:
        with pytest.raises(IntegrityError):
            store.shares.get("bob", found["bob", "a"])
        with pytest.raises(AuditError):
            store.audit.verify()


def test_a_share_that_was_given_back_or_is_over_and_is_put_back(place):
    with place.open() as store:
        found = fill(store)
        places = places_of(store, found)
    back = parts_of(places, place)
    with place.open() as store:
        store.shares.refuse("bob", found["bob", "a"])
    place.sql(*(statement for part in PARTS[:3] for statement in back[part]))
    with place.open() as store:
        with pytest.raises(IntegrityError):
            store.shares.get("bob", found["bob", "a"])
        with pytest.raises(AuditError):
            store.audit.verify()


def tree(store):
    """A folder: bob reads, carol writes, bob has passed it on to dave; their share ids."""
    for name, value in VALUES.items():
        store.set_secret("alice", f"d/{name}", value)
    found = {
        "bob": store.shares.create("alice", "bob", "d/", reshare=1).id,
        "carol": store.shares.create("alice", "carol", "d/", write=True).id,
    }
    for receiver, share in found.items():
        store.shares.accept(receiver, share)
    found["dave"] = store.shares.pass_on("bob", found["bob"], "dave", "d/a").id
    store.shares.accept("dave", found["dave"])
    return found


def rows_of_shares(store, found):
    """Where every object of these shares is, by what it is."""
    ring = store._opened.core.ring
    owner = ring.cached("alice")
    places = {}
    for receiver, share in found.items():
        keys = ring.cached(receiver)
        places[receiver, "given"] = (owner.user, *GIVEN.place(owner, share))
        places[receiver, "received"] = (keys.user, *RECEIVED.place(keys, share))
        for name in ("d/a", "d/b") if receiver != "dave" else ("d/a",):
            places[receiver, name] = (keys.user, *ITEMS.place(keys, name, share))
    bob = ring.cached("bob")
    places["bob", "passed"] = (bob.user, *PASSED.place(bob, found["dave"]))
    return places


def test_every_row_in_the_place_of_every_other():
    """Nobody reads or writes more by it, whoever's row is put wherever."""
    with SecretStore.open("memory:", root="dev:", create=True, upkeep=False) as store:
        found = tree(store)
        places = rows_of_shares(store, found)
        storage = store._opened.core.storage
        whole = {where: run_now(storage.object(*where)) for where in places.values()}

        def put(target, row):
            async def work():
                tx = await storage.begin()
                user, bucket, ident = target
                await tx.put_objects(user, [row._replace(bucket=bucket, ident=ident)])
                await tx.commit()

            run_now(work())

        for source, target in itertools.permutations(places.values(), 2):
            put(target, whole[source])
            only_what_is_theirs(store, found)
            with pytest.raises(AuditError):
                store.audit.verify()
            put(target, whole[target])
        assert len(places) == 12
        assert only_what_is_theirs(store, found) == 5
        store.audit.verify()


def only_what_is_theirs(store, found):
    """How many values are read; none of them by whom it is not shared with, none is written."""
    count = 0
    for user in ("bob", "carol", "dave"):
        for share in found.values():
            for name, value in VALUES.items():
                with suppress(AdytonError), store.shares.get(user, share, f"d/{name}") as secret:
                    assert found[user] == share
                    assert secret.text() == value
                    assert user != "dave" or name == "a"
                    count += 1
            if user != "carol":
                with pytest.raises(AdytonError):
                    store.shares.set(user, share, "x", "d/a")
                with pytest.raises(AdytonError):
                    store.shares.delete(user, share, "d/b")
            if user != "bob":
                with pytest.raises(AdytonError):
                    store.shares.pass_on(user, share, "eve")
    return count


@pytest.mark.parametrize("kind", ["given", "received"])
def test_every_bit_of_what_allows_counts(place, kind):
    """Rights, ends and depth can't be edited: neither side's row opens when it was changed."""
    with place.open() as store:
        found = tree(store)
        where = rows_of_shares(store, found)["bob", kind]
    version, box = row_of(place, where)
    for at in range(0, len(box), max(1, len(box) // 10)):
        put_row(place, where, (version, box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :]))
        with place.open() as store:
            for attempt in (
                lambda: store.shares.set("bob", found["bob"], "x", "d/a"),
                lambda: store.shares.pass_on("bob", found["bob"], "eve"),
            ):
                with pytest.raises(AdytonError):
                    attempt()
            with pytest.raises(AuditError):
                store.audit.verify()


def test_more_rights_of_an_earlier_share_are_not_put_back(place):
    """Bob could write by a share that was revoked, and reads by the one that took its place."""
    with place.open() as store:
        store.set_secret("alice", "d/a", "one")
        earlier = store.shares.create("alice", "bob", "d/", write=True, reshare=2).id
        store.shares.accept("bob", earlier)
        rights = rows_of_one(store, earlier)
    old = {kind: row_of(place, where) for kind, where in rights.items()}
    with place.open() as store:
        store.shares.revoke("alice", earlier)
        now = store.shares.create("alice", "bob", "d/").id
        store.shares.accept("bob", now)
        present = rows_of_one(store, now)
    for kinds in (["given"], ["received"], ["given", "received"], ["given", "received", "item"]):
        kept = {kind: row_of(place, present[kind]) for kind in kinds}
        for kind in kinds:
            put_row(place, present[kind], old[kind])  # in the place of the share that there is
        with place.open() as store, pytest.raises(AdytonError):
            store.shares.set("bob", now, "by bob", "d/a")
        with place.open() as store, pytest.raises(AdytonError):
            store.shares.pass_on("bob", now, "eve")
        for kind in kinds:
            put_row(place, present[kind], kept[kind])
    for kind, row in old.items():
        put_row(place, rights[kind], row)  # in its own place
    with place.open() as store:
        with pytest.raises(IntegrityError):
            store.shares.set("bob", earlier, "by bob", "d/a")
        with store.get_secret("alice", "d/a") as secret:
            assert secret.text() == "one"
        with pytest.raises(AuditError):
            store.audit.verify()


def rows_of_one(store, share):
    ring = store._opened.core.ring
    owner, keys = ring.cached("alice"), ring.cached("bob")
    return {
        "given": (owner.user, *GIVEN.place(owner, share)),
        "received": (keys.user, *RECEIVED.place(keys, share)),
        "item": (keys.user, *ITEMS.place(keys, "d/a", share)),
    }


def test_a_tree_whose_root_was_revoked_is_not_put_back_in_part(place):
    """What dave had of what bob passed on needs bob's share, on the owner's side, to write."""
    with place.open() as store:
        store.set_secret("alice", "d/a", "one")
        first = store.shares.create("alice", "bob", "d/", write=True, reshare=1).id
        store.shares.accept("bob", first)
        second = store.shares.pass_on("bob", first, "dave", write=True).id
        store.shares.accept("dave", second)
        ring = store._opened.core.ring
        owner, dave = ring.cached("alice"), ring.cached("dave")
        places = [
            (owner.user, *GIVEN.place(owner, second)),
            (dave.user, *RECEIVED.place(dave, second)),
            (dave.user, *ITEMS.place(dave, "d/a", second)),
        ]
    rows = [row_of(place, where) for where in places]
    with place.open() as store:
        store.shares.revoke("alice", first)
    for where, row in zip(places, rows, strict=True):
        put_row(place, where, row)
    with place.open() as store:
        for name in ("d/a", "d/new"):
            with pytest.raises((IntegrityError, SecretNotFound)):
                store.shares.set("dave", second, "by dave", name)
            with pytest.raises((IntegrityError, SecretNotFound)):
                store.shares.get("dave", second, name)
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


# -- both sides must say it -----------------------------------------------------------------------


def given_to(receiver, *, by="", parent="", answer="accepted", expires_us=0):
    return Given(
        kind="secret", name="a", receiver=receiver, by=by, parent=parent, answer=answer,
        expires_us=expires_us,
    )  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"low": given_to("dave", by="bob", parent="top")},  # another's
        {"low": given_to("carol", by="eve", parent="top")},  # not passed on by who has it
        {"low": given_to("carol", by="bob", parent="top", answer="offered")},
        {"low": given_to("carol", by="bob", parent="top", expires_us=999)},
        {"top": given_to("bob", expires_us=999)},  # what it comes of is over
        {"top": given_to("bob", answer="revoked")},
        {"top": None},
        {"top": given_to("carol", by="carol", parent="low")},  # a circle
    ],
)
def test_a_chain_holds_as_long_as_each_link_of_it_does(changed):
    """Whatever the receiver's side says."""
    whole = {"top": given_to("bob"), "low": given_to("carol", by="bob", parent="top")}
    assert len(chain_of(whole, "low", "carol", 1_000)) == 2
    broken = {share: one for share, one in (whole | changed).items() if one is not None}
    with pytest.raises(SecretNotFound):
        chain_of(broken, "low", "carol", 1_000)


@pytest.mark.parametrize("changed", [{"write": False}, {"name": "b"}])
def test_the_owners_side_has_to_allow_a_write_as_well(place, changed):
    """The receiver's alone does not."""
    with place.open() as store:
        share = fill(store, write=True)["bob", "a"]
        core = store._opened.core
        store.shares.set("bob", share, "new")

        async def work(scope):
            keys = await core.keys_in(scope, "alice")
            given = await GIVEN.get(scope.tx, keys, share)
            for name, value in changed.items():
                setattr(given, name, value)
            changes = ObjectChanges(scope, keys)
            changes.put(GIVEN, share, given)
            await changes.write(Draft(Caller("test"), Action.SHARE_CREATE, keys, "alice"))

        async def change():
            await core.commit.submit(work)

        core.commit.run_sync(change())
        with pytest.raises(IntegrityError):
            store.shares.set("bob", share, "newer")
        assert store.get_secret("alice", "a").text() == "new"
        assert store.get_secret("alice", "b").text() == VALUES["b"]


@pytest.mark.parametrize("whole", [False, True])
def test_a_revoked_share_that_is_put_back_under_a_running_store_reads_nothing(place, whole):
    """Also where it was read before, and is known in memory as it was."""
    with place.open() as store:
        found = fill(store)
        share = found["bob", "a"]
        core = store._opened.core
        places = places_of(store, found)
        parts = ("item", "received", "given") if whole else ("item", "received")
        wanted = [places["bob", "a", part] for part in parts]

        async def look():
            async with core.storage.snapshot() as rows:
                return [(at[0], await rows.object(*at)) for at in wanted]

        async def put_back():
            async def work(scope):
                for user, row in kept:
                    await scope.tx.put_objects(user, [row])

            await core.commit.submit(work)

        kept = core.commit.run_sync(look())
        assert store.shares.get("bob", share).text() == VALUES["a"]
        store.shares.revoke("alice", share)
        core.commit.run_sync(put_back())
        with pytest.raises(IntegrityError):
            store.shares.get("bob", share)
