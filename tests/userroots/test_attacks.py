"""Whoever has the database and the master key, and not the user's root, has nothing of the user."""

import json
import os
import threading
from pathlib import Path

import pytest
from Crypto.Cipher import AES

from adyton.crypto.aead import AeadKey
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import (
    AdytonError,
    DecryptionFailed,
    IntegrityError,
    UserRootAway,
    UserRootRefused,
)
from adyton.roots import KeyFileRoot
from adyton.rows import UserKeyRow
from adyton.service.userroot import layers
from adyton.service.userroot.given import GivenRoots
from adyton.userroots import open_user_root, wrap_context
from isolated import run_isolated
from ownroots import closed, given_away, key, own
from support import Place
from userroots import make_vectors

VECTORS = json.loads(make_vectors.FILE.read_text("utf-8"))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def filled(place):
    with place.open() as store:
        for user in ("alice", "bob"):
            for n in range(3):
                store.set_secret(user, f"canary-name-{n}", f"canary-value-{user}-{n}", tags=["ct"])
        given_away(store)
    return place


# -- formats ------------------------------------------------------------------------------------


def test_the_vectors_are_those_that_the_generator_makes():
    assert make_vectors.FILE.read_text("utf-8") == make_vectors.text()


def row_of(vector):
    return UserKeyRow(
        bytes.fromhex(vector["user"]),
        vector["version"],
        vector["master_version"],
        bytes.fromhex(vector["wrapped"]),
        0,
        0,
        retired=False,
    )


def held(name, vector):
    return SecretBytes(bytes.fromhex(vector[name]))


class Stopped:
    """A clock that stands still."""

    def now_us(self):
        return 5


def given_for(vector):
    given = GivenRoots(bytes.fromhex(vector["store"]), Stopped())
    root = bytes.fromhex(vector["root"])
    given.put(bytes.fromhex(vector["user"]), "u", root, held("root_key", vector), 10)
    return given


@pytest.mark.parametrize("vector", VECTORS["cases"], ids=lambda one: one["user_id"])
def test_vectors(vector):
    """What is specified opens, layer by layer, and what we make is what is specified."""
    store, row = bytes.fromhex(vector["store"]), row_of(vector)
    root = bytes.fromhex(vector["root"])
    master = AeadKey(held("master_key", vector))
    assert layers.root_of(row.wrapped) == root
    assert layers.open_outer(master, store, row).hex() == vector["inner"]
    given = given_for(vector)
    assert given.open(master, row).reveal().hex() == vector["user_key"]
    assert wrap_context(store, vector["user_id"], root).hex() == vector["wrap_context"]
    again = given.seal(master, row._replace(wrapped=b""), root, held("user_key", vector))
    assert len(again.wrapped) == 107
    assert given.open(master, again).reveal().hex() == vector["user_key"]
    assert layers.open_outer(master, store, again) != bytes.fromhex(vector["inner"])  # fresh


@pytest.mark.parametrize("vector", VECTORS["cases"][:1], ids=["each"])
def test_each_byte_and_each_field_is_bound(vector):
    """A changed byte, another user, version, store, master version or root opens nothing."""
    master, row = AeadKey(held("master_key", vector)), row_of(vector)
    given = given_for(vector)
    for at in range(len(row.wrapped)):
        changed = bytearray(row.wrapped)
        changed[at] ^= 1
        with pytest.raises((IntegrityError, UserRootAway)):
            # With another first byte it is no such key: the master key alone does not open it.
            found = row._replace(wrapped=bytes(changed))
            if layers.root_of(found.wrapped):
                given.open(master, found).wipe()
            else:
                master.open_secret(found.wrapped, b"").wipe()
    for wrong in (
        row._replace(version=row.version + 1),
        row._replace(master_version=row.master_version + 1),
        row._replace(wrapped=row.wrapped[:-1]),
        row._replace(wrapped=row.wrapped[:17]),
    ):
        with pytest.raises(IntegrityError):
            given.open(master, wrong)
    with pytest.raises(UserRootAway):
        given.open(master, row._replace(user=bytes(16)))
    elsewhere = given_for(vector | {"store": bytes(16).hex()})
    with pytest.raises(DecryptionFailed):
        elsewhere.open(master, row)
    other = given_for(vector | {"root_key": bytes(32).hex()})
    with pytest.raises(DecryptionFailed):
        other.open(master, row)


# -- the thief of everything but the root -------------------------------------------------------


def unsealed(box, keyed, *fields):
    cipher = AES.new(keyed, AES.MODE_GCM, nonce=box[1:13])
    for part in fields:
        cipher.update(len(part).to_bytes(4, "big") + part)
    return cipher.decrypt_and_verify(box[13:-16], box[-16:])


def u64(number):
    return number.to_bytes(8, "big")


def test_the_database_and_the_master_key_open_nothing_of_the_user(place, tmp_path):
    """By a reader of our own making; of the other user the same reader gets every key."""
    filled(place)
    (store_id,) = place.sql("SELECT value FROM settings WHERE key='store-id'")[0]
    (wrapped,) = place.sql("SELECT wrapped FROM master_keys")[0]
    context = b"".join(
        len(part).to_bytes(4, "big") + part for part in (b"adyton/v1/master-key", store_id, u64(1))
    )
    with KeyFileRoot(tmp_path / "master.key").unwrap(wrapped, context) as opened:
        master = opened.reveal()
    opened_users = closed_users = 0
    for user, version, number, box in place.sql(
        "SELECT user,version,master_version,wrapped FROM user_keys"
    ):
        if box[0] == 1:
            label = b"adyton/v1/user-key"
            user_key = unsealed(box, master, label, store_id, user, u64(version), u64(number))
            assert len(user_key) == 32
            opened_users += 1
            continue
        place_of = (store_id, user, u64(version))
        outer = (b"adyton/v1/own-user-key-outer", *place_of, u64(number), box[1:17])
        inner = unsealed(box[17:], master, *outer)
        assert len(inner) == 61
        for label in (b"adyton/v1/user-key", b"adyton/v1/own-user-key"):
            with pytest.raises(ValueError, match="MAC"):
                unsealed(inner, master, label, *place_of, box[1:17])
        # What the thief opens with the master key is another box, and the id of its key.
        for (subkey,) in place.sql(("SELECT wrapped FROM user_subkeys WHERE user=?", (user,))):
            for guess in (master, inner[:32], inner[13:45]):
                with pytest.raises(ValueError, match="MAC"):
                    unsealed(subkey, guess, b"adyton/v1/user-subkey")
        closed_users += 1
    assert (opened_users, closed_users) == (1, 1)


def test_an_operator_with_an_open_store_gets_nothing_either(place):
    """By any path that the service's own keys offer: there is no key of the user in memory."""
    filled(place)
    with place.open() as store:
        core = store._opened.core
        user = core.ring.user_index("alice")

        async def look():
            async with core.storage.snapshot() as rows:
                return await rows.user_keys(user), await rows.subkeys(user)

        keys, subkeys = core.commit.run_sync(look())
        assert len(keys) == 1
        assert len(subkeys) >= 4
        for row in keys:
            with pytest.raises(UserRootAway):
                core.ring.open_user_key(row)
            with pytest.raises(IntegrityError):
                core.ring.master(row.master_version).open_secret(
                    row.wrapped, core.ring.user_key_context(user, row.version, row.master_version)
                )
        info = store.user_roots.show("alice")
        with pytest.raises(UserRootRefused):
            open_user_root(info, own("guesses do not help here"))


def test_a_backup_from_before_opens_nothing_that_came_after(place, tmp_path):
    """The keys of the backup, under the master key alone, are not those of today."""
    with place.open() as store:
        store.set_secret("alice", "a", "old")
        before = store._opened.core.commit.run_sync(_keys_of(store, "alice"))
        store.user_roots.set("alice", own())
        store.set_secret("alice", "a", "new")
        store.set_secret("alice", "b", "new too")
        after = store._opened.core.commit.run_sync(_keys_of(store, "alice"))
        assert set(before.wrapping) == {1}
        assert 1 not in after.wrapping  # destroyed: nothing of today hangs on it
        assert set(before.meta) & set(after.meta) == set()
        rows = store._opened.core.commit.run_sync(_rows_of(store, after))
        for row in rows:
            assert row.key_version not in before.wrapping
            with pytest.raises(IntegrityError):
                before.open_meta(row.name, row.meta_version, row.meta)
        entry = next(iter(store.get_audit_log("alice", limit=1)))
        record = store._opened.core.commit.run_sync(_record(store, entry.index))
        with pytest.raises(IntegrityError):
            store._opened.core.journal.open(before, entry.index, record)
        store._opened.core.journal.open(after, entry.index, record)


async def _keys_of(store, user):
    core = store._opened.core
    async with core.storage.snapshot() as rows:
        return await core.ring.load_user(rows, user)


async def _rows_of(store, keys):
    async with store._opened.core.storage.snapshot() as rows:
        return await rows.secrets_page(keys.user, b"", 100)


async def _record(store, leaf):
    async with store._opened.core.storage.snapshot() as rows:
        return (await rows.entries(0, leaf, 1))[0].record


# -- the tamperer -------------------------------------------------------------------------------


def test_wrapped_keys_that_change_places_open_nothing(place):
    """Between users, and between versions of one user."""
    with place.open() as store:
        for user in ("alice", "bob"):
            store.set_secret(user, "a", user)
            store.user_roots.set(user, key(user.encode().ljust(32, b".")))
        store.keys.rotate("alice")
    by_user = {}
    for user, version, wrapped in place.sql(
        "SELECT user,version,wrapped FROM user_keys ORDER BY user,version"
    ):
        by_user.setdefault(user, []).append((user, version, wrapped))
    two = next(found for found in by_user.values() if len(found) == 2)
    one = next(found for found in by_user.values() if len(found) == 1)
    kept = place.copy()
    for first, second in ((two[0], two[1]), (two[1], one[0])):
        place.sql(
            *(
                ("UPDATE user_keys SET wrapped=? WHERE user=? AND version=?", (moved, *to))
                for moved, to in ((second[2], first[:2]), (first[2], second[:2]))
            )
        )
        with place.open() as store:
            failed = 0
            for user in ("alice", "bob"):
                try:
                    store.user_roots.give(user, key(user.encode().ljust(32, b".")))
                    store.get_secret(user, "a")
                except (IntegrityError, UserRootRefused, UserRootAway):
                    failed += 1
            assert failed
        place.put_back(kept)


def test_an_older_wrap_that_is_put_back_is_refused(place):
    """One from before the root, one from before it was changed; each row, and all of them."""
    with place.open() as store:
        store.set_secret("alice", "a", "value")
    plain = place.sql("SELECT * FROM user_keys")
    with place.open() as store:
        store.user_roots.set("alice", own())
    first = place.sql("SELECT * FROM user_keys")
    kept = place.sql("SELECT * FROM settings WHERE key LIKE 'user-root-%'")
    with place.open() as store:
        store.user_roots.change("alice", own(), own("the new passphrase"))
    whole = place.copy()
    slots = ",".join("?" * len(plain[0]))
    for rows in (plain, first):
        # Beside the present row: a mixture. In its place: nothing below opens by it.
        place.sql(*((f"INSERT OR REPLACE INTO user_keys VALUES ({slots})", row) for row in rows))
        with place.open() as store:
            for root in (own(), own("the new passphrase")):
                with pytest.raises((IntegrityError, UserRootRefused)):
                    store.user_roots.give("alice", root)
                    store.get_secret("alice", "a")
        place.put_back(whole)
        place.sql(
            "DELETE FROM user_keys",
            *((f"INSERT INTO user_keys VALUES ({slots})", row) for row in rows),
            *(("INSERT OR REPLACE INTO settings VALUES (?,?)", row) for row in kept),
        )
        with place.open() as store, pytest.raises((IntegrityError, UserRootRefused, UserRootAway)):
            if rows is first:
                store.user_roots.give("alice", own())
            store.get_secret("alice", "a")
        place.put_back(whole)
    with place.open() as store:
        store.user_roots.give("alice", own("the new passphrase"))
        assert store.get_secret("alice", "a").text() == "value"


# -- at once ------------------------------------------------------------------------------------


def test_reading_while_it_is_taken_away_and_given(place):
    """Each read gives the value or the one error; after taking away has returned, the error."""
    with place.open() as store:
        store.set_secret("alice", "a", "value")
        store.set_secret("bob", "a", "bob's")
        store.user_roots.set("alice", key())
        stop, seen, wrong = threading.Event(), {"value": 0, "away": 0}, []
        taken = threading.Event()

        def read():
            while not stop.is_set():
                before = taken.is_set()
                try:
                    store.get_secret("alice", "a").wipe()
                    if before and taken.is_set():
                        wrong.append("read after it was taken away")
                    seen["value"] += 1
                except UserRootAway:
                    seen["away"] += 1
                except AdytonError as error:
                    wrong.append(repr(error))

        def other():
            while not stop.is_set():
                if store.get_secret("bob", "a").text() != "bob's":
                    wrong.append("bob")

        threads = [threading.Thread(target=each) for each in (read, read, other)]
        for thread in threads:
            thread.start()
        for _ in range(40):
            store.user_roots.take("alice")
            taken.set()
            with closed():
                store.get_secret("alice", "a")
            taken.clear()
            store.user_roots.give("alice", key())
        stop.set()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert seen["value"]
        assert seen["away"]


SCANNED = """
import gc, os, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from adyton import SecretStore
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import UserRootAway

folder = Path(sys.argv[2])
names = [f"name-{os.urandom(12).hex()}" for _ in range(20)]
own = SecretBytes(os.urandom(32))
with SecretStore.open(str(folder / "s.db"), root=f"keyfile:{folder}/k", create=True) as store:
    for name in names:
        store.set_secret("alice", name, "x")
    store.user_roots.set("alice", own)
    core = store._opened.core
    list(store.list_secrets("alice"))
    for name in names:
        store.get_secret("alice", name).wipe()
    given = list(core.ring.given._roots.values())[0]
    wanted = [given.key.reveal()]
    user = core.ring.user_index("alice")

    async def keys():
        async with core.storage.snapshot() as rows:
            found = [core.ring.open_user_key(row).reveal() for row in await rows.user_keys(user)]
            wrapper = given.keys.wrapping[given.keys.current]
            for row in await rows.subkeys(user):
                opened = wrapper.open_secret(row.wrapped, core.ring.subkey_context(row))
                found.append(opened.reveal())
            return found

    wanted += core.commit.run_sync(keys())
    # To be looked for by another process: as their complement, so that this one has no copy.
    file = folder / "wanted"
    file.write_bytes(b"".join(bytes(255 - b for b in one) for one in wanted))
    count = len(wanted)
    held = [name for name in names if any(name == k[1] for k in core.opened._indexes)]
    assert held
    own.wipe()
    for one in wanted:
        from adyton.crypto.wiping import wipe_bytes
        wipe_bytes(one)
    del wanted, given, keys
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from memory import scan; "
        "data = open(sys.argv[2], 'rb').read(); "
        "w = [bytes(255 - b for b in data[i:i+32]) for i in range(0, len(data), 32)]; "
        "print(len(scan(int(sys.argv[3]), w)))"
    )
    look = lambda: int(subprocess.run(
        [sys.executable, "-c", program, sys.argv[1], str(file), str(os.getpid())],
        capture_output=True, text=True, check=True).stdout)
    before = look()
    assert store.user_roots.take("alice")
    assert not core.opened._indexes and not core.opened._opened and not core.names._lists
    assert not core.ring.given._roots and core.ring.cached("alice") is None
    gc.collect()
    after = look()
    try:
        store.get_secret("alice", names[0])
    except UserRootAway:
        print(count, before, after)
"""


def test_after_it_is_taken_away_no_key_of_the_user_is_in_memory(tmp_path):
    """Found by another process before, and not after: root key, user key and subkeys."""
    if os.geteuid() != 0:
        pytest.skip("only root reads the memory of another process")
    tests = str(Path(__file__).resolve().parents[1])
    count, before, after = map(int, run_isolated(SCANNED, tests, str(tmp_path)).split())
    assert count >= 5
    assert before >= 2  # the control: it is looked for in the right way
    assert after == 0


FORKED = """
import os, sys
from pathlib import Path
from adyton import SecretStore
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import SecretWiped, AdytonError

folder = Path(sys.argv[1])
with SecretStore.open(str(folder / "s.db"), root=f"keyfile:{folder}/k", create=True) as store:
    store.set_secret("alice", "a", "x")
    store.user_roots.set("alice", SecretBytes(bytes(range(32))))
    given = list(store._opened.core.ring.given._roots.values())[0]
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            given.key.reveal()
        except SecretWiped:
            code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert store.get_secret("alice", "a").text() == "x"
core = store._opened.core
assert not core.ring.given._roots and given.key.wiped
print("ok")
"""


def test_a_fork_and_the_end_of_the_store_wipe_it(tmp_path):
    """The child has none of it, and a closed store neither."""
    assert run_isolated(FORKED, str(tmp_path)).split() == ["ok"]
