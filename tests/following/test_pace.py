"""Work in the background rests between short slices while others commit, and only then."""

import time

import pytest

from adyton import Caller
from adyton.actions import Action
from adyton.service import pace as module
from adyton.service.anomalies.watch import Watch
from adyton.service.journal import Draft, Journal
from adyton.service.pace import Pace
from adyton.service.reports.folding import Folding
from adyton.service.stats import CommitStats
from adyton.service.ticket import TURN
from support import Place


@pytest.fixture
def rests(monkeypatch):
    """How long is rested; nobody waits for it."""
    found = []
    monkeypatch.setattr(module.time, "sleep", found.append)
    return found


def work(seconds):
    ends = time.thread_time() + seconds
    while time.thread_time() < ends:
        pass


def test_a_slice_is_followed_by_a_longer_rest_while_others_commit(rests):
    stats = CommitStats()
    pace = Pace(stats)
    for _ in range(3):
        stats.committed(1, 0.001)
        work(0.001)
        pace()
    assert len(rests) == 3
    assert all(rest >= 0.001 * 4 for rest in rests)


def test_nobody_rests_for_others_who_do_nothing(rests):
    """But gives them the chance to begin."""
    pace = Pace(CommitStats())
    work(0.001)
    pace()
    assert rests == [0.0]


def test_what_is_shorter_than_a_slice_is_not_interrupted(rests):
    stats = CommitStats()
    pace = Pace(stats)
    for _ in range(5):
        stats.committed(1, 0.001)
        pace()
    assert rests == []


def test_a_long_slice_is_not_followed_by_a_rest_without_end(rests):
    stats = CommitStats()
    pace = Pace(stats)
    stats.committed(1, 0.001)
    work(0.1)
    pace()
    assert rests == [0.05]


@pytest.mark.parametrize("follower", [Folding, Watch])
def test_followers_may_be_interrupted_every_few_records(tmp_path, monkeypatch, follower):
    """None works through all of a user's records at one go."""
    with Place(tmp_path).open() as store:
        core = store._opened.core
        store.set_secret("u", "a", b"x")
        keys = core.ring.cached("u")
        caller = Caller("reader", "u", "10.0.0.1")

        async def fill():
            reads = (Draft(caller, Action.SECRET_GET, keys, "u", "a") for _ in range(500))
            await core.record(*reads)

        core.commit.run_sync(fill())
        opened, stretches = [0], []
        real = Journal.open

        def counting(*arguments):
            opened[0] += 1
            return real(*arguments)

        def pause():
            stretches.append(opened[0])
            opened[0] = 0

        monkeypatch.setattr(Journal, "open", counting)
        core.commit.run_sync(follower(core).follow(keys, lambda: False), pause)
        assert sum(stretches) + opened[0] >= 500
        assert max(*stretches, opened[0]) <= TURN
