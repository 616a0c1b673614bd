"""Sharing between users: who reads, until when, by whose keys, and what the logs tell."""

import pytest

from adyton import Caller
from adyton.errors import IntegrityError, InvalidInput, LegalHold, LimitExceeded, SecretNotFound
from sharing.helpers import VALUE, away, later, read, refused, share, soon, tidy


def test_a_secret_as_it_evolves(store):
    found = share(store)
    assert read(store, found) == VALUE
    store.set_secret("alice", "db/password", "three")
    with store.shares.get("bob", found) as secret:
        assert (secret.text(), secret.version, secret.owner) == ("three", 3, "alice")
        assert secret.name == "db/password"
    store.rollback_secret("alice", "db/password", 1)
    assert read(store, found) == "one"


def test_one_version(store):
    found = share(store, version=1)
    assert read(store, found) == "one"
    store.set_secret("alice", "db/password", "three")
    assert read(store, found) == "one"
    store.delete_secret("alice", "db/password", versions=[1])
    refused(store, found)
    store.undelete_secret("alice", "db/password", versions=[1])
    assert read(store, found) == "one"
    store.destroy_secret("alice", "db/password", versions=[1])
    refused(store, found)


def test_a_folder_and_what_comes_into_it(store):
    found = share(store, "db/")
    assert store.shares.names("bob", found) == ["db/password", "db/user"]
    assert read(store, found, "db/user") == "admin"
    refused(store, found, "other")
    store.set_secrets("alice", {"db/new": "new", "dbx": "not in it"})
    assert read(store, found, "db/new") == "new"
    refused(store, found, "dbx")
    store.destroy_secret("alice", "db/user")
    assert store.shares.names("bob", found) == ["db/new", "db/password"]
    with pytest.raises(InvalidInput):
        store.shares.get("bob", found)


def test_another_secret_of_the_name_is_not_what_was_shared(store):
    """Where a secret was destroyed with its name, or a version's number given to another value."""
    single, version = share(store), share(store, version=1)
    folder = share(store, "db/")
    store.destroy_secret("alice", "db/password")
    assert [info.id for info in store.shares.received("bob")] == [folder]
    store.set_secret("alice", "db/password", "another")
    refused(store, single)
    refused(store, version)
    assert read(store, folder, "db/password") == "another"
    version, single = share(store, version=1), share(store)
    document = b'{"db": {"password": "imported"}}'
    store.import_secrets("alice", document, format="json", on_conflict="replace", flatten=True)
    refused(store, version)
    assert read(store, single) == "imported"


def test_what_retention_erases_is_shared_no_more(store):
    found, folder = share(store), share(store, "db/")
    store.lifecycle.set_retention("alice", 86_400)
    store.delete_secret("alice", "db/password", versions=[1, 2])
    assert len(store.shares.received("bob")) == 2
    later(store, 2 * 86_400)
    store.lifecycle.run_due()
    assert [info.id for info in store.shares.received("bob")] == [folder]
    store.set_secret("alice", "db/password", "another")
    refused(store, found)


def test_a_legal_hold_covers_what_a_receiver_would_delete(store):
    found = share(store, "db/", write=True, delete=True)
    store.holds.add("alice", "a dispute", where="db/")
    with pytest.raises(LegalHold):
        store.shares.delete("bob", found, "db/password")
    assert store.shares.set("bob", found, "x", "db/password") == 3
    assert read(store, found, "db/password") == "x"


def test_only_what_was_accepted_is_read(store):
    made = store.shares.create("alice", "bob", "db/password")
    refused(store, made.id)
    with pytest.raises(SecretNotFound):
        store.shares.names("bob", made.id)
    assert [info.answer for info in store.shares.received("bob")] == ["offered"]
    store.shares.accept("bob", made.id)
    assert read(store, made.id) == VALUE
    assert [info.answer for info in store.shares.given("alice")] == ["accepted"]
    store.shares.refuse("bob", made.id)
    refused(store, made.id)
    assert [info.answer for info in store.shares.given("alice")] == ["refused"]
    assert store.shares.received("bob") == []
    with pytest.raises(SecretNotFound):
        store.shares.accept("bob", made.id)


def test_only_its_receiver_reads_it(store):
    """A stranger, the owner, and whoever the receiver would hand it to."""
    found = share(store)
    told = {refused(store, found, user=user) for user in ("carol", "alice", "nobody")}
    told.add(refused(store, "x" * 24))
    assert len(told) == 1
    with pytest.raises(SecretNotFound):
        store.shares.create("bob", "carol", "db/password")
    bound = store.acting_as(Caller("bob", user="bob"))
    assert read(bound, found) == VALUE
    for attempt in (
        lambda: bound.shares.given("alice"),
        lambda: bound.shares.revoke("alice", found),
        lambda: bound.shares.create("alice", "bob", "other"),
        lambda: bound.get_secret("alice", "db/password"),
    ):
        with pytest.raises(SecretNotFound):
            attempt()


def test_revoking_ends_it_at_once(store):
    found = share(store)
    other = share(store, receiver="carol")
    assert store.shares.revoke("alice", found) == 0
    refused(store, found)
    assert store.shares.given("alice")[0].receiver == "carol"
    assert store.shares.received("bob") == []
    store.set_secret("alice", "db/password", "three")
    assert read(store, other, user="carol") == "three"
    with pytest.raises(SecretNotFound):
        store.shares.revoke("alice", found)


def test_revoking_with_rotation_gives_others_the_new_keys(store):
    found, other = share(store), share(store, "db/", receiver="carol")
    assert store.shares.revoke("alice", found, rotate=True) == 2
    assert read(store, other, "db/password", user="carol") == VALUE
    assert store.get_secret("alice", "db/password").text() == VALUE
    assert store.get_secret("alice", "db/password", version=1).text() == "one"


def test_expiry(store):
    found = share(store, expires_at=soon(60))
    assert read(store, found) == VALUE
    later(store, 61)
    refused(store, found)
    with pytest.raises(InvalidInput):
        store.shares.create("alice", "bob", "other", expires_at=soon(-5))


def test_what_is_over_is_removed_on_both_sides(store):
    over, kept = share(store, expires_at=soon(60)), share(store, "db/", expires_at=soon(600))
    assert tidy(store) == 0
    later(store, 61)
    assert tidy(store) == 1
    assert [info.id for info in store.shares.given("alice")] == [kept]
    assert [info.id for info in store.shares.received("bob")] == [kept]
    refused(store, over)
    assert read(store, kept, "db/user") == "admin"


def test_a_receiver_whose_root_is_away_does_not_hold_up_the_owner(store, monkeypatch):
    found = share(store)
    with away(monkeypatch, store, "bob"):
        store.set_secret("alice", "db/password", "three")
    assert read(store, found) == "three"
    store.set_secret("alice", "db/password", "four")
    assert read(store, found) == "four"


def test_what_the_owner_does_to_the_secret_counts_for_the_share(store):
    found = share(store)
    store.delete_secret("alice", "db/password")
    refused(store, found)
    store.undelete_secret("alice", "db/password")
    assert read(store, found) == VALUE
    store.update_secret_tags("alice", "db/password", add=["prod"])
    assert read(store, found) == VALUE
    store.update_secret_metadata("alice", "db/password", expires_at=soon(60))
    assert read(store, found) == VALUE
    later(store, 61)
    refused(store, found)


@pytest.mark.parametrize("replaced", ["replace", "new-version"])
def test_imports_are_followed(store, replaced):
    found = share(store, "db/")
    document = b'{"db": {"user": "imported", "more": "m"}}'
    store.import_secrets("alice", document, format="json", on_conflict=replaced, flatten=True)
    assert read(store, found, "db/user") == "imported"
    assert read(store, found, "db/more") == "m"


@pytest.mark.parametrize("whose", ["alice", "bob", None])
@pytest.mark.parametrize("deep", [False, True])
def test_keys_of_either_side_change(store, whose, deep):
    found, folder = share(store), share(store, "db/")
    store.keys.rotate(whose)
    assert read(store, found) == VALUE
    store.keys.rewrap(whose, deep=deep)
    assert read(store, found) == VALUE
    assert read(store, folder, "db/user") == "admin"
    assert all(info.current for info in store.keys.list() if info.user in {whose, ""})
    store.keys.rotate(master=True)
    store.set_secret("alice", "db/password", "after")
    assert read(store, found) == "after"


def test_more_items_than_a_batch_are_moved(store, monkeypatch):
    monkeypatch.setattr("adyton.service.keyadmin.BATCH", 3)
    store.set_secrets("alice", {f"many/{number}": str(number) for number in range(10)})
    found = share(store, "many/")
    store.keys.rotate("bob")
    store.keys.rewrap("bob")
    assert [read(store, found, f"many/{number}") for number in range(10)] == list("0123456789")


def test_a_read_opens_no_key_of_the_owner(place):
    with place.open() as store:
        store.set_secret("alice", "a", VALUE)
        found = share(store, "a")
    # Whatever the owner's keys have become, the receiver's alone open it.
    place.sql("UPDATE user_keys SET wrapped = zeroblob(61) WHERE user IN"
              " (SELECT user FROM secrets)")  # fmt: skip
    with place.open() as store:
        with pytest.raises(IntegrityError):
            store.get_secret("alice", "a")
        assert read(store, found) == VALUE


def test_purging_the_owner_leaves_nothing(store):
    found = share(store)
    store.purge_user("alice")
    refused(store, found)
    assert store.shares.received("bob") == []
    store.set_secret("alice", "db/password", "another alice")
    refused(store, found)


def test_purging_the_receiver_leaves_nothing(store):
    found = share(store)
    store.purge_user("bob")
    assert store.shares.given("alice") == []
    store.set_secret("bob", "x", "another bob")
    refused(store, found)
    store.set_secret("alice", "db/password", "still writable")


def test_both_sides_have_records(store):
    found = share(store)
    store.set_secret("alice", "db/password", "three")
    assert read(store, found) == "three"
    store.shares.revoke("alice", found)
    told = {}
    for user in ("alice", "bob"):
        entries = [
            entry
            for entry in store.get_audit_log(user, limit=50)
            if entry.action.startswith("share.")
        ]
        assert all(entry.user == user for entry in entries)
        told[user] = [entry.action for entry in entries][::-1]
    assert told["alice"] == ["share.create", "share.accept", "share.read", "share.revoke"]
    assert told["bob"] == [
        "share.create", "share.accept", "share.update", "share.read", "share.revoke",
    ]  # fmt: skip
    (entry,) = [e for e in store.get_audit_log("alice") if e.action == "share.read"]
    assert entry.secret_name == "db/password"
    assert "bob" in entry.reason
    refused(store, found)
    failed = [e for e in store.get_audit_log("bob", limit=5) if not e.success]
    assert [(e.action, e.outcome) for e in failed] == [("share.read", "absent")]


def test_bounds(store, monkeypatch):
    for wrong in ("", "a//b", "../x", "/"):
        with pytest.raises(InvalidInput):
            store.shares.create("alice", "bob", wrong)
    with pytest.raises(InvalidInput):
        store.shares.create("alice", "alice", "other")
    with pytest.raises(InvalidInput):
        store.shares.create("alice", "bob", "db/", version=1)
    for absent in ("absent", "absent/"):
        with pytest.raises(SecretNotFound):
            store.shares.create("alice", "bob", absent)
    with pytest.raises(SecretNotFound):
        store.shares.create("alice", "bob", "other", version=7)
    monkeypatch.setattr("adyton.service.sharing.offers.MAX_RECEIVERS", 2)
    share(store, "db/", receiver="bob")
    share(store, "db/user", receiver="carol")
    with pytest.raises(LimitExceeded):
        share(store, "db/user", receiver="dave")
    monkeypatch.setattr("adyton.service.sharing.follow.MAX_ITEMS", 2)
    with pytest.raises(LimitExceeded):
        store.set_secret("alice", "db/third", "x")
    with pytest.raises(SecretNotFound):
        store.get_secret("alice", "db/third")


def test_whether_a_receiver_is_known_is_not_told(store):
    known = store.shares.create("alice", "carol", "other")
    unknown = store.shares.create("alice", "somebody-new", "other")
    assert known._replace(id="", receiver="", created_at=None) == unknown._replace(
        id="", receiver="", created_at=None
    )


def test_the_file_tells_nothing_of_shares(place):
    with place.open() as store:
        store.set_secret("alice", "canary-name", "canary-value")
        found = share(store, "canary-name", receiver="canary-receiver")
    kept = b"".join(file.read_bytes() for file in place.folder.glob("store.db*"))
    for told in (found, "canary-name", "canary-value", "canary-receiver", "alice"):
        assert told.encode() not in kept
