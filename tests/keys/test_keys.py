"""Rotation, re-wrapping and destruction of keys."""

import pytest

from adyton import Limits
from adyton.errors import SecretNotFound
from adyton.service import keychange
from adyton.service.limits import DAY_US
from support import Place


def fill(store, count=30):
    for user in ("alice", "bob"):
        store.set_secrets(user, {f"n{n}": f"{user} {n}" for n in range(count)})
        store.set_secret(user, "n0", f"{user} 0")


def check(store, count=30):
    for user in ("alice", "bob"):
        found = store.get_secrets(user, [f"n{n}" for n in range(count)])
        assert {n: s.text() for n, s in found.items()} == {
            f"n{n}": f"{user} {n}" for n in range(count)
        }
        assert store.get_secret(user, "n0", version=1).text() == f"{user} 0"
    store.audit.verify()


def versions_in_use(place):
    """The user key versions that anything is wrapped under, in the file."""
    return {
        row[0]
        for table in ("secrets", "versions")
        for row in place.sql(f"SELECT DISTINCT key_version FROM {table}")
    }


def test_a_rotation_is_used_by_the_next_write_and_old_values_still_read(tmp_path):
    """After a rotation new data keys are wrapped under the new key, old ones still open."""
    place = Place(tmp_path)
    with place.open() as store:
        fill(store)
        assert store.keys.rotate() == 2
        store.set_secret("alice", "new", "x")
        check(store)
    assert versions_in_use(place) == {1, 2}


def test_a_rewrap_destroys_the_retired_keys(tmp_path):
    """After the job nothing names an old key, and the old key is gone from the file."""
    place = Place(tmp_path)
    with place.open() as store:
        fill(store)
        old = [row[0] for row in place.sql("SELECT wrapped FROM user_keys")]
        store.keys.rotate()
        report = store.keys.rewrap()
        assert (report.users, report.keys) == (2, 62)
        check(store)
        assert [info.version for info in store.keys.list() if info.user] == [2, 2]
    assert versions_in_use(place) == {2}
    data = place.copy()
    assert not any(wrapped in data for wrapped in old)


class Interrupt(Exception):
    pass


@pytest.mark.parametrize("deep", [False, True])
def test_an_interrupted_job_goes_on_where_it_was(tmp_path, monkeypatch, deep):
    """Stopped after every batch and started anew each time, the job ends and loses nothing."""
    monkeypatch.setattr("adyton.service.keyadmin.BATCH", 7)
    monkeypatch.setattr("adyton.service.deep.BATCH_SECRETS", 7)
    place = Place(tmp_path)
    with place.open() as store:
        fill(store)
        store.keys.rotate()
    seen = []

    def stop(step):
        seen.append(step.done)
        raise Interrupt

    for _ in range(100):
        with place.open() as store:
            try:
                store.keys.rewrap(deep=deep, watch=stop)
            except Interrupt:
                check(store)
                continue
            break
    else:
        pytest.fail("the job never came to its end")
    assert len(seen) > 8
    with place.open() as store:
        check(store)
        assert all(info.current for info in store.keys.list())
    assert versions_in_use(place) == {2}


def test_deep_reencryption_changes_every_box(tmp_path):
    """Every value, data key and metadata box is new, the metadata key too; values are equal."""
    place = Place(tmp_path)
    select = "SELECT value, wrapped_key, meta FROM secrets"
    with place.open() as store:
        fill(store)
    before = {cell for row in place.sql(select) for cell in row}
    with place.open() as store:
        store.keys.rewrap(deep=True)
        check(store)
    assert before.isdisjoint(cell for row in place.sql(select) for cell in row)
    assert place.sql("SELECT DISTINCT version FROM user_subkeys WHERE purpose=2") == [(2,)]


def test_a_shallow_job_between_two_deep_ones_loses_nothing(tmp_path, monkeypatch):
    """A deep job that was broken off leaves metadata under two keys; both are kept."""
    monkeypatch.setattr("adyton.service.deep.BATCH_SECRETS", 7)
    place = Place(tmp_path)
    with place.open() as store:
        fill(store)
        calls = []

        def stop(step):
            calls.append(step)
            if len(calls) == 3:
                raise Interrupt

        with pytest.raises(Interrupt):
            store.keys.rewrap(deep=True, watch=stop)
        store.keys.rotate()
        store.keys.rewrap()
        check(store)
    with place.open() as store:
        check(store)
        store.keys.rewrap(deep=True)
        check(store)


def test_master_rotation_rewraps_all_and_destroys_the_old_one(tmp_path):
    """After it one master key is left, everything opens, and the root is the same."""
    place = Place(tmp_path)
    with place.open() as store:
        fill(store)
        assert store.keys.rotate(master=True) == 2
        check(store)
    assert place.sql("SELECT version FROM master_keys") == [(2,)]
    assert place.sql("SELECT DISTINCT master_version FROM user_keys") == [(2,)]
    assert place.sql("SELECT DISTINCT master_version FROM store_keys") == [(2,)]
    with place.open() as store:
        check(store)


def test_a_user_key_rotates_by_use_count(tmp_path):
    """With a limit of five wraps, twelve writes need three keys."""
    with Place(tmp_path).open(limits=Limits(user_key_wraps=5)) as store:
        for n in range(12):
            store.set_secret("u", f"n{n}", str(n))
        assert [i.version for i in store.keys.list() if i.user] == [1, 2, 3]
        reasons = [e.reason for e in store.get_audit_log("u", action="keys.rotate")]
        assert reasons == ["use count", "use count"]
        for n in range(12):
            assert store.get_secret("u", f"n{n}").text() == str(n)


def test_a_user_key_rotates_by_age(tmp_path):
    """A key older than its interval is rotated by the next write, and not by reads."""
    place = Place(tmp_path)
    with place.open() as store:
        store.set_secret("u", "n", "1")
    place.sql(("UPDATE user_keys SET created_us=created_us-?", (31 * DAY_US,)))
    with place.open() as store:
        store.get_secret("u", "n").wipe()
        assert [i.version for i in store.keys.list() if i.user] == [1]
        store.set_secret("u", "n", "2")
        assert [i.version for i in store.keys.list() if i.user] == [1, 2]
        assert store.get_audit_log("u", action="keys.rotate")[0].reason == "age"


def test_the_stored_count_of_wraps_is_never_below_the_truth(tmp_path):
    """Reopened, as after a crash, a key's count is at least what it has wrapped."""
    place = Place(tmp_path)
    with place.open() as store:
        store.set_secrets("u", {f"n{n}": "x" for n in range(5000)})
    ((stored,),) = place.sql("SELECT wraps FROM user_keys")
    assert 5000 <= stored <= 5000 + 2 * keychange.WRAP_RESERVE


def test_upkeep_rewraps_in_the_background(tmp_path, monkeypatch):
    """With upkeep a rotation's rest is done without being asked."""
    monkeypatch.setattr("adyton.service.upkeep._RETRY_SECONDS", 0.1)
    place = Place(tmp_path)
    with place.open(upkeep=True) as store:
        fill(store)
        store.keys.rotate()
        for _ in range(100):
            if all(info.current for info in store.keys.list()):
                break
            __import__("time").sleep(0.1)
        else:
            pytest.fail("retired keys are still there")
        check(store)


def test_few_users_in_the_cache_are_enough(tmp_path):
    """Users whose keys were closed are opened again."""
    with Place(tmp_path).open(limits=Limits(cached_users=2)) as store:
        for n in range(6):
            store.set_secret(n, "a", str(n))
        for _ in range(2):
            for n in range(6):
                assert store.get_secret(n, "a").text() == str(n)


def test_a_purge_leaves_no_key_in_the_file(tmp_path):
    """The purged user's wrapped keys are overwritten in the database and its log."""
    place = Place(tmp_path)
    with place.open() as store:
        store.set_secret("gone", "a", "x")
        store.set_secret("stays", "a", "y")
    rows = dict(place.sql("SELECT user, wrapped FROM user_keys"))
    with place.open() as store:
        users = {info.user for info in store.users()}
        store.purge_user("gone")
        with pytest.raises(SecretNotFound):
            store.get_secret("gone", "a")
        data = place.copy()
        wal = place.folder / "store.db-wal"
        data += wal.read_bytes() if wal.exists() else b""
    assert users == {"gone", "stays"}
    assert sum(wrapped in data for wrapped in rows.values()) == 1
