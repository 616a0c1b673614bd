"""Counts against a naive oracle: over random histories, in stretches of any size, with kills."""

import datetime as dt
import itertools
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton import Caller, SecretStore
from adyton.actions import Action
from adyton.errors import IntegrityError
from adyton.service.following.reading import Record
from adyton.service.journal import Body, Draft
from adyton.service.reports import counting
from adyton.service.reports.counting import Counter, Day, network_of
from adyton.service.reports.folding import Folding
from adyton.service.reports.records import ALL, DAYS, STATES, ReportOptions
from adyton.wiring import Options, open_store
from support import Place

DAY = 86_400_000_000
START = 2_000_000_000_000_000  # records are never older than those before them
ACTIONS = ("secret.get", "secret.set", "secret.metadata", "secret.export", "access.login",
           "share.read", "share.write", "rotation.step")  # fmt: skip
ADDRESSES = ("", "10.0.0.1", "10.0.0.9", "10.0.1.1", "::ffff:10.0.0.5", "2001:db8::1", "x")


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def body(time_us, action, actor, name, success, reason, address, outcome):
    return Body(time_us, actor, "u", name, 1, action, success, reason, "", address, b"", b"",
                outcome=outcome)  # fmt: skip


bodies = st.builds(
    body,
    st.just(0),
    st.sampled_from(ACTIONS),
    st.sampled_from(["ann", "bob", "cyd"]),
    st.sampled_from(["", "a", "b", "dir/c"]),
    st.booleans(),
    st.sampled_from(["", "AccessDenied", "SecretNotFound", "shares/1 by v"]),
    st.sampled_from(ADDRESSES),
    st.sampled_from(["", "ok", "denied", "absent"]),
)


def oracle(records):
    """The same figures from comprehensions over all records: slow, and without limits."""

    def of(key, chosen=records):
        found = {}
        for record in chosen:
            kind = (
                "done"
                if record.success
                else "denied"
                if record.outcome == "denied"
                or (record.outcome == "" and record.reason == "AccessDenied")
                else "failed"
            )
            counts = found.setdefault(key(record), {"done": 0, "failed": 0, "denied": 0})
            counts[kind] += 1
        return {key: tuple(counts.values()) for key, counts in found.items()}

    def reader(record):
        if record.action != "share.read":
            return record.actor
        return f"{record.actor} (share with {record.reason.split(' by ')[1]})"

    done = [record for record in records if record.success and record.name]
    given_out = [
        record
        for record in done
        if record.action in ("secret.get", "secret.export")
        or (record.action == "share.read" and record.reason == "shares/1 by v")
    ]
    looks = [record for record in done if record.action == "secret.metadata"]
    changes = [
        record
        for record in done
        if record.action in ("secret.set", "rotation.step")
        or (record.action == "share.write" and record.reason == "shares/1 by v")
    ]
    names = {record.name for record in given_out + looks + changes}
    networks = {
        "": "local", "10.0.0.1": "10.0.0.0/24", "10.0.0.9": "10.0.0.0/24",
        "10.0.1.1": "10.0.1.0/24", "::ffff:10.0.0.5": "10.0.0.0/24",
        "2001:db8::1": "2001:db8::/48", "x": "unknown",
    }  # fmt: skip
    return {
        "records": len(records),
        "hours": of(lambda record: f"{record.time_us // 3_600_000_000 % 24:02}"),
        "actions": of(lambda record: record.action),
        "actors": of(lambda record: record.actor),
        "networks": of(lambda record: networks[record.address]),
        "missed": of(
            lambda record: record.name,
            [record for record in records if not record.success and record.name],
        ),
        "secrets": {
            name: tuple(
                sum(record.name == name for record in kind) for kind in (given_out, changes, looks)
            )
            for name in names
        },
        "readers": {
            name: {
                who: sum(1 for r in given_out if r.name == name and reader(r) == who)
                for who in {reader(r) for r in given_out if r.name == name}
            }
            for name in {record.name for record in given_out}
        },
        "failures": {
            kind: sum(f"{r.action} {r.reason}" == kind for r in records if not r.success)
            for kind in {f"{r.action} {r.reason}" for r in records if not r.success}
        },
    }


def figures(day):
    """A day's counts as the oracle gives them."""

    def plain(found):
        return {key: (value.done, value.failed, value.denied) for key, value in found.items()}

    return {
        "records": day.records,
        "hours": plain(day.hours),
        "actions": plain(day.actions),
        "actors": plain(day.actors),
        "networks": plain(day.networks),
        "missed": plain(day.missed),
        "secrets": {name: (use.reads, use.changes, use.looks) for name, use in day.secrets.items()},
        "readers": day.readers,
        "failures": day.failures,
    }


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(bodies, st.integers(0, DAY // 20)), max_size=60))
def test_a_days_counts_are_the_oracles(made):
    """Each figure, over any records of one day."""
    at, records = 0, []
    for each, gap in made:
        at = min(at + gap, DAY - 1)
        records.append(body(START // DAY * DAY + at, each.action, each.actor, each.name,
                            each.success, each.reason, each.address, each.outcome))  # fmt: skip
    day = Day(0)
    counter = Counter(day)
    for leaf, each in enumerate(records):
        counter.add(Record(leaf, each))
    assert figures(day) == oracle(records)


def test_tables_are_bounded_and_the_sum_is_kept(monkeypatch):
    """Who comes after as many is counted among the others, in the order of the log."""
    monkeypatch.setattr(counting, "MOST_SECRETS", 5)
    monkeypatch.setattr(counting, "MOST_READERS", 6)
    monkeypatch.setattr(counting, "MOST_OTHERS", 4)
    rng = random.Random(3)
    records = [
        Record(leaf, body(START, "secret.get", f"actor{rng.randrange(9)}", f"s{rng.randrange(20)}",
                          rng.random() < 0.7, "SecretNotFound", f"10.0.{rng.randrange(9)}.1",
                          "absent"))
        for leaf in range(500)
    ]  # fmt: skip
    whole, parts = Day(0), Day(0)
    counter = Counter(whole)
    for record in records:
        counter.add(record)
    for begin in range(0, 500, 7):
        counter = Counter(parts)
        for record in records[begin : begin + 7]:
            counter.add(record)
    assert parts == whole
    assert len(whole.secrets) <= 6
    assert sum(map(len, whole.readers.values())) <= 7
    assert max(len(whole.actors), len(whole.networks), len(whole.missed)) <= 5
    done = sum(record.body.success for record in records)
    assert sum(use.reads for use in whole.secrets.values()) == done
    assert sum(n for each in whole.readers.values() for n in each.values()) == done
    assert sum(tally.done + tally.failed for tally in whole.actors.values()) == 500
    assert sum(whole.failures.values()) == 500 - done


def test_networks():
    """What one subscriber may have is one network; mapped addresses are IPv4's."""
    assert network_of("192.0.2.77") == network_of("::ffff:192.0.2.1") == "192.0.2.0/24"
    assert network_of("2001:db8:1:2::3") == "2001:db8:1::/48"


class Clock:
    """A clock that is set."""

    def __init__(self):
        self.now = START

    def now_us(self):
        return self.now


def history(store, seed, count=120):
    """Random operations of two users, at random times over some days."""
    rng = random.Random(seed)
    core = store._opened.core
    clock = core.commit._clock = core.clock = Clock()
    run = core.commit.run_sync

    async def record(drafts):
        await core.record(*drafts)

    for user in ("u", "v"):
        store.set_secret(user, "a", b"x")
    for _ in range(count):
        clock.now += rng.randrange(DAY // 30)
        drafts = []
        for _ in range(rng.randrange(1, 4)):
            user = rng.choice("uv")
            draft = Draft(
                Caller(rng.choice(["ann", "bob"]), address=rng.choice(ADDRESSES)),
                rng.choice([Action.SECRET_GET, Action.SECRET_SET, Action.ACCESS_LOGIN]),
                core.ring.cached(user), user, rng.choice(["a", "b", "dir/c"]),
            )  # fmt: skip
            drafts.append(draft if rng.random() < 0.8 else draft.failed("AccessDenied", "denied"))
        run(record(drafts))
    return clock


def kept(store, user):
    """All that is kept of a user's counts."""
    core = store._opened.core

    async def operation():
        keys = await core.keys(user)
        async with core.storage.snapshot() as rows:
            return await STATES.get(rows, keys, ALL), await DAYS.all(rows, keys)

    return core.commit.run_sync(operation())


def count(store, user, **options):
    core = store._opened.core

    async def operation():
        return await Folding(core, **options).count(await core.keys(user))

    return core.commit.run_sync(operation())


@pytest.mark.parametrize("seed", range(5))
def test_counting_in_parts_is_counting_once(place, seed):
    """Over a random history, in stretches and units of any size: what an oracle finds in it."""
    rng = random.Random(seed)
    with place.open() as store:
        clock = history(store, seed)
    for more in range(4):
        with place.open() as store:
            core = store._opened.core
            core.commit._clock = core.clock = clock
            for user in ("u", "v"):
                count(store, user, stretch=rng.randrange(1, 30), unit=rng.randrange(1, 60))
            with store.get_secret("u", "a"):
                clock.now += DAY // 3
            if more % 2:
                store.keys.rotate("u")
            if more == 3:
                store.keys.rewrap(deep=True)
    with place.open() as store:
        core = store._opened.core
        core.commit._clock = core.clock = clock
        for user in ("u", "v"):
            count(store, user)
        state, days = kept(store, user)
        log = store.get_audit_log(user, limit=10_000)[::-1]
        counted = [
            entry for entry in log if entry.index < state.next and entry.action != "report.count"
        ]
        assert state.records == len(counted) == sum(day.records for day in days.values())
        by_day = itertools.groupby(counted, lambda entry: entry.timestamp.date().isoformat())
        for ident, entries in by_day:
            made = [
                body(int(entry.timestamp.timestamp() * 1_000_000 + 0.5), entry.action, entry.actor,
                     entry.secret_name, entry.success, entry.reason, entry.address, entry.outcome)
                for entry in entries
            ]  # fmt: skip
            found, expected = figures(days[ident]), oracle_of_any(made)
            for key in ("records", "hours", "actors", "actions", "networks", "missed", "failures"):
                assert found[key] == expected[key], (ident, key)
        assert store.reports.check("u") == len(kept(store, "u")[1])
        store.audit.verify()


def oracle_of_any(records):
    """The oracle, for records of all actions."""
    chosen = [record for record in records if record.action != "share.read"]
    return oracle(chosen)


def test_a_lost_race_counts_nothing_twice(place):
    """Of two that have prepared the same unit, one writes it; a purge in between drops it."""
    with place.open() as store:
        core = store._opened.core
        history(store, 1, 20)

        async def race():
            keys = await core.keys("u")
            first, second = Folding(core), Folding(core)
            one, _ = await first._prepare(keys, lambda: False)
            other, _ = await second._prepare(keys, lambda: False)
            return await first._write(one), await second._write(other)

        assert core.commit.run_sync(race()) == (True, False)
        assert store.reports.check("u") > 0

        async def purged():
            keys = await core.keys("v")
            folding = Folding(core)
            unit, _ = await folding._prepare(keys, lambda: False)
            return folding, unit

        folding, unit = core.commit.run_sync(purged())
        store.purge_user("v")
        store.set_secret("v", "new", b"x")
        assert core.commit.run_sync(folding._write(unit)) is False
        assert kept(store, "v") == (None, {})
        report = store.reports.make("v", "access")
        secrets = next(table for table in report.tables if table.key == "secrets")
        assert secrets.rows == (("new", 0, 1, 0),)


def test_a_change_of_counts_is_found(place):
    """Counts that were put by hand are not those of the log."""
    with place.open() as store:
        core = store._opened.core
        history(store, 2, 20)
        count(store, "u")
        _, days = kept(store, "u")
        ident, day = next(iter(days.items()))
        day.actors["ann"].done += 1

        async def forge():
            async def work(scope):
                from adyton.service.objects import ObjectChanges

                changes = ObjectChanges(scope, await core.keys("u"))
                changes.put(DAYS, ident, day)
                await changes.write(Draft(Caller("x"), Action.REPORT_COUNT))

            await core.commit.submit(work)

        core.commit.run_sync(forge())
        with pytest.raises(IntegrityError):
            store.reports.check("u")


def test_an_older_row_put_back_is_found(place):
    """The log has the digest of each day's counts: an older state of a row does not fit."""
    with place.open() as store:
        store.set_secret("u", "a", b"x")
        store.reports.make("u", "access")
    old = place.sql("SELECT user,bucket,object,meta_version,box FROM objects")
    with place.open() as store:
        with store.get_secret("u", "a"):
            pass
        store.reports.make("u", "access")
    assert len(old) == 2
    for user, bucket, ident, version, box in old:
        place.sql(
            ("UPDATE objects SET meta_version=?,box=? WHERE user=? AND bucket=? AND object=?",
             (version, box, user, bucket, ident)),
        )  # fmt: skip
    from adyton.errors import AuditError

    with place.open() as store, pytest.raises(AuditError):
        store.audit.verify()


def test_old_days_go(place, monkeypatch):
    """Counts are kept for as many days, and no more objects than that are there."""
    monkeypatch.setattr("adyton.service.reports.folding.KEPT_DAYS", 3)
    with place.open() as store:
        history(store, 5, 200)
        for _ in range(2):
            count(store, "u", stretch=20, unit=20)
        state, days = kept(store, "u")
        assert len(days) <= 3
        assert min(days) >= (dt.date(1970, 1, 1) + dt.timedelta(days=state.oldest)).isoformat()
        assert store.reports.check("u") == len(days)
        store.audit.verify()


def test_nothing_new_writes_nothing(place):
    """Counting is recorded; that alone is no reason to count."""
    with place.open() as store:
        store.set_secret("u", "a", b"x")
        count(store, "u")
        size = store._opened.core.commit.state.size
        for _ in range(3):
            assert count(store, "u")
        assert store._opened.core.commit.state.size == size


def test_the_background_counts(place, monkeypatch):
    """A store that is opened for it has its records counted without anybody asking."""
    with place.open() as store:
        store.set_secret("u", "a", b"x")
    monkeypatch.setattr("adyton.service.following.follower._PATIENCE", 0.0)
    opened = open_store(
        Options(str(place.path), place.root, upkeep=False, reports=ReportOptions(by_itself=True))
    )
    store = SecretStore(opened)
    try:
        until = time.monotonic() + 30
        while kept(store, "u")[0] is None and time.monotonic() < until:
            time.sleep(0.1)
        assert kept(store, "u")[0].records >= 1
    finally:
        store.close()
