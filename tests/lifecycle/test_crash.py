"""Killed at every write of a pass: each notice is given once, and each version destroyed once."""

from isolated import run_isolated

SCRIPT = """
import sys
from pathlib import Path
from adyton import SecretStore
from adyton.errors import SecretNotFound
from adyton.service.lifecycle import work
from killing import kill_at_writes
from lifecycles import DAY, World

folder = Path(sys.argv[1])
now = folder / "now"
work._BATCH = 2


def opened():
    store = SecretStore.open(
        str(now / "store.db"), root=f"keyfile:{now}/key", create=True, upkeep=False
    )
    return World(store)


def prepare():
    world = opened()
    with world.store as store:
        for user in ("alice", "bob"):
            store.set_secret(user, "ends", "v", expires_at=world.after(40 * DAY))
            store.set_secret(user, "gone", "v")
            store.delete_secret(user, "gone")
            store.set_secret(user, "part", "one")
            store.set_secret(user, "part", "two")
            store.delete_secret(user, "part", versions=[1])
            store.set_secret(user, "held", "v")
            store.delete_secret(user, "held")
            store.holds.add(user, "case", where="held")
            store.lifecycle.set_notice(user, [30 * DAY])
            store.lifecycle.set_retention(user, 5 * DAY)


def operation():
    world = opened()
    world.wait(11 * DAY)
    world.run()


def verdict():
    world = opened()
    world.wait(11 * DAY)
    with world.store as store:
        world.run()
        assert not any(world.run())
        for user in ("alice", "bob"):
            assert world.told(user) == [("secret.expiring", "ends", 30 * DAY)]
            states = [v.state for v in store.get_secret_metadata(user, "part").versions]
            assert states == [2, 0], states
            store.undelete_secret(user, "held")
            assert store.get_secret(user, "held").text() == "v"
            assert store.get_secret(user, "part").text() == "two"
            try:
                store.get_secret_metadata(user, "gone")
                raise AssertionError("it is still there")
            except SecretNotFound:
                pass
            done = store.get_audit_log(user, action="secret.destroy")
            assert sorted(e.secret_name for e in done) == ["gone", "part"], done
        left = world.rows("SELECT (SELECT count(*) FROM versions),(SELECT count(*) FROM jobs)")
        assert left == [(0, 0)], left
        store.audit.verify()
        assert store.health().problems == []


print(kill_at_writes(
    folder, prepare, operation, verdict, step=int(sys.argv[2]), methods=("_run", "_many", "commit")
))
"""


def test_killed_at_every_write_of_a_pass(tmp_path):
    """Whatever was done is done once; what was not is done by the next pass."""
    found = run_isolated(SCRIPT, str(tmp_path), "1", timeout=300)
    assert int(found) > 30
