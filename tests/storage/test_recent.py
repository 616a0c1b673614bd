"""Rows kept in memory are the database's, whatever is written, however reads and commits meet."""

import threading

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adyton.errors import StoreClosed
from adyton.rows import MetaRow, ObjectRow, SecretRow, WrapRow
from adyton.service.ticket import run_now
from adyton.storage import sqlite_recent
from adyton.storage.sqlite import SqliteStorage
from adyton.storage.sqlite_rows import SELECT_CURRENT

USERS = [b"u" * 16, b"v" * 16]
SELECT_OBJECT = (
    "SELECT bucket,object,meta_version,box FROM objects WHERE user=? AND bucket=? AND object=?"
)
NAMES = [bytes([n]) * 16 for n in range(3)]
SECRETS = [(user, name) for user in USERS for name in NAMES]


@pytest.fixture
def storage(tmp_path):
    found = SqliteStorage(tmp_path / "store.db", create=True)
    yield found
    found.close()


def row(name, fill, current=1):
    return SecretRow(name, current, 1, b"m" + fill, None, 1, b"k" + fill, b"v" + fill)


async def step(tx, kind, user, name, fill):
    """One kind of writing that changes a row."""
    match kind:
        case "put":
            await tx.put_secrets(user, [row(name, fill)])
        case "metadata":
            await tx.put_metadata(user, [MetaRow(name, 1, 2, b"n" + fill, None)])
        case "wrap":
            await tx.put_wraps(user, [WrapRow(name, 1, 2, b"w" + fill)], older=False)
        case "accessed":
            await tx.put_accessed([(user, name, int.from_bytes(fill, "big"))])
        case "destroy":
            await tx.destroy_current(user, name)
        case "delete":
            await tx.delete_secret(user, name)
        case "purge":
            await tx.delete_user(user)
        case "object":
            await tx.put_objects(user, [ObjectRow(name, name, 1, b"o" + fill)])
        case "object gone":
            await tx.delete_objects(user, [(name, name)])
        case "undone":
            await tx.savepoint()
            await tx.put_secrets(user, [row(name, fill)])
            await tx.put_objects(user, [ObjectRow(name, name, 1, b"undone" + fill)])
            await tx.rollback_to()


KINDS = [
    "put", "put", "metadata", "wrap", "accessed", "destroy", "delete", "purge", "undone",
    "object", "object", "object gone",
]  # fmt: skip
STEP = st.tuples(
    st.sampled_from(KINDS),
    st.sampled_from(USERS),
    st.sampled_from(NAMES),
    st.binary(min_size=2, max_size=2),
)
GROUP = st.tuples(st.lists(STEP, min_size=1, max_size=4), st.booleans())


@given(st.lists(GROUP, max_size=12))
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_read_is_what_is_stored(storage, groups):
    """After each group, committed or rolled back, all rows are read twice and compared."""

    async def write(steps, commits):
        tx = await storage.begin()
        for each in steps:
            await step(tx, *each)
        await (tx.commit() if commits else tx.rollback())

    other = apsw.Connection(storage.path, flags=apsw.SQLITE_OPEN_READONLY)
    for steps, commits in groups:
        run_now(write(steps, commits))
        for place in SECRETS * 2:
            stored = other.execute(SELECT_CURRENT, place).fetchall()
            assert run_now(storage.secret(*place)) == (stored[0] if stored else None)
            user, name = place
            stored = other.execute(SELECT_OBJECT, (user, name, name)).fetchall()
            assert run_now(storage.object(user, name, name)) == (stored[0] if stored else None)
    other.close()


def put(storage, user, secret):
    async def work():
        tx = await storage.begin()
        await tx.put_secrets(user, [secret])
        await tx.commit()

    run_now(work())


def put_object(storage, user, box):
    async def work():
        tx = await storage.begin()
        await tx.put_objects(user, [ObjectRow(NAMES[0], NAMES[0], 1, box)])
        await tx.commit()

    run_now(work())


def test_a_row_is_found_without_asking_the_database_again(storage):
    """It is the same object; after a commit that has changed another row as well."""
    put(storage, USERS[0], row(NAMES[0], b"a"))
    put_object(storage, USERS[0], b"x")
    first = run_now(storage.secret(USERS[0], NAMES[0]))
    one = run_now(storage.object(USERS[0], NAMES[0], NAMES[0]))
    put(storage, USERS[0], row(NAMES[1], b"b"))
    assert run_now(storage.secret(USERS[0], NAMES[0])) is first
    assert run_now(storage.object(USERS[0], NAMES[0], NAMES[0])) is one
    put_object(storage, USERS[0], b"y")
    assert run_now(storage.secret(USERS[0], NAMES[0])) is first
    assert run_now(storage.object(USERS[0], NAMES[0], NAMES[0])).box == b"y"


def test_a_row_that_was_read_before_a_commit_is_not_kept_after_it(storage, monkeypatch):
    """A reader is held between its select and keeping the row, while the row changes."""
    put(storage, USERS[0], row(NAMES[0], b"old"))
    storage._recent.committed([USERS[0]])
    keep, held, go = storage._recent.keep, threading.Event(), threading.Event()

    def keep_late(*args):
        held.set()
        assert go.wait(30)
        keep(*args)

    monkeypatch.setattr(storage._recent, "keep", keep_late)
    found = []
    reader = threading.Thread(
        target=lambda: found.append(run_now(storage.secret(USERS[0], NAMES[0])))
    )
    reader.start()
    assert held.wait(30)
    put(storage, USERS[0], row(NAMES[0], b"new"))
    go.set()
    reader.join()
    assert found[0].value == b"vold"  # it was so when that read began
    assert run_now(storage.secret(USERS[0], NAMES[0])).value == b"vnew"


def test_what_is_kept_is_bounded(storage, monkeypatch):
    """By number, and large rows are not kept at all; cells of a wrong kind neither."""
    monkeypatch.setattr(sqlite_recent, "_LIMIT", 10)
    for n in range(30):
        name = bytes([n]) * 16
        put(storage, USERS[0], row(name, b"x" * (2_000 if n % 2 else 5)))
        assert run_now(storage.secret(USERS[0], name)).name == name
    assert 0 < len(storage._recent._rows) <= 10
    assert all(len(kept.value) < 100 for kept in storage._recent._rows.values())
    kept = set(storage._recent._rows)
    for odd in (row(NAMES[0], b"")._replace(meta=7), row(NAMES[0], b"")._replace(value="text")):
        parts = (odd.meta, odd.value)
        storage._recent.keep((USERS[1], odd.name), odd, parts, storage._recent.commits)
    assert set(storage._recent._rows) == kept


def test_a_closed_store_has_nothing(tmp_path):
    """Rows in memory are forgotten with it."""
    storage = SqliteStorage(tmp_path / "store.db", create=True)
    put(storage, USERS[0], row(NAMES[0], b"a"))
    run_now(storage.secret(USERS[0], NAMES[0]))
    storage.close()
    with pytest.raises(StoreClosed):
        run_now(storage.secret(USERS[0], NAMES[0]))
