"""Lists of names that are kept: whatever is done, they are those that the store would give anew."""

import asyncio
import contextlib
import random
import threading

import pytest

from adyton import Caller
from adyton.errors import AdytonError, SecretNotFound
from adyton.service.kv import KeyValue, KvMount, KvSettings
from adyton.service.ticket import Pause
from support import Place

CALLER = Caller("test")
FOLDERS = ("", "a", "a/b", "c", "none")
NAMES = [f"{folder}/{name}".lstrip("/") for folder in ("", "a", "a/b", "c") for name in "xyz"]
MOUNTS = (KvMount(), KvMount(".mounts/other/"))


@pytest.fixture
def store(tmp_path):
    with Place(tmp_path).open() as found:
        yield found


def lists(store, run):
    """All folders of both users in both mounts."""
    kv = KeyValue(store._opened.core)
    found = {}
    for user in ("u", "v"):
        for mount in MOUNTS:
            for folder in FOLDERS:
                try:
                    names = run(kv.names(CALLER, user, mount, folder))
                except SecretNotFound:
                    names = None
                found[user, mount.prefix, folder] = names
    return found


@pytest.mark.parametrize("seed", range(4))
def test_kept_lists_are_those_that_the_store_would_give_anew(store, seed):
    """Random operations, refused ones among them; the list is kept, then made anew, after each."""
    chance = random.Random(seed)
    core = store._opened.core
    run = core.commit.run_sync
    kv = KeyValue(core)

    def act():
        user, name = chance.choice("uv"), chance.choice(NAMES)
        mount = chance.choice(MOUNTS)
        match chance.randrange(12):
            case 0 | 1 | 2 | 3:
                run(kv.write(CALLER, user, mount, name, {"k": "v"}, chance.choice([None, 0, 0, 7])))
            case 4:
                run(kv.destroy(CALLER, user, mount, name, None))
            case 5:
                run(kv.delete(CALLER, user, mount, name, None))
            case 6:
                run(kv.configure(CALLER, user, mount, name, KvSettings(max_versions=2)))
            case 7:
                store.set_secrets(user, dict.fromkeys(chance.sample(NAMES, 3), b"1"))
            case 8:
                store.keys.rotate(user)
            case 9:
                store.delete_secret(user, name)
            case 10:
                store.destroy_secret(user, name)
            case 11:
                if chance.random() < 0.3:
                    store.purge_user(user)

    for _ in range(40):
        with contextlib.suppress(AdytonError):
            act()
        kept = lists(store, run)
        core.names.clear()
        assert lists(store, run) == kept


def test_a_list_is_made_once_and_again_only_when_a_name_comes_or_goes(store, monkeypatch):
    """New versions leave it as it is; so does what happens to another user."""
    core = store._opened.core
    kv = KeyValue(core)
    made = []
    keep = core.names.keep
    monkeypatch.setattr(core.names, "keep", lambda found: (made.append(found), keep(found)))

    def names():
        return core.commit.run_sync(kv.names(CALLER, "u", MOUNTS[0], ""))

    store.set_secrets("u", {"a": b"1", "b/c": b"2"})
    assert names() == ["a", "b/"]
    for _ in range(3):
        store.set_secret("u", "a", b"3")
        store.delete_secret("u", "a")
        store.set_secret("v", "new", b"4")
        store.get_secret("u", "b/c").wipe()
        assert names() == ["a", "b/"]
    assert len(made) == 1
    store.set_secret("u", "d", b"5")
    assert names() == ["a", "b/", "d"]
    assert len(made) == 2


@pytest.mark.parametrize("fails", [False, True])
def test_many_who_ask_at_once_have_one_list_made(store, monkeypatch, fails):
    """The others wait for it; where making it fails, the next one makes it."""
    core = store._opened.core
    kv = KeyValue(core)
    made = []
    keep = core.names.keep

    def kept(found):
        made.append(found)
        if fails and len(made) == 1:
            raise SecretNotFound("this one fails")
        keep(found)

    monkeypatch.setattr(core.names, "keep", kept)
    store.set_secrets("u", {f"n{n:03}": b"1" for n in range(300)})  # several pages, pauses between

    async def ask():
        asked = [core.commit.run_async(kv.names(CALLER, "u", MOUNTS[0], "")) for _ in range(20)]
        return await asyncio.gather(*asked, return_exceptions=True)

    found = asyncio.run(ask())
    answers = [names for names in found if isinstance(names, list)]
    assert len(answers) == 20 - fails
    assert all(names == [f"n{n:03}" for n in range(300)] for names in answers)
    assert len(made) == 1 + fails
    assert not core.names._making


def test_who_waits_for_a_list_never_sees_an_older_one(store, monkeypatch):
    """A name comes while the list is made: whoever asks after that is told of it."""
    core = store._opened.core
    kv = KeyValue(core)
    store.set_secrets("u", {f"n{n:03}": b"1" for n in range(300)})

    async def main():
        names = lambda: core.commit.run_async(kv.names(CALLER, "u", MOUNTS[0], ""))  # noqa: E731
        first = asyncio.ensure_future(names())
        await asyncio.sleep(0)  # it has begun, and stands at its first pause
        assert core.names._making
        store.set_secret("u", "later", b"2")
        behind = await asyncio.gather(*(names() for _ in range(5)))
        await first
        assert all("later" in found for found in behind)

    asyncio.run(main())


def test_lists_are_bounded_and_forgotten_with_their_keys(store, monkeypatch):
    """Nothing of a user who is gone stays, nor of a store that is closed."""
    from adyton.service import namelists

    core = store._opened.core
    kv = KeyValue(core)
    monkeypatch.setattr(namelists, "_LIMIT", 20)
    for number in range(10):
        user = f"u{number}"
        store.set_secrets(user, {f"n{n}": b"1" for n in range(5)})
        assert len(core.commit.run_sync(kv.names(CALLER, user, MOUNTS[0], ""))) == 5
        assert sum(len(kept.names) for kept in core.names._lists.values()) <= 20
    assert core.names._lists
    store.purge_user("u9")
    assert not core.names._lists
    core.commit.run_sync(kv.names(CALLER, "u8", MOUNTS[0], ""))
    store.close()
    assert not core.names._lists


def test_a_thread_never_waits_for_a_list_that_it_makes_itself(store):
    """It has one under way, as an event loop may: another one is made beside, and both hold."""
    core = store._opened.core
    kv = KeyValue(core)
    store.set_secrets("u", {f"f/{number:03d}": b"1" for number in range(300)})
    making = kv.names(CALLER, "u", MOUNTS[0], "f")
    assert isinstance(making.send(None), Pause)
    found = []
    beside = threading.Thread(
        target=lambda: found.append(core.commit.run_sync(kv.names(CALLER, "u", MOUNTS[0], "f")))
    )
    beside.start()  # another thread waits for the first one
    stuck = threading.Timer(10, making.close)  # a failure, rather than a test that hangs
    stuck.start()
    found.append(core.commit.run_sync(kv.names(CALLER, "u", MOUNTS[0], "f")))
    assert stuck.is_alive()
    stuck.cancel()
    found.append(core.commit.run_sync(making))
    beside.join(10)
    assert [len(names) for names in found] == [300] * 3
    assert not core.names._making
