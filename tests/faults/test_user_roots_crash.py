"""Killed at every write while a user's own root is set, changed or removed: something opens it."""

import random

import pytest

from isolated import run_isolated

SCRIPT = """
import sys
from pathlib import Path
from adyton import SecretStore
from adyton.errors import UserRootRefused, UserRootAway
from adyton.roots import PassphraseRoot
from adyton.roots.passphrase import TEST_PARAMS
from killing import kill_at_writes

what, folder = sys.argv[1], Path(sys.argv[2])
now = folder / "now"
told = folder / "told"


def root(name):
    return PassphraseRoot(f"the passphrase called {name}", params=TEST_PARAMS)


def opened():
    return SecretStore.open(
        str(now / "s.db"), root=f"keyfile:{now}/k", create=True, upkeep=False
    )


def prepare():
    with opened() as store:
        for n in range(3):
            store.set_secret("alice", f"n{n}", f"value {n}")
            store.set_secret("alice", f"n{n}", f"value {n}")
        store.set_secret("bob", "b", "bob's")
        if what != "set":
            store.user_roots.set("alice", root("old"))


def operation():
    with opened() as store:
        if what == "set":
            store.user_roots.set("alice", root("new"))
        elif what == "change":
            store.user_roots.change("alice", root("old"), root("new"))
        else:
            store.user_roots.remove("alice", root("old"))
    told.write_text("done")


def whole(store):
    for n in range(3):
        assert store.get_secret("alice", f"n{n}").text() == f"value {n}"
        assert store.get_secret("alice", f"n{n}", version=1).text() == f"value {n}"


def opens(name):
    with opened() as store:
        info = store.user_roots.show("alice")
        if not info.root:
            whole(store)
            return name == ""
        try:
            store.get_secret("alice", "n0")
            raise AssertionError("it opens without the root")
        except UserRootAway:
            pass
        if not name:
            return False
        try:
            store.user_roots.give("alice", root(name))
        except UserRootRefused:
            return False
        whole(store)
        if info.pending:  # what was broken off is gone on with by whoever opens the store next
            from adyton.model import Caller
            from adyton.service.userroot.admin import UserRoots
            core = store._opened.core
            core.commit.run_sync(UserRoots(core).finish(Caller("upkeep")))
            assert not store.user_roots.show("alice").pending
        keys = core_keys(store)
        assert len(keys.wrapping) == 1 and len(keys.meta) == 1
        whole(store)
        store.audit.verify()
        assert store.health().problems == []
        return True


def core_keys(store):
    core = store._opened.core

    async def look():
        async with core.storage.snapshot() as rows:
            return await core.ring.load_user(rows, "alice")

    return core.commit.run_sync(look())


def judge():
    with opened() as store:
        assert store.get_secret("bob", "b").text() == "bob's"
    found = [name for name in ("", "old", "new") if opens(name)]
    assert len(found) == 1, found
    after = {"set": "new", "change": "new", "remove": ""}[what]
    before = {"set": "", "change": "old", "remove": "old"}[what]
    assert found[0] in (before, after)
    if told.exists():
        assert found[0] == after
    elif found[0] == before:
        operation()
        assert opens(after)


print(kill_at_writes(
    folder, prepare, operation, judge, first=int(sys.argv[3]), step=int(sys.argv[4])
))
"""

STEPS = {"set": 19, "change": 19, "remove": 5}


@pytest.mark.parametrize("what", STEPS)
def test_killed_at_writes(what, tmp_path):
    """Before a statement or a commit; others in each run, together all."""
    step = STEPS[what]
    first = random.randrange(step)
    assert int(run_isolated(SCRIPT, what, str(tmp_path), str(first), str(step), timeout=250)) > 1


@pytest.mark.soak
@pytest.mark.parametrize("what", STEPS)
def test_killed_at_every_write(what, tmp_path):
    """Before each of them."""
    assert int(run_isolated(SCRIPT, what, str(tmp_path), "0", "1", timeout=1_200)) > 8
