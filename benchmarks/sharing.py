"""What sharing costs: reading and writing somebody else's secret, sharing a folder.

python -m benchmarks.sharing
"""

import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from adyton import Client, SecretStore
from benchmarks.harness import Figure, fresh_store, show
from benchmarks.server import adyton

_READS = 4_000
_WRITES = 500


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

    spent = {own: 0.0, shared: 0.0}

    def timed(operation: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            begin = time.process_time()
            operation()
            spent[operation] += time.process_time() - begin

        return run

    times = _in_turns((timed(own), timed(shared)), _READS)
    return [
        *_compared("read", times, 1.3),
        Figure("  the same by processor time", spent[shared] / spent[own], "times"),
    ]


def writes(store: SecretStore) -> list[Figure]:
    """A write through a share beside one by the owner of a secret that is shared alike."""
    found = []
    for name in ("by owner", "by bob"):
        store.set_secret("alice", name, b"x" * 100)
        found.append(store.shares.create("alice", "bob", name, write=True).id)
        store.shares.accept("bob", found[-1])
    value = b"x" * 100
    times = _in_turns(
        (
            lambda: store.set_secret("alice", "by owner", value),
            lambda: store.shares.set("bob", found[1], value),
        ),
        _WRITES,
    )
    return _compared("write", times)


def served() -> list[Figure]:
    """The same reads and writes on one connection to a server on this machine."""
    with tempfile.TemporaryDirectory() as folder, adyton(Path(folder)) as target:
        with Client(f"http://127.0.0.1:{target.port}", target.token) as client:
            client.set_secret("alice", "a", b"x" * 100)
            client.set_secret("bob", "own", b"x" * 100)
            share = client.shares.create("alice", "bob", "a", write=True).id
            client.shares.accept("bob", share)
        connection = http.client.HTTPConnection("127.0.0.1", target.port)
        body = json.dumps({"value": {"encoding": "utf-8", "data": "x" * 100}})

        def asking(path: str, method: str, body: str | None = None) -> Callable[[], object]:
            headers = {"X-Vault-Token": target.token, "Content-Type": "application/json"}

            def ask() -> None:
                connection.request(method, f"/v1/adyton/users/{path}", body, headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"{method} {path}: {answer.status}")

            return ask

        through = f"bob/shares/received/{share}/secret"
        reading = (asking("bob/secrets/own", "GET"), asking(through, "GET"))
        writing = (asking("alice/secrets/a", "PUT", body), asking(through, "PUT", body))
        found = _compared("read over HTTP", _in_turns(reading, _READS), 1.3)
        found += _compared("write over HTTP", _in_turns(writing, _WRITES))
        connection.close()
        return found


def _in_turns(operations: tuple[Callable[[], object], ...], rounds: int) -> list[float]:
    """Medians of each, run in turns, so that all meet the same moods of the machine."""
    times: list[list[float]] = [[] for _ in operations]
    for _ in range(rounds):
        for operation, taken in zip(operations, times, strict=True):
            start = time.perf_counter()
            operation()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def _compared(what: str, times: list[float], bound: float | None = None) -> list[Figure]:
    ratio = times[1] / times[0]
    met = None if bound is None else ratio <= bound
    target = "" if bound is None else f"at most {bound}"
    return [
        Figure(f"{what} of an own secret", times[0] * 1e6, "us"),
        Figure(f"{what} of a shared one", times[1] * 1e6, "us"),
        Figure(f"a shared {what} by an own one", ratio, "times", target=target, met=met),
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
        show(reads(store) + writes(store) + folder(store, 1_000) + served())


if __name__ == "__main__":
    main()
