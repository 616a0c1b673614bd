"""Sharing against a plain model, by random sequences: who can read and write what, and when."""

import itertools
import random
from collections import Counter
from dataclasses import dataclass

import pytest

from adyton import SecretStore
from adyton.errors import (
    AccessDenied,
    AdytonError,
    IntegrityError,
    InvalidInput,
    RootUnavailable,
    SecretNotFound,
    UserNotFound,
)
from adyton.model import from_us
from sharing.helpers import tidy

PEOPLE = ["alice", "bob", "carol", "dave"]
USERS = ["alice", "alice", "bob", "bob", "carol", "dave"]  # some have more than others
NAMES = ["d/a", "d/b", "s"]
TARGETS = ["d/a", "d/", "s"]
MANY = 10  # versions that are kept


@dataclass
class Secret:
    """Version to value; the versions that are deleted."""

    values: dict
    deleted: set

    @property
    def current(self):
        return max(self.values)

    def live(self, version):
        return version in self.values and version not in self.deleted

    def write(self, value):
        self.values[max(self.values, default=0) + 1] = value
        for old in sorted(self.values)[:-MANY]:
            del self.values[old]


@dataclass
class Share:
    owner: str
    receiver: str
    name: str
    version: int
    write: bool
    delete: bool
    reshare: int
    ends: int
    parent: str = ""
    by: str = ""
    accepted: bool = False
    behind: frozenset = frozenset()

    def covers(self, name):
        return name.startswith(self.name) if self.name.endswith("/") else name == self.name


class Machine:
    """Does the same to a store and to the model, and compares all that anybody can read."""

    def __init__(self, random):
        self.random = random
        self.store = SecretStore.open("memory:", root="dev:", create=True, upkeep=False)
        self.secrets, self.shares, self.over = {}, {}, {}
        self.people, self.away, self.count, self.ahead = set(), set(), 0, 0
        self.done = Counter(dict.fromkeys(("read", "write", "delete", "pass", "revoke"), 0))
        core = self.store._opened.core
        machine, load, ticks = self, core.ring.load_user, itertools.count(core.clock.now_us())
        self.begun = next(ticks)

        class Clock:
            def now_us(self):
                return next(ticks) + machine.ahead * 1_000_000

        async def load_user(rows, user):
            if user in machine.away:
                raise RootUnavailable("the user's root is away")
            return await load(rows, user)

        core.clock = core.commit._clock = Clock()
        core.ring.load_user = load_user
        self.populate()
        assert len(self.shares) == 5

    def populate(self):
        """Something to begin with: two owners, a tree of shares that are in force."""
        for user in ("alice", "bob"):
            for name in ("d/a", "d/b", "s"):
                self.write_own(user, name)
        folder = self.offer_from("alice", "bob", "d/", False, True, True, 2, 0, True)
        part = self.pass_on_from(folder, "carol", "d/a", True, False, 1, 100, True)
        self.pass_on_from(part, "dave", "d/a", False, False, 0, 50, True)
        self.offer_from("bob", "carol", "s", False, False, False, 1, 0, True)
        self.offer_from("bob", "alice", "s", True, False, False, 0, 100, True)

    def run(self, steps):
        """Many steps, and a look at all that there is."""
        kinds = [getattr(self, name) for name, weight in STEPS for _ in range(weight)]
        for _ in range(steps):
            if len(self.shares) < 2 and not self.away:
                self.populate()
            self.random.choice(kinds)()
        self.back()
        self.everything()
        self.store.audit.verify()
        self.store.close()

    # -- the model ------------------------------------------------------------------------------

    def choose(self, things):
        return self.random.choice(things)

    def maybe(self, against=1):
        """Once in so many times and one more."""
        return not self.random.randrange(against + 1)

    def pick(self):
        """One of the shares that there are, by id; their order is that of their making."""
        if not self.shares:
            return None, None
        share = self.choose(list(self.shares))
        return share, self.shares[share]

    def name_in(self, found):
        """A name that is in a share, most often."""
        return self.choose([name for name in NAMES if found.covers(name)] * 3 + NAMES)

    def moment(self, seconds):
        """A time by the store's clock, as many seconds behind its beginning."""
        return from_us(self.begun + seconds * 1_000_000)

    def fresh(self):
        self.count += 1
        return f"value {self.count}"

    def drop(self, share):
        """A share is over, with all that came of it."""
        for child in [found for found, each in self.shares.items() if each.parent == share]:
            self.drop(child)
        self.over[share] = self.shares.pop(share)

    def end(self, share):
        """A share was ended: its secrets are sealed anew."""
        found = self.shares[share]
        self.drop(share)
        for owner, name in self.secrets:
            if owner == found.owner and found.covers(name):
                self.changed(owner, name)

    def changed(self, owner, name):
        """What receivers who are away have no longer fits; others' is brought up to date."""
        for each in self.shares.values():
            if each.owner == owner and each.covers(name) and not 0 < each.ends <= self.ahead:
                each.behind = each.behind | {name} if each.receiver in self.away else frozenset()

    def holds(self, share):
        found = self.shares[share]
        return found.accepted and not 0 < found.ends <= self.ahead

    def visible(self, found, name):
        """The version and value that a share shows of a name; None if it shows nothing."""
        secret = self.secrets.get((found.owner, name))
        if secret is None or not found.covers(name):
            return None
        version = found.version or secret.current
        return (version, secret.values[version]) if secret.live(version) else None

    # -- owners ---------------------------------------------------------------------------------

    def write(self):
        self.write_own(self.choose(USERS), self.choose(NAMES))

    def write_own(self, user, name):
        if user in self.away:
            return
        value = self.fresh()
        self.store.set_secret(user, name, value)
        self.secrets.setdefault((user, name), Secret({}, set())).write(value)
        self.people.add(user)
        self.changed(user, name)

    def delete(self):
        user, name, back = self.choose(USERS), self.choose(NAMES), self.maybe()
        secret = self.secrets.get((user, name))
        if user in self.away or secret is None:
            return
        (self.store.undelete_secret if back else self.store.delete_secret)(user, name)
        (secret.deleted.discard if back else secret.deleted.add)(secret.current)
        self.changed(user, name)

    def destroy(self):
        user, name = self.choose(USERS), self.choose(NAMES)
        if user in self.away or (user, name) not in self.secrets:
            return
        self.store.destroy_secret(user, name)
        del self.secrets[user, name]
        self.changed(user, name)
        for share, found in list(self.shares.items()):
            if share in self.shares and (found.owner, found.name) == (user, name):
                self.end(share)

    def offer(self):
        self.offer_from(
            self.choose(USERS), self.choose(USERS), self.choose(TARGETS), self.maybe(3),
            *self.terms(),
        )  # fmt: skip

    def terms(self):
        """Whether to write, to delete; over how many hands; until when; whether it is accepted."""
        return (
            self.maybe(1), self.maybe(), self.choose([0, 1, 2]), self.choose([0, 0, 50, 100]),
            not self.maybe(5),
        )  # fmt: skip

    def offer_from(self, user, receiver, name, old, write, delete, reshare, ends, accept):
        secret = self.secrets.get((user, name))
        version = min(secret.values) if secret is not None and old and not write else 0
        ends = ends and self.ahead + ends
        found = Share(user, receiver, name, version, write, write and delete, reshare, ends)
        if user in self.away or user == receiver:
            return None
        return self.add(found, accept, lambda: self.store.shares.create(
            user, receiver, name, version=version or None, write=write,
            delete=found.delete, reshare=reshare, expires_at=(ends and self.moment(ends)) or None,
        ))  # fmt: skip

    def add(self, found, accept, make):
        names = {name for owner, name in self.secrets if owner == found.owner}
        if found.receiver in self.away:
            with pytest.raises((RootUnavailable, SecretNotFound)):
                make()
        elif not any(self.visible(found, name) for name in names):
            with pytest.raises(SecretNotFound):
                make()
        else:
            share = make().id
            self.done["pass"] += bool(found.by)
            self.shares[share] = found
            self.people.add(found.receiver)
            if accept:
                self.store.shares.accept(found.receiver, share)
                found.accepted = True
            return share
        return None

    def revoke(self):
        share, found = self.pick()
        if found is None:
            return
        user = self.choose([found.owner, found.owner, found.by or found.owner, *PEOPLE])
        rotate = self.maybe()
        if user in self.away:
            return
        if user == found.by and found.owner in self.away:
            with pytest.raises(RootUnavailable):
                self.store.shares.revoke(user, share)
        elif user == found.owner or (user == found.by and not rotate):
            self.store.shares.revoke(user, share, rotate=rotate)
            self.done["revoke"] += 1
            self.end(share)
        else:
            with pytest.raises(AccessDenied if user == found.by else SecretNotFound):
                self.store.shares.revoke(user, share, rotate=rotate)

    # -- receivers ------------------------------------------------------------------------------

    def answer(self):
        share, found = self.pick()
        accept = not self.maybe(5)
        if found is None or found.receiver in self.away:
            return
        if 0 < found.ends <= self.ahead:
            with pytest.raises(SecretNotFound):
                self.store.shares.accept(found.receiver, share)
        elif accept and found.owner in self.away:
            with pytest.raises(RootUnavailable):
                self.store.shares.accept(found.receiver, share)
        elif accept:
            self.store.shares.accept(found.receiver, share)
            found.accepted = True
        else:
            self.store.shares.refuse(found.receiver, share)
            (self.drop if found.owner in self.away else self.end)(share)

    def write_through(self):
        share, found = self.pick()
        if found is None:
            return
        name = self.name_in(found)
        gone = self.maybe(3)
        user, owner = found.receiver, found.owner
        if user in self.away:
            return
        value = self.fresh()

        def act():
            if gone:
                return self.store.shares.delete(user, share, name)
            return self.store.shares.set(user, share, value, name)

        secret = self.secrets.get((owner, name))
        refusal = None
        if not self.holds(share):
            refusal = SecretNotFound
        elif not found.write:
            refusal = AccessDenied
        elif owner in self.away:
            refusal = RootUnavailable
        elif not found.covers(name):
            refusal = InvalidInput
        elif gone and not found.delete:
            refusal = AccessDenied
        elif gone and not self.visible(found, name):
            refusal = SecretNotFound
        if refusal is not None:
            with pytest.raises(refusal):
                act()
            return
        version = act()
        self.done["delete" if gone else "write"] += 1
        if gone:
            secret.deleted.add(version)
        else:
            secret = self.secrets.setdefault((owner, name), Secret({}, set()))
            secret.write(value)
        assert version == secret.current
        self.changed(owner, name)

    def pass_on(self):
        share, found = self.pick()
        if found is not None:
            name = self.choose([found.name, *TARGETS])
            self.pass_on_from(share, self.choose(USERS), name, *self.terms())

    def pass_on_from(self, share, receiver, name, write, delete, reshare, ends, accept):
        parent = self.shares[share]
        user = parent.receiver
        if user in self.away:
            return None
        ends = ends and self.ahead + ends

        def make():
            return self.store.shares.pass_on(
                user, share, receiver, name, write=write, delete=write and delete,
                reshare=reshare, expires_at=(ends and self.moment(ends)) or None,
            )  # fmt: skip

        if parent.version:
            write = write and parent.write
        allowed = (
            self.holds(share)
            and parent.owner not in self.away
            and receiver not in {user, parent.owner}
            and parent.covers(name)
            and reshare < parent.reshare
            and (parent.write or not write)
            and (parent.delete or not (write and delete))
            and not (parent.ends and ends > parent.ends)
        )
        if not allowed:
            with pytest.raises(AdytonError) as caught:
                make()
            assert not isinstance(caught.value, IntegrityError)
            return None
        return self.add(
            Share(parent.owner, receiver, name, parent.version, write, write and delete,
                  reshare, ends or parent.ends, share, user),
            accept,
            make,
        )  # fmt: skip

    # -- what happens around ----------------------------------------------------------------------

    def later(self):
        self.ahead += self.choose([5, 40])

    def tidy(self):
        if self.away:
            return
        tidy(self.store)
        for share, each in list(self.shares.items()):
            each.behind = frozenset()
            if share in self.shares and 0 < each.ends <= self.ahead:
                self.drop(share)

    def keys(self):
        user, deep = self.choose(USERS), self.choose([None, None, False, True])
        if user not in self.people or user in self.away:
            return
        if deep is None:
            self.store.keys.rotate(user)
        elif not self.away:
            self.store.keys.rewrap(user, deep=deep)

    def purge(self):
        user = self.choose(PEOPLE)
        if not self.maybe(3) or user in self.away:
            return
        if user not in self.people:
            with pytest.raises(UserNotFound):
                self.store.purge_user(user)
            return
        self.store.purge_user(user)
        self.people.discard(user)
        self.secrets = {place: each for place, each in self.secrets.items() if place[0] != user}
        for share, found in list(self.shares.items()):
            if share in self.shares and user in {found.owner, found.receiver}:
                gone = found.owner == user or found.owner in self.away
                (self.drop if gone else self.end)(share)

    def go_away(self):
        if self.away:
            return
        user = self.choose(USERS)
        self.away = {user}
        self.store._opened.core.ring.forget(user)

    def back(self):
        self.away = set()

    # -- what is compared -------------------------------------------------------------------------

    def check(self, share, name, user=None):
        """What a user reads by a share, of a name."""
        alive = share in self.shares
        found = self.shares[share] if alive else self.over[share]
        user = user or found.receiver
        if user in self.away:
            return
        shown = alive and user == found.receiver and self.holds(share) and self.visible(found, name)
        if shown and not (name in found.behind and found.owner in self.away):
            with self.store.shares.get(user, share, name) as secret:
                assert (secret.version, secret.text()) == shown
                assert (secret.owner, secret.name) == (found.owner, name)
            self.done["read"] += 1
            if name in found.behind:
                found.behind = frozenset()
            return
        # Rows that could not be erased while somebody was away, or are behind, open nothing.
        with pytest.raises((SecretNotFound, IntegrityError)):
            self.store.shares.get(user, share, name)
        if alive and user == found.receiver and self.holds(share) and found.owner not in self.away:
            found.behind = frozenset()  # what is missing was looked for

    def read(self):
        known = [*self.over] if self.maybe(4) else [*self.shares]
        if known:
            share = self.choose(known)
            name = self.name_in(self.shares.get(share) or self.over[share])
            self.check(share, name)
            self.check(share, name, self.choose(PEOPLE))

    def listed(self):
        for user in self.people - self.away:
            received = {info.id: info for info in self.store.shares.received(user)}
            given = {info.id: info for info in self.store.shares.given(user)}
            for share, found in self.shares.items():
                if 0 < found.ends <= self.ahead:
                    continue  # it may have been removed
                if found.receiver == user:
                    info = received[share]
                    assert (info.owner, info.name, info.write) == (
                        found.owner, found.name, found.write,
                    )  # fmt: skip
                if found.owner == user:
                    info = given[share]
                    assert (info.receiver, info.parent, info.by) == (
                        found.receiver, found.parent, found.by,
                    )  # fmt: skip

    def everything(self):
        for share in [*self.shares, *self.over]:
            for name in ("d/a", "d/b", "s"):
                self.check(share, name)
        for (user, name), secret in self.secrets.items():
            for version, value in secret.values.items():
                if secret.live(version):
                    with self.store.get_secret(user, name, version=version) as found:
                        assert found.text() == value
        tidy(self.store)
        for user in self.people:
            alive = {
                share for share, found in self.shares.items()
                if found.receiver == user and not 0 < found.ends <= self.ahead
            }  # fmt: skip
            assert {info.id for info in self.store.shares.received(user)} == alive


STEPS = [
    ("write", 4), ("delete", 3), ("destroy", 1), ("offer", 3), ("revoke", 1), ("answer", 2),
    ("write_through", 8), ("pass_on", 4), ("later", 2), ("tidy", 1), ("keys", 2), ("purge", 1),
    ("go_away", 2), ("back", 3), ("read", 12), ("listed", 1),
]  # fmt: skip


def test_random_sequences():
    done = Counter()
    for seed in range(40):
        machine = Machine(random.Random(seed))
        try:
            machine.run(150)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        done += machine.done
    assert min(done[each] for each in machine.done) > 20, done


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 500))
def test_long_random_sequences(seed):
    Machine(random.Random(seed)).run(400)
