"""Whose turn it is: how many requests are worked on at once, and in which order.

All work is done by one event loop, so the time that a request takes is the time that all requests
in service take together. As long as one lane (a user, or a network without a valid token) asks
alone it may have many in service, which is best for group commit. When others ask too, each lane
has a small share, and what is beyond it waits in the lane's own queue: a flood then waits for
itself. What is bounded is work, by its cost, and not waiting for the disk.
"""

import asyncio
import time
from collections.abc import Hashable
from typing import Final

from adyton.config import TurnSettings
from adyton.service.quota.fairqueue import FairQueue

_WINDOW_NS: Final = 2_000_000_000
"""How long after a change of lanes the server counts as shared."""


class Turns:
    """Requests in service and those that wait.

    Args:
        settings: How requests share.
    """

    __slots__ = ("_busy", "_last", "_load", "_queue", "_settings", "_shared_until")

    def __init__(self, settings: TurnSettings) -> None:
        self._settings = settings
        self._queue: FairQueue[asyncio.Future[bool]] = FairQueue(
            settings.lane_waiting, settings.all_waiting
        )
        self._busy: dict[Hashable, int] = {}
        self._load = 0
        self._last: Hashable = None
        self._shared_until = 0

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    def enter(self, lane: Hashable, cost: int, now: int) -> bool:
        """Begin a request if it need not wait; each that begins must :meth:`leave`."""
        if lane != self._last:
            if self._last is not None:
                self._shared_until = now + _WINDOW_NS
            self._last = lane
        busy = self._busy
        mine = busy.get(lane, 0)
        settings = self._settings
        cap = settings.share if now < self._shared_until else settings.alone
        if mine and mine + cost > cap:
            return False
        if self._load + cost > settings.total and self._load:
            return False
        if self._queue and self._queue.waiting(lane):
            return False
        busy[lane] = mine + cost
        self._load += cost
        return True

    async def wait(self, lane: Hashable, cost: int) -> bool:
        """Wait for a request's turn, which begins it; False if it can't wait or waited too long."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        waits, dropped = self._queue.put(lane, turn, cost)
        if dropped is not None:
            _settle(dropped, went=False)
        if not waits:
            return False
        timer = loop.call_later(self._settings.wait_seconds, self._expire, lane, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if not self._queue.remove(lane, turn) and turn.done() and turn.result():
                self.leave(lane, cost)
            raise
        finally:
            timer.cancel()

    def leave(self, lane: Hashable, cost: int) -> None:
        """End a request."""
        busy = self._busy
        mine = busy[lane] - cost
        if mine:
            busy[lane] = mine
        else:
            del busy[lane]
        self._load -= cost
        if self._queue:
            self._admit()

    def _admit(self) -> None:
        settings, busy = self._settings, self._busy
        now = time.monotonic_ns()
        cap = settings.share if now < self._shared_until else settings.alone
        chosen: list[tuple[Hashable, int]] = []

        def may(lane: Hashable, cost: int) -> bool:
            mine = busy.get(lane, 0)
            if (mine and mine + cost > cap) or (self._load and self._load + cost > settings.total):
                return False
            chosen[:] = [(lane, cost)]
            return True

        while self._load < settings.total:
            turn = self._queue.get(may)
            if turn is None:
                return
            if turn.done():  # cancelled in the meantime
                continue
            lane, cost = chosen[0]
            busy[lane] = busy.get(lane, 0) + cost
            self._load += cost
            turn.set_result(True)

    def _expire(self, lane: Hashable, turn: "asyncio.Future[bool]") -> None:
        if self._queue.remove(lane, turn):
            _settle(turn, went=False)


def _settle(turn: "asyncio.Future[bool]", *, went: bool) -> None:
    if not turn.done():
        turn.set_result(went)
