"""A storage thief who can write: every swap, every row put back, is refused or found out."""

import copy
import shutil
import sqlite3

import pytest

from adyton import SecretStore
from adyton.errors import AdytonError, AuditError, IntegrityError, RootLocked
from support import Place

VALUES = {
    ("alice", "a"): b"alice a two",
    ("alice", "b"): b"alice b one",
    ("bob", "a"): b"bob a one",
    ("bob", "b"): b"bob b one",
}


def fill(store):
    store.set_secret("alice", "a", b"alice a one", tags=["t"])
    for (user, name), value in VALUES.items():
        store.set_secret(user, name, value)
    store.get_secret("alice", "a").wipe()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = Place(tmp_path_factory.mktemp("made"))
    with place.open() as store:
        fill(store)
        store.keys.rotate("bob")
        store.keys.rewrap()
        checkpoint = store.audit.checkpoint()
    return place, checkpoint


@pytest.fixture
def place(made, tmp_path):
    shutil.copytree(made[0].folder, tmp_path / "s")
    return Place(tmp_path / "s")


def caught(place, **verify):
    """How the change is found out: at opening, at reading, or by verify; None if never.

    Fails at once if a wrong value comes out.
    """
    try:
        store = place.open()
    except (IntegrityError, AuditError, RootLocked) as error:
        return f"open: {type(error).__name__}"
    refused = None
    with store:
        for (user, name), value in VALUES.items():
            try:
                with store.get_secret(user, name) as secret:
                    if secret.reveal() != value:
                        refused = refused or "other value"
            except AdytonError as error:
                refused = refused or f"read: {type(error).__name__}"
        try:
            store.audit.verify(**verify)
        except AuditError:
            return refused or "verify"
    assert refused is None, "a read was refused, or another value came out, and verify passed"
    return None


def test_an_unchanged_store_passes(place):
    """The control: without a change everything reads and verifies."""
    assert caught(place) is None


def places(place):
    rows = place.sql("SELECT user, name, value FROM secrets ORDER BY user, name")
    users = sorted({row[0] for row in rows})
    one = [row for row in rows if row[0] == users[0]]
    two = [row for row in rows if row[0] == users[1]]
    return (one[0][:2], one[1][:2]), (one[0][:2], two[0][:2])


COLUMNS = ["value", "wrapped_key", "meta", "meta_version", "key_version", "current"]
PAIRS = [(column,) for column in COLUMNS] + [
    ("wrapped_key", "value"),
    ("wrapped_key", "value", "key_version"),
    ("meta", "meta_version"),
    ("meta", "value"),
    ("meta", "wrapped_key", "value", "key_version", "current", "meta_version"),
]


@pytest.mark.parametrize("across", ["names", "users"])
@pytest.mark.parametrize("columns", PAIRS, ids="+".join)
def test_columns_swapped_between_secrets_are_found_out(place, columns, across):
    """No set of columns can change places between two names, or two users."""
    names, users = places(place)
    first, second = names if across == "names" else users
    fields = ",".join(columns)
    select = f"SELECT {fields} FROM secrets WHERE user=? AND name=?"
    (one,) = place.sql((select, first))
    (two,) = place.sql((select, second))
    if one == two:
        one = tuple(item + 1 if isinstance(item, int) else item for item in one)
        two = one
    update = f"UPDATE secrets SET {','.join(c + '=?' for c in columns)} WHERE user=? AND name=?"
    place.sql((update, (*two, *first)), (update, (*one, *second)))
    assert caught(place) is not None


def test_whole_rows_renamed_are_found_out(place):
    """A row does not open under the name or the user of another."""
    names, users = places(place)
    for first, second in (names, users):
        fresh = Place(place.folder.parent / f"{first[1].hex()}{second[0].hex()}")
        shutil.copytree(place.folder, fresh.folder)
        fresh.sql(
            ("DELETE FROM secrets WHERE user=? AND name=?", second),
            ("UPDATE secrets SET user=?, name=? WHERE user=? AND name=?", (*second, *first)),
        )
        assert caught(fresh) is not None


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE secrets SET current=1 WHERE current=2",
        "DELETE FROM secrets WHERE name=(SELECT min(name) FROM secrets)",
        "UPDATE secrets SET value=NULL, wrapped_key=NULL",
        "UPDATE secrets SET value=zeroblob(length(value))",
        "UPDATE secrets SET value=substr(value,1,length(value)-1)",
        "UPDATE secrets SET value=value||x'00'",
        "UPDATE secrets SET meta=substr(meta,1,20)",
        "UPDATE secrets SET meta_version=meta_version+1",
        "UPDATE secrets SET key_version=key_version+1",
        "DELETE FROM versions",
        "UPDATE versions SET version=version+7",
        "UPDATE versions SET value=zeroblob(length(value))",
        "UPDATE versions SET wrapped_key=zeroblob(61)",
        "UPDATE versions SET key_version=9",
        "INSERT INTO versions SELECT user,name,99,key_version,wrapped_key,value FROM secrets",
        "UPDATE users SET id_box=(SELECT id_box FROM users ORDER BY user LIMIT 1)",
        "DELETE FROM users",
        "UPDATE user_keys SET wrapped=(SELECT wrapped FROM user_keys ORDER BY user LIMIT 1)",
        "UPDATE user_keys SET master_version=2",
        "UPDATE user_keys SET version=version+1",
        "DELETE FROM user_keys",
        "UPDATE user_subkeys SET wrapped=zeroblob(length(wrapped)) WHERE purpose=1",
        "UPDATE user_subkeys SET purpose=4-purpose WHERE purpose<>2",
        "UPDATE user_subkeys SET version=2 WHERE purpose=2",
        "UPDATE user_subkeys SET key_version=key_version+1",
        "DELETE FROM user_subkeys WHERE purpose=3",
        "UPDATE store_keys SET wrapped=(SELECT max(wrapped) FROM store_keys)",
        "UPDATE store_keys SET master_version=3",
        "DELETE FROM store_keys WHERE purpose='system-audit'",
        "UPDATE master_keys SET wrapped=zeroblob(length(wrapped))",
        "UPDATE master_keys SET version=2",
        "DELETE FROM master_keys",
        "UPDATE settings SET value=randomblob(16) WHERE key='store-id'",
        "UPDATE audit_entries SET record=zeroblob(length(record)) WHERE leaf=3",
        "DELETE FROM audit_entries WHERE leaf=3",
        "DELETE FROM audit_entries WHERE leaf=(SELECT max(leaf) FROM audit_entries)",
        "UPDATE audit_entries SET leaf=leaf+1000 WHERE leaf=(SELECT max(leaf) FROM audit_entries)",
        "UPDATE audit_entries SET user=(SELECT max(user) FROM users) WHERE leaf=0",
        "INSERT INTO audit_entries SELECT log,max(leaf)+1,user,record FROM audit_entries",
        "UPDATE audit_checkpoints SET size=size-1",
        "UPDATE audit_checkpoints SET note=replace(note,x'41',x'42')",
        "DELETE FROM audit_entries",
    ],
)  # fmt: skip
def test_single_changes_are_found_out(place, statement):
    """A changed, dropped or added cell of any table is refused, or found by verify."""
    try:
        place.sql(statement)
    except sqlite3.IntegrityError:
        return  # the schema itself forbids it
    assert caught(place) is not None


@pytest.mark.parametrize("byte", range(0, 200, 7))
def test_any_byte_of_a_record_counts(place, byte):
    """A changed byte anywhere in an audit record is found by verify."""
    ((leaf, record),) = place.sql("SELECT leaf, record FROM audit_entries WHERE leaf=4")
    changed = bytearray(record)
    changed[byte % len(record)] ^= 1
    place.sql(("UPDATE audit_entries SET record=? WHERE leaf=?", (bytes(changed), leaf)))
    assert caught(place) is not None


def test_two_records_in_each_others_place_are_found_out(place):
    """Records can't change places, even under the right user."""
    rows = place.sql("SELECT leaf, user, record FROM audit_entries WHERE leaf IN (2, 3)")
    (one, user1, record1), (two, user2, record2) = rows
    update = "UPDATE audit_entries SET user=?, record=? WHERE leaf=?"
    place.sql((update, (user2, record2, one)), (update, (user1, record1, two)))
    assert caught(place) is not None


def test_an_older_row_put_back_is_found_out(made, tmp_path):
    """A secret's whole older row, sealed by us at its time, does not fit the log."""
    place = Place(tmp_path)
    with place.open() as store:
        fill(store)
    old = place.sql("SELECT * FROM secrets")
    with place.open() as store:
        store.update_secret_tags("alice", "a", ["changed"])
        store.delete_secret("bob", "a")
    columns = ",".join("?" * len(old[0]))
    for row in old:
        place.sql((f"INSERT OR REPLACE INTO secrets VALUES ({columns})", row))
    with place.open() as store, pytest.raises(AuditError):
        store.audit.verify()


def test_a_secret_brought_back_from_the_dead_is_found_out(tmp_path):
    """The row of a destroyed secret, put back, is refused by verify; so is its older life."""
    place = Place(tmp_path)
    with place.open() as store:
        store.set_secret("u", "n", "first life")
    (row,) = place.sql("SELECT * FROM secrets")
    columns = ",".join("?" * len(row))
    with place.open() as store:
        store.destroy_secret("u", "n")
    for again in (False, True):
        if again:
            with place.open() as store:
                store.destroy_secret("u", "n")
                store.set_secret("u", "n", "second life")
        place.sql((f"INSERT OR REPLACE INTO secrets VALUES ({columns})", row))
        with place.open() as store, pytest.raises(AuditError):
            store.audit.verify()


def test_a_purged_user_brought_back_is_found_out(tmp_path):
    """Keys and rows of a purged user, put back from a copy, do not fit the log."""
    place = Place(tmp_path)
    with place.open() as store:
        store.set_secret("u", "n", "x")
    tables = ("users", "user_keys", "user_subkeys", "secrets")
    rows = {table: place.sql(f"SELECT * FROM {table}") for table in tables}
    with place.open() as store:
        store.purge_user("u")
    for table, kept in rows.items():
        for row in kept:
            place.sql((f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row))
    with place.open() as store, pytest.raises(AuditError):
        store.audit.verify()


def test_a_whole_older_database_is_found_out_by_a_checkpoint_kept_outside(made, tmp_path):
    """Put back whole, an older database passes by itself, and fails against the checkpoint."""
    place = Place(tmp_path)
    with place.open() as store:
        fill(store)
    old = place.copy()
    with place.open() as store:
        store.set_secret("alice", "a", "newest")
        checkpoint = store.audit.checkpoint()
    place.put_back(old)
    with place.open() as store:
        store.audit.verify()
        with pytest.raises(AuditError):
            store.audit.verify(checkpoints=[checkpoint])


def test_a_forked_log_is_found_out_by_a_checkpoint_kept_outside(tmp_path):
    """Even our own code with the log's key can't rewrite history before a kept checkpoint."""
    place = Place(tmp_path)
    with place.open() as store:
        fill(store)
    base = place.copy()
    with place.open() as store:
        store.set_secret("alice", "a", "what happened")
        checkpoint = store.audit.checkpoint()
    place.put_back(base)
    with place.open() as store:  # the same keys sign another history of the same length
        for n in range(5):
            store.set_secret("alice", "a", f"forged {n}")
        store.audit.verify()
        with pytest.raises(AuditError):
            store.audit.verify(checkpoints=[checkpoint])


def test_rows_of_another_store_do_not_open(place, tmp_path):
    """Even under the same key file, a store's rows mean nothing to another store."""
    other = Place(tmp_path / "other")
    other.folder.mkdir()
    shutil.copy(place.folder / "master.key", other.folder / "master.key")
    with SecretStore.open(str(other.path), root=other.root, create=True, upkeep=False) as store:
        fill(store)
    for table in ("users", "user_keys", "user_subkeys", "secrets"):
        for row in place.sql(f"SELECT * FROM {table}"):
            marks = ",".join("?" * len(row))
            other.sql((f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row))
    assert caught(other) is not None


def test_what_was_opened_before_opens_nothing_elsewhere(place):
    """A hit in memory is for one box, at one place, under one key: any other is refused."""
    with place.open() as store:
        core = store._opened.core

        async def found(user, name):
            keys = await core.keys(user)
            async with core.storage.snapshot() as rows:
                return keys, await rows.secret(keys.user, keys.index(name))

        (alice, row), (_, other) = (core.commit.run_sync(found("alice", n)) for n in ("a", "b"))
        bob, _ = core.commit.run_sync(found("bob", "a"))
        known = core.opened.open(alice, row)
        assert core.opened.open(alice, row) is known
        others = copy.copy(bob)
        others.user = alice.user  # the place is the same, and the keys are not
        for keys, wrong in (
            (alice, row._replace(name=other.name)), (alice, row._replace(meta=other.meta)),
            (alice, row._replace(meta_version=row.meta_version + 1)),
            (alice, row._replace(current=row.current + 1)),
            (alice, row._replace(meta=row.meta[:-1] + bytes([row.meta[-1] ^ 1]))), (bob, row),
            (others, row),
        ):  # fmt: skip
            with pytest.raises(IntegrityError):
                core.opened.open(keys, wrong)
        assert core.opened.open(alice, row) is known
