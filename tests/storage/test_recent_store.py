"""Rows kept in memory are the database's after every kind of writing that a store does.

Operations of the whole store are drawn in any order, some on a disk that fails in the middle;
after each, every row is read through the store's storage and by a connection of one's own.
"""

import subprocess
import sys
from contextlib import suppress

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adyton import Caller, SecretStore
from adyton.errors import AdytonError, AuditUnavailable, StoreError
from adyton.roots import KeyFileRoot
from adyton.service import logstate, opening
from adyton.service.limits import Limits
from adyton.service.ticket import run_now
from adyton.service.upkeep import Upkeep
from adyton.storage.sqlite import SqliteStorage
from adyton.wiring import Opened, Options, SystemClock
from faultyvfs import FaultyVfs
from support import Place

USERS = [1, 2]
NAMES = ["a", "b/c", "b/d"]
SECRETS = (
    "SELECT user, name, current, meta_version, meta, accessed_us, key_version, wrapped_key, value"
    " FROM secrets"
)
OBJECTS = "SELECT user, bucket, object, meta_version, box FROM objects"


class Watched:
    """A store on a disk that can fail, and a connection of one's own to its file."""

    def __init__(self, folder):
        self.vfs = FaultyVfs(f"recent-{folder.name}")
        self.place = Place(folder)
        with self.place.open() as store:
            for user in USERS:
                store.set_secrets(user, dict.fromkeys(NAMES, "first"))
            self.document = store.export_secrets(1, format="json")
        self.storage = SqliteStorage(self.place.path, vfs=self.vfs.made_as)
        root = KeyFileRoot(folder / "master.key")
        core = opening.load_now(self.storage, root, SystemClock(), Limits(), "auto")
        upkeep = Upkeep(core, [], jobs=False)
        upkeep.start()
        options = Options(str(self.place.path), self.place.root)
        self.store = SecretStore(Opened(core, upkeep, Caller("test"), None, options))
        self.other = apsw.Connection(str(self.place.path), flags=apsw.SQLITE_OPEN_READONLY)
        self.seen_secrets = set()
        self.seen_objects = set()

    def check(self):
        """All rows that are or were ever there are the same both ways, read twice."""
        rows = {tuple(row[:2]): tuple(row[1:]) for row in self.other.execute(SECRETS)}
        self.seen_secrets |= set(rows)
        boxes = {tuple(row[:3]): tuple(row[1:]) for row in self.other.execute(OBJECTS)}
        self.seen_objects |= set(boxes)
        for _ in range(2):
            for secret in self.seen_secrets:
                assert run_now(self.storage.secret(*secret)) == rows.get(secret)
            for place in self.seen_objects:
                assert run_now(self.storage.object(*place)) == boxes.get(place)

    def close(self):
        self.vfs.fault = None
        self.other.close()
        self.store.close()


@pytest.fixture
def watched(tmp_path, monkeypatch):
    monkeypatch.setattr(logstate, "FLUSH_NAMES", 1)  # times of access reach the rows at once
    found = Watched(tmp_path)
    yield found
    found.close()


def _read(store, user, name):
    store.get_secret(user, name).wipe()


STEPS = {
    "read": _read,
    "read again": _read,
    "write": lambda store, user, name: store.set_secret(user, name, "value"),
    "batch": lambda store, user, _: store.set_secrets(user, dict.fromkeys(NAMES, "of a batch")),
    "tags": lambda store, user, name: store.update_secret_tags(user, name, add=["tag"]),
    "delete": lambda store, user, name: store.delete_secret(user, name),
    "undelete": lambda store, user, name: store.undelete_secret(user, name),
    "destroy a version": lambda store, user, name: store.destroy_secret(user, name, versions=[1]),
    "destroy": lambda store, user, name: store.destroy_secret(user, name),
    "roll back": lambda store, user, name: store.rollback_secret(user, name, 1),
    "purge": lambda store, user, _: store.purge_user(user),
    "rotate": lambda store, user, _: store.keys.rotate(user),
    "rotate the master key": lambda store, *_: store.keys.rotate(master=True),
    "rewrap": lambda store, *_: store.keys.rewrap(),
    "re-encrypt": lambda store, user, _: store.keys.rewrap(user, deep=True),
    "share": lambda store, user, name: store.shares.create(user, 3 - user, name),
    "accept": lambda store, user, _: [
        store.shares.accept(user, offer.id) for offer in store.shares.received(user)
    ],
    "end shares": lambda store, user, _: [
        store.shares.revoke(user, share.id) for share in store.shares.given(user)
    ],
    "link": lambda store, user, _: store.links.create(user, "value"),
}
IMPORT = "import"
STEP = st.tuples(
    st.sampled_from([*STEPS, IMPORT]),
    st.sampled_from(USERS),
    st.sampled_from(NAMES),
    st.sampled_from([None, None, None, "full", "write", "sync"]),
)


def run(watched, kind, user, name):
    if kind == IMPORT:
        watched.store.import_secrets(
            user, watched.document, format="json", on_conflict="new-version"
        )
    else:
        STEPS[kind](watched.store, user, name)


def check_steps(watched, steps):
    watched.check()
    for kind, user, name, fault in steps:
        watched.vfs.fault = fault
        with suppress(AdytonError):
            run(watched, kind, user, name)
        watched.vfs.fault = None
        watched.check()


@given(st.lists(STEP, min_size=1, max_size=8))
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_read_is_what_is_stored(watched, steps):
    """After each operation, whether it succeeds, is refused or meets a disk that fails."""
    check_steps(watched, steps)


@pytest.mark.soak
@given(st.lists(STEP, min_size=1, max_size=20))
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_read_is_what_is_stored_after_much_writing(watched, steps):
    """The same, for longer."""
    check_steps(watched, steps)


def test_each_kind_of_writing_is_done_and_undone(watched):
    """Each works here at all; and one whose commit fails changes neither rows nor memory."""
    before = {
        "undelete": "delete", "accept": "share", "end shares": "share", "rewrap": "rotate",
        "destroy a version": "write", "destroy": "write", "purge": "write", "share": "write",
        "roll back": "write", "rotate": "write", "re-encrypt": "rotate",
    }  # fmt: skip
    for kind in [*STEPS, IMPORT]:
        if kind in before:
            run(watched, before[kind], 2 if kind == "accept" else 1, "a")
        watched.check()
        rows = watched.other.execute(SECRETS + " ORDER BY user, name").fetchall()
        watched.vfs.fault = "sync"
        with pytest.raises((StoreError, AuditUnavailable)):
            run(watched, kind, 1, "a")
        watched.vfs.fault = None
        assert watched.other.execute(SECRETS + " ORDER BY user, name").fetchall() == rows, kind
        watched.check()
        run(watched, kind, 1, "a")
        watched.check()


_WRITE = """
import sys
from adyton import SecretStore
with SecretStore.open(sys.argv[1], root=sys.argv[2], lock_timeout=float(sys.argv[3])) as store:
    print(store.set_secret(1, "a", "of another process").version)
"""


def test_another_process_writes_only_when_this_one_has_forgotten(tmp_path):
    """It is kept out while rows are in memory; what it writes after is what is read then."""
    place = Place(tmp_path)

    def write(wait):
        args = [sys.executable, "-c", _WRITE, str(place.path), place.root, str(wait)]
        return subprocess.run(args, capture_output=True, text=True, check=False)

    store = place.open()
    store.set_secret(1, "a", "own")
    for _ in range(2):
        _read(store, 1, "a")
    refused = write(0)
    assert refused.returncode != 0
    assert "StoreLocked" in refused.stderr
    store.close()
    assert write(10).stdout == "2\n"
    with place.open() as again, again.get_secret(1, "a") as secret:
        assert secret.text() == "of another process"
