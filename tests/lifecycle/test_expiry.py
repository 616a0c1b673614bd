"""What has expired is as if it were not there, by every way of reading, and can be renewed."""

import pytest

from adyton import Caller
from adyton.errors import RotationError, SecretNotFound, VersionConflict
from adyton.rotationpolicy import RotationPolicy
from adyton.service.kv import KeyValue, KvMount
from lifecycles import DAY

NAME = "f/ends"
MOUNT = KvMount()


@pytest.fixture
def over(world):
    """A secret of two versions whose time is over, beside one that lives; shared while it lived."""
    store = world.store
    store.set_secret("alice", NAME, "one")
    store.set_secret("alice", NAME, "two", tags=["t"], expires_at=world.after(DAY))
    store.set_secret("alice", "f/lives", "v")
    world.shares = [
        store.shares.create("alice", "bob", NAME),
        store.shares.create("alice", "bob", NAME, version=1),
        store.shares.create("alice", "bob", "f/"),
    ]
    for share in world.shares:
        store.shares.accept("bob", share.id)
    with store.get_secret("alice", NAME) as secret:  # what is kept in memory does not outlive it
        assert secret.text() == "two"
    world.wait(DAY)
    return world


def kv(world, name, *args):
    operation = getattr(KeyValue(world.core), name)
    return world.core.commit.run_sync(operation(world.store._caller, "alice", MOUNT, NAME, *args))


READING = {
    "get": lambda w: w.store.get_secret("alice", NAME),
    "get a version": lambda w: w.store.get_secret("alice", NAME, version=1),
    "get by its user": lambda w: w.store.user("alice").get_secret(NAME),
    "rollback": lambda w: w.store.rollback_secret("alice", NAME, 1),
    "export": lambda w: w.store.export_secrets("alice", format="json", names=[NAME]),
    "kv read": lambda w: kv(w, "read"),
    "kv read a version": lambda w: kv(w, "read", 1),
    "kv patch": lambda w: kv(w, "patch", {"a": 1}),
    "share": lambda w: w.store.shares.get("bob", w.shares[0].id),
    "share of a version": lambda w: w.store.shares.get("bob", w.shares[1].id),
    "share of a folder": lambda w: w.store.shares.get("bob", w.shares[2].id, NAME),
    "new share": lambda w: w.store.shares.create("alice", "carol", NAME),
}


@pytest.mark.parametrize("way", READING)
def test_nothing_reads_it(over, way):
    """The very error of what never was."""
    with pytest.raises(SecretNotFound) as expired:
        READING[way](over)
    if way.startswith("get"):
        with pytest.raises(SecretNotFound) as absent:
            over.store.get_secret("alice", "never/was")
        assert str(expired.value) == str(absent.value)


def test_batches_lists_and_exports_leave_it_out(over):
    store = over.store
    found = store.get_secrets("alice", [NAME, "f/lives"])
    assert list(found) == ["f/lives"]
    assert [meta.name for meta in store.list_secrets("alice")] == ["f/lives"]
    assert NAME not in store.export_secrets("alice", format="json").decode()
    assert NAME not in store.export_secrets("alice", format="json", prefix="f/").decode()
    assert store.shares.names("bob", over.shares[2].id) == ["f/lives"]
    assert store.shares.names("bob", over.shares[0].id) == []


def test_its_owner_sees_and_renews_it(over):
    """In a list of all, in its metadata, and among what has ended."""
    store = over.store
    named = {meta.name for meta in store.list_secrets("alice", include_deleted=True)}
    assert named == {NAME, "f/lives"}
    assert store.get_secret_metadata("alice", NAME).expires_at <= over.now()
    [ended] = store.lifecycle.expiring("alice")
    assert (ended.name, ended.expired) == (NAME, True)
    store.update_secret_metadata("alice", NAME, expires_at=over.after(DAY))
    with store.get_secret("alice", NAME) as secret:
        assert secret.text() == "two"
    with store.shares.get("bob", over.shares[0].id) as secret:
        assert secret.reveal() == b"two"
    over.wait(DAY)
    with pytest.raises(SecretNotFound):
        store.get_secret("alice", NAME)


@pytest.mark.parametrize("way", ["set", "kv", "batch", "import"])
def test_what_is_written_to_it_begins_anew(over, way):
    """A write without an end of its own is not written to be unreadable; versions go on."""
    store = over.store
    if way == "set":
        store.set_secret("alice", NAME, "new")
    elif way == "batch":
        store.set_secrets("alice", {NAME: "new"})
    elif way == "import":
        document = b'{"f/ends": "new"}'
        store.import_secrets("alice", document, format="json", on_conflict="new-version")
    else:
        kv(over, "write", {"a": "new"})
    found = store.get_secret("alice", NAME)
    with found as secret:
        assert "new" in secret.text()
    assert (found.version, found.metadata.expires_at) == (3, None)
    assert found.metadata.tags == (() if way == "import" else ("t",))


def test_check_and_set_knows_it(over):
    """It is there, at its version: nobody writes it in the belief that there was none."""
    with pytest.raises(VersionConflict):
        over.store.set_secret("alice", NAME, "x", cas=0)
    assert over.store.set_secret("alice", NAME, "x", cas=2).version == 3


def test_an_end_in_the_past_ends_it_at_once(world):
    store = world.store
    store.set_secret("alice", NAME, "v", expires_at=world.after(-5))
    with pytest.raises(SecretNotFound):
        store.get_secret("alice", NAME)
    assert not any(world.run())


def test_rotation_does_not_bring_it_back(over):
    """Nor does it rotate what nobody can read."""
    store = over.store
    store.rotation.set_policy("alice", NAME, RotationPolicy(grace=0))
    store.update_secret_metadata("alice", NAME, expires_at=over.after(DAY))
    store.rotation.run("alice", NAME)
    store.update_secret_metadata("alice", NAME, expires_at=over.after(-1))
    with pytest.raises(RotationError):
        store.rotation.run("alice", NAME)
    with pytest.raises(SecretNotFound):
        store.get_secret("alice", NAME)


def test_a_bound_caller_sees_no_more(over):
    """Nor does another user learn that it was there."""
    bob = over.store.acting_as(Caller("bob", "bob"))
    with pytest.raises(SecretNotFound):
        bob.get_secret("alice", NAME)
    with pytest.raises(SecretNotFound):
        bob.lifecycle.expiring("alice")
