"""Quotas of single users: kept, enforced in the transaction, and exact after kill -9."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from adyton import Caller
from adyton.errors import AccessDenied, AdytonError, InvalidInput, QuotaExceeded
from adyton.service.limits import Limits
from adyton.service.quota.storage import Quotas
from quota.counting import assert_exact
from support import Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def fill(store, user, count):
    """How many of so many new secrets a user may write."""
    done = 0
    for n in range(count):
        try:
            store.set_secret(user, f"s{n}-{time.monotonic_ns()}", b"x")
        except QuotaExceeded:
            continue
        done += 1
    return done


def test_one_user_has_quotas_and_others_have_those_of_the_configuration(place):
    """More, fewer, none; at once, and after the store was opened again."""
    limits = Limits(quotas=Quotas(secrets=5))
    with place.open(limits=limits) as store:
        assert fill(store, "ann", 7) == 5
        store.quotas.set("ann", secrets=8)
        assert fill(store, "ann", 7) == 3
        assert fill(store, "bob", 7) == 5
        store.quotas.set("bob", secrets=0)
        assert fill(store, "bob", 7) == 7
    with place.open(limits=limits) as store:
        assert fill(store, "ann", 2) == 0
        assert fill(store, "bob", 2) == 2
        found = store.quotas.get("ann")
        assert (found.quota.secrets, found.own.secrets, found.used.secrets) == (8, 8, 8)
        assert (found.quota.bytes, found.own.bytes, found.used.objects) == (0, None, 1)
        store.quotas.clear("ann")
        assert fill(store, "ann", 2) == 0
        assert store.quotas.get("ann").quota.secrets == 5
        store.quotas.clear("bob")
        with pytest.raises(QuotaExceeded):
            store.set_secret("bob", "more", b"x")
        store.audit.verify()


def test_a_store_without_configured_quotas(place):
    """Counts only once somebody has a quota, and goes on to after it was opened again."""
    with place.open() as store:
        assert fill(store, "ann", 6) == 6
        writer = store._opened.core.storage._writer.connection
        assert writer.execute("SELECT * FROM sqlite_temp_schema").fetchall() == []
        store.quotas.set("ann", secrets=4)
        assert fill(store, "ann", 1) == 0
        store.quotas.set("new", versions=2, bytes=1_000)
        store.set_secret("new", "a", b"x")
        with pytest.raises(QuotaExceeded):
            store.set_secret("new", "b", b"x" * 1_000)
        store.set_secret("new", "a", b"y")
        with pytest.raises(QuotaExceeded):
            store.set_secret("new", "a", b"z")
        assert fill(store, "free", 10) == 10
        assert_exact(place, store)
    with place.open() as store:
        assert fill(store, "ann", 1) == 0
        assert fill(store, "new", 1) == 0
        assert fill(store, "free", 1) == 1
        assert_exact(place, store)


def test_lowering_and_raising_pass_whatever_the_user_stores(place):
    """A quota of objects below what there is, set and raised again; removing goes on."""
    with place.open(limits=Limits(quotas=Quotas(objects=1))) as store:
        store.quotas.set("ann", secrets=1, objects=1)
        assert fill(store, "ann", 3) == 1
        store.quotas.set("ann", secrets=1, objects=1, bytes=1)
        store.quotas.set("ann", secrets=9)
        with pytest.raises(QuotaExceeded):
            store.set_secrets("ann", {f"b{n}": b"x" for n in range(9)})
        assert fill(store, "ann", 9) == 8


def test_a_user_who_is_purged_takes_the_quotas_along(place):
    """The next user of that name begins as everybody does, and no row of it is left."""
    with place.open() as store:
        store.quotas.set("ann", secrets=1)
        store.set_secret("ann", "a", b"x")
        store.purge_user("ann")
        assert fill(store, "ann", 3) == 3
    assert place.sql("SELECT count(*) FROM objects")[0][0] == 0


def test_only_an_operator_sets_them_and_each_user_sees_its_own(place):
    """And it is in the records of the user."""
    with place.open() as store:
        store.quotas.set("ann", secrets=3)
        ann = store.acting_as(Caller("service:ann", user="ann"))
        assert ann.quotas.get("ann").quota.secrets == 3
        for attempt in (
            lambda: ann.quotas.set("ann", secrets=99),
            lambda: ann.quotas.clear("ann"),
        ):
            with pytest.raises(AccessDenied):
                attempt()
        with pytest.raises(AdytonError):
            ann.quotas.get("bob")
        for wrong in (-1, 2**53, True, 1.5):
            with pytest.raises(InvalidInput):
                store.quotas.set("ann", secrets=wrong)
        assert store.quotas.get("ann").quota.secrets == 3
        told = [(entry.action, entry.secret_name) for entry in ann.get_audit_log("ann")]
        assert ("access.write", "adyton/quota") in told


def test_setting_and_writing_at_once(place):
    """From many threads: never more than the quota that was answered before the write began."""
    with place.open() as store:
        store.quotas.set("ann", secrets=10)

        def work(n):
            if n % 10 == 0:
                store.quotas.set("ann", secrets=10 + n // 10)
            else:
                fill(store, "ann", 1)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(100)))
        found = store.quotas.get("ann")
        assert found.used.secrets <= 19
        fill(store, "ann", 30)
        found = store.quotas.get("ann")
        assert found.used.secrets == found.quota.secrets
        assert_exact(place, store)


def quota_at(run, n):
    return 5 + (run * 7 + n) % 6


def _work(place, pipe, run):
    """Write, remove and change quotas until killed; tell what was acknowledged."""
    store = place.open()
    os.write(pipe, b'{"open": true}\n')
    n = 0
    while True:
        n += 1
        if n % 7 == 0:
            quota = quota_at(run, n)
            store.quotas.set("ann", secrets=quota, bytes=100_000)
            os.write(pipe, json.dumps({"quota": quota}).encode() + b"\n")
        if n % 3 == 0 and (page := store.list_secrets("ann").items):
            store.destroy_secret("ann", page[0].name)
        fill(store, "ann", 2)


def test_counts_are_exact_after_kills(place):
    """Six times: what was acknowledged holds, counts are those of the rows, nothing is over."""
    with place.open() as store:
        store.quotas.set("ann", secrets=5)
    quota, ceiling = 5, 10
    for run in range(6):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(reader)
                _work(place, writer, run)
            finally:
                os._exit(70)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            assert pipe.readline(), "the worker ended before it opened the store"
            time.sleep(0.15 + 0.05 * run)
            os.kill(child, signal.SIGKILL)
            told = [json.loads(line)["quota"] for line in pipe.read().splitlines()]
        os.waitpid(child, 0)
        with place.open() as store:
            found = store.quotas.get("ann")
            under_way = quota_at(run, 7 * (len(told) + 1))
            assert found.own.secrets in {[quota, *told][-1], under_way}
            quota = found.own.secrets
            assert found.used.secrets == len(store.list_secrets("ann").items) <= ceiling
            while found.used.secrets > quota:  # the quota was lowered below what there was
                store.destroy_secret("ann", store.list_secrets("ann").items[0].name)
                found = store.quotas.get("ann")
            assert fill(store, "ann", 12) == quota - found.used.secrets
            store.destroy_secret("ann", store.list_secrets("ann").items[0].name)
            assert fill(store, "ann", 2) == 1
            assert_exact(place, store)
            store.audit.verify()
