"""The check of the roots of trust: what it finds when a root stops opening the master key."""

import time

import pytest

from adyton.errors import RootUnavailable
from adyton.roots.dev import DevRoot
from adyton.service.rootcheck import RootCheck, RootLimits
from adyton.wiring import Options, open_store


class Fickle(DevRoot):
    """A root that can be away."""

    away = False
    asked = 0

    def unwrap(self, wrapped, context):
        self.asked += 1
        if self.away:
            raise RootUnavailable("away")
        return super().unwrap(wrapped, context)


@pytest.fixture
def opened():
    made = open_store(Options("memory:", Fickle()))
    yield made
    made.close()


def test_a_root_that_is_away_is_told_and_so_is_its_return(opened):
    """Health follows the root; the store itself goes on."""
    check = RootCheck(opened.core)
    root = opened.core.roots[0]
    assert check.healthy == {0: True}
    root.away = True
    check.check()
    assert check.healthy == {0: False}
    root.away = False
    check.check()
    assert check.healthy == {0: True}


def test_a_wrapped_key_that_was_damaged_is_told(opened, monkeypatch):
    """The check opens what is stored now, not what is in memory."""
    check = RootCheck(opened.core)

    async def damaged(core, slot):
        return core.ring.master_current, b"\x03\x01" + bytes(60)

    monkeypatch.setattr("adyton.service.rootcheck._current", damaged)
    check.check()
    assert check.healthy == {0: False}


def test_it_runs_by_itself_and_ends(opened):
    """It asks the root again and again, and stops with the server."""
    check = RootCheck(opened.core, RootLimits(interval=0.01))
    root = opened.core.roots[0]
    before = root.asked
    check.start()
    deadline = time.monotonic() + 10
    while root.asked < before + 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    check.close()
    assert root.asked >= before + 3
    asked = root.asked
    time.sleep(0.05)
    assert root.asked == asked
