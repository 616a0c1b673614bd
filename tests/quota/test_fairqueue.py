"""The fair queue against floods: shares, bounds, and nobody is forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from adyton.service.quota.fairqueue import FairQueue


def drain(queue, count=10**9, may=None):
    taken = []
    while len(taken) < count:
        item = queue.get(may) if may else queue.get()
        if item is None:
            break
        taken.append(item)
    return taken


def test_a_flood_waits_for_itself():
    """One request of another lane behind a hundred is served within the next few."""
    queue = FairQueue(1_000, 1_000)
    for n in range(100):
        queue.put("flood", ("flood", n))
    drain(queue, 10)
    queue.put("calm", ("calm", 0))
    assert ("calm", 0) in drain(queue, 5)


def test_lanes_share_by_cost():
    """Where one lane's items cost four times as much, it gets a quarter as many."""
    queue = FairQueue(1_000, 10_000)
    for n in range(400):
        queue.put("cheap", ("cheap", n), 1)
        queue.put("dear", ("dear", n), 4)
    first = drain(queue, 250)
    cheap = sum(lane == "cheap" for lane, _ in first)
    assert 190 <= cheap <= 210


def test_within_a_lane_order_is_kept():
    """First come, first served."""
    queue = FairQueue(100, 100)
    for n in range(20):
        queue.put("a", n, 1 + n % 7)
    assert drain(queue) == list(range(20))


def test_bounds_and_who_gives_way():
    """A lane's bound refuses; where all are full the longest lane loses its newest."""
    queue = FairQueue(8, 10)
    assert all(queue.put("flood", n) == (True, None) for n in range(8))
    assert queue.put("flood", 8) == (False, None)
    assert queue.put("a", "a0") == (True, None)
    assert queue.put("b", "b0") == (True, None)
    assert queue.put("c", "c0") == (True, 7)
    assert len(queue) == 10
    assert queue.put("flood", 9) == (False, None)
    taken = drain(queue)
    assert sorted(map(str, taken)) == sorted(map(str, [*range(7), "a0", "b0", "c0"]))


def test_who_may_not_go_is_passed_by():
    """And keeps its place."""
    queue = FairQueue(10, 10)
    queue.put("held", "h")
    queue.put("free", "f")
    assert drain(queue, may=lambda lane, _: lane != "held") == ["f"]
    assert len(queue) == 1
    assert drain(queue) == ["h"]


_OPS = st.lists(
    st.tuples(st.sampled_from("pgr"), st.integers(0, 4), st.integers(1, 9)), max_size=200
)


@given(_OPS)
def test_nothing_is_lost_or_served_twice(ops):
    """Any order of putting, getting and removing, beside a plain list."""
    queue, inside, number = FairQueue(5, 12), {}, 0
    for kind, lane, cost in ops:
        if kind == "p":
            number += 1
            waits, dropped = queue.put(lane, number, cost)
            if dropped is not None:
                del inside[dropped]
            if waits:
                inside[number] = lane
        elif kind == "g":
            item = queue.get()
            assert (item is None) == (not inside)
            if item is not None:
                at = inside.pop(item)
                assert all(item < other for other, where in inside.items() if where == at)
        elif inside:
            item = next(iter(inside))
            assert queue.remove(inside.pop(item), item)
            assert not queue.remove(0, -1)
        assert len(queue) == len(inside) <= 12
        for at in range(5):
            assert queue.waiting(at) == sum(where == at for where in inside.values()) <= 5
