"""What is deleted is kept for a time, brought back until then, and destroyed after it."""

import datetime as dt

import pytest

from adyton import SecretStore
from adyton.errors import ConfigurationError, InvalidInput, SecretNotFound
from adyton.model import State
from adyton.service.kv import KeyValue, KvMount
from adyton.service.lifecycle.options import LifecycleOptions
from adyton.service.limits import Limits
from lifecycles import DAY, World
from ownroots import own

NAME = "db/password"


def states(world, name=NAME):
    return [version.state for version in world.store.get_secret_metadata("alice", name).versions]


def values(world):
    """How many wrapped data keys and values there are in the database."""
    current = world.rows("SELECT count(*) FROM secrets WHERE wrapped_key IS NOT NULL")
    older = world.rows("SELECT count(*) FROM versions")
    return current[0][0] + older[0][0]


def test_a_deleted_version_lives_for_ninety_days(world):
    """It can be brought back until then; then its key and value are gone, with a record."""
    store = world.store
    store.set_secret("alice", NAME, "one")
    store.set_secret("alice", NAME, "two")
    store.delete_secret("alice", NAME, versions=[1])
    world.wait(90 * DAY - 60)
    assert not any(world.run())
    store.undelete_secret("alice", NAME, versions=[1])
    world.wait(100 * DAY)
    assert not any(world.run())
    store.delete_secret("alice", NAME, versions=[1])
    world.wait(90 * DAY + 1)
    assert values(world) == 2
    assert world.run().destroyed == 1
    assert states(world) == [State.DESTROYED, State.LIVE]
    assert values(world) == 1
    with pytest.raises(SecretNotFound):
        store.get_secret("alice", NAME, version=1)
    store.undelete_secret("alice", NAME, versions=[1])
    assert states(world)[0] == State.DESTROYED
    entry = store.get_audit_log("alice", action="secret.destroy")[0]
    assert (entry.secret_name, entry.success) == (NAME, True)
    assert "versions 1" in entry.reason
    store.audit.verify()


def test_a_secret_of_which_nothing_is_left_goes_with_its_name(world):
    store = world.store
    store.set_secret("alice", NAME, "one", expires_at=world.after(900 * DAY))
    store.delete_secret("alice", NAME)
    world.wait(91 * DAY)
    assert world.run()[1:3] == (1, 1)
    with pytest.raises(SecretNotFound):
        store.get_secret_metadata("alice", NAME)
    assert world.rows("SELECT count(*) FROM secrets") == [(0,)]
    assert world.rows("SELECT count(*) FROM due") == [(0,)]
    store.audit.verify()
    assert store.set_secret("alice", NAME, "new").version == 1


def test_versions_that_end_by_themselves_are_kept_as_long(world):
    """delete_version_after deletes; the retention counts from there."""
    kv = KeyValue(world.core)
    caller = world.store._caller
    mount = KvMount(delete_version_after=10 * DAY)
    run = world.core.commit.run_sync
    run(kv.write(caller, "alice", mount, NAME, {"a": "1"}))
    world.wait(11 * DAY)
    world.run()
    assert run(kv.read(caller, "alice", mount, NAME)).secret is None
    run(kv.undelete(caller, "alice", mount, NAME, [1]))
    assert run(kv.read(caller, "alice", mount, NAME)).secret is not None
    run(kv.write(caller, "alice", mount, NAME, {"a": "2"}))
    world.wait(99 * DAY)
    assert world.run().destroyed == 0
    world.wait(2 * DAY)
    assert world.run().destroyed == 1
    assert states(world) == [State.LIVE, State.DESTROYED]


def test_what_has_expired_is_kept(world):
    """Its owner can renew it at any time: only what is deleted is destroyed."""
    store = world.store
    store.set_secret("alice", NAME, "v", expires_at=world.after(DAY))
    world.wait(5000 * DAY)
    world.run()
    store.update_secret_metadata("alice", NAME, expires_at=world.after(DAY))
    with store.get_secret("alice", NAME) as secret:
        assert secret.text() == "v"


def test_a_user_sets_another_time(world):
    """Shorter or longer, for what is deleted already as well; 0 is for ever."""
    store = world.store
    for at in range(3):
        store.set_secret("alice", f"s/{at}", "v")
        store.set_secret("bob", f"s/{at}", "v")
        store.delete_secret("alice", f"s/{at}")
        store.delete_secret("bob", f"s/{at}")
    assert store.lifecycle.set_retention("alice", 10 * DAY).retention == 10 * DAY
    world.wait(10 * DAY + 1)
    assert world.run()[1:3] == (3, 3)
    store.lifecycle.set_retention("bob", 0)
    world.wait(2000 * DAY)
    assert not any(world.run())
    store.lifecycle.set_retention("bob", None)
    assert world.run().erased == 3
    store.audit.verify()


def test_the_operator_bounds_what_users_set(tmp_path):
    """Out of bounds is refused; what was set before other bounds is taken to the nearest."""
    url, root = str(tmp_path / "s.db"), f"keyfile:{tmp_path / 'k'}"

    def opened(**options):
        limits = Limits(lifecycle=LifecycleOptions(**options))
        return SecretStore.open(url, root=root, create=True, upkeep=False, limits=limits)

    bounds = {"retention": 7 * DAY, "retention_min": 5 * DAY, "retention_max": 20 * DAY}
    with opened(**bounds) as store:
        world = World(store)
        for bad in (0, DAY, 21 * DAY, -1, True, 1.5):
            with pytest.raises(InvalidInput, match="432000"):
                store.lifecycle.set_retention("alice", bad)
        assert store.lifecycle.set_retention("alice", 20 * DAY).retention == 20 * DAY
        store.set_secret("alice", NAME, "v")
        store.delete_secret("alice", NAME)
        world.wait(19 * DAY)
        assert not any(world.run())
    with opened(retention=7 * DAY, retention_max=10 * DAY) as store:
        world = World(store)
        found = store.lifecycle.get("alice")
        assert (found.retention, found.own_retention) == (10 * DAY, 20 * DAY)
        world.wait(9 * DAY)
        assert not any(world.run())
        world.wait(2 * DAY)
        assert world.run().erased == 1
    for bad in (
        {"retention_min": 9 * DAY, "retention_max": DAY}, {"retention": 0, "retention_max": DAY},
        {"retention": DAY, "retention_min": 2 * DAY}, {"retention": -1}, {"notice": (-1,)},
    ):  # fmt: skip
        with pytest.raises(ConfigurationError):
            LifecycleOptions(**bad)


def test_the_background_does_it(tmp_path):
    """An open store with upkeep does what is due without being asked."""
    import time

    url, root = str(tmp_path / "s.db"), f"keyfile:{tmp_path / 'k'}"
    limits = Limits(lifecycle=LifecycleOptions(retention=1, notice=(0,)))
    with SecretStore.open(url, root=root, create=True, upkeep=False, limits=limits) as store:
        store.set_secret("alice", NAME, "v")
        store.set_secret("alice", "ends", "v", expires_at=_soon())
        store.delete_secret("alice", NAME)
    time.sleep(1.1)
    with SecretStore.open(url, root=root, limits=limits) as store:
        world = World(store)
        end = time.monotonic() + 60
        while time.monotonic() < end and not (world.told() and not _has(store, NAME)):
            time.sleep(0.2)
        assert world.told() == [("secret.expired", "ends", 0)]
        assert not _has(store, NAME)


def _soon():
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.5)


def _has(store, name):
    try:
        store.get_secret_metadata("alice", name)
    except SecretNotFound:
        return False
    return True


def test_a_receiver_loses_what_is_destroyed(world):
    """A shared version that is destroyed is gone from the share as well."""
    store = world.store
    store.set_secret("alice", NAME, "v")
    share = store.shares.create("alice", "bob", NAME, version=1)
    store.shares.accept("bob", share.id)
    store.set_secret("alice", NAME, "v2")
    store.delete_secret("alice", NAME, versions=[1])
    world.wait(91 * DAY)
    assert world.run().destroyed == 1
    with pytest.raises(SecretNotFound):
        store.shares.get("bob", share.id)
    store.audit.verify()


def test_shares_of_other_versions_go_on(world):
    """What is destroyed changes the secret; a receiver of what lives reads it as before."""
    store = world.store
    store.set_secret("alice", NAME, "one")
    store.set_secret("alice", NAME, "two")
    share = store.shares.create("alice", "bob", NAME)
    store.shares.accept("bob", share.id)
    store.delete_secret("alice", NAME, versions=[1])
    world.wait(91 * DAY)
    assert world.run().destroyed == 1
    with store.shares.get("bob", share.id) as secret:
        assert secret.reveal() == b"two"


def test_a_user_whose_own_root_is_away_waits_and_holds_nobody_up(world):
    """What was due meanwhile is done within the hour after the root is given again."""
    store = world.store
    for user in ("alice", "bob"):
        store.set_secret(user, NAME, "v")
        store.set_secret(user, "ends", "v", expires_at=world.after(100 * DAY))
        store.delete_secret(user, NAME)
    store.user_roots.set("alice", own())
    store.user_roots.take("alice")
    world.wait(91 * DAY)
    assert world.run() == (1, 1, 1, 0, 0)
    assert not any(world.run())
    store.user_roots.give("alice", own())
    world.wait(3601)
    assert world.run() == (1, 1, 1, 0, 0)
    assert world.told("alice") == world.told("bob")
    store.audit.verify()
