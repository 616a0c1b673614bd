"""Legal holds: by no way is anything deleted that one covers, and by every way it can be read."""

import contextlib
import threading

import pytest

from adyton import Caller
from adyton.errors import (
    AccessDenied,
    AuditError,
    InvalidInput,
    InvalidName,
    LegalHold,
    LimitExceeded,
    SecretNotFound,
    StorageFull,
)
from adyton.model import State
from adyton.rotationpolicy import RotationPolicy
from adyton.server.vault.service import Services
from adyton.service import purging
from adyton.service.access.records import Mount
from adyton.service.access.spaces import Spaces
from adyton.service.access.tidy import Tidy
from adyton.service.kv import KeyValue, KvMount, KvSettings
from adyton.service.lifecycle.holds import LegalHolds
from adyton.storage.sqlite_writing import SqliteTransaction
from lifecycles import DAY, World
from support import Place

NAME = "case/db"
MOUNT = KvMount()
OBJECTS = "SELECT user,bucket,object,meta_version,box FROM objects"


@pytest.fixture
def held(world):
    """A secret of three versions, the second one deleted, under a hold on its folder."""
    store = world.store
    for value in ("one", "two", "three"):
        store.set_secret("alice", NAME, value, max_versions=3)
    store.delete_secret("alice", NAME, versions=[2])
    for name in ("a/free", "free"):  # before and behind it, by whatever order
        store.set_secret("alice", name, "v")
    world.hold = store.holds.add("alice", "case 4711", where="case/")
    return world


def kv(world, name, *args):
    operation = getattr(KeyValue(world.core), name)
    return world.core.commit.run_sync(operation(world.store._caller, "alice", MOUNT, NAME, *args))


def unmount(world):
    services = Services(world.core)
    mount = Mount("secret/", "kv", "a", "b")
    return world.core.commit.run_sync(services.erase_mount(world.store._caller, "alice", mount))


def replace(world):
    document = world.store.export_secrets("alice", format="json")
    world.store.import_secrets("alice", document, format="json", on_conflict="replace")


def preview(world):
    world.store.import_secrets(
        "alice", b'{"case/db": "x"}', format="json", on_conflict="replace", dry_run=True
    )


FORBIDDEN = {
    "delete": lambda w: w.store.delete_secret("alice", NAME),
    "delete a version": lambda w: w.store.delete_secret("alice", NAME, versions=[1]),
    "destroy": lambda w: w.store.destroy_secret("alice", NAME),
    "destroy a version": lambda w: w.store.destroy_secret("alice", NAME, versions=[2]),
    "of the user's own": lambda w: w.store.user("alice").destroy_secret(NAME),
    "kv delete": lambda w: kv(w, "delete", None),
    "kv delete versions": lambda w: kv(w, "delete", [1, 9]),
    "kv destroy": lambda w: kv(w, "destroy", [2]),
    "kv delete metadata": lambda w: kv(w, "destroy", None),
    "import over it": replace,
    "look at an import over it": preview,
    "purge": lambda w: w.store.purge_user("alice"),
    "unmount": unmount,
}


@pytest.mark.parametrize("way", FORBIDDEN)
def test_what_a_hold_forbids(held, way):
    """A refusal that tells nothing of the hold, recorded; nothing is changed."""
    before = stored(held)
    with pytest.raises(LegalHold) as caught:
        FORBIDDEN[way](held)
    assert "4711" not in f"{caught.value} {caught.value.hint}"
    assert stored(held) == before
    failed = held.store.get_audit_log("alice", success=False)[0]
    assert (failed.reason, failed.outcome) == ("LegalHold", "conflict")
    held.store.audit.verify()


def stored(world):
    return [
        world.rows("SELECT name,current,meta,wrapped_key,value FROM secrets ORDER BY name"),
        world.rows("SELECT name,version,wrapped_key,value FROM versions ORDER BY name,version"),
    ]


def test_reading_and_writing_go_on_and_all_versions_stay(held):
    """Beyond max_versions, by every way of writing; once released the next write prunes."""
    store = held.store
    run = held.core.commit.run_sync
    store.set_secret("alice", NAME, "four")
    kv(held, "write", {"a": 1})
    kv(held, "patch", {"b": 2})
    store.rollback_secret("alice", NAME, 1)
    store.update_secret_metadata("alice", NAME, max_versions=1)
    kv(held, "configure", KvSettings(max_versions=1))
    kv(held, "write", {"a": 2})
    store.set_secrets("alice", {NAME: "eight", "free": "w"})
    store.rotation.set_policy("alice", NAME, RotationPolicy(grace=0))
    store.rotation.run("alice", NAME)
    store.update_secret_tags("alice", NAME, ["t"])
    store.keys.rotate("alice")
    store.keys.rewrap("alice", deep=True)
    run(Tidy(held.core, Spaces(held.core), Services(held.core).tokens).run(store._caller))
    document = store.export_secrets("alice", format="json", names=[NAME])
    store.import_secrets("alice", document, format="json", on_conflict="new-version")
    found = store.get_secret_metadata("alice", NAME)
    assert [version.version for version in found.versions] == list(range(1, 12))
    assert [v.version for v in found.versions if v.state != State.LIVE] == [2]
    for version, text in ((1, "one"), (3, "three"), (4, "four"), (9, "eight")):
        with store.get_secret("alice", NAME, version=version) as secret:
            assert secret.text() == text
    store.undelete_secret("alice", NAME, versions=[2])
    with store.get_secret("alice", NAME, version=2) as secret:
        assert secret.text() == "two"
    store.audit.verify()
    store.holds.release("alice", held.hold.id)
    store.update_secret_tags("alice", NAME, ["u"])
    store.delete_secret("alice", NAME, versions=[1])
    store.undelete_secret("alice", NAME, versions=[1])
    assert len(store.get_secret_metadata("alice", NAME).versions) == 11
    assert len(store.set_secret("alice", NAME, "last").versions) == 1
    store.audit.verify()


def test_a_hold_that_is_kept_too_long_bounds_what_is_kept(held, monkeypatch):
    monkeypatch.setattr("adyton.service.lifecycle.held.MOST_VERSIONS", 5)
    store = held.store
    store.set_secret("alice", NAME, "four")
    store.set_secret("alice", NAME, "five")
    with pytest.raises(LimitExceeded):
        store.set_secret("alice", NAME, "six")
    assert len(store.get_secret_metadata("alice", NAME).versions) == 5


def test_what_is_not_covered_is_deleted_as_ever(held):
    """Other names, other users, what is only alike; also while there are other holds."""
    store = held.store
    store.holds.add("alice", "case 2", where="free2")
    for name in ("case", "cases/x", "x/case/db", "free", "free2x"):
        store.set_secret("alice", name, "v")
        store.delete_secret("alice", name)
        store.destroy_secret("alice", name)
    store.set_secret("bob", NAME, "v")
    store.destroy_secret("bob", NAME)
    store.purge_user("bob")


def test_retention_waits_for_the_release(held):
    """Nothing is destroyed while it is held; what was due then is done afterwards."""
    store = held.store
    store.set_secret("alice", "free", "v2")
    store.delete_secret("alice", "free")
    held.wait(91 * DAY)
    report = held.run()
    assert (report.destroyed, report.held) == (1, 1)
    held.wait(1000 * DAY)
    assert not any(held.run())
    with contextlib.suppress(SecretNotFound):
        store.undelete_secret("alice", "nothing")
    store.holds.release("alice", held.hold.id)
    assert held.run().destroyed == 1
    store.audit.verify()


def test_times_end_reading_and_nothing_else(held):
    """What expires or ends by delete_version_after under a hold can be renewed and brought back."""
    store = held.store
    run = held.core.commit.run_sync
    caller = store._caller
    ending = KvMount(delete_version_after=DAY)
    run(KeyValue(held.core).write(caller, "alice", ending, "case/kv", {"a": 1}))
    store.update_secret_metadata("alice", NAME, expires_at=held.after(DAY))
    held.wait(2000 * DAY)
    held.run()
    for name in (NAME, "case/kv"):
        with pytest.raises(SecretNotFound):
            store.get_secret("alice", name)
    store.update_secret_metadata("alice", NAME, expires_at=None)
    store.undelete_secret("alice", "case/kv")
    for name in (NAME, "case/kv"):
        store.get_secret("alice", name).wipe()


def test_one_hold_of_several_that_cover_the_same(held):
    """Until the last one is released."""
    store = held.store
    whole = store.holds.add("alice", "all of it")
    exact = store.holds.add("alice", "this one", where=NAME)
    assert [hold.where for hold in store.holds.list("alice")] == ["case/", "", NAME]
    for hold in (held.hold, whole, exact):
        with pytest.raises(LegalHold):
            store.delete_secret("alice", NAME)
        store.holds.release("alice", hold.id)
        with pytest.raises(SecretNotFound):
            store.holds.release("alice", hold.id)
    assert store.holds.list("alice") == []
    store.delete_secret("alice", NAME)
    store.purge_user("alice")
    assert store.holds.list("alice") == []


def test_who_may_place_and_release(held):
    """A user one's own; the operator any; what the operator has placed the operator alone."""
    store = held.store
    alice = store.acting_as(Caller("alice", "alice"))
    bob = store.acting_as(Caller("bob", "bob"))
    with pytest.raises(AccessDenied):
        alice.holds.add("alice", "r", operator=True)
    theirs = store.holds.add("alice", "court order", operator=True)
    with pytest.raises(AccessDenied):
        alice.holds.release("alice", theirs.id)
    with pytest.raises(AccessDenied):
        alice.holds.release("alice", theirs.id, operator=True)
    with pytest.raises(AccessDenied):
        store.holds.release("alice", theirs.id)
    own = alice.holds.add("alice", "mine", where="x")
    for attempt in (
        lambda: bob.holds.list("alice"), lambda: bob.holds.add("alice", "r"),
        lambda: bob.holds.release("alice", own.id), lambda: bob.holds.release("bob", own.id),
    ):  # fmt: skip
        with pytest.raises(SecretNotFound):
            attempt()
    alice.holds.release("alice", own.id)
    with pytest.raises(LegalHold):
        alice.purge_user("alice")
    store.holds.release("alice", theirs.id, operator=True)
    store.holds.release("alice", held.hold.id, operator=True)
    alice.purge_user("alice")


def test_holds_are_recorded_and_told_to_nobody_else(held):
    """Placed, listed, released, each with a record; reasons are ciphertext, and in no repr."""
    store = held.store
    store.holds.list("alice")
    store.holds.release("alice", held.hold.id)
    done = [(e.action, e.secret_name) for e in store.get_audit_log("alice") if "hold" in e.action]
    assert done == [("hold.release", "case/"), ("hold.list", "holds/"), ("hold.add", "case/")]
    assert "4711" not in repr(held.hold) + repr(store.get_audit_log("alice"))


def test_bad_holds_are_refused(world, monkeypatch):
    monkeypatch.setattr("adyton.service.lifecycle.holds.MAX_HOLDS", 2)
    holds = world.store.holds
    for reason in ("", "  ", "x" * 501, "a\nb"):
        with pytest.raises(InvalidInput):
            holds.add("alice", reason)
    for where in ("/", "a//b", "..", "a\x00"):
        with pytest.raises(InvalidName):
            holds.add("alice", "r", where=where)
    holds.add("alice", "r")
    holds.add("alice", "r", where="not/there/yet")
    with pytest.raises(LimitExceeded):
        holds.add("alice", "r", where="b")


@pytest.mark.parametrize("how", ["removed", "moved", "put back"])
def test_a_hold_that_is_changed_in_storage_is_found(tmp_path, how):
    """Whoever writes to the database can take a hold away, and not unseen."""
    place = Place(tmp_path)
    with place.open() as store:
        sealed = World(store).rows
        store.set_secret("alice", NAME, "v")
        released = store.holds.add("alice", "first", where="other")
        old = sealed(OBJECTS)
        store.holds.release("alice", released.id)
        store.holds.add("alice", "second")
        new = sealed(OBJECTS)
        store.audit.verify()
    [hold], [gone] = set(new) - set(old), set(old) - set(new)
    if how == "removed":
        place.sql(("DELETE FROM objects WHERE object=?", (hold[2],)))
    elif how == "moved":
        place.sql(("UPDATE objects SET object=zeroblob(16) WHERE object=?", (hold[2],)))
    else:
        place.sql(("INSERT INTO objects VALUES (?,?,?,?,?)", gone))
    with place.open() as store, pytest.raises(AuditError):
        store.audit.verify()


def test_a_hold_placed_while_secrets_are_deleted(world):
    """Whatever was answered counts: no deletion is answered after the hold was."""
    store = world.store
    count = 200
    store.set_secrets("alice", {f"case/{at}": "v" for at in range(count)})
    placed = threading.Event()
    late = []

    def delete(part):
        for at in range(part, count, 4):
            was = placed.is_set()
            try:
                store.destroy_secret("alice", f"case/{at}")
            except LegalHold:
                continue
            if was:
                late.append(at)

    threads = [threading.Thread(target=delete, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    store.holds.add("alice", "now", where="case/")
    placed.set()
    at_hold = {meta.name for meta in store.list_secrets("alice", prefix="case/")}
    for thread in threads:
        thread.join()
    assert not late
    assert {meta.name for meta in store.list_secrets("alice", prefix="case/")} == at_hold
    store.audit.verify()


def test_holds_outlive_the_program(tmp_path):
    """And what is known of them in memory is not more than what is stored."""
    place = Place(tmp_path)
    with place.open() as store:
        store.set_secret("alice", NAME, "v")
        hold = store.holds.add("alice", "r", where=NAME)
    with place.open() as store:
        with pytest.raises(LegalHold):
            store.delete_secret("alice", NAME)
        store.holds.release("alice", hold.id)
    with place.open() as store:
        store.delete_secret("alice", NAME)


def test_a_change_of_holds_that_is_not_kept_changes_nothing(held, monkeypatch):
    """A release whose commit fails leaves the hold, in memory as well."""
    store = held.store

    async def full(_):
        raise StorageFull("full")

    with monkeypatch.context() as patched:
        patched.setattr(SqliteTransaction, "commit", full)
        with pytest.raises(StorageFull):
            store.holds.release("alice", held.hold.id)
    with pytest.raises(LegalHold):
        store.delete_secret("alice", NAME)
    with monkeypatch.context() as patched:
        patched.setattr(SqliteTransaction, "commit", full)
        with pytest.raises(StorageFull):
            store.holds.add("alice", "r", where="free")
    store.delete_secret("alice", "free")


def test_what_a_failed_group_has_seen_is_forgotten(held, monkeypatch):
    """A deletion in the group of a release that is not kept leaves nothing behind in memory."""

    async def full(_):
        raise StorageFull("full")

    store = held.store
    release = LegalHolds(held.core).release(store._caller, "alice", held.hold.id)
    with monkeypatch.context() as patched:
        patched.setattr(SqliteTransaction, "commit", full)
        release.send(None)  # queued: whoever comes next carries it out with its own
        with pytest.raises(StorageFull):
            store.delete_secret("alice", "free")
        with pytest.raises(StorageFull):
            release.send(None)
    with pytest.raises(LegalHold):
        store.delete_secret("alice", NAME)


def test_a_hold_placed_while_a_user_is_being_purged(world, monkeypatch):
    """Behind the first look, while credentials are being ended: the purge itself looks again."""
    store = world.store
    store.set_secret("alice", NAME, "v")
    ended = purging.end_leases

    async def slow(*args):
        await ended(*args)
        await LegalHolds(world.core).add(store._caller, "alice", "case/", "just now")

    with monkeypatch.context() as patch:
        patch.setattr(purging, "end_leases", slow)
        with pytest.raises(LegalHold):
            store.purge_user("alice")
    assert store.get_secret("alice", NAME).text() == "v"
    store.audit.verify()
