"""What every benchmark shares: a store in a fresh folder, floors, repetition, the table."""

import gc
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import apsw
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rich.console import Console
from rich.table import Table

from adyton import Limits, SecretStore
from adyton.service.core import Core
from adyton.service.userkeys import UserKeys

VALUE = b"v" * 100
SELECT = "SELECT wrapped_key,value FROM secrets WHERE user=? AND name=?"


@dataclass
class Figure:
    """One line of the table.

    Attributes:
        name: What was measured.
        value: The figure.
        unit: Its unit.
        floor: The floor or peer of the same run, in the same unit, or None.
        floor_name: What the floor is.
        target: What was aimed at, in words.
        met: Whether it was, or None where there is no target.
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    floor_name: str = ""
    target: str = ""
    met: bool | None = None


@contextmanager
def fresh_store(folder: Path | None = None, **options: object) -> Iterator[SecretStore]:
    """A store in a folder of its own on this disk, with durable commits."""
    with tempfile.TemporaryDirectory(prefix="adyton-bench-", dir=folder) as name:
        place = Path(name)
        with SecretStore.open(
            str(place / "store.db"),
            root=f"keyfile:{place / 'key'}",
            create=True,
            upkeep=False,
            limits=Limits(max_batch=2_000_000),
            **options,  # type: ignore[arg-type]
        ) as store:
            yield store


def core_of(store: SecretStore) -> Core:
    """The rooms behind the face, for what the face does not time."""
    return store._opened.core


def fill(store: SecretStore, user: str, count: int, *, step: int = 20_000) -> None:
    """Write that many secrets of 100 bytes."""
    for start in range(0, count, step):
        store.set_secrets(
            user, {f"app/name-{n:07d}": VALUE for n in range(start, min(start + step, count))}
        )


def names(count: int, wanted: int = 1_000) -> list[str]:
    """Names spread over all, in no order that the disk knows."""
    return [f"app/name-{(n * 7919) % count:07d}" for n in range(wanted)]


class Floor:
    """The bare work of a read: one select by key and two AES-GCM openings."""

    def __init__(self, path: str, keys: UserKeys, wanted: list[str]) -> None:
        self._execute = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY).execute
        self._places = [(keys.user, keys.index(name)) for name in wanted]
        key, self._nonce = os.urandom(32), os.urandom(12)
        self._wrapper = AESGCM(os.urandom(32))
        self._context = b"a" * 100
        self._wrapped = self._wrapper.encrypt(self._nonce, key, self._context)
        self._box = AESGCM(key).encrypt(self._nonce, VALUE, self._context)

    def run(self) -> float:
        """Microseconds a read."""
        start = time.perf_counter()
        for place in self._places:
            self._execute(SELECT, place).fetchall()
            key = self._wrapper.decrypt(self._nonce, self._wrapped, self._context)
            AESGCM(key).decrypt(self._nonce, self._box, self._context)
        return (time.perf_counter() - start) / len(self._places) * 1e6


def paired(
    first: Callable[[], float], second: Callable[[], float], rounds: int
) -> tuple[float, float, float]:
    """Medians of both, run in turn, and the median of their ratios pair by pair."""
    gc.collect()
    pairs = [(first(), second()) for _ in range(rounds)]
    return (
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
        statistics.median(pair[0] / pair[1] for pair in pairs),
    )


def commit_floor(folder: Path) -> float:
    """Microseconds of a bare durable commit of one small row on this disk."""
    with tempfile.TemporaryDirectory(prefix="adyton-bench-", dir=folder) as name:
        connection = apsw.Connection(str(Path(name) / "floor.db"))
        connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, record BLOB)")
        times = []
        for n in range(300):
            start = time.perf_counter()
            connection.execute("INSERT INTO t VALUES (?,?)", (n, b"r" * 200))
            times.append(time.perf_counter() - start)
        connection.close()
    return statistics.median(times) * 1e6


def show(figures: list[Figure]) -> None:
    """Print the table."""
    table = Table(title="Adyton, embedded store", title_justify="left")
    for heading, justify in (
        ("what", "left"), ("figure", "right"), ("floor or peer", "right"), ("target", "left"),
        ("", "left"),
    ):  # fmt: skip
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for figure in figures:
        floor = ""
        if figure.floor is not None:
            floor = f"{figure.floor:,.1f} {figure.unit} ({figure.floor_name})"
        mark = "" if figure.met is None else ("met" if figure.met else "MISSED")
        table.add_row(figure.name, f"{figure.value:,.1f} {figure.unit}", floor, figure.target, mark)
    Console(width=150).print(table)


def save(figures: list[Figure], path: Path) -> None:
    """Write the figures as JSON, with the machine they were measured on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "kernel": platform.release(),
            "sqlite": apsw.sqlite_lib_version(),
        },
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "figures": [asdict(figure) for figure in figures],
    }
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
