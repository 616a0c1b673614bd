"""Bulk work: import, re-wrapping, verification, listing, and a million secrets."""

import os
import time

import pyrage

from adyton import SecretStore
from benchmarks.harness import Figure, Floor, core_of, fill, fresh_store, names, paired
from benchmarks.reads import get_without_waiting


def bulk_import(count: int) -> list[Figure]:
    """An age bundle of 100-byte secrets into an empty namespace, all included."""
    identity = pyrage.x25519.Identity.generate()
    rates = []
    with fresh_store() as store:
        fill(store, "u", count)
        bundle = store.export_secrets("u", recipients=[str(identity.to_public())])
        for n in range(3):
            start = time.perf_counter()
            store.import_secrets(f"v{n}", bundle, identities=[str(identity)])
            rates.append(count / (time.perf_counter() - start))
        values = {f"n/{n}": os.urandom(100) for n in range(count)}
        start = time.perf_counter()
        store.set_secrets("w", values)
        batch = count / (time.perf_counter() - start)
    rate = sorted(rates)[1]
    return [
        Figure(
            f"import of {count:,} from a bundle", rate, "/s", target="at least 30,000",
            met=rate >= 30_000,
        ),
        Figure(f"set_secrets of {count:,}", batch, "/s"),
    ]  # fmt: skip


def rewrap(count: int) -> list[Figure]:
    """Re-wrapping data keys after a rotation, durable batches included."""
    rates = []
    with fresh_store() as store:
        fill(store, "u", count)
        for _ in range(3):
            store.keys.rotate()
            start = time.perf_counter()
            report = store.keys.rewrap()
            rates.append(report.keys / (time.perf_counter() - start))
        start = time.perf_counter()
        deep = store.keys.rewrap(deep=True).keys / (time.perf_counter() - start)
    rate = sorted(rates)[1]
    return [
        Figure("re-wrap", rate, "keys/s", target="at least 40,000", met=rate >= 40_000),
        Figure("deep re-encryption", deep, "values/s"),
    ]


def verify(count: int) -> list[Figure]:
    """The whole log against the store: mostly reads of a thousand secrets."""
    with fresh_store() as store:
        fill(store, "u", 1_000)
        wanted = names(1_000)
        while core_of(store).commit.state.size < count:
            for secret in store.get_secrets("u", wanted).values():
                secret.wipe()
        rates = []
        for _ in range(3):
            start = time.perf_counter()
            report = store.audit.verify()
            rates.append(report.records / (time.perf_counter() - start))
    rate = sorted(rates)[1]
    return [
        Figure(
            f"audit verify, {count:,} records", rate, "records/s", target="at least 150,000",
            met=rate >= 150_000,
        )
    ]  # fmt: skip


def listing() -> list[Figure]:
    """10,000 names of one user with their metadata."""
    with fresh_store() as store:
        fill(store, "u", 10_000)
        times = []
        for _ in range(7):
            start = time.perf_counter()
            page = store.list_secrets("u")
            times.append((time.perf_counter() - start) * 1e3)
            assert len(page) == 10_000
    middle = sorted(times)[3]
    return [Figure("list 10,000 names", middle, "ms", target="under 100", met=middle < 100)]


def million(count: int, rounds: int) -> list[Figure]:
    """Time of a read in a store of a thousand, and of a million."""
    with fresh_store() as small, fresh_store() as large:
        fill(small, "u", 1_000)
        start = time.perf_counter()
        fill(large, "u", count)
        filling = count / (time.perf_counter() - start)
        few, many = names(1_000), names(count)
        for store, wanted in ((small, few), (large, many)):
            get_without_waiting(store, wanted)
        value, peer, ratio = paired(
            lambda: get_without_waiting(large, many),
            lambda: get_without_waiting(small, few),
            rounds,
        )
        floors = _floors(small, large, few, many, rounds)
    return [
        Figure(f"fill with {count:,} secrets", filling, "/s"),
        Figure(f"get_secret of {count:,}", value, "us", peer, "of 1,000"),
        Figure("  ratio", ratio, "x", floors, "the select's own", "at most 1.6", ratio <= 1.6),
    ]


def _floors(
    small: SecretStore, large: SecretStore, few: list[str], many: list[str], rounds: int
) -> float:
    floors = []
    for store, wanted in ((large, many), (small, few)):
        keys = core_of(store).ring.cached("u")
        assert keys is not None
        floors.append(Floor(core_of(store).storage.path, keys, wanted))  # type: ignore[attr-defined]
    return paired(floors[0].run, floors[1].run, rounds)[2]
