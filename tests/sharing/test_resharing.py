"""Passing shares on: only where the owner allows it, never more, and not for longer."""

import pytest

from adyton import Caller
from adyton.errors import (
    AccessDenied,
    InvalidInput,
    LimitExceeded,
    RootUnavailable,
    SecretNotFound,
)
from sharing.helpers import VALUE, away, later, read, refused, share, soon, tidy


def passed(store, found, receiver, *args, user="bob", **more):
    made = store.shares.pass_on(user, found, receiver, *args, **more)
    store.shares.accept(receiver, made.id)
    return made.id


def ids(infos):
    return {info.id for info in infos}


def test_a_share_is_not_passed_on_unless_its_owner_allows_it(store):
    found = share(store, write=True)
    with pytest.raises(AccessDenied):
        store.shares.pass_on("bob", found, "carol")
    assert ids(store.shares.given("alice")) == {found}
    assert store.shares.received("carol") == store.shares.passed("bob") == []


def test_what_is_passed_on_is_read_by_its_receiver_s_keys(store):
    found = share(store, reshare=1)
    other = passed(store, found, "carol")
    assert read(store, other, user="carol") == VALUE
    store.set_secret("alice", "db/password", "three")
    assert read(store, other, user="carol") == read(store, found) == "three"
    refused(store, other)
    with pytest.raises(AccessDenied):
        store.shares.pass_on("carol", other, "dave")


def test_the_owner_sees_the_whole_tree(store):
    found = share(store, "db/", reshare=3, write=True)
    second = passed(store, found, "carol", "db/user", reshare=2)
    third = passed(store, second, "dave", user="carol", reshare=1)
    fourth = passed(store, third, "eve", user="dave")
    tree = {info.id: (info.parent, info.by, info.receiver) for info in store.shares.given("alice")}
    assert tree == {
        found: ("", "", "bob"),
        second: (found, "bob", "carol"),
        third: (second, "carol", "dave"),
        fourth: (third, "dave", "eve"),
    }
    assert ids(store.shares.passed("bob")) == {second}
    assert ids(store.shares.passed("dave")) == {fourth}
    assert [info.answer for info in store.shares.passed("bob")] == ["accepted"]
    (info,) = store.shares.received("eve")
    assert (info.owner, info.by, info.parent, info.name) == ("alice", "dave", "", "db/user")
    assert read(store, fourth, user="eve") == "admin"
    told = [e for e in store.get_audit_log("alice", limit=50) if e.action == "share.create"]
    assert f"share {fourth} with eve by dave, of {third}" in {entry.reason for entry in told}


@pytest.mark.parametrize(
    ("allowed", "asked"),
    [
        ({}, {"write": True}),
        ({"write": True}, {"write": True, "delete": True}),
        ({}, {"reshare": 2}),
        ({"reshares": 3}, {"reshare": 1, "reshares": 4}),
    ],
)
def test_no_more_is_allowed_than_was_given(store, allowed, asked):
    found = share(store, "db/", reshare=2, **allowed)
    with pytest.raises(AccessDenied):
        store.shares.pass_on("bob", found, "carol", **asked)
    assert store.shares.received("carol") == []


def test_no_later_end(store):
    found = share(store, reshare=1, expires_at=soon(60))
    with pytest.raises(InvalidInput):
        store.shares.pass_on("bob", found, "carol", expires_at=soon(120))
    other = passed(store, found, "carol")
    earlier = passed(store, found, "dave", expires_at=soon(30))
    (info,) = store.shares.received("carol")
    assert info.expires_at == store.shares.received("bob")[0].expires_at
    later(store, 31)
    refused(store, earlier, user="dave")
    assert read(store, other, user="carol") == VALUE
    later(store, 31)
    refused(store, other, user="carol")
    assert tidy(store) == 3
    assert store.shares.passed("bob") == store.shares.given("alice") == []


def test_no_more_than_was_shared(store):
    folder = share(store, "db/", reshare=1)
    version = share(store, "db/password", version=1, reshare=1)
    single = share(store, "db/password", reshare=1)
    for found, name, number in (
        (folder, "other", None), (folder, "d", None), (folder, "db/password", 1),
        (folder, "db/absent", None), (folder, "db/absent/", None),
        (version, "db/user", None), (version, "db/password", 2), (version, "db/", None),
        (single, "db/user", None), (single, "db/", None), (single, None, 1),
    ):  # fmt: skip
        with pytest.raises(SecretNotFound):
            store.shares.pass_on("bob", found, "carol", name, version=number)
    assert read(store, passed(store, version, "carol"), user="carol") == "one"
    assert read(store, passed(store, single, "carol", version=2), user="carol") == VALUE
    part = passed(store, folder, "carol", "db/user")
    store.set_secret("alice", "db/new", "n")
    refused(store, part, "db/new", user="carol")


def test_depth_and_number_have_their_bounds(store):
    for wrong in ({"reshare": 6}, {"reshare": -1}, {"reshare": 1, "reshares": 0},
                  {"reshare": 1, "reshares": 51}):  # fmt: skip
        with pytest.raises(InvalidInput):
            store.shares.create("alice", "bob", "other", **wrong)
    found = share(store, reshare=2, reshares=3)
    second = passed(store, found, "carol", reshare=1, reshares=1)
    passed(store, second, "dave", user="carol")
    with pytest.raises(LimitExceeded):
        passed(store, second, "eve", user="carol")
    passed(store, found, "eve")
    with pytest.raises(LimitExceeded):
        passed(store, found, "frank")
    store.shares.revoke("bob", second)
    passed(store, found, "frank")
    for nobody in ("bob", "alice"):
        with pytest.raises(InvalidInput):
            store.shares.pass_on("bob", found, nobody)


def tree_of(store, **more):
    """bob, carol by bob, dave by carol, eve by bob; what each has."""
    found = share(store, "db/", reshare=3, **more)
    second = passed(store, found, "carol", reshare=1, **more)
    third = passed(store, second, "dave", user="carol", **more)
    fourth = passed(store, found, "eve", **more)
    return {"bob": found, "carol": second, "dave": third, "eve": fourth}


def readers(store, tree):
    found = set()
    for user, each in tree.items():
        try:
            assert read(store, each, "db/user", user=user) == "admin"
            found.add(user)
        except SecretNotFound:
            assert store.shares.received(user) == []
            with pytest.raises(SecretNotFound):
                store.shares.set(user, each, "x", "db/user")
    return found


def test_ending_a_share_ends_what_came_of_it(store):
    tree = tree_of(store, write=True)
    assert readers(store, tree) == {"bob", "carol", "dave", "eve"}
    store.shares.revoke("alice", tree["carol"])
    assert readers(store, tree) == {"bob", "eve"}
    assert ids(store.shares.passed("bob")) == {tree["eve"]}
    assert store.shares.passed("carol") == []
    store.shares.revoke("alice", tree["bob"], rotate=True)
    assert readers(store, tree) == set()
    assert store.shares.given("alice") == store.shares.passed("bob") == []


def test_whoever_passed_it_on_ends_it_too_and_nobody_else(store):
    tree = tree_of(store)
    for user in ("carol", "dave", "eve", "frank"):
        with pytest.raises(SecretNotFound):
            store.shares.revoke(user, tree["carol"])
    with pytest.raises(SecretNotFound):
        store.shares.revoke("bob", tree["dave"])
    with pytest.raises(AccessDenied):
        store.shares.revoke("bob", tree["carol"], rotate=True)
    store.shares.revoke("bob", tree["carol"])
    assert readers(store, tree) == {"bob", "eve"}


def test_giving_back_ends_what_was_passed_on(store):
    tree = tree_of(store)
    store.shares.refuse("carol", tree["carol"])
    assert readers(store, tree) == {"bob", "eve"}
    store.shares.refuse("bob", tree["bob"])
    assert readers(store, tree) == set()
    assert [info.answer for info in store.shares.given("alice")] == ["refused"]


def test_refusing_one_that_was_passed_on_is_told(store):
    found = share(store, reshare=1)
    made = store.shares.pass_on("bob", found, "carol")
    store.shares.refuse("carol", made.id)
    assert store.shares.passed("bob") == []
    assert {info.id: info.answer for info in store.shares.given("alice")} == {
        found: "accepted", made.id: "refused",
    }  # fmt: skip


@pytest.mark.parametrize("gone", ["alice", "bob", "carol"])
def test_purging_anyone_ends_what_hung_on_them(store, gone):
    tree = tree_of(store)
    store.purge_user(gone)
    left = {"alice": set(), "bob": set(), "carol": {"bob", "eve"}}[gone]
    assert readers(store, tree) == left
    if gone != "alice":
        assert ids(store.shares.given("alice")) == {tree[user] for user in left}


def test_purging_one_in_the_middle_while_the_owner_s_keys_are_away(store, monkeypatch):
    tree = tree_of(store)
    with away(monkeypatch, store, "alice"):
        store.purge_user("bob")
        for user in ("carol", "dave", "eve"):
            refused(store, tree[user], "db/user", user=user)
    tidy(store)
    assert {info.answer for info in store.shares.given("alice")} <= {"refused"}


def test_ending_it_while_one_in_the_middle_is_away(store, monkeypatch):
    tree = tree_of(store)
    with away(monkeypatch, store, "carol"):
        store.shares.revoke("alice", tree["bob"])
        for user in ("bob", "dave", "eve"):
            refused(store, tree[user], "db/user", user=user)
    refused(store, tree["carol"], "db/user", user="carol")
    with pytest.raises(SecretNotFound):
        store.shares.pass_on("carol", tree["carol"], "frank")
    tidy(store)
    assert store.shares.given("alice") == store.shares.passed("carol") == []


def test_the_owner_s_keys_are_needed_to_pass_on(store, monkeypatch):
    found = share(store, reshare=1)
    with away(monkeypatch, store, "alice"), pytest.raises(RootUnavailable):
        store.shares.pass_on("bob", found, "carol")
    assert store.shares.received("carol") == []


def test_writes_through_what_was_passed_on(store):
    tree = tree_of(store, write=True)
    assert store.shares.set("dave", tree["dave"], "by dave", "db/password") == 3
    for user in ("bob", "carol", "eve"):
        assert read(store, tree[user], "db/password", user=user) == "by dave"
    with store.get_secret("alice", "db/password") as secret:
        assert secret.text() == "by dave"


@pytest.mark.parametrize("whose", ["alice", "bob", "carol", None])
@pytest.mark.parametrize("deep", [False, True])
def test_keys_of_anyone_change(store, whose, deep):
    tree = tree_of(store)
    store.keys.rotate(whose)
    assert readers(store, tree) == set(tree)
    store.keys.rewrap(whose, deep=deep)
    assert readers(store, tree) == set(tree)


def test_an_offer_that_was_not_accepted_is_not_passed_on(store):
    made = store.shares.create("alice", "bob", "other", reshare=1)
    with pytest.raises(SecretNotFound):
        store.shares.pass_on("bob", made.id, "carol")
    bound = store.acting_as(Caller("carol", user="carol"))
    store.shares.accept("bob", made.id)
    for attempt in (
        lambda: bound.shares.pass_on("bob", made.id, "carol"),
        lambda: bound.shares.pass_on("carol", made.id, "dave"),
        lambda: bound.shares.passed("bob"),
    ):
        with pytest.raises(SecretNotFound):
            attempt()
