"""Turns: bounds on work in service, shares, deadlines, cancellation."""

import asyncio
import time

import pytest

from adyton.config import TurnSettings
from adyton.server.turns import Turns

SMALL = TurnSettings(alone=16, share=2, total=16, lane_waiting=20, all_waiting=30, wait_seconds=0.2)


def begin(turns, lane, cost=1):
    return turns.enter(lane, cost, time.monotonic_ns())


def test_alone_a_lane_may_have_many():
    """And no more than that."""
    turns = Turns(SMALL)
    assert [begin(turns, "a") for _ in range(17)] == [True] * 16 + [False]


def test_together_each_has_its_share():
    """The flood keeps what it has begun, and begins no more until it is below its share."""

    async def run():
        turns = Turns(SMALL)
        for _ in range(14):
            assert begin(turns, "flood")
        assert begin(turns, "calm")
        assert not begin(turns, "flood")
        waits = asyncio.ensure_future(turns.wait("flood", 1))
        await asyncio.sleep(0)
        for _ in range(12):
            turns.leave("flood", 1)
            await asyncio.sleep(0)
            assert not waits.done()
        turns.leave("flood", 1)
        assert await waits
        assert begin(turns, "calm")

    asyncio.run(run())


def test_the_calm_lane_goes_before_a_long_queue():
    """Its request begins at once though the flood has a queue of twenty."""

    async def run():
        turns = Turns(SMALL)
        assert begin(turns, "calm")
        assert begin(turns, "flood")
        assert begin(turns, "flood")
        waiting = [asyncio.ensure_future(turns.wait("flood", 1)) for _ in range(20)]
        await asyncio.sleep(0)
        assert turns.waiting == 20
        assert begin(turns, "calm")
        assert not await turns.wait("flood", 1)  # its queue is full: refused at once
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert turns.waiting == 0

    asyncio.run(run())


def test_waiting_ends_in_time():
    """What is not begun by then is refused."""

    async def run():
        turns = Turns(SMALL)
        begin(turns, "x")
        while begin(turns, "a"):
            pass
        started = time.monotonic()
        assert not await turns.wait("a", 1)
        assert 0.15 < time.monotonic() - started < 5
        assert turns.waiting == 0

    asyncio.run(run())


@pytest.mark.parametrize("before", [True, False])
def test_cancelling_gives_everything_back(before):
    """Whether the turn had come or not: afterwards all that may be in service can be."""

    async def run():
        turns = Turns(SMALL)
        while begin(turns, "a"):
            pass
        waits = asyncio.ensure_future(turns.wait("a", 1))
        await asyncio.sleep(0)
        if not before:
            turns.leave("a", 1)  # its turn has come; it has not heard yet
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        if before:
            turns.leave("a", 1)
        for _ in range(15):
            turns.leave("a", 1)
        assert [begin(turns, "a") for _ in range(17)] == [True] * 16 + [False]

    asyncio.run(run())


def test_what_costs_more_than_a_share_goes_alone():
    """It is not locked out, and nothing of its lane is beside it."""

    async def run():
        turns = Turns(SMALL)
        assert begin(turns, "calm")
        assert begin(turns, "big", 8)
        assert not begin(turns, "big", 1)
        turns.leave("big", 8)
        assert begin(turns, "big", 1)

    asyncio.run(run())
