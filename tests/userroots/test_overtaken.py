"""What is under way when a user's keys go gives nothing, whichever of the keys it goes by."""

import threading

import pytest

from adyton.errors import AdytonError, SecretNotFound
from adyton.service.limits import Limits
from adyton.service.portability import Portability
from adyton.service.userroot.given import GivenRoots
from ownroots import closed, key
from support import Place


def elsewhere(work):
    """Do something on another thread, as the other requests of a server are."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def nothing(_):
    """The keys stay those that the operation began with."""


def rotated(store):
    """The keys in memory are others than those that the operation began with."""
    store.keys.rotate("alice")


def opened_again(store):
    """As by a read that did not fit: the same keys, opened once more."""
    core = store._opened.core
    core.commit.run_sync(core.keys("alice", fresh=True))


def pushed_out(store):
    """As by users whose keys take their place in memory."""
    for n in range(2):
        store.set_secret(f"other-{n}", "a", "x")


BETWEEN = [nothing, rotated, opened_again, pushed_out]


@pytest.fixture
def store(tmp_path):
    with Place(tmp_path).open(limits=Limits(cached_users=2)) as opened:
        opened.set_secret("alice", "canary-name", "value")
        yield opened


def export_while(store, monkeypatch, work):
    """Export, and do something when the values have been opened and nothing was recorded yet."""
    collect = Portability._collect

    async def slow(self, *args):
        found = await collect(self, *args)
        elsewhere(work)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Portability, "_collect", slow)
        return store.export_secrets("alice", format="json")


def names_told(store):
    """All that the store's own log, which operators read, tells of names."""
    log = store.get_audit_log(None, limit=100)
    return "".join(entry.secret_name + entry.reason for entry in log)


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("how", ["taken", "over"])
def test_a_root_that_goes(store, monkeypatch, between, how):
    """Whether it is taken away or its time is over."""
    core = store._opened.core
    store.user_roots.set("alice", key())

    def gone():
        between(store)
        if how == "taken":
            assert store.user_roots.take("alice")
        else:
            for given in core.ring.given._roots.values():
                given.until_us = 0
            core.ring.given.sweep()

    with closed():
        export_while(store, monkeypatch, gone)
    assert "canary" not in names_told(store)
    store.user_roots.give("alice", key())
    assert b"value" in store.export_secrets("alice", format="json")


@pytest.mark.parametrize("between", BETWEEN)
def test_a_user_who_is_purged(store, monkeypatch, between):
    """Whoever asks is told what anybody is told of a user who is not there."""

    def gone():
        between(store)
        store.purge_user("alice")

    with pytest.raises(SecretNotFound):
        export_while(store, monkeypatch, gone)
    assert "canary" not in names_told(store)


def test_a_user_who_has_come_again(store, monkeypatch):
    """What was begun with a former user's keys does not give what was that user's."""

    def gone():
        store.purge_user("alice")
        store.set_secret("alice", "canary-name", "another's value")

    with pytest.raises(SecretNotFound):
        export_while(store, monkeypatch, gone)


def test_changing_the_root_breaks_nothing_off(store, monkeypatch):
    """The user is there all the time."""
    store.user_roots.set("alice", key())

    def change():
        store.user_roots.change("alice", key(), key(bytes(32)))

    assert b"value" in export_while(store, monkeypatch, change)


ATTEMPTS = {
    "read": lambda at: at.get_secret("alice", "canary-name"),
    "read several": lambda at: at.get_secrets("alice", ["canary-name", "canary-other"]),
    "write": lambda at: at.set_secret("alice", "canary-name", "x", cas=-1),
    "write too much": lambda at: at.set_secret("alice", "canary-name", "x" * 2_000_000),
    "an older version": lambda at: at.get_secret("alice", "canary-name", version=0),
    "roll back": lambda at: at.rollback_secret("alice", "canary-name", 1, cas=-1),
    "delete": lambda at: at.delete_secret("alice", "canary-name", versions=[0]),
    "destroy": lambda at: at.destroy_secret("alice", "canary-name", versions=[]),
    "metadata": lambda at: at.update_secret_metadata("alice", "canary-name", max_versions=0),
    "tags": lambda at: at.update_secret_tags("alice", "canary-name", add=[""]),
    "export": lambda at: at.export_secrets("alice", names=["canary-name"], format="json"),
    "import": lambda at: at.import_secrets("alice", b'{"canary-name": "x"}', format="json"),
    "share": lambda at: at.shares.create("alice", "bob", "canary-name", reshare=-1),
    "share no version": lambda at: at.shares.create("alice", "bob", "canary-name", version=0),
    "hold": lambda at: at.holds.add("alice", "\x00", where="canary-name"),
}


@pytest.mark.parametrize("limits", [Limits(), Limits(max_batch=1)], ids=["", "small batches"])
def test_what_fails_meanwhile_is_told_without_names(tmp_path, limits):
    """Whatever it fails by: the arguments, a limit, or that the root is away."""
    with Place(tmp_path).open(limits=limits) as store:
        store.set_secret("alice", "canary-name", "value")
        store.user_roots.set("alice", key())
        store.user_roots.take("alice")
        for attempt in ATTEMPTS.values():
            with pytest.raises(AdytonError):
                attempt(store)
        assert "canary" not in names_told(store)


def test_a_key_that_is_taken_away_in_between_seals_and_opens_nothing(store, monkeypatch):
    """Between being found and being used: it is wiped by then, and what it wiped to is no key."""
    store.user_roots.set("alice", key())
    core = store._opened.core
    find = GivenRoots._find

    def found_then_taken(self, root):
        found = find(self, root)
        elsewhere(lambda: self.take(core.ring.user_index("alice")))
        return found

    for attempt in (lambda: store.keys.rotate("alice"), lambda: core.commit.run_sync(read(core))):
        with monkeypatch.context() as patch:
            patch.setattr(GivenRoots, "_find", found_then_taken)
            core.ring.forget("alice")
            with closed():
                attempt()
        store.user_roots.give("alice", key())
        store.get_secret("alice", "canary-name").wipe()


async def read(core):
    return await core.keys("alice", fresh=True)
