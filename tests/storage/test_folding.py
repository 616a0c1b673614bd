"""The write-ahead log is folded beside the writer, and begins anew under a busy one too."""

import threading
from pathlib import Path

import apsw
import pytest

from adyton.rows import EntryRow
from adyton.service.ticket import run_now
from adyton.storage import sqlite
from adyton.storage.sqlite import SqliteStorage

RECORD = b"r" * 3_500
"""About a page."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """The log is folded at 1,000 pages."""
    monkeypatch.setattr(sqlite, "_WAL_PAGES", 1_000)


@pytest.fixture
def storage(tmp_path):
    found = SqliteStorage(tmp_path / "store.db", create=True)
    yield found
    found.close()


def write(storage, first, count):
    async def work():
        tx = await storage.begin()
        await tx.append_entries(0, [EntryRow(first + n, b"u" * 16, RECORD) for n in range(count)])
        await tx.commit()

    run_now(work())


def wal_bytes(storage):
    return Path(storage.path + "-wal").stat().st_size


def test_a_busy_writer_has_a_log_that_stays_small(storage):
    """Sixteen times what makes it fold is written, with views kept; the log does not grow so."""
    largest = 0
    for at in range(0, 16_000, 40):
        write(storage, at, 40)
        run_now(storage.secret(b"u" * 16, b"n" * 16))  # a view that is kept
        largest = max(largest, wal_bytes(storage))
    assert largest < 32 * 2**20, f"{largest >> 20} MiB"


def test_the_thread_folds_and_leaves_the_writer_little(storage):
    """What was written is in the database's file before the writer commits again."""
    write(storage, 0, 40)
    run_now(storage.secret(b"u" * 16, b"n" * 16))  # an old view, which is kept and holds back
    before = Path(storage.path).stat().st_size
    at = 40
    while storage._folding._thread is None:
        write(storage, at, 40)
        at += 40
        assert at < 10_000
    storage._folding._thread.join()
    assert Path(storage.path).stat().st_size - before > 3_000 * at


def test_the_writer_goes_on_while_the_log_is_folded(storage, monkeypatch):
    """The thread is held in the middle; commits are made, and nothing is lost by what follows."""
    held, go = threading.Event(), threading.Event()
    fold = storage._folding._connect

    def connect():
        held.set()
        assert go.wait(30)
        return fold()

    monkeypatch.setattr(storage._folding, "_connect", connect)
    at = 0
    while not held.is_set():
        write(storage, at, 100)
        at += 100
        assert at < 10_000
    for _ in range(5):
        write(storage, at, 100)
        at += 100
    go.set()
    storage._folding.wait()
    for _ in range(5):
        write(storage, at, 100)
        at += 100
    path = storage.path
    storage.close()
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.execute("SELECT count(*) FROM audit_entries").fetchall() == [(at,)]
    connection.close()


def test_a_fold_that_fails_harms_nothing(storage, monkeypatch):
    """It is tried again after a later commit."""
    tried = []

    def fail():
        tried.append(1)
        raise apsw.CantOpenError

    monkeypatch.setattr(storage._folding, "_connect", fail)
    for at in range(0, 4_000, 100):
        write(storage, at, 100)
        storage._folding.wait()
    assert len(tried) > 1
    write(storage, 4_000, 1)


def test_closing_waits_for_the_thread(tmp_path):
    """Nothing of it is left behind, and the log is gone."""
    storage = SqliteStorage(tmp_path / "store.db", create=True)
    write(storage, 0, 2_500)
    storage.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "adyton-fold"]
    assert not Path(storage.path + "-wal").exists()
