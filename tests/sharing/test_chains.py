"""Chains of shares, from alice over bob and carol to dave: what holds when one goes or is away."""

import pyrage
import pytest

from adyton.errors import (
    AdytonError,
    InvalidInput,
    SecretNotFound,
)
from ownroots import closed, given_away
from ownroots import own as own_root
from sharing.helpers import VALUE, later, read, refused, share, soon, tidy

PEOPLE = ("alice", "bob", "carol", "dave")


def passed(store, found, receiver, *args, user, **more):
    made = store.shares.pass_on(user, found, receiver, *args, **more)
    store.shares.accept(receiver, made.id)
    return made.id


def chain(store, name="db/", **more):
    """The shares of bob, carol and dave, each of which came of the one before."""
    more.setdefault("write", True)
    first = share(store, name, reshare=3, **more)
    second = passed(store, first, "carol", user="bob", reshare=2, **more)
    third = passed(store, second, "dave", user="carol", **more)
    return {"bob": first, "carol": second, "dave": third}


def listed(store, present=PEOPLE):
    """What all lists of all users name."""
    shares = store.shares
    found = set()
    for user in present:
        for look in (shares.given, shares.received, shares.passed):
            found |= {info.id for info in look(user) if info.answer != "refused"}
    return found


def own(store, name="db/password", user="alice"):
    with store.get_secret(user, name) as secret:
        return secret.text()


def shut(store, user, found, name="db/password"):
    """A share by which nothing is done any more, whichever way it is tried."""
    refused(store, found, name, user=user)
    for attempt in (
        lambda: store.shares.set(user, found, "x", name),
        lambda: store.shares.set(user, found, "x", "db/fresh"),
        lambda: store.shares.delete(user, found, name=name),
        lambda: store.shares.pass_on(user, found, "frank"),
        lambda: store.shares.accept(user, found),
        lambda: store.shares.names(user, found),
    ):
        with pytest.raises(SecretNotFound):
            attempt()


# -- purges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", PEOPLE)
def test_a_purge_of_anyone_in_it(store, gone):
    """It ends all below, on all lists; whoever has the id later gets nothing of it."""
    found = chain(store)
    at = PEOPLE.index(gone)
    store.purge_user(gone)
    ended = {user: found[user] for user in PEOPLE[max(at, 1) :]}
    assert listed(store) == set(found.values()) - set(ended.values())
    store.set_secret(gone, "db/password", "another user of the id")
    for user, each in ended.items():
        shut(store, user, each)
    for user in PEOPLE[1:at]:
        assert read(store, found[user], "db/password", user=user) == VALUE
        store.shares.set(user, found[user], VALUE, "db/password")
    store.audit.verify()
    again = chain(store)
    assert read(store, again["dave"], "db/password", user="dave") == own(store)
    store.shares.set("dave", again["dave"], "by dave", "db/password")
    assert own(store) == read(store, again["bob"], "db/password") == "by dave"


def test_a_purge_in_the_middle_while_that_user_s_root_is_away(store):
    """What was passed on can't be looked up then; it is not written to or passed on further."""
    found = chain(store)
    offered = store.shares.pass_on("bob", found["bob"], "eve").id
    given_away(store, "bob")
    store.purge_user("bob")
    for again in (False, True):
        if again:
            store.set_secret("bob", "own", "another bob")
        for user in ("carol", "dave"):
            for attempt in (
                lambda user=user: store.shares.set(user, found[user], "x", "db/password"),
                lambda user=user: store.shares.set(user, found[user], "x", "db/fresh"),
            ):
                with pytest.raises(SecretNotFound):
                    attempt()
        with pytest.raises(SecretNotFound):
            store.shares.pass_on("carol", found["carol"], "frank")
        with pytest.raises(SecretNotFound):
            store.shares.accept("eve", offered)
    assert own(store) == VALUE
    tidy(store)
    for user in ("carol", "dave"):
        shut(store, user, found[user])
    shut(store, "eve", offered)
    assert listed(store, (*PEOPLE, "eve")) == set()
    store.audit.verify()
    again = chain(store)
    assert read(store, again["dave"], "db/password", user="dave") == VALUE


def test_a_purge_in_the_middle_while_the_owner_and_the_next_are_away(store):
    """Nobody is there to be told; both find out when they are back."""
    found = chain(store)
    given_away(store)
    given_away(store, "carol")
    store.purge_user("bob")
    store.user_roots.give("carol", own_root())
    with closed():
        store.shares.set("carol", found["carol"], "x", "db/password")
    store.user_roots.give("alice", own_root())
    for user in ("carol", "dave"):
        shut(store, user, found[user])
    assert listed(store) <= {found["dave"]}
    tidy(store)
    assert listed(store) == set()
    store.audit.verify()


# -- the middle's own root away -------------------------------------------------------------------


def test_the_middle_is_away(store):
    """What is below goes on without the middle's keys, and ends without them."""
    found = chain(store)
    given_away(store, "bob")
    for user in ("carol", "dave"):
        assert read(store, found[user], "db/password", user=user) == VALUE
    store.set_secret("alice", "db/password", "by alice")
    assert read(store, found["dave"], "db/password", user="dave") == "by alice"
    store.shares.set("carol", found["carol"], "by carol", "db/password")
    store.shares.set("dave", found["dave"], "new", "db/new")
    assert own(store) == "by carol"
    for attempt in (
        lambda: store.shares.get("bob", found["bob"], "db/password"),
        lambda: store.shares.set("bob", found["bob"], "x", "db/password"),
        lambda: store.shares.revoke("bob", found["carol"]),
    ):
        with closed():
            attempt()
    assert store.shares.revoke("alice", found["bob"], rotate=True) >= 3
    for user in ("carol", "dave"):
        shut(store, user, found[user])
    assert listed(store, ("alice", "carol", "dave")) == {found["bob"]}  # until bob's can be erased
    store.user_roots.give("bob", own_root())
    shut(store, "bob", found["bob"])
    store.set_secret("alice", "db/password", "later")
    shut(store, "bob", found["bob"])
    tidy(store)
    assert listed(store) == set()
    store.audit.verify()


def test_a_share_ends_by_time_while_its_receiver_is_away(store):
    found = chain(store, expires_at=soon(60))
    given_away(store, "bob")
    later(store, 61)
    for user in ("carol", "dave"):
        shut(store, user, found[user])
    tidy(store)
    assert listed(store, ("carol", "dave")) == set()
    store.user_roots.give("bob", own_root())
    shut(store, "bob", found["bob"])
    tidy(store)
    assert listed(store) == set()


def test_what_was_answered_while_the_middle_was_away_is_shown_later(store):
    first = share(store, reshare=1)
    taken, declined = (store.shares.pass_on("bob", first, who).id for who in ("carol", "dave"))
    given_away(store, "bob")
    store.shares.accept("carol", taken)
    store.shares.refuse("dave", declined)
    store.user_roots.give("bob", own_root())
    assert {info.id: info.answer for info in store.shares.passed("bob")} == {taken: "accepted"}
    store.audit.verify()


# -- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", PEOPLE)
def test_keys_change_under_it(store, whose):
    """Then it is read, written to, followed and ended as before."""
    found = chain(store)
    kept = share(store, "db/", receiver="eve")
    store.keys.rotate(whose)
    store.shares.set("dave", found["dave"], "between", "db/password")
    store.keys.rewrap(whose, deep=True)
    for user, each in found.items():
        assert {read(store, found[who], "db/password", user=who) for who in found} == {own(store)}
        store.shares.set(user, each, f"by {user}", "db/password")
        assert {read(store, found[who], "db/password", user=who) for who in found} == {f"by {user}"}
        assert own(store) == f"by {user}"
    store.keys.rotate(whose)
    store.shares.revoke("alice", found["carol"], rotate=True)
    shut(store, "carol", found["carol"])
    shut(store, "dave", found["dave"])
    assert read(store, found["bob"], "db/password") == "by dave"
    assert read(store, kept, "db/password", user="eve") == "by dave"


def test_the_middle_is_exported_and_imported(store):
    """Nothing of a share goes along, and none comes back by it."""
    store.set_secret("bob", "db/password", "bob's own")
    found = chain(store)
    holder = pyrage.x25519.Identity.generate()
    bundle = store.export_secrets("bob", recipients=[str(holder.to_public())], all_versions=True)
    store.import_secrets("bob", bundle, identities=[str(holder)], on_conflict="replace")
    assert own(store, user="bob") == "bob's own"
    for user, each in found.items():
        assert read(store, each, "db/password", user=user) == VALUE
    store.purge_user("bob")
    store.import_secrets("bob", bundle, identities=[str(holder)])
    assert own(store, user="bob") == "bob's own"
    for user, each in found.items():
        shut(store, user, each)
    assert listed(store) == set()


# -- names ----------------------------------------------------------------------------------------

ODD = ["db/bc/x", "db/b", "db/B/x", "db/b%2Fx", "db/b/x ", "db/caf\u00e9/x", "db/cafe\u0301/x",
       "db/b\uff0fx", "db/b/%78"]  # fmt: skip


def test_a_part_of_a_folder_is_what_its_name_says_to_the_letter(store):
    """No other spelling of it is in it."""
    names = [name for name in ODD if _allowed(store, name)]
    assert {"db/bc/x", "db/b", "db/B/x", "db/b%2Fx", "db/b\uff0fx", "db/b/%78"} <= set(names)
    store.set_secret("alice", "db/b/x", "in it")
    whole = share(store, "db/", reshare=2, write=True)
    part = passed(store, whole, "carol", "db/b/", user="bob", write=True, reshare=1)
    inside = [name for name in [*names, "db/b/x"] if name.startswith("db/b/")]
    assert sorted(store.shares.names("carol", part)) == sorted(inside)
    for name in names:
        if name in inside:
            continue
        refused(store, part, name, user="carol")
        with pytest.raises(InvalidInput):
            store.shares.set("carol", part, "x", name)
        with pytest.raises(SecretNotFound):
            store.shares.pass_on("carol", part, "dave", name)
        assert own(store, name) == name
    for wrong in ("db/b/../user", "db/b//x", "db/b/./x", "/db/b/x", "db/b/x/", "db/b/x\0"):
        with pytest.raises(AdytonError):
            store.shares.get("carol", part, wrong)
        with pytest.raises(InvalidInput):
            store.shares.set("carol", part, "x", wrong)
    for wrong in ("db/", "db", "db/b", "db/B/", "DB/b/", "db/bc/", "db/b%2F", "db/b\uff0f", "d"):
        with pytest.raises(SecretNotFound):
            store.shares.pass_on("carol", part, "dave", wrong)
    for wrong in ("db/b//", "/", "//", "db/b/../", "db/b/../user", "/db/b/"):
        with pytest.raises(InvalidInput):
            store.shares.pass_on("carol", part, "dave", wrong)
    assert store.shares.received("dave") == []
    one = passed(store, part, "dave", "db/b/x", user="carol")
    assert read(store, one, user="dave") == read(store, one, "db/b/x", user="dave") == "in it"
    refused(store, one, "db/b/%78", user="dave")


def _allowed(store, name):
    try:
        store.set_secret("alice", name, name)
    except InvalidInput:
        return False
    return True


@pytest.mark.parametrize("spelt", [["caf\u00e9/", "cafe\u0301/"], ["cafe\u0301/", "caf\u00e9/"]])
def test_composed_and_decomposed_are_two_folders_or_one_is_no_name(store, spelt):
    mine, other = spelt
    names = [name for name in spelt if _allowed(store, f"db/{name}x")]
    assert names
    if mine not in names:
        return
    whole = share(store, "db/", reshare=1, write=True)
    part = passed(store, whole, "carol", f"db/{mine}", user="bob", write=True)
    assert store.shares.names("carol", part) == [f"db/{mine}x"]
    refused(store, part, f"db/{other}x", user="carol")
    with pytest.raises(InvalidInput):
        store.shares.set("carol", part, "x", f"db/{other}x")


def test_receivers_are_told_apart_to_the_letter(store):
    """Passing on to another spelling of a user is passing on to another user."""
    found = share(store, reshare=1)
    made = store.shares.pass_on("bob", found, "Carol").id
    with pytest.raises(SecretNotFound):
        store.shares.accept("carol", made)
    store.shares.accept("Carol", made)
    refused(store, made, user="carol")
    assert store.shares.received("carol") == []
    for wrong in ("alice", "bob"):
        with pytest.raises(InvalidInput):
            store.shares.pass_on("bob", found, wrong)
