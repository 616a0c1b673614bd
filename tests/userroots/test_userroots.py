"""A user's own root: while it is away nothing of the user opens, and everything else goes on."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pyrage
import pytest

from adyton import Caller
from adyton.errors import (
    InvalidInput,
    LegalHold,
    RootError,
    RootLocked,
    RootUnavailable,
    SecretNotFound,
    UserNotFound,
    UserRootAway,
    UserRootRefused,
    VersionConflict,
)
from adyton.roots import DevRoot, KeyFileRoot, ShamirRoot, open_root
from adyton.rotationpolicy import RotationPolicy
from adyton.server.vault.service import Services
from adyton.service.access.tidy import Tidy
from adyton.service.keyadmin import KeyAdmin
from adyton.service.upkeep import Upkeep
from adyton.service.userroot.admin import UserRoots
from adyton.userroots import ROOT_ID_BYTES, NewUserRoot, open_user_root
from ownroots import OWN, closed, given_away, key, own
from support import Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def store(place):
    """Two users, one of whom is about to keep a root of their own."""
    with place.open() as store:
        for n in range(5):
            store.set_secret("alice", f"db/{n}", f"alice {n}", tags=["t"])
            store.set_secret("bob", f"db/{n}", f"bob {n}")
        yield store


@pytest.fixture
def ahead(store):
    """Seconds that the store's clock is ahead."""
    clock = store._opened.core.clock
    real, ahead = clock.now_us, [0]
    clock.now_us = lambda: real() + ahead[0] * 1_000_000
    return ahead


def test_given_it_opens_and_away_it_does_not(store):
    """Every read, write and listing of the user's; nobody else notices anything."""
    info = store.user_roots.set("alice", own(), seconds=60)
    assert info.given
    assert not info.pending
    assert [root.kind for root in info.roots] == ["passphrase"]
    assert store.get_secret("alice", "db/1").text() == "alice 1"
    store.set_secret("alice", "new", "while given")
    assert store.user_roots.take("alice") is True
    assert store.user_roots.take("alice") is False
    for operation in (
        lambda: store.get_secret("alice", "db/1"),
        lambda: store.get_secret("alice", "never was"),
        lambda: store.get_secrets("alice", ["db/1"]),
        lambda: store.set_secret("alice", "db/1", "x"),
        lambda: store.set_secrets("alice", {"a": "x"}),
        lambda: list(store.list_secrets("alice")),
        lambda: store.get_secret_metadata("alice", "db/1"),
        lambda: store.update_secret_tags("alice", "db/1", ["x"]),
        lambda: store.update_secret_metadata("alice", "db/1", attributes={"a": "b"}),
        lambda: store.delete_secret("alice", "db/1"),
        lambda: store.undelete_secret("alice", "db/1"),
        lambda: store.destroy_secret("alice", "db/1"),
        lambda: store.rollback_secret("alice", "db/1", 1),
        lambda: list(store.get_audit_log("alice")),
        lambda: store.export_secrets("alice", passphrase="long enough for this"),
        lambda: store.keys.rotate("alice"),
        lambda: store.keys.rewrap("alice"),
        lambda: store.links.list("alice"),
        lambda: store.shares.given("alice"),
        lambda: store.quotas.get("alice"),
    ):
        with closed():
            operation()
    assert store.get_secret("bob", "db/1").text() == "bob 1"
    with pytest.raises(UserRootRefused, match="does not open"):
        store.user_roots.give("alice", own("another passphrase, not it"))
    info = store.user_roots.give("alice", own(), seconds=60)
    assert info.given
    assert info.until
    assert store.get_secret("alice", "new").text() == "while given"
    assert len(list(store.list_secrets("alice"))) == 6
    store.audit.verify()


def test_it_is_away_after_each_opening_of_the_store(place):
    """What is given lasts no longer than the process."""
    with place.open() as store:
        store.set_secret("alice", "a", "value")
        store.user_roots.set("alice", own())
    with place.open() as store:
        assert store.user_roots.show("alice").given is False
        with closed():
            store.get_secret("alice", "a")
        store.user_roots.give("alice", own())
        assert store.get_secret("alice", "a").text() == "value"


def test_its_time_ends_it(store):
    """To the microsecond, without anybody looking; the end is recorded."""
    core = store._opened.core
    store.user_roots.set("alice", own(), seconds=100)
    end = core.ring.given.until_us(store.user_roots.show("alice").root)
    now, real = [end - 1], core.clock.now_us
    core.clock.now_us = lambda: now[0]
    assert store.get_secret("alice", "db/1").text() == "alice 1"
    now[0] = end
    with closed():
        store.get_secret("alice", "db/1")
    assert not core.ring.given.any
    core.commit.run_sync(UserRoots(core).record_ended(Caller("adyton:upkeep")))
    told = [entry for entry in store.get_audit_log(limit=9) if entry.action == "userroot.take"]
    assert [(entry.user, entry.reason) for entry in told] == [("alice", "its time is over")]
    core.clock.now_us = real
    store.user_roots.give("alice", own(), seconds=5)
    assert store.get_secret("alice", "db/1").text() == "alice 1"


def test_giving_again_makes_it_longer_or_shorter(store):
    """The last word counts."""
    store.user_roots.set("alice", own(), seconds=100)
    first = store.user_roots.show("alice").until
    assert store.user_roots.give("alice", own(), seconds=500).until > first
    assert store.user_roots.give("alice", own(), seconds=10).until < first


@pytest.mark.parametrize("seconds", [0, -1, 31 * 86_400])
def test_times_that_are_not_allowed(store, seconds):
    """None, and longer than the limit."""
    with pytest.raises(InvalidInput, match="seconds"):
        store.user_roots.set("alice", own(), seconds=seconds)
    assert store.user_roots.show("alice").root == b""
    given_away(store)
    with pytest.raises(InvalidInput, match="seconds"):
        store.user_roots.give("alice", own(), seconds=seconds)
    with closed():
        store.get_secret("alice", "db/1")


def test_any_root_of_trust_serves_and_so_does_a_key_of_the_client(store, tmp_path):
    """By URI, as an open root, or as 32 bytes that only the user has."""
    store.user_roots.set("alice", f"keyfile:{tmp_path}/mine", recovery=[own()])
    store.user_roots.take("alice")
    store.user_roots.give("alice", f"keyfile:{tmp_path}/mine")
    store.user_roots.take("alice")
    store.user_roots.give("alice", own())
    assert store.get_secret("alice", "db/1").text() == "alice 1"
    info = store.user_roots.set("bob", key())
    assert info.roots == ()
    store.user_roots.take("bob")
    for wrong in (key(bytes(32)), key(OWN[::-1])):
        with pytest.raises(UserRootRefused):
            store.user_roots.give("bob", wrong)
    with pytest.raises(InvalidInput, match="32 bytes"):
        store.user_roots.give("bob", key(b"short"))
    store.user_roots.give("bob", key())
    assert store.get_secret("bob", "db/1").text() == "bob 1"


def test_an_age_identity_is_a_root_like_any(store, tmp_path):
    """As it lies in a file that is the user's alone."""
    file = tmp_path / "identity"
    file.write_text(str(pyrage.x25519.Identity.generate()))
    file.chmod(0o600)
    store.user_roots.set("alice", f"age:identity={file}")
    store.user_roots.take("alice")
    store.user_roots.give("alice", f"age:identity={file}")
    assert store.get_secret("alice", "db/1").text() == "alice 1"


def test_recovery_by_another_root(store, tmp_path):
    """Added and dropped while the others stay; the last one can't be dropped."""
    store.user_roots.set("alice", own())
    info = store.user_roots.add("alice", own(), f"keyfile:{tmp_path}/safe")
    assert [(root.slot, root.kind) for root in info.roots] == [(0, "passphrase"), (1, "keyfile")]
    assert all(root.added_at for root in info.roots)
    store.user_roots.take("alice")
    info = store.user_roots.drop("alice", f"keyfile:{tmp_path}/safe", 0)
    assert [root.slot for root in info.roots] == [1]
    assert not info.given
    with pytest.raises(UserRootRefused, match="no passphrase root"):
        store.user_roots.give("alice", own())
    with pytest.raises(InvalidInput, match="last root"):
        store.user_roots.drop("alice", f"keyfile:{tmp_path}/safe", 1)
    with pytest.raises(InvalidInput, match="no root in slot 7"):
        store.user_roots.drop("alice", f"keyfile:{tmp_path}/safe", 7)
    store.user_roots.give("alice", f"keyfile:{tmp_path}/safe")
    assert store.get_secret("alice", "db/1").text() == "alice 1"


def test_of_two_changes_of_the_roots_one_is_told_of_the_other(store, tmp_path):
    """Both began with the same list: the second is refused, and what the first did stays."""
    store.user_roots.set("alice", own())
    safe = open_root(f"keyfile:{tmp_path}/safe", create=True)
    late = open_root(f"keyfile:{tmp_path}/late", create=True)

    class Slow:
        """Wraps while somebody else is quicker."""

        kind, describe, unwrap, close = late.kind, late.describe, late.unwrap, late.close

        def wrap(self, key, context):
            store.user_roots.add("alice", own(), safe)
            return late.wrap(key, context)

    assert store.user_roots.show("alice").revision == 0
    with pytest.raises(VersionConflict, match="changed meanwhile"):
        store.user_roots.add("alice", own(), Slow())
    info = store.user_roots.show("alice")
    assert ([one.kind for one in info.roots], info.revision) == (["passphrase", "keyfile"], 1)
    store.user_roots.take("alice")
    store.user_roots.give("alice", safe)
    with pytest.raises(UserRootRefused):
        store.user_roots.give("alice", late)
    store.keys.rotate(master=True)
    assert store.user_roots.show("alice").revision == 1
    assert store.user_roots.change("alice", own(), own("the new passphrase")).revision == 0


def test_many_who_change_the_roots_at_once_lose_none(store, tmp_path):
    """Who is told of success finds what was added; who is refused can do it again."""
    store.user_roots.set("alice", key(), recovery=[own()])
    roots = [open_root(f"keyfile:{tmp_path}/{n}", create=True) for n in range(6)]
    barrier = threading.Barrier(3)

    def add(mine):
        barrier.wait(10)
        for root in mine:
            while True:
                try:
                    store.user_roots.add("alice", key(), root)
                    break
                except VersionConflict:
                    continue

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(add, roots[n::3]) for n in range(3)]:
            done.result()
    info = store.user_roots.show("alice")
    assert sorted(one.slot for one in info.roots) == list(range(7))
    assert info.revision == 6
    for root in roots:
        with open_user_root(info, root) as opened:
            assert opened.equals(OWN)
    # Two drops of one slot each: never both of one list.
    barrier = threading.Barrier(2)

    def drop(slot):
        barrier.wait(10)
        try:
            store.user_roots.drop("alice", key(), slot)
        except VersionConflict:
            return False
        return True

    for first in (1, 3):
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(drop, (first, first + 1)))
        left = {one.slot for one in store.user_roots.show("alice").roots}
        assert [slot not in left for slot in (first, first + 1)] == answers
        assert any(answers)


def test_roots_that_can_not_be_one(store, tmp_path):
    """None, too many, shares, a key as recovery; nothing is changed by the attempt."""
    roots = [open_root(f"keyfile:{tmp_path}/{n}", create=True) for n in range(9)]
    for root, recovery in (
        (roots[0], roots[1:]),
        (ShamirRoot.create(1, 1)[0], []),
        (DevRoot(), []),
        (own(), [DevRoot()]),
        (roots[0], [key()]),
        (key(b"x" * 31), []),
    ):
        with pytest.raises(InvalidInput):
            store.user_roots.set("alice", root, recovery=recovery)
    assert store.user_roots.show("alice").root == b""
    with pytest.raises(InvalidInput, match="operator"):
        store.set_secret("root", "a", "b")
        store.user_roots.set("root", own())


class Broken(KeyFileRoot):
    """Wraps what it does not open again."""

    def unwrap(self, wrapped, context):
        key_ = super().unwrap(wrapped, context)
        key_.writable()[:1] = b"\0" if key_.writable()[0] else b"\1"
        return key_


def test_a_root_has_to_open_what_it_has_wrapped_before_it_counts(store, tmp_path):
    """Else setting it would lock the user out for good."""
    with pytest.raises(RootError, match="does not open what it has wrapped"):
        store.user_roots.set("alice", Broken.create(tmp_path / "broken"))
    assert store.get_secret("alice", "db/1").text() == "alice 1"


def test_set_twice_is_refused_and_what_needs_one_says_so(store):
    """Each with an error that names the next step."""
    with pytest.raises(InvalidInput, match="no root of their own"):
        store.user_roots.give("alice", own())
    with pytest.raises(InvalidInput, match="no root of their own"):
        store.user_roots.take("alice")
    with pytest.raises(InvalidInput, match="no root of their own"):
        store.user_roots.remove("alice", own())
    with pytest.raises(UserNotFound):
        store.user_roots.show("nobody")
    given_away(store)
    with pytest.raises(InvalidInput, match="already"):
        store.user_roots.set("alice", own("a second one, not wanted"))
    store.user_roots.give("alice", own())
    with pytest.raises(InvalidInput, match="already"):
        store.user_roots.set("alice", own("a second one, not wanted"))
    assert store.get_secret("alice", "db/1").text() == "alice 1"


def test_change_leaves_the_former_root_without_a_use(store):
    """It is asked for once more; then only the new one opens anything."""
    given_away(store)
    with pytest.raises(UserRootRefused):
        store.user_roots.change("alice", own("not the one that it is"), own("the new passphrase"))
    info = store.user_roots.change("alice", own(), own("the new passphrase"))
    assert info.given
    assert not info.pending
    assert store.get_secret("alice", "db/1").text() == "alice 1"
    store.user_roots.take("alice")
    with pytest.raises(UserRootRefused):
        store.user_roots.give("alice", own())
    store.user_roots.give("alice", own("the new passphrase"))
    assert store.get_secret("alice", "db/1").text() == "alice 1"
    store.audit.verify()


def test_remove_gives_the_keys_back_to_the_master_key_alone(place, store):
    """It needs the root, given or not; afterwards the user is one like any."""
    given_away(store)
    with pytest.raises(UserRootRefused):
        store.user_roots.remove("alice", own("not the one that it is"))
    store.user_roots.remove("alice", own())
    assert store.user_roots.show("alice").root == b""
    assert store.get_secret("alice", "db/1").text() == "alice 1"
    assert not store._opened.core.ring.given.any
    store.close()
    with place.open() as store:
        assert store.get_secret("alice", "db/1").text() == "alice 1"
        store.audit.verify()
        store.user_roots.set("alice", own())
        assert store.get_secret("alice", "db/1").text() == "alice 1"


def test_each_giving_taking_and_refusal_is_recorded(store):
    """In the store's own log, which says nothing of what was asked for."""
    given_away(store)
    with closed():
        store.get_secret("alice", "db/secret-name-1")
    with pytest.raises(UserRootRefused):
        store.user_roots.give("alice", key())
    with closed():
        store.set_secret("alice", "db/secret-name-2", "x")
    told = [
        (entry.action, entry.success, entry.user, entry.secret_name)
        for entry in store.get_audit_log(limit=30)
        if entry.user == "alice"
    ]
    assert told[0] == ("secret.set", False, "alice", "")
    assert ("userroot.give", False, "alice", "") in told
    assert ("secret.get", False, "alice", "") in told
    assert ("userroot.take", True, "alice", "") in told
    assert ("userroot.set", True, "alice", "") in told
    assert not any(name for *_, name in told)
    store.user_roots.give("alice", own())
    mine = [entry.action for entry in store.get_audit_log("alice", limit=50)]
    assert mine[0] == "userroot.give"
    assert "secret.set" in mine
    # All that was written before and after each change of the audit key.
    assert len([action for action in mine if action == "secret.set"]) == 5


def test_work_over_all_users_leaves_this_one_out_and_goes_on(store):
    """Rotation, re-encryption, a new master key, verification, listings, tidying."""
    given_away(store)
    core = store._opened.core
    assert [info.user for info in store.users()] == ["alice", "bob"]
    assert {info.user for info in store.keys.list()} == {"", "alice", "bob"}
    assert store.keys.rotate() == 1
    report = store.keys.rewrap()
    assert (report.users, report.closed) == (1, 0)  # alice has no retired key by now
    report = store.keys.rewrap(deep=True)
    assert (report.users, report.closed) == (1, 1)
    assert store.keys.rotate(master=True) == 2
    assert list(core.ring.masters) == [2]
    found = store.audit.verify()
    assert (found.users, found.closed, found.secrets) == (1, 1, 5)
    assert store.health().problems == []
    upkeep = Upkeep(core, [])
    upkeep._due_jobs()
    assert [entry.user for entry in store.get_audit_log(limit=100) if entry.user == "bob"]
    store.user_roots.give("alice", own())
    assert store.get_secret("alice", "db/1").text() == "alice 1"
    assert store.audit.verify().users == 2
    assert store.keys.rewrap(deep=True).users == 2
    assert store.get_secret("alice", "db/1").text() == "alice 1"


def test_a_new_master_key_needs_no_user(place, store):
    """Also when the store is opened by it anew, and the user comes much later."""
    given_away(store)
    store.keys.rotate(master=True)
    store.keys.rotate(master=True)
    store.close()
    with place.open() as store:
        store.user_roots.give("alice", own())
        assert store.get_secret("alice", "db/1").text() == "alice 1"


def test_what_is_kept_of_a_root_moves_with_the_last_key_under_an_older_master_key(store):
    """Retired keys may go before the re-wrapping under the new master key comes to them."""
    store.user_roots.set("alice", own())
    store.keys.rotate("alice")
    core = store._opened.core
    rewrap = KeyAdmin.rewrap_master
    KeyAdmin.rewrap_master = lambda *_, **__: _nothing()
    try:
        store.keys.rotate(master=True)
    finally:
        KeyAdmin.rewrap_master = rewrap
    store.keys.rotate("alice")
    store.keys.rewrap("alice")
    store.keys.rewrap()
    assert list(core.ring.masters) == [2]
    assert store.user_roots.show("alice").given


async def _nothing():
    return 0


def test_purge_needs_no_root(store):
    """Lost roots must not keep a user from being erased, or the id from being used again."""
    given_away(store)
    assert store.purge_user("alice") == 5
    assert [info.user for info in store.users()] == ["bob"]
    store.set_secret("alice", "a", "a new life")
    assert store.user_roots.show("alice").root == b""
    assert store.get_secret("alice", "a").text() == "a new life"
    with pytest.raises(SecretNotFound):
        store.get_secret("alice", "db/1")
    store.user_roots.set("alice", own())
    store.purge_user("alice")  # given, as well
    assert not store._opened.core.ring.given.any
    store.audit.verify()


def test_another_user_sees_an_empty_namespace_as_ever(store):
    """Whoever is bound to another user learns nothing of a root, or of its absence."""
    given_away(store)
    bob = store.acting_as(Caller("bob", "bob"))
    for operation in (
        lambda: bob.get_secret("alice", "db/1"),
        lambda: list(bob.list_secrets("alice")),
        lambda: bob.user_roots.show("alice"),
        lambda: bob.user_roots.give("alice", own()),
        lambda: bob.user_roots.take("alice"),
    ):
        with pytest.raises(SecretNotFound):
            operation()


def test_work_that_is_due_waits_for_the_user(store, ahead):
    """A rotation of a secret is put aside for a minute, and is made once the root is back."""
    store.rotation.set_policy("alice", "db/1", RotationPolicy(every=3600, grace=0))
    given_away(store)
    ahead[0] = 3 * 3600
    report = store.rotation.run_due()
    assert (report.taken, report.failed) == (0, 0)
    store.user_roots.give("alice", own())
    assert store.rotation.run_due().taken == 0
    ahead[0] += 61
    store.user_roots.give("alice", own())
    assert store.rotation.run_due().taken == 1
    assert store.get_secret("alice", "db/1").text() != "alice 1"


def test_tidying_leaves_this_user_out(store):
    """It goes over all namespaces, and comes to the end."""
    given_away(store)
    services = Services(store._opened.core)
    tidy = Tidy(store._opened.core, services.spaces, services.tokens)
    assert store._opened.core.commit.run_sync(tidy.run(Caller("tidy"))) == 0


def test_the_error_is_one_of_roots():
    """Whoever handles those, handles it."""
    for kind, other in ((UserRootAway, UserRootRefused), (UserRootRefused, UserRootAway)):
        assert issubclass(kind, RootError)
        assert not issubclass(kind, RootLocked | RootUnavailable | other)


def test_a_legal_hold_outlives_a_root_that_is_away(place, store):
    """Purging can't look for holds then: that there is one is kept where it can be seen."""
    store.set_secret("carol", "c", "x")
    store.holds.add("alice", "a case", where="db/")
    store.user_roots.set("alice", own())
    store.user_roots.set("carol", own())
    hold = store.holds.add("carol", "a case")
    for user in ("alice", "carol"):
        store.user_roots.take(user)
    store.close()
    with place.open() as store:
        for user in ("alice", "carol"):
            with pytest.raises(LegalHold):
                store.purge_user(user)
        store.user_roots.give("carol", own())
        with pytest.raises(LegalHold):
            store.purge_user("carol")
        store.holds.release("carol", hold.id)
        assert store.purge_user("carol") == 1


def test_a_former_root_is_held_no_longer(store):
    """Its key is wiped with the change; and a new one is another's, also by its id."""
    given = store._opened.core.ring.given
    first, second = (
        NewUserRoot(bytes([n]) * ROOT_ID_BYTES, key(bytes([n]) * 32), ()) for n in (1, 2)
    )
    core, who = store._opened.core, Caller("test")
    admin = UserRoots(core)
    core.commit.run_sync(admin.set(who, "alice", first, 60))
    with pytest.raises(InvalidInput, match="id of its own"):
        core.commit.run_sync(admin.change(who, "alice", first.root, first.key, first, 60))
    core.commit.run_sync(admin.change(who, "alice", first.root, first.key, second, 60))
    assert list(given._roots) == [second.root]
