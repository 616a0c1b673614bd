"""Reading connections: as many as are needed at once, and no more for long."""

import threading

from adyton.rows import SecretRow
from adyton.service.ticket import run_now
from adyton.storage.sqlite import SqliteStorage
from adyton.storage.sqlite_readers import MAX_READERS

USER, NAME = b"u" * 16, b"n" * 16


def test_readers_that_a_moment_needed_are_closed_later(tmp_path):
    """Those that lay idle from one folding to the next go; the one that is used stays open."""
    storage = SqliteStorage(tmp_path / "store.db", create=True)
    pool = storage._readers
    taken = [pool.take() for _ in range(MAX_READERS + 4)]
    for reader in taken:
        pool.give_back(reader)
    assert len(pool._idle) == MAX_READERS
    pool.let_go()  # all were needed until now
    assert len(pool._idle) == MAX_READERS
    first, second = pool.take(), pool.take()
    pool.give_back(first)
    pool.give_back(second)
    pool.let_go()
    assert set(pool._idle) == {first, second}
    pool.let_go()  # nothing was read since
    assert len(pool._idle) == 1
    pool.let_go()
    assert len(pool._idle) == 1
    storage.close()


def test_reading_goes_on_while_idle_readers_are_closed(tmp_path):
    """Threads read beside a writer that folds again and again; none meets a closed connection."""
    storage = SqliteStorage(tmp_path / "store.db", create=True)
    failed = []
    ends = threading.Event()

    async def put(fill):
        tx = await storage.begin()
        await tx.put_secrets(USER, [SecretRow(NAME, 1, 1, b"m", None, 1, b"k", b"%d" % fill)])
        await tx.commit()

    async def look():
        async with storage.snapshot() as rows:
            return await rows.secret(USER, NAME)

    def read():
        try:
            while not ends.is_set():
                assert run_now(look()) is not None
        except BaseException as error:
            failed.append(error)

    run_now(put(0))
    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for fill in range(60):
        run_now(put(fill))
        storage._readers.let_go()
    ends.set()
    for thread in threads:
        thread.join()
    assert not failed
    storage.close()
