"""Each report against what was done: of secrets, rotation, sharing, storage, keys; the review."""

import asyncio
import datetime as dt

import pytest

from adyton import AsyncSecretStore, Caller
from adyton.errors import AccessDenied, InvalidInput, SecretNotFound
from adyton.model import to_us
from adyton.rotationpolicy import RotationPolicy
from adyton.service.reports.reporting import KINDS
from support import Place

DAY = dt.timedelta(days=1)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


class Later:
    """The real time, and so much more."""

    def __init__(self, clock):
        self.clock = clock
        self.more = 0

    def now_us(self):
        return self.clock.now_us() + self.more

    def go(self, **delta):
        self.more += dt.timedelta(**delta) // dt.timedelta(microseconds=1)


@pytest.fixture
def store(place):
    with place.open() as opened:
        core = opened._opened.core
        opened.later = core.clock = core.commit._clock = Later(core.clock)
        yield opened


def table(report, key):
    """One table's rows, by its columns' keys."""
    found = next(each for each in report.tables if each.key == key)
    keys = [column.key for column in found.columns]
    return [dict(zip(keys, row, strict=True)) for row in found.rows]


def facts(report):
    return {fact.title: fact.value for fact in report.facts}


def read(store, name, user="u"):
    with store.get_secret(user, name):
        pass


def test_unused_and_stale(store):
    """By the time of the last read, also one that is only in memory yet; or that of making."""
    for name in ("never", "once", "often"):
        store.set_secret("u", name, b"x" * 40)
    read(store, "once")
    read(store, "often")
    assert [row["secret"] for row in table(store.reports.make("u", "unused"), "secrets")] == [
        "never"
    ]
    store.later.go(days=100)
    read(store, "often")
    rows = table(store.reports.make("u", "stale"), "secrets")
    assert {(row["secret"], row["days"]) for row in rows} == {("never", 100), ("once", 100)}
    rows = table(store.reports.make("u", "stale", days=101), "secrets")
    assert rows == []
    rows = table(store.reports.make("u", "stale", prefix="on"), "secrets")
    assert [row["secret"] for row in rows] == ["once"]


def test_expiring(store):
    """Secrets, shares and links that end, or have."""
    now = dt.datetime.now(dt.UTC)
    store.set_secret("u", "soon", b"x", expires_at=now + 10 * DAY)
    store.set_secret("u", "later", b"x", expires_at=now + 100 * DAY)
    store.set_secret("u", "never", b"x")
    store.set_secret("v", "v", b"x")
    store.shares.create("u", "v", "never", expires_at=now + 5 * DAY)
    link = store.links.create("u", b"x", seconds=8 * 86_400)
    report = store.reports.make("u", "expiring")
    assert [(row["name"], row["kind"], row["days"]) for row in table(report, "ends")] == [
        ("never", "share", 4), (f"links/{link.accessor}", "link", 7), ("soon", "secret", 9),
    ]  # fmt: skip
    store.links.revoke("u", link.accessor)
    store.later.go(days=7)
    report = store.reports.make("u", "expiring", days=365)
    assert facts(report) == {"Ended": 1, "End within 365 days": 2}


def test_rotation(store):
    """What is overdue, what is rotated at all, and what nobody rotates."""
    for name in ("a", "b", "c", "d"):
        store.set_secret("u", name, b"x" * 40)
    store.rotation.set_policy("u", "a", RotationPolicy(every=86_400 * 30))
    store.rotation.set_policy("u", "b", RotationPolicy(every=86_400 * 300))
    store.later.go(days=40)
    report = store.reports.make("u", "rotation")
    (late,) = table(report, "overdue")
    assert (late["secret"], late["days"] in (8, 9, 10)) == ("a", True)
    assert [row["secret"] for row in table(report, "uncovered")] == ["c", "d"]
    assert [row["secrets"] for row in table(report, "coverage")] == [1, 1, 2]
    assert facts(report)["Coverage"] == 50.0
    assert [row["when"] for row in table(report, "policies")] == ["every 30d", "every 300d"]


def test_sharing(store):
    """A secret counts the users of its own shares and of its folders'."""
    for name in ("dir/a", "dir/b", "c"):
        store.set_secret("u", name, b"x")
    for user in ("v", "w", "x"):
        store.set_secret(user, "x", b"x")
    first = store.shares.create("u", "v", "dir/").id
    store.shares.accept("v", first)
    store.shares.create("u", "w", "dir/a")
    gone = store.shares.create("u", "x", "dir/a").id
    store.shares.revoke("u", gone)
    report = store.reports.make("u", "sharing")
    assert [tuple(row.values()) for row in table(report, "secrets")] == [
        ("dir/a", 2, 1, 2), ("dir/b", 1, 1, 1),
    ]  # fmt: skip
    assert len(table(report, "shares")) == 2
    assert facts(report)["With users"] == 2


def test_weak(store):
    """By what is known without opening a value: no record tells of any that was opened."""
    store.set_secret("u", "short", b"123")
    store.set_secret("u", "strong", b"x" * 40)
    store.set_secret("u", "object", {"k": "v"})
    report = store.reports.make("u", "weak")
    (row,) = table(report, "secrets")
    assert (row["secret"], row["why"]) == ("short", "not rotated, never ends, very short")
    assert row["length"] == "under 8 bytes"
    store.later.go(days=400)
    report = store.reports.make("u", "weak")
    assert {row["secret"] for row in table(report, "secrets")} == {"short", "strong", "object"}
    assert all("old" in row["why"] for row in table(report, "secrets"))
    store.rotation.set_policy("u", "strong", RotationPolicy(every=86_400 * 30))
    rows = table(store.reports.make("u", "weak", days=1000), "secrets")
    assert [row["secret"] for row in rows] == ["short"]
    assert not store.get_audit_log("u", action="secret.get")


def test_many_readers_and_wide_shares_are_weak(store):
    """Ten readers in the range, or three receivers."""
    store.set_secret("u", "read", b"x" * 40)
    store.set_secret("u", "shared", b"x" * 40)
    for number in range(10):
        actor = store.acting_as(Caller(f"actor{number}"))
        read(actor, "read")
    for user in ("v", "w", "x"):
        store.set_secret(user, "x", b"x")
        store.shares.create("u", user, "shared")
    rows = {row["secret"]: row for row in table(store.reports.make("u", "weak"), "secrets")}
    assert "read by many" in rows["read"]["why"]
    assert rows["read"]["readers"] == 10
    assert "shared widely" in rows["shared"]["why"]


def test_usage(store):
    """The user's figures are those of the quotas; the store's are by user, without names."""
    store.set_secret("u", "canary-name", b"x" * 1000)
    store.set_secret("u", "small", b"x")
    store.set_secret("v", "other", b"x" * 10)
    store.quotas.set("u", secrets=4)
    report = store.reports.make("u", "usage")
    rows = {row["what"]: row for row in table(report, "amounts")}
    assert (rows["secrets"]["used"], rows["secrets"]["quota"], rows["secrets"]["share"]) == (
        2, 4, 50.0,
    )  # fmt: skip
    assert table(report, "secrets")[0]["secret"] == "canary-name"
    whole = store.reports.make(None, "usage")
    users = {row["user"]: row for row in table(whole, "users")}
    assert users["u"]["secrets"] == 2
    assert users["v"]["secrets"] == 1
    assert "canary" not in str([each.rows for each in whole.tables])


def test_keys(store):
    """Ages, and how much is under the current key before and after re-wrapping."""
    for number in range(3):
        store.set_secret("u", f"s{number}", b"x")
    store.later.go(days=40)
    store.keys.rotate("u")
    store.set_secret("u", "s0", b"y")
    report = store.reports.make("u", "keys")
    assert [(row["key"], row["versions"]) for row in table(report, "coverage")] == [
        ("1", 3), ("2 (current)", 1),
    ]  # fmt: skip
    assert facts(report)["Under it"] == 25.0
    store.keys.rewrap("u")
    report = store.reports.make("u", "keys")
    assert facts(report)["Under it"] == 100.0
    store.set_secret("v", "x", b"x")
    store.later.go(days=31)
    whole = store.reports.make(None, "keys")
    assert facts(whole)["Keys overdue"] == 2
    assert {row["state"] for row in table(whole, "users")} == {"overdue"}
    assert sum(row["users"] for row in table(whole, "ages")) == 2


def test_review(store):
    """Who can read what, by grants, shares and operators; who did."""
    for name in ("dir/a", "dir/b"):
        store.set_secret("u", name, b"x")
    store.set_secret("v", "x", b"x")
    store.members.add("u", "ann")
    store.access.grant("u", "ann", "dir/", role="viewer")
    share = store.shares.create("u", "v", "dir/b").id
    store.shares.accept("v", share)
    read(store.acting_as(Caller("bob")), "dir/a")
    with store.shares.get("v", share):
        pass
    report = store.reports.make("u", "review")
    ways = {(row["actor"], row["way"], row["path"]) for row in table(report, "ways")}
    assert ("ann", "grant", "dir/") in ways
    assert ("user v", "share", "dir/b") in ways
    by_secret = {(row["secret"], row["actor"]) for row in table(report, "secrets")}
    assert ("dir/a", "ann") in by_secret
    assert ("dir/a", "user v") not in by_secret
    did = {(row["secret"], row["actor"]) for row in table(report, "did")}
    assert ("dir/a", "bob") in did
    assert any(name == "dir/b" and "share with v" in actor for name, actor in did)


@pytest.mark.parametrize("name", list(KINDS))
def test_who_may_and_what_is_recorded(store, name):
    """The user and the operator, each with a record; others see an empty namespace."""
    store.set_secret("u", "s", b"x")
    store.reports.make("u", name)
    (record, *_) = store.get_audit_log("u", action="report.read")
    assert (record.reason, record.success) == (name, True)
    own = store.user("u")
    assert own._store.reports.make("u", name).name == name
    bound = store.acting_as(Caller("bob", user="bob"))
    with pytest.raises(SecretNotFound):
        bound.reports.make("u", name)
    with pytest.raises(AccessDenied):
        bound.reports.make(None, name)
    assert store.reports.make("nobody", name).tables == ()
    if KINDS[name].of_store is None:
        with pytest.raises(InvalidInput):
            store.reports.make(None, name)


def test_a_users_report_has_nothing_of_another(store):
    """Not a name, actor or number of theirs."""
    store.set_secret("u", "mine", b"x")
    store.set_secret("v", "canary-name", b"x")
    read(store.acting_as(Caller("canary-actor", address="203.0.113.9")), "canary-name", "v")
    for name in KINDS:
        assert "canary" not in repr([each.rows for each in store.reports.make("u", name).tables])
        assert "203.0.113" not in repr([each.rows for each in store.reports.make("u", name).tables])


def test_a_purge_leaves_nothing_of_counts(place):
    """No row is left, and a user of the same id begins at zero."""
    with place.open() as store:
        store.set_secret("u", "s", b"x")
        store.reports.make("u", "access")
        store.purge_user("u")
    assert place.sql("SELECT count(*) FROM objects") == [(0,)]
    with place.open() as store:
        store.set_secret("u", "t", b"x")
        report = store.reports.make("u", "access")
        assert [row["secret"] for row in table(report, "secrets")] == ["t"]
        assert any("don't open" in note for note in report.notes)
        store.audit.verify()


def test_the_file_tells_a_thief_nothing(place):
    """Names, actors, networks and actions of counts are in no file."""
    with place.open() as store:
        store.set_secret("u", "canary-name", b"x")
        read(store.acting_as(Caller("canary-actor", address="203.0.113.9")), "canary-name")
        store.reports.make("u", "access")
    files = b"".join(path.read_bytes() for path in place.folder.glob("store.db*"))
    for text in (b"canary", b"203.0.113", b"secret.get", b"report"):
        assert text not in files


def test_ranges(store):
    """Whole days, both ends as asked; what lies outside is not counted."""
    store.set_secret("u", "first", b"x")
    store.later.go(days=2)
    store.set_secret("u", "second", b"x")
    store.later.go(days=2)
    store.set_secret("u", "third", b"x")
    now = dt.datetime.now(dt.UTC)

    def names(**asked):
        rows = table(store.reports.make("u", "access", **asked), "secrets")
        return sorted(row["secret"] for row in rows)

    assert names() == ["first", "second", "third"]
    assert names(since=now + 2 * DAY) == ["second", "third"]
    assert names(until=now + DAY) == ["first"]
    assert names(since=now + 2 * DAY, until=now + 2 * DAY) == ["second"]
    midnight = (now + 2 * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    assert names(until=midnight) == ["first"]
    assert names(since=midnight, until=midnight + DAY) == ["second"]
    report = store.reports.make("u", "access", since=now + 2 * DAY, until=now + 2 * DAY)
    assert to_us(report.until) - to_us(report.since) == 86_400_000_000
    assert len(table(report, "timeline")) == 24
    # Of a range that has not begun, today's records are none.
    ahead = midnight + 10 * DAY
    report = store.reports.make("u", "access", since=ahead, until=ahead + 3 * DAY)
    assert (report.since, report.until) == (ahead, ahead + 3 * DAY)
    assert facts(report)["Records"] == facts(report)["Secrets used"] == 0
    assert table(report, "secrets") == table(report, "actors") == []
    assert "The range has not begun yet." in report.notes
    last = dt.datetime.max.replace(tzinfo=dt.UTC)
    report = store.reports.make("u", "access", since=last, until=last)
    assert facts(report)["Records"] == 0
    report = store.reports.make("u", "review", since=ahead, until=ahead + 3 * DAY)
    assert (report.since, report.until) == (ahead, ahead + 3 * DAY)
    with pytest.raises(InvalidInput):
        names(since=now + DAY, until=now)
    with pytest.raises(InvalidInput):
        names(since=now.replace(tzinfo=None))


def test_pages(store):
    """Rows are paged, their number is told, and charts over time stay whole."""
    for number in range(7):
        store.set_secret("u", f"s{number}", b"x")
    seen = []
    for offset in range(0, 7, 3):
        report = store.reports.make("u", "access", limit=3, offset=offset)
        found = next(each for each in report.tables if each.key == "secrets")
        assert found.total == 7
        seen += [row[0] for row in found.rows]
        assert len(table(report, "hours")) == 24
    assert sorted(seen) == [f"s{number}" for number in range(7)]
    for wrong in ({"limit": 0}, {"limit": 10_001}, {"offset": -1}, {"days": -1}):
        with pytest.raises(InvalidInput):
            store.reports.make("u", "access", **wrong)


def test_archiving_counts_first(place, tmp_path):
    """What leaves the store is in reports all the same."""
    with place.open() as store:
        for number in range(600):
            store.set_secret("u", f"s{number % 3}", b"x")
        report = store.audit.archive(tmp_path / "old")
        assert report.end == 512
        made = store.reports.make("u", "access")
        assert sum(row["changes"] for row in table(made, "secrets")) == 600
        assert not any("archived" in note for note in made.notes)
        store.audit.verify(archive=tmp_path / "old")


def test_an_event_loop_goes_on_meanwhile(place):
    """Counting and summing up give way to other tasks, again and again."""

    async def run():
        async with await AsyncSecretStore.open(
            str(place.path), root=place.root, create=True, upkeep=False
        ) as store:
            await store.set_secrets("u", {f"s{number}": b"x" for number in range(1_000)})
            for _ in range(9):
                await store.get_secrets("u", [f"s{number}" for number in range(1_000)])
            turns = 0

            async def other():
                nonlocal turns
                while True:
                    turns += 1
                    await asyncio.sleep(0)

            task = asyncio.create_task(other())
            report = await store.reports.make("u", "access")
            counted = turns
            await store.reports.make("u", "stale")
            task.cancel()
            return facts(report)["Values read"], counted, turns - counted

    reads, counting, listing = asyncio.run(run())
    assert reads == 9_000
    assert counting >= 5
    assert listing >= 4
