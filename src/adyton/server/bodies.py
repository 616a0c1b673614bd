"""How many bytes of request bodies are in memory at once."""

from collections.abc import Hashable


class BodyBudget:
    """Memory for large bodies, shared by lanes: none may have more than a quarter of it.

    Args:
        total: Bytes of all bodies; raised to ``largest`` where it is less.
        largest: Bytes of the largest body, which a lane may have whatever its share.
    """

    def __init__(self, total: int, largest: int) -> None:
        self._total = max(total, largest)
        self._share = max(self._total // 4, largest)
        self._lanes: dict[Hashable, int] = {}
        self.held = 0

    def take(self, lane: Hashable, count: int) -> bool:
        """Hold more bytes for a lane; False, and nothing is held, where they are too many."""
        mine = self._lanes.get(lane, 0) + count
        if mine > self._share or self.held + count > self._total:
            return False
        self._lanes[lane] = mine
        self.held += count
        return True

    def give(self, lane: Hashable, count: int) -> None:
        """Hold them no longer."""
        mine = self._lanes[lane] - count
        if mine:
            self._lanes[lane] = mine
        else:
            del self._lanes[lane]
        self.held -= count
