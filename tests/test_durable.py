"""Durable files: whole or absent, private, and never through a link."""

import os
import resource
import signal
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from adyton import durable


@contextmanager
def no_file_over(size):
    """A disk that is full after so many bytes of each file; a write up to there is partial."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def names(path):
    return sorted(p.name for p in path.parent.iterdir())


@pytest.fixture
def calls(monkeypatch):
    """The order of the system calls that matter, by name and what they were about."""
    seen = []
    real_fsync, real_open, real_rename = os.fsync, os.open, os.replace

    def fsync(fd):
        kind = "dir" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file"
        seen.append(f"fsync {kind}")
        real_fsync(fd)

    def opened(path, flags, *rest, **more):
        if flags & os.O_CREAT:
            seen.append("create exclusively" if flags & os.O_EXCL else "create")
        return real_open(path, flags, *rest, **more)

    def rename(*args, **more):
        seen.append("rename")
        real_rename(*args, **more)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "replace", rename)
    return seen


def test_replace_makes_the_calls_in_the_order_that_survives_a_power_cut(path, calls):
    """The content is synced before the rename, and the directory after it."""
    durable.replace(path, b"new")
    assert calls == ["create exclusively", "fsync file", "rename", "fsync dir"]


def test_create_syncs_the_file_and_then_its_name(path, calls):
    """A new file is synced before its directory is."""
    durable.create(path, b"new")
    assert calls == ["create exclusively", "fsync file", "fsync dir"]


@pytest.mark.parametrize("write", [durable.create, durable.replace])
def test_the_file_is_private_and_alone(path, write):
    """Both ways make a file of mode 0600 with the content, and leave nothing else."""
    before = os.umask(0)
    try:
        write(path, memoryview(b"content"))
    finally:
        os.umask(before)
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(path) == ["file"]


def test_replace_keeps_the_old_content_when_the_disk_is_full(path):
    """A failed replacement leaves the old file whole and no temporary one."""
    durable.replace(path, b"old")
    with no_file_over(10), pytest.raises(OSError, match="too large"):
        durable.replace(path, b"n" * 100)
    assert path.read_bytes() == b"old"
    assert names(path) == ["file"]


def test_create_leaves_no_short_file_when_the_disk_is_full(path):
    """A failed creation leaves nothing, so it can be tried again."""
    with no_file_over(10), pytest.raises(OSError, match="too large"):
        durable.create(path, b"n" * 100)
    assert names(path) == []
    durable.create(path, b"n")


def test_create_refuses_what_exists(path):
    """An existing file stays as it is."""
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError):
        durable.create(path, b"new")
    assert path.read_bytes() == b"old"


def test_replace_replaces_a_link_and_does_not_follow_it(path):
    """The file that a link pointed to is untouched."""
    target = path.with_name("target")
    target.write_bytes(b"target")
    path.symlink_to(target)
    durable.replace(path, b"new")
    assert target.read_bytes() == b"target"
    assert not path.is_symlink()


def test_write_all_goes_on_after_partial_writes(monkeypatch):
    """When the kernel takes a few bytes at a time, all are written in order."""
    reader, writer = os.pipe()
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    durable.write_all(writer, b"0123456789")
    assert os.read(reader, 100) == b"0123456789"
    os.close(reader)
    os.close(writer)


def test_read_into_stops_at_the_end_of_buffer_or_file(path):
    """It fills the buffer, and says how much there was when the file is shorter."""
    path.write_bytes(b"12345")
    for size, expected in ((3, b"123"), (5, b"12345"), (9, b"12345\0\0\0\0")):
        fd = os.open(path, os.O_RDONLY)
        buffer = bytearray(size)
        assert durable.read_into(fd, memoryview(buffer)) == min(size, 5)
        assert buffer == expected
        os.close(fd)


def test_a_refused_file_is_closed(path):
    """Refusing a file leaks no descriptor."""
    path.write_bytes(b"x")
    path.chmod(0o644)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with pytest.raises(durable.UnsafeFile):
            durable.open_private(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="makes files of another user")
@pytest.mark.parametrize(
    ("owner", "mode", "taken"),
    [
        (0, 0o440, True), (0, 0o640, True), (0, 0o400, False), (0, 0o444, False),
        (0, 0o460, False), (0, 0o450, False), (0, 0o644, False), (0, 0o4440, False),
        (65534, 0o400, True), (65534, 0o600, True), (65534, 0o440, False), (65534, 0o640, False),
        (65533, 0o440, False),
    ],
)  # fmt: skip
def test_what_root_hands_out_by_group_is_taken(owner, mode, taken):
    """A file of root may be readable by its group; one of our own, or of another, may not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name) / "credential"
        path.write_bytes(b"x")
        os.chown(path, owner, 65534)
        path.chmod(mode)
        child = os.fork()
        if child == 0:
            code = 2
            try:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
                try:
                    durable.open_private(path)
                    code = 0
                except OSError:
                    code = 1
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (0 if taken else 1)


def test_folders_survive_a_power_cut_before_what_is_in_them_counts(tmp_path, monkeypatch):
    """Each new one's name is synced in the folder above it; all are for their owner alone."""
    synced = []
    real = durable.fsync_directory

    def sync(path):
        synced.append(path)
        real(path)

    monkeypatch.setattr(durable, "fsync_directory", sync)
    old = os.umask(0)
    try:
        durable.make_folders(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(old)
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    for folder in ("a", "a/b", "a/b/c"):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o700
    durable.make_folders(tmp_path / "a" / "b" / "c")
    assert len(synced) == 3
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match=r"exists|directory"):
        durable.make_folders(tmp_path / "file" / "x")
