"""Reads: without waiting for the commit, and with 32 callers and durable audit."""

import asyncio
import threading
import time
from pathlib import Path

from adyton import AsyncSecretStore, SecretStore
from benchmarks.harness import (
    Figure,
    Floor,
    commit_floor,
    core_of,
    fill,
    fresh_store,
    names,
    paired,
)

CALLERS = 32


def get_without_waiting(store: SecretStore, wanted: list[str]) -> float:
    """Microseconds for a read up to where it would wait for its record's commit.

    The commit of all the records together comes behind them, and is not timed.
    """
    core = core_of(store)
    secrets, caller = store._secrets, store._caller
    group = []
    begin = time.perf_counter()
    for name in wanted:
        operation = secrets.get(caller, "u", name)
        group.append((operation, operation.send(None)))
    spent = time.perf_counter() - begin
    core.commit._wait(group[-1][1])
    for operation, _ in group:
        try:
            operation.send(None)
        except StopIteration as stop:
            stop.value.wipe()
    return spent / len(wanted) * 1e6


def hot_path(rounds: int) -> list[Figure]:
    """``get_secret`` without waiting, against its floor."""
    with fresh_store() as store:
        fill(store, "u", 1_000)
        wanted = names(1_000)
        keys = core_of(store).ring.cached("u")
        assert keys is not None
        floor = Floor(core_of(store).storage.path, keys, wanted)  # type: ignore[attr-defined]
        get_without_waiting(store, wanted)
        value, bare, ratio = paired(lambda: get_without_waiting(store, wanted), floor.run, rounds)
    return [
        Figure("get_secret, not waiting", value, "us", bare, "select + 2 AES-GCM openings"),
        Figure("  ratio to the floor", ratio, "x", target="at most 3", met=ratio <= 3),
    ]


async def _tasks(store: AsyncSecretStore, seconds: float) -> float:
    wanted = names(1_000)
    done = 0
    end = time.perf_counter() + seconds

    async def work(offset: int) -> None:
        nonlocal done
        at = offset
        while time.perf_counter() < end:
            (await store.get_secret("u", wanted[at % 1_000])).wipe()
            done += 1
            at += CALLERS

    start = time.perf_counter()
    await asyncio.gather(*(work(n) for n in range(CALLERS)))
    return done / (time.perf_counter() - start)


def _threads(store: SecretStore, seconds: float) -> float:
    wanted = names(1_000)
    counts = [0] * CALLERS
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        at = number
        while time.perf_counter() < end:
            store.get_secret("u", wanted[at % 1_000]).wipe()
            counts[number] += 1
            at += CALLERS

    threads = [threading.Thread(target=work, args=(n,)) for n in range(CALLERS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - start)


def durable(rounds: int) -> list[Figure]:
    """32 tasks, and 32 threads, each read audited durably before it is released."""
    tasks, threads, one = [], [], []
    with fresh_store() as store:
        fill(store, "u", 1_000)
        face = AsyncSecretStore(store._opened)
        bare = commit_floor(Path(core_of(store).storage.path).parent)  # type: ignore[attr-defined]
        asyncio.run(_tasks(face, 0.5))
        for _ in range(max(rounds // 3, 3)):
            tasks.append(asyncio.run(_tasks(face, 1.0)))
            threads.append(_threads(store, 1.0))
            start = time.perf_counter()
            for name in names(1_000, 200):
                store.get_secret("u", name).wipe()
            one.append((time.perf_counter() - start) / 200 * 1e6)
    tasks.sort()
    threads.sort()
    one.sort()
    middle = len(tasks) // 2
    return [
        Figure(
            "32 tasks, durable audit", tasks[middle], "/s", 1e6 / bare, "one commit each",
            "at least 10,000", tasks[middle] >= 10_000,
        ),
        Figure("32 threads, durable audit", threads[middle], "/s", 1e6 / bare, "one commit each"),
        Figure("one caller, durable audit", one[middle], "us", bare, "bare commit"),
    ]  # fmt: skip
