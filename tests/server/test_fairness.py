"""One user's flood does not hold another up; without turns it does."""

import statistics
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks import fairness

NAMES = 1_500
CONNECTIONS = 64
TRIES = 4


def overtaken(server):
    """How many of the flood's answers come before a request that waits for its own, at the median.

    Each connection of the flood always waits for an answer. What is counted are answers and not
    seconds: whatever else the machine does slows both alike.
    """
    found = fairness.measure(
        server, "list", rounds=1, seconds=1.0, connections=CONNECTIONS, think=0.0
    )
    assert sum(found.flood.values()) > 10 * CONNECTIONS, found.flood
    return statistics.median(found.overtaken)


def test_a_flood_of_lists_waits_for_itself():
    """With turns few of its lists come first; without turns one from nearly each connection."""
    with fairness.served(NAMES, fairness.UNFAIR) as server:
        assert overtaken(server) > CONNECTIONS // 2
    with fairness.served(NAMES, {}) as server:
        assert overtaken(server) < CONNECTIONS // 4


@pytest.mark.soak
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("kind", ["read", "write", "list", "login", "invalid", "mixed"])
def test_p99_under_each_kind_of_flood(kind):
    """The p99 of many requests, with the flood at most twice that without."""
    with fairness.served(10_000, {}) as server:
        found = []
        while len(found) < TRIES and (not found or min(found) > 2.0):
            times = fairness.measure(
                server, kind, rounds=5, seconds=2.0, connections=64, think=0.02
            )
            found.append(times.ratio())
        assert min(found) <= 2.0, found
