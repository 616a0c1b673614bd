"""While a user's own root is away: shares, sinks, quotas, backups and the cost for all others."""

import json
import sqlite3
import time

import pytest

from adyton import SecretStore
from adyton.errors import IntegrityError, QuotaExceeded, SecretNotFound, UserRootAway
from adyton.service.limits import Limits
from adyton.service.quota.storage import Quotas
from adyton.service.sharing.tidying import forget_shares
from adyton.service.upkeep import UPKEEP, Upkeep
from ownroots import closed, given_away, key, own
from support import Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def shared(store, owner, receiver, name):
    store.set_secret(owner, name, f"{owner}'s {name}")
    share = store.shares.create(owner, receiver, name).id
    store.shares.accept(receiver, share)
    return share


def test_a_receiver_reads_on_while_the_owner_is_away(place):
    """By the receiver's own keys, also after the owner's were all made anew."""
    with place.open() as store:
        share = shared(store, "alice", "bob", "a")
        given_away(store)
        with store.shares.get("bob", share) as secret:
            assert secret.text() == "alice's a"
        with closed():
            store.shares.revoke("alice", share)
        store.user_roots.give("alice", own())
        store.shares.revoke("alice", share)
        with pytest.raises(SecretNotFound):
            store.shares.get("bob", share)
        store.audit.verify()


def test_an_owner_writes_revokes_and_purges_while_a_receiver_is_away(place):
    """What was written follows; what was revoked opens nothing when the receiver is back."""
    with place.open() as store:
        kept, ended = (shared(store, "bob", "alice", name) for name in ("kept", "ended"))
        given_away(store)
        store.set_secret("bob", "kept", "a new value")
        store.shares.revoke("bob", ended)
        with closed():
            store.shares.get("alice", kept)
        with pytest.raises(UserRootAway):
            store.shares.create("bob", "alice", "kept")
        core = store._opened.core
        core.commit.run_sync(forget_shares(core, UPKEEP, "bob"))
        store.user_roots.give("alice", own())
        core.commit.run_sync(forget_shares(core, UPKEEP, "bob"))
        with store.shares.get("alice", kept) as secret:
            assert secret.text() == "a new value"
        with pytest.raises((SecretNotFound, IntegrityError)):
            store.shares.get("alice", ended)
        assert ended not in [share.id for share in store.shares.received("alice")]
        store.user_roots.take("alice")
        store.purge_user("bob")
        store.user_roots.give("alice", own())
        with pytest.raises(SecretNotFound):
            store.shares.get("alice", kept)
        store.audit.verify()


def test_sinks_tell_of_records_that_they_can_not_open(place, tmp_path):
    """In their place, and as what they are: neither lost nor erased."""
    file = tmp_path / "sink.jsonl"
    with place.open() as store:
        store.set_secret("alice", "a", "x")
        given_away(store)
        store.set_secret("bob", "b", "x")
    with place.open(sinks=[f"file:{file}"]) as store:
        Upkeep(store._opened.core, [])
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(len(lines)))
    assert [line for line in lines if line.get("closed")]
    assert not [line for line in lines if line.get("erased")]
    assert "secret.set" in [line.get("action") for line in lines]


def test_quotas_hold_for_a_user_with_a_root(place):
    """Given, they are checked as ever; giving and taking away is not held up by them."""
    limits = Limits(quotas=Quotas(secrets=2))
    with place.open(limits=limits) as store:
        store.set_secret("alice", "a", "x")
        store.set_secret("alice", "b", "x")
        given_away(store)
        store.user_roots.give("alice", own())
        with pytest.raises(QuotaExceeded):
            store.set_secret("alice", "c", "x")
        store.user_roots.change("alice", own(), key())
        store.user_roots.take("alice")
        store.user_roots.remove("alice", key())
        assert len(list(store.list_secrets("alice"))) == 2


def test_a_backup_that_was_made_while_it_was_away_opens_by_the_root(place, tmp_path):
    """It holds what the store holds, the wrapped key included."""
    with place.open() as store:
        store.set_secret("alice", "a", "value")
        given_away(store)
        with sqlite3.connect(place.path) as source, sqlite3.connect(tmp_path / "b.db") as copy:
            source.backup(copy)
        source.close()
        copy.close()
    with SecretStore.open(str(tmp_path / "b.db"), root=place.root, upkeep=False) as store:
        with closed():
            store.get_secret("alice", "a")
        store.user_roots.give("alice", own())
        assert store.get_secret("alice", "a").text() == "value"


def test_the_background_goes_on_with_what_setting_has_left(place, monkeypatch):
    """Broken off after the root was set: whoever gives it next has the rest done."""
    from adyton.service.userroot.admin import UserRoots

    with place.open() as store:
        store.set_secret("alice", "a", "value")

        async def broken(*_):
            raise RuntimeError("the power went")

        with monkeypatch.context() as patched:
            patched.setattr(UserRoots, "_encrypt_anew", broken)
            with pytest.raises(RuntimeError):
                store.user_roots.set("alice", own())
        assert store.user_roots.show("alice").pending
    with place.open() as store:
        core = store._opened.core
        Upkeep(core, [])._due_jobs()
        assert store.user_roots.show("alice").pending  # nothing to be done without the user
        store.user_roots.give("alice", own())
        Upkeep(core, [])._due_jobs()
        assert not store.user_roots.show("alice").pending
        assert [info.version for info in store.keys.list() if info.user == "alice"] == [2]
        assert store.get_secret("alice", "a").text() == "value"


def test_nobody_else_pays_for_it(place):
    """Reads by others take as long with roots given as with none: medians, measured in turns."""
    with place.open() as store:
        store.set_secret("bob", "a", "x")
        for n in range(20):
            store.set_secret(f"u{n}", "a", "x")
        core = store._opened.core

        def median():
            times = []
            for _ in range(600):
                started = time.perf_counter()
                core.ring.cached("bob")
                times.append(time.perf_counter() - started)
            return sorted(times)[len(times) // 2]

        store.get_secret("bob", "a").wipe()
        without = min(median() for _ in range(5))
        for n in range(20):
            store.user_roots.set(f"u{n}", key())
        store.get_secret("bob", "a").wipe()
        assert core.ring.given.any
        for _ in range(5):
            if min(median() for _ in range(5)) < without * 2 + 1e-6:
                return
        pytest.fail("looking keys up has become slower for everybody")
