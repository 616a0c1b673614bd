"""A bounded queue that serves many lanes in turn, by the cost of what waits in each.

Deficit round robin (M. Shreedhar and G. Varghese, SIGCOMM 1995): each lane in turn is given
credit and may take out what its credit pays for, so lanes get equal shares of the work whatever
each asks for. Where the queue is full, the longest lane gives way: a flood fills the queue only
as long as nobody else needs the room.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_CREDIT: Final = 4
"""Credit for each round; at least the usual cost, so that a round seldom passes a lane by."""


class _Lane(Generic[T]):
    __slots__ = ("credit", "items", "served")

    def __init__(self) -> None:
        self.items: deque[tuple[T, int]] = deque()
        self.credit = 0
        self.served = False  # has had its credit for this round


class FairQueue(Generic[T]):
    """Items that wait, by lane.

    Args:
        lane_items: Most items of one lane.
        all_items: Most items of all lanes.
    """

    def __init__(self, lane_items: int, all_items: int) -> None:
        self._lane_items = lane_items
        self._all_items = all_items
        self._lanes: OrderedDict[Hashable, _Lane[T]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def waiting(self, lane: Hashable) -> int:
        """Items that wait in one lane."""
        found = self._lanes.get(lane)
        return 0 if found is None else len(found.items)

    def put(self, lane: Hashable, item: T, cost: int = 1) -> tuple[bool, T | None]:
        """Let an item wait.

        Returns:
            Whether it waits now, and the item that had to give way to it, if any.
        """
        own = self.waiting(lane)
        if own >= self._lane_items:
            return False, None
        dropped = None
        if self._count >= self._all_items:
            longest = max(self._lanes, key=self.waiting)
            if self.waiting(longest) <= own + 1:
                return False, None
            dropped = self._drop_last(longest)
        found = self._lanes.get(lane)
        if found is None:
            found = self._lanes[lane] = _Lane()
        found.items.append((item, cost))
        self._count += 1
        return True, dropped

    def get(self, may: Callable[[Hashable, int], bool] = lambda _lane, _cost: True) -> T | None:
        """The item whose turn it is; None if there is none, or none that may go.

        Args:
            may: Whether a lane's next item, of some cost, may go now.
        """
        lanes = self._lanes
        passed = 0
        while passed < len(lanes):
            key, lane = next(iter(lanes.items()))
            item, cost = lane.items[0]
            if not may(key, cost):
                lanes.move_to_end(key)
                passed += 1
                continue
            if not lane.served:
                lane.served = True
                lane.credit += _CREDIT
            if lane.credit < cost:
                lane.served = False
                lanes.move_to_end(key)
                passed = 0
                continue
            lane.credit -= cost
            lane.items.popleft()
            self._count -= 1
            if not lane.items:
                del lanes[key]
            return item
        return None

    def remove(self, lane: Hashable, item: T) -> bool:
        """Take out an item that waits no longer; False if it is not there."""
        found = self._lanes.get(lane)
        if found is None:
            return False
        for entry in found.items:
            if entry[0] is item:
                found.items.remove(entry)
                self._count -= 1
                if not found.items:
                    del self._lanes[lane]
                return True
        return False

    def _drop_last(self, lane: Hashable) -> T:
        found = self._lanes[lane]
        item, _ = found.items.pop()
        self._count -= 1
        return item
