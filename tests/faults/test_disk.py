"""A disk that is full, failing, slow or read-only: clear errors, nothing lost, nothing released."""

import asyncio
import os
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from adyton import AsyncSecretStore, Caller, SecretStore
from adyton.errors import (
    AuditUnavailable,
    StorageFull,
    StorageReadOnly,
    StoreError,
)
from adyton.roots import KeyFileRoot
from adyton.service import opening
from adyton.service.limits import Limits
from adyton.service.upkeep import Upkeep
from adyton.storage.sqlite import SqliteStorage
from adyton.wiring import Opened, Options, SystemClock
from faultyvfs import FaultyVfs
from support import Place


@pytest.fixture
def faulty(tmp_path):
    """A store over a file system that can fail."""
    vfs = FaultyVfs(f"faulty-{tmp_path.name}")
    place = Place(tmp_path)
    place.open().close()
    storage = SqliteStorage(place.path, vfs=vfs.made_as)
    root = KeyFileRoot(tmp_path / "master.key")
    core = opening.load_now(storage, root, SystemClock(), Limits(), "auto")
    upkeep = Upkeep(core, [], jobs=False)
    upkeep.start()
    options = Options(str(place.path), place.root)
    store = SecretStore(Opened(core, upkeep, Caller("test"), None, options))
    yield store, vfs, place
    vfs.fault = None
    store.close()
    with place.open() as again:
        again.audit.verify()


@pytest.mark.parametrize("fault", ["full", "write", "sync"])
def test_a_failing_disk_releases_nothing_and_loses_nothing(faulty, fault):
    """Writes and reads are refused clearly while it fails, and go on by themselves after it."""
    store, vfs, _ = faulty
    store.set_secret(1, "a", "kept")
    vfs.fault = fault
    for _ in range(3):
        with pytest.raises(StorageFull if fault == "full" else StoreError) as refused:
            store.set_secret(1, "a", "lost")
        assert refused.value.hint
        with pytest.raises(AuditUnavailable):
            store.get_secret(1, "a")
        with pytest.raises((AuditUnavailable, StoreError)):
            store.list_secrets(1)
    vfs.fault = None
    with store.get_secret(1, "a") as secret:
        assert secret.text() == "kept"
    assert store.set_secret(1, "a", "newer").version == 2
    store.audit.verify()


def test_a_refused_read_wipes_what_it_had_opened(faulty, monkeypatch):
    """The value that could not be recorded is wiped before the refusal is raised."""
    store, vfs, _ = faulty
    store.set_secret(1, "a", "value")
    store.get_secret(1, "a").wipe()
    opened = []
    release = store._secrets._release

    def watched(*args):
        opened.append(release(*args))
        return opened[-1]

    monkeypatch.setattr(store._secrets, "_release", watched)
    vfs.fault = "sync"
    with pytest.raises(AuditUnavailable):
        store.get_secret(1, "a")
    assert len(opened) == 1
    assert opened[0].value.wiped


def test_callers_that_come_one_after_the_other_share_a_commit_of_a_slow_disk(faulty):
    """The first of them waits a moment for those who were in the last group."""
    store, vfs, _ = faulty
    store.set_secret(1, "a", "x")
    face = AsyncSecretStore(store._opened)
    vfs.fault = "slow"
    for _ in range(12):  # until the measured time of commits says so
        store.get_secret(1, "a").wipe()
    rounds, callers = 12, 16

    async def caller(number):
        for _ in range(rounds):
            (await face.get_secret(1, "a")).wipe()
            for _ in range(3 * number):  # each is some rounds of the loop behind the one before
                await asyncio.sleep(0)

    async def main():
        await asyncio.gather(*map(caller, range(callers)))

    vfs.syncs = 0
    asyncio.run(main())
    # Were the first alone in its group each time, there would be two for each round.
    assert vfs.syncs < 1.45 * rounds, f"{vfs.syncs} syncs for {rounds} rounds"


def test_many_callers_share_one_commit_on_a_slow_disk(faulty):
    """Fifty tasks on a disk of 20 ms a sync need few syncs, and the loop does not stand still."""
    store, vfs, _ = faulty
    store.set_secret(1, "a", "x")
    face = AsyncSecretStore(store._opened)
    vfs.fault = "slow"
    for _ in range(12):  # until the measured time of commits says so
        store.get_secret(1, "a").wipe()

    async def main():
        longest = 0.0

        async def tick():
            nonlocal longest
            while True:
                before = time.perf_counter()
                await asyncio.sleep(0.001)
                longest = max(longest, time.perf_counter() - before)

        ticking = asyncio.create_task(tick())
        vfs.syncs = 0
        for _ in range(5):
            found = await asyncio.gather(*(face.get_secret(1, "a") for _ in range(50)))
            for secret in found:
                secret.wipe()
        ticking.cancel()
        return longest, vfs.syncs

    longest, syncs = asyncio.run(main())
    assert syncs < 60, f"{syncs} syncs for 250 reads"
    assert longest < 0.25, f"the loop stood still for {longest:.3f} s"


def test_a_store_on_a_read_only_place_says_so():
    """A folder that takes no writes gives one clear error, and the store is left as it was."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = Place(folder)
        place.open().close()
        before = place.copy()
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                if os.geteuid() == 0:
                    os.setresuid(65534, 65534, 65534)  # modes mean nothing to root
                try:
                    place.open()
                except StorageReadOnly as error:
                    code = 0 if error.hint else 2
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        folder.chmod(0o700)
        assert place.copy() == before


def test_a_foreign_file_is_refused_and_left_alone(tmp_path):
    """A database of another program, a text file and a folder are refused, unchanged."""
    place = Place(tmp_path)
    for content in (b"not a database, but long enough to be read as one" * 20,):
        place.path.write_bytes(content)
        with pytest.raises(Exception) as refused:
            place.open()
        assert type(refused.value).__module__ == "adyton.errors"
        assert place.path.read_bytes() == content
        place.path.unlink()
    place.sql("CREATE TABLE other (x)")
    with pytest.raises(StoreError, match="not a store of Adyton"):
        place.open()
    assert place.sql("SELECT name FROM sqlite_schema") == [("other",)]


def test_changed_migrations_are_refused(tmp_path):
    """A store whose migrations are unknown, or changed, is not opened."""
    place = Place(tmp_path)
    place.open().close()
    place.sql("UPDATE schema_migrations SET checksum=zeroblob(32)")
    with pytest.raises(StoreError, match="migration 1"):
        place.open()
    place.sql("INSERT INTO schema_migrations VALUES (99,'future',x'00',0)")
    with pytest.raises(StoreError):
        place.open()


@pytest.fixture
def tiny():
    """A file system of 2 MiB of its own, really mounted; or loudly none."""
    with tempfile.TemporaryDirectory() as name:
        options = "size=2m,mode=0700"
        try:
            mounted = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", options, "tmpfs", name],
                capture_output=True, check=False,
            ).returncode == 0  # fmt: skip
        except FileNotFoundError:
            mounted = False
        if not mounted:
            # A privilege, not a component; the faulty VFS above stands in for it.
            pytest.skip("NOT TESTED: no tmpfs can be mounted here (needs root and CAP_SYS_ADMIN)")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def test_a_file_system_that_is_really_full(tiny):
    """Writes are refused with a clear error, nothing acknowledged is lost, and it goes on."""
    place = Place(tiny)
    ballast = tiny / "ballast"
    acknowledged = {}
    with place.open() as store:
        ballast.write_bytes(bytes(600_000))
        with pytest.raises(StorageFull) as caught:
            for n in range(1000):
                value = os.urandom(8_000)
                store.set_secret("u", f"n/{n}", value)
                acknowledged[f"n/{n}"] = value
        assert caught.value.hint
        assert 20 < len(acknowledged) < 1000
        with pytest.raises((AuditUnavailable, StorageFull)):
            for _ in range(10_000):  # what is left of the write-ahead log holds some records
                store.get_secret("u", "n/0").wipe()
        ballast.unlink()
        after = store.set_secret("u", "after", b"space again")
        assert after.version == 1
        store.audit.verify()
    with place.open() as store:
        for name, value in acknowledged.items():
            assert store.get_secret("u", name).reveal() == value
        store.audit.verify()
