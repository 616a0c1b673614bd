"""Following users' audit records: in order, once, to their end, and never by each other's keys."""

import time

import pytest

from adyton import Caller
from adyton.actions import Action
from adyton.errors import RootUnavailable
from adyton.service.following import follower as module
from adyton.service.following.follower import Following
from adyton.service.following.reading import read_on
from adyton.service.journal import Draft
from support import Place

ACTOR = Caller("test")


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def run(store, operation):
    return store._opened.core.commit.run_sync(operation)


def stretches(store, user, limit, start=0):
    """All of a user's records in stretches of a size."""
    core = store._opened.core

    async def operation():
        keys = await core.keys(user)
        at, found = start, []
        while True:
            stretch = await read_on(core, keys, at, limit)
            assert stretch.next >= at
            found += stretch.records
            at = stretch.next
            if not stretch.more:
                return found, at

    return run(store, operation())


class Collect:
    """A follower that keeps its bookmarks in memory."""

    def __init__(self, core):
        self.core = core
        self.at = {}
        self.seen = {}
        self.passes = 0
        self.fail = set()

    async def follow(self, keys, stopped):
        self.passes += 1
        if keys.user_id in self.fail:
            raise RootUnavailable("away")
        more = True
        while more and not stopped():
            stretch = await read_on(self.core, keys, self.at.get(keys.user_id, 0), 7)
            self.at[keys.user_id] = stretch.next
            self.seen.setdefault(keys.user_id, []).extend(stretch.records)
            more = stretch.more


def never():
    return False


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_a_users_records_come_in_order_and_once(place, limit):
    """As the audit log shows them, whatever the size of a stretch; nobody else's among them."""
    with place.open() as store:
        for number in range(5):
            store.set_secret("u", f"s{number}", b"x")
            store.set_secret("v", "other", b"x")
            with store.get_secret("u", f"s{number}"):
                pass
        found, at = stretches(store, "u", limit)
        log = store.get_audit_log("u", limit=1000)[::-1]
        assert [record.leaf for record in found] == [
            entry.index for entry in log if entry.index < at
        ]
        assert [record.body.action for record in found[:2]] == ["secret.set", "secret.get"]
        assert {record.body.user for record in found} == {"u"}
        store.set_secret("u", "later", b"x")
        rest, _ = stretches(store, "u", limit, at)
        assert [record.body.action for record in rest] == ["audit.read", "secret.set"]


def test_what_followers_record_is_left_out(place):
    """Else each pass would be the reason of the next one."""
    with place.open() as store:
        store.set_secret("u", "s", b"x")
        core = store._opened.core

        async def operation():
            await core.record(Draft(ACTOR, Action.REPORT_COUNT, await core.keys("u"), "u"))

        run(store, operation())
        found, at = stretches(store, "u", 10)
        assert [record.body.action for record in found] == ["secret.set"]
        assert at == core.commit.state.size


def test_a_former_life_does_not_open(place):
    """Records of before a purge are counted as such, and no more."""
    with place.open() as store:
        store.set_secret("u", "s", b"x")
        store.purge_user("u")
        store.set_secret("u", "t", b"x")
        core = store._opened.core

        async def operation():
            return await read_on(core, await core.keys("u"), 0)

        stretch = run(store, operation())
        assert [record.body.name for record in stretch.records] == ["t"]
        assert stretch.unopened == 1


def test_archived_records_are_a_gap(place, tmp_path):
    """Whoever had not read them is told; who had, is not."""
    with place.open() as store:
        for number in range(600):
            store.set_secret("u", f"s{number % 7}", b"x")
        core = store._opened.core
        store.audit.archive(tmp_path / "old")

        async def operation(start):
            return await read_on(core, await core.keys("u"), start)

        assert run(store, operation(0)).gap
        assert not run(store, operation(599)).gap


def test_the_background_finds_who_has_new_records(place):
    """Each user once for what is new; nobody again without need; others are not held up."""
    with place.open() as store:
        core = store._opened.core
        for user in ("u", "v", "w"):
            store.set_secret(user, "s", b"x")
        collect = Collect(core)
        following = Following(core, [collect], patience=0)
        assert run(store, following.run(never)) == 3
        assert run(store, following.run(never)) == 0
        assert {user: len(seen) for user, seen in collect.seen.items()} == {"u": 1, "v": 1, "w": 1}
        store.set_secret("v", "t", b"x")
        collect.fail = {"u"}
        store.set_secret("u", "t", b"x")
        store.set_secret("w", "t", b"x")
        assert run(store, following.run(never)) == 3
        assert len(collect.seen["v"]) == len(collect.seen["w"]) == 2
        assert run(store, following.run(never)) == 0  # put aside
        collect.fail = set()
        following._waiting = {user: (count, 0.0) for user, (count, _) in following._waiting.items()}
        assert run(store, following.run(never)) == 1
        assert len(collect.seen["u"]) == 2


def test_a_few_records_wait_and_many_do_not(place, monkeypatch):
    """Who reads once in a while does not cause a pass each time."""
    monkeypatch.setattr(module, "_MANY", 10)
    with place.open() as store:
        core = store._opened.core
        store.set_secret("u", "s", b"x")
        collect = Collect(core)
        following = Following(core, [collect], patience=3600)
        run(store, following.run(never))
        passes = collect.passes
        store.set_secret("u", "s", b"x")
        run(store, following.run(never))
        assert collect.passes == passes
        for _ in range(10):
            store.set_secret("u", "s", b"x")
        run(store, following.run(never))
        assert collect.passes == passes + 1


def test_a_restart_goes_on_where_the_last_one_was(place):
    """What came while nothing followed is found, also what was waiting when it ended."""
    with place.open() as store:
        core = store._opened.core
        store.set_secret("u", "s", b"x")
        store.set_secret("idle", "s", b"x")
        run(store, Following(core, [Collect(core)], patience=0).run(never))
        store.set_secret("v", "s", b"x")
    with place.open() as store:
        core = store._opened.core
        collect = Collect(core)
        following = Following(core, [collect], patience=0)
        run(store, following.run(never))
        assert "v" in collect.seen
        assert "idle" not in collect.seen


def test_the_thread_follows_and_ends(place):
    """In the background, on a real thread."""
    with place.open() as store:
        core = store._opened.core
        collect = Collect(core)
        background = Following(core, [collect], patience=0).background()
        background.start()
        store.set_secret("u", "s", b"x")
        until = time.monotonic() + 30
        while "u" not in collect.seen and time.monotonic() < until:
            time.sleep(0.05)
        background.close()
        assert [record.body.action for record in collect.seen["u"]] == ["secret.set"]
