"""Quotas of storage: counted exactly, whatever is written at once and however it ends."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from adyton.errors import (
    AdytonError,
    ConfigurationError,
    LimitExceeded,
    QuotaExceeded,
    VersionConflict,
)
from adyton.rows import UsageRow
from adyton.service.limits import Limits
from adyton.service.quota.storage import Quotas
from quota.counting import assert_exact
from support import Place

NOTHING = UsageRow(0, 0, 0, 0)
HUGE = {"secrets": 10**9, "bytes": 10**12}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def open_with(place, **quotas):
    return place.open(limits=Limits(quotas=Quotas(**quotas)))


def test_counts_are_those_of_the_rows_after_anything(place):
    """Writes, prunes, deletes, destroys, imports, rotations, purges, in a random order."""
    rng = random.Random(11)
    with open_with(place, **HUGE) as store:
        for step in range(250):
            user, name = f"u{rng.randrange(3)}", f"s{rng.randrange(8)}"
            what = rng.choice(["set"] * 6 + ["max", "delete", "destroy", "all", "undelete", "roll"])
            try:
                if what == "set":
                    store.set_secret(user, name, b"x" * rng.randrange(200))
                elif what == "max":
                    store.set_secret(user, name, b"x", max_versions=rng.randrange(1, 4))
                elif what == "delete":
                    store.delete_secret(user, name)
                elif what == "destroy":
                    store.destroy_secret(user, name, versions=[rng.randrange(1, 9)])
                elif what == "all":
                    store.destroy_secret(user, name)
                elif what == "undelete":
                    store.undelete_secret(user, name)
                else:
                    store.rollback_secret(user, name, rng.randrange(1, 9))
            except AdytonError:
                pass
            if step % 80 == 40:
                bundle = store.export_secrets("u0", format="json")
                store.import_secrets("u1", bundle, format="json", on_conflict="replace")
                store.keys.rotate()
            if step == 150:
                store.purge_user("u2")
        assert_exact(place, store)


@pytest.mark.parametrize("kind", ["secrets", "versions", "bytes"])
def test_a_quota_holds_exactly_under_concurrency(place, kind):
    """Many threads at once: as many are let in as the quota says, and none is half-written."""
    quota = {"secrets": 10, "versions": 10, "bytes": 10 * 129}[kind]
    with open_with(place, **{kind: quota}) as store:

        def put(n):
            name = f"s{n}" if kind != "versions" else "one"
            try:
                store.set_secret("ann", name, b"x" * 100, max_versions=100)
            except QuotaExceeded:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            done = sum(pool.map(put, range(60)))
        assert done == 10
        store.set_secret("bob", "his", b"own")  # another user is not affected
        failed = [entry for entry in store.get_audit_log("ann", limit=100) if not entry.success]
        assert len(failed) == 50
        assert {entry.reason for entry in failed} == {"QuotaExceeded"}
        store.audit.verify()
        assert_exact(place, store)


def test_a_batch_is_let_in_whole_or_not_at_all(place):
    """Nothing of a batch that passes the quota stays."""
    with open_with(place, secrets=5) as store:
        store.set_secrets("ann", {f"a{n}": b"x" for n in range(4)})
        with pytest.raises(QuotaExceeded):
            store.set_secrets("ann", {f"b{n}": b"x" for n in range(2)})
        assert len(store.list_secrets("ann")) == 4
        bundle = store.export_secrets("ann", format="json")
        with pytest.raises(QuotaExceeded):
            store.import_secrets("ann", bundle, format="json", prefix="more/")
        store.set_secret("ann", "b0", b"x")
        assert_exact(place, store)


def test_whoever_is_over_a_quota_can_still_remove(place):
    """Also after the quota was lowered below what there is."""
    with place.open() as store:
        for n in range(6):
            store.set_secret("ann", f"s{n}", b"x" * 50)
    with open_with(place, secrets=3, versions=3, bytes=100) as store:
        with pytest.raises(QuotaExceeded) as told:
            store.set_secret("ann", "s9", b"x")
        assert "3 secrets" in told.value.message
        assert told.value.hint
        assert isinstance(told.value, LimitExceeded)
        store.update_secret_tags("ann", "s0", add=["kept"])
        store.delete_secret("ann", "s0")
        for n in range(5):
            store.destroy_secret("ann", f"s{n}")
        store.destroy_secret("ann", "s5")
        store.set_secret("ann", "s9", b"x")
        assert_exact(place, store)


def test_a_store_without_quotas_is_not_counted(place):
    """Nothing is refused, and nothing of the counting is there or in the file."""
    with place.open() as store:
        for n in range(20):
            store.set_secret("ann", f"s{n % 5}", b"x" * n)
        writer = store._opened.core.storage._writer.connection
        assert writer.execute("SELECT * FROM sqlite_temp_schema").fetchall() == []
    with open_with(place, **HUGE) as store:
        store.set_secret("ann", "new", b"x")
        assert_exact(place, store)
    assert place.sql("SELECT name FROM sqlite_schema WHERE type='trigger' OR name='usage'") == []


def test_a_write_that_fails_leaves_the_count_as_it_was(place):
    """Check-and-set refused, a batch undone: counted as before, also in the same group."""
    with open_with(place, secrets=100) as store:
        store.set_secret("ann", "a", b"x" * 10)
        for _ in range(3):
            with pytest.raises(VersionConflict):
                store.set_secret("ann", "a", b"y" * 99, cas=7)

            def put(n):
                try:
                    store.set_secrets("ann", {"new": b"x", **{f"k{m}": b"x" for m in range(n)}})
                except QuotaExceeded:
                    return False
                return True

            with ThreadPoolExecutor(4) as pool:
                assert list(pool.map(put, [200, 3, 150, 4])) == [False, True, False, True]
        assert_exact(place, store)
        assert len(store.list_secrets("ann")) == 6


def test_rules_of_checking():
    """What is let in: within, not more than before, or a changed object a little larger."""
    quotas = Quotas(secrets=2, objects=2, bytes=100)
    quotas.check(NOTHING, UsageRow(2, 9, 2, 100))
    quotas.check(UsageRow(5, 5, 5, 500), UsageRow(5, 5, 4, 499))
    quotas.check(UsageRow(2, 2, 2, 200), UsageRow(2, 2, 2, 264))
    for before, after in (
        (NOTHING, UsageRow(3, 3, 0, 0)),
        (UsageRow(2, 2, 2, 200), UsageRow(2, 2, 2, 265)),
        (UsageRow(0, 0, 1, 200), UsageRow(0, 0, 2, 210)),
        (UsageRow(3, 3, 0, 0), UsageRow(4, 4, 0, 0)),
    ):
        with pytest.raises(QuotaExceeded):
            quotas.check(before, after)
    with pytest.raises(ConfigurationError):
        Quotas(secrets=-1)
    assert not Quotas().any
