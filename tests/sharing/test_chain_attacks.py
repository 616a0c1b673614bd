"""Chains of shares against a storage thief who can write, and against everybody at once."""

import itertools
import random
import threading
import time
from contextlib import suppress

import pytest

from adyton import SecretStore
from adyton.errors import AdytonError, AuditError, IntegrityError, SecretNotFound
from adyton.service.sharing.records import ENDED, GIVEN, ITEMS, PASSED, RECEIVED
from adyton.service.ticket import run_now
from ownroots import given_away
from ownroots import own as own_root
from sharing.helpers import VALUE, later, read, share, soon, tidy

NAME = "db/password"


def passed(store, found, receiver, *args, user="bob", **more):
    made = store.shares.pass_on(user, found, receiver, *args, **more)
    store.shares.accept(receiver, made.id)
    return made.id


@pytest.fixture
def thief():
    """A store that may be found out as changed in the end."""
    with SecretStore.open("memory:", root="dev:", create=True, upkeep=False) as opened:
        opened.set_secret("alice", NAME, "one")
        opened.set_secret("alice", NAME, VALUE)
        opened.set_secret("alice", "db/user", "admin")
        yield opened


def places(store, found):
    """Where the objects of shares are, by receiver and kind; receivers who have passed on too."""
    ring = store._opened.core.ring
    owner = ring.cached("alice")
    at = {}
    for (receiver, by), each in found.items():
        keys = ring.cached(receiver)
        at[receiver, "given"] = (owner.user, *GIVEN.place(owner, each))
        at[receiver, "received"] = (keys.user, *RECEIVED.place(keys, each))
        at[receiver, "item"] = (keys.user, *ITEMS.place(keys, NAME, each))
        if by:
            holder = ring.cached(by)
            at[receiver, "passed"] = (holder.user, *PASSED.place(holder, each))
    return at


def taken(store, at):
    """The rows at some places, as they are now."""
    storage = store._opened.core.storage
    return {what: run_now(storage.object(*where)) for what, where in at.items()}


def put(store, where, row):
    """A row in a place, whatever place it was of."""
    user, bucket, ident = where

    async def work():
        tx = await store._opened.core.storage.begin()
        if row is None:
            await tx.delete_objects(user, [(bucket, ident)])
        else:
            await tx.put_objects(user, [row._replace(bucket=bucket, ident=ident)])
        await tx.commit()

    run_now(work())


def noticed(store):
    with pytest.raises(AuditError):
        store.audit.verify()


def nothing_more(store, found, *, rights):
    """Each reads by what is theirs at most, and does no more by it than they may; what is read."""
    values = set()
    for user in ("bob", "carol", "dave"):
        for (receiver, _), each in found.items():
            for name in (NAME, "db/user"):
                with suppress(AdytonError), store.shares.get(user, each, name) as secret:
                    assert (receiver, name) in {(user, NAME), ("bob", "db/user")}
                    values.add((user, secret.text()))
            if receiver == user and "write" in rights.get(user, ()):
                continue
            for name in (NAME, "db/user", "db/new"):
                with pytest.raises(AdytonError):
                    store.shares.set(user, each, "x", name)
            if receiver != user or "reshare" not in rights.get(user, ()):
                with pytest.raises(AdytonError):
                    store.shares.pass_on(user, each, "frank")
    return values


def test_every_row_of_a_chain_in_the_place_of_every_other(thief):
    """Between its two shares, and to dave who has a share of his own."""
    first = share(thief, "db/", reshare=2, write=True)
    found = {
        ("bob", ""): first,
        ("carol", "bob"): passed(thief, first, "carol", NAME, reshare=1, write=True),
        ("dave", "bob"): passed(thief, first, "dave", NAME),
    }
    rights = {"bob": ("write", "reshare"), "carol": ("write", "reshare")}
    at = places(thief, found)
    rows = taken(thief, at)
    assert len(at) == 11
    assert None not in rows.values()
    for source, target in itertools.permutations(at, 2):
        put(thief, at[target], rows[source])
        nothing_more(thief, found, rights=rights)
        noticed(thief)
        put(thief, at[target], rows[target])
    everybody = {("bob", VALUE), ("bob", "admin"), ("carol", VALUE), ("dave", VALUE)}
    assert nothing_more(thief, found, rights=rights) == everybody
    thief.audit.verify()


ENDS = {
    "parent revoked": lambda store, first, _: store.shares.revoke("alice", first),
    "rotated": lambda store, first, _: store.shares.revoke("alice", first, rotate=True),
    "revoked by bob": lambda store, _, second: store.shares.revoke("bob", second),
    "given back": lambda store, first, _: store.shares.refuse("bob", first),
    "bob purged": lambda store, *_: store.purge_user("bob"),
}
KINDS = ("given", "received", "item", "passed")
SUBSETS = [part for size in (1, 2, 3, 4) for part in itertools.combinations(KINDS, size)]


@pytest.mark.parametrize("how", ENDS)
def test_a_passed_share_that_is_put_back_after_its_end(thief, how):
    """Each subset of its rows: nothing is read, written or passed on by it, and it is noticed."""
    first = share(thief, "db/", reshare=2, write=True)
    second = passed(thief, first, "carol", NAME, reshare=1, write=True)
    found = {("carol", "bob"): second}
    at = places(thief, found)
    old = taken(thief, at)
    ENDS[how](thief, first, second)
    now = taken(thief, at)
    whole = {NAME: thief.get_secret("alice", NAME).text()}
    for subset in SUBSETS:
        for kind in subset:
            put(thief, at["carol", kind], old["carol", kind])
        with pytest.raises((IntegrityError, SecretNotFound)):
            read(thief, second, user="carol")
        for attempt in (
            lambda: thief.shares.set("carol", second, "x"),
            lambda: thief.shares.pass_on("carol", second, "dave"),
        ):
            with pytest.raises((IntegrityError, SecretNotFound)):
                attempt()
        if (how, subset) != ("bob purged", ("passed",)):  # a row of nobody's: no key opens it
            noticed(thief)
        for kind in subset:
            put(thief, at["carol", kind], now["carol", kind])
    assert thief.get_secret("alice", NAME).text() == whole[NAME] == VALUE
    assert thief.shares.received("dave") == []


def test_an_earlier_share_of_more_rights_and_a_later_end_in_the_place_of_one_passed_on(thief):
    """Of the same secret, the same hands and the same chain."""
    first = share(thief, "db/", reshare=2, write=True, expires_at=soon(1_000))
    more = passed(thief, first, "carol", NAME, reshare=1, write=True, expires_at=soon(500))
    old = taken(thief, places(thief, {("carol", "bob"): more}))
    own = places(thief, {("carol", "bob"): more})
    thief.shares.revoke("bob", more)
    less = passed(thief, first, "carol", NAME, expires_at=soon(60))
    at = places(thief, {("carol", "bob"): less})
    now = taken(thief, at)
    for targets, subset in itertools.product((own, at), SUBSETS):
        before = taken(thief, targets)
        for kind in subset:
            put(thief, targets["carol", kind], old["carol", kind])
        for each in (more, less):
            with pytest.raises(AdytonError):
                thief.shares.set("carol", each, "x")
            with pytest.raises(AdytonError):
                thief.shares.pass_on("carol", each, "dave")
        noticed(thief)
        for what, row in before.items():
            put(thief, targets[what], row)
    assert taken(thief, at) == now
    assert read(thief, less, user="carol") == VALUE
    later(thief, 61)
    for kind in KINDS:
        put(thief, at["carol", kind], old["carol", kind])
    with pytest.raises((IntegrityError, SecretNotFound)):
        read(thief, less, user="carol")
    with pytest.raises((IntegrityError, SecretNotFound)):
        read(thief, more, user="carol")


@pytest.mark.parametrize("by", ["read", "write", "owner", "tidy"])
@pytest.mark.parametrize("erased", [False, True])
@pytest.mark.parametrize("behind", [False, True])
def test_an_earlier_row_of_one_that_was_revoked_while_its_receiver_was_away(
    thief, by, erased, behind
):
    """It is not brought up to date; where all traces of the end are gone, that is noticed."""
    first = share(thief, "db/", write=True, reshare=1)
    at = places(thief, {("bob", ""): first})
    given_away(thief, "bob")
    if behind:
        thief.set_secret("alice", NAME, "while bob was away")
    old = taken(thief, at)
    owner = thief._opened.core.ring.cached("alice")
    end = (owner.user, *ENDED.place(owner, first))
    thief.shares.revoke("alice", first)
    put(thief, at["bob", "given"], old["bob", "given"])
    if erased:
        put(thief, end, None)
    thief.set_secret("alice", "other", "x")
    thief.user_roots.give("bob", own_root())
    attempts = {
        "read": lambda: read(thief, first, NAME),
        "write": lambda: thief.shares.set("bob", first, "x", NAME),
        "owner": lambda: thief.set_secret("alice", NAME, "later"),
        "tidy": lambda: tidy(thief),
    }
    with suppress(IntegrityError, SecretNotFound):
        attempts[by]()
    if not erased:
        with pytest.raises((IntegrityError, SecretNotFound)):
            read(thief, first, NAME)
        with pytest.raises((IntegrityError, SecretNotFound)):
            thief.shares.pass_on("bob", first, "carol")
        assert thief.get_secret("alice", NAME).text() != "x"
    noticed(thief)


# -- everybody at once ----------------------------------------------------------------------------


class Round:
    """One chain at work, and an end to it."""

    def __init__(self, store, number):
        self.store, self.random = store, random.Random(number)
        self.ended = threading.Event()
        self.wrong, self.made = [], []
        self.first = share(store, "db/", reshare=2, reshares=50, write=True)

    def run(self):
        work = [self.pass_on, self.pass_on, self.write, self.end]
        threads = [threading.Thread(target=self.guarded, args=(one,)) for one in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert not self.wrong, self.wrong

    def guarded(self, work):
        try:
            work()
        except SecretNotFound:  # it has ended meanwhile
            pass
        except BaseException as error:
            self.wrong.append(repr(error))

    def pass_on(self):
        shares = self.store.shares
        for _ in range(3):
            made = shares.pass_on("bob", self.first, "carol", NAME, write=True, reshare=1).id
            self.made.append(("carol", made))
            shares.accept("carol", made)
            self.reads("carol", made)
            below = shares.pass_on("carol", made, "dave").id
            self.made.append(("dave", below))
            shares.accept("dave", below)
            self.reads("dave", below)

    def reads(self, user, found):
        over = self.ended.is_set()
        try:
            read(self.store, found, user=user)
        except IntegrityError as error:
            self.wrong.append(repr(error))
        except SecretNotFound:
            return
        if over:
            self.wrong.append("read after the revocation was acknowledged")

    def write(self):
        while not self.ended.is_set():
            for user, found in self.made[-2:]:
                if user == "carol":
                    with suppress(SecretNotFound):  # not accepted yet
                        self.store.shares.set(user, found, "by carol")
            self.store.shares.set("bob", self.first, "by bob", NAME)

    def end(self):
        time.sleep(self.random.random() * 0.03)
        try:
            if self.random.random() < 0.5:
                self.store.shares.revoke("alice", self.first, rotate=self.random.random() < 0.5)
            else:
                self.store.shares.refuse("bob", self.first)
        finally:
            self.ended.set()


def test_all_at_once(store):
    """No share outlives the one that it came of, and nobody reads once its end was answered."""
    shares, trees = store.shares, 0
    for number in range(30):
        one = Round(store, number)
        one.run()
        trees += len(one.made)
        assert [info for info in shares.given("alice") if info.answer != "refused"] == []
        for user in ("bob", "carol", "dave"):
            assert shares.received(user) == shares.passed(user) == []
        for user, found in [("bob", one.first), *one.made]:
            with pytest.raises(SecretNotFound):
                read(store, found, NAME, user=user)
            with pytest.raises(SecretNotFound):
                shares.set(user, found, "x", NAME)
        for info in shares.given("alice"):
            shares.revoke("alice", info.id)
    assert trees > 30
    store.audit.verify()
