"""What sharing costs: reading somebody else's secret, sharing a folder, writing what is shared.

python -m benchmarks.sharing
"""

import statistics
import time
from collections.abc import Callable

from adyton import SecretStore
from benchmarks.harness import Figure, fresh_store, show

_READS = 4_000


def reads(store: SecretStore) -> list[Figure]:
    """A shared secret beside an own one, each read and its records durable; in turns."""
    store.set_secret("alice", "a", b"x" * 100)
    store.set_secret("bob", "own", b"x" * 100)
    found = store.shares.create("alice", "bob", "a").id
    store.shares.accept("bob", found)

    def own() -> None:
        store.get_secret("bob", "own").wipe()

    def shared() -> None:
        store.shares.get("bob", found).value.wipe()

    times: dict[str, list[float]] = {"own": [], "shared": []}
    spent = {"own": 0.0, "shared": 0.0}
    for _ in range(_READS):
        for name, operation in (("own", own), ("shared", shared)):
            start, begin = time.perf_counter(), time.process_time()
            operation()
            spent[name] += time.process_time() - begin
            times[name].append(time.perf_counter() - start)
    ratio = statistics.median(times["shared"]) / statistics.median(times["own"])
    return [
        Figure("read of an own secret", statistics.median(times["own"]) * 1e6, "us"),
        Figure("read of a shared secret", statistics.median(times["shared"]) * 1e6, "us"),
        Figure(
            "a shared read by an own one", ratio, "times", target="at most 1.3", met=ratio <= 1.3
        ),
        Figure("  the same by processor time", spent["shared"] / spent["own"], "times"),
    ]


def folder(store: SecretStore, count: int) -> list[Figure]:
    """Offering a folder, ending it with and without rotation, and a write into it."""
    store.set_secrets("carol", {f"f/{number}": b"x" * 100 for number in range(count)})
    plain = _median(lambda: store.set_secret("carol", "g", b"x"), 101)
    offers, ends = [], []
    for _ in range(5):
        start = time.perf_counter()
        made = store.shares.create("carol", "bob", "f/")
        offers.append(time.perf_counter() - start)
        start = time.perf_counter()
        store.shares.revoke("carol", made.id)
        ends.append(time.perf_counter() - start)
    made = store.shares.create("carol", "bob", "f/")
    shared = _median(lambda: store.set_secret("carol", "f/1", b"x"), 101)
    start = time.perf_counter()
    store.shares.revoke("carol", made.id, rotate=True)
    rotated = time.perf_counter() - start
    offer = statistics.median(offers)
    return [
        Figure(
            f"sharing a folder of {count:,}", offer * 1e3, "ms", target="under 1,000", met=offer < 1
        ),
        Figure("ending it", statistics.median(ends) * 1e3, "ms"),
        Figure("ending it with new data keys", rotated * 1e3, "ms"),
        Figure("write of a secret that is not shared", plain * 1e6, "us"),
        Figure("write of one that is", shared * 1e6, "us"),
    ]


def _median(operation: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        operation()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    with fresh_store() as store:
        show(reads(store) + folder(store, 1_000))


if __name__ == "__main__":
    main()
