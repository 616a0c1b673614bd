"""The key file: made safely, and refused when others could have read or made it."""

import os
import stat

import pytest

from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import ConfigurationError, RootError, RootLocked, RootUnavailable
from adyton.roots import KeyFileRoot, open_root
from isolated import run_isolated


@pytest.fixture
def path(tmp_path):
    return tmp_path / "master.key"


def write(path, data=b"\x01" * 32, mode=0o600):
    path.write_bytes(data)
    path.chmod(mode)


def test_create_makes_a_private_file_of_random_bytes(path, tmp_path):
    """A new file has 32 bytes, mode 0600 whatever the umask, and differs from the next one."""
    before = os.umask(0)
    try:
        KeyFileRoot.create(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_bytes()) == 32
    KeyFileRoot.create(tmp_path / "second").close()
    assert path.read_bytes() != (tmp_path / "second").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["master.key", "second"]


def test_create_never_touches_what_is_there(path):
    """A file, even an empty one, or a dangling link of that name is refused and stays."""
    write(path, b"precious")
    with pytest.raises(RootError, match="never overwritten"):
        KeyFileRoot.create(path)
    assert path.read_bytes() == b"precious"
    path.unlink()
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(RootError, match="never overwritten"):
        KeyFileRoot.create(path)
    assert not path.with_name("elsewhere").exists()


def test_create_in_a_missing_directory_says_so(tmp_path):
    """The error names the path and the way out."""
    with pytest.raises(RootUnavailable, match="No such file or directory") as caught:
        KeyFileRoot.create(tmp_path / "missing" / "k")
    assert str(tmp_path / "missing" / "k") in str(caught.value)
    assert "directory" in caught.value.hint


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_private_modes_are_taken(path, mode):
    """Modes 0600 and 0400 open."""
    write(path, mode=mode)
    KeyFileRoot(path).close()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o610, 0o700, 0o4600, 0o1600])
def test_other_modes_are_refused(path, mode):
    """Any right of group or others, and any odd bit, is refused with the way to mend it."""
    write(path, mode=mode)
    with pytest.raises(RootUnavailable, match=f"{mode:04o}") as caught:
        KeyFileRoot(path)
    assert f"chmod 600 {path}" in caught.value.hint


def test_a_symlink_is_refused(path, tmp_path):
    """A link to a good key file is refused, as it could be turned to another one."""
    write(tmp_path / "real")
    path.symlink_to(tmp_path / "real")
    with pytest.raises(RootUnavailable, match="symbolic link"):
        KeyFileRoot(path)
    with pytest.raises(RootUnavailable, match="symbolic link"):
        open_root(f"keyfile:{path}", create=True)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_only_regular_files_are_read(path, make):
    """A FIFO does not block and a directory is no key: both are refused."""
    make(path)
    path.chmod(0o600)
    with pytest.raises(RootUnavailable, match="not a regular file"):
        KeyFileRoot(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(path):
    """A file that somebody else owns, who could change it at will, is refused."""
    write(path)
    os.chown(path, 65534, 65534)
    with pytest.raises(RootUnavailable, match="belongs to user 65534"):
        KeyFileRoot(path)


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64, 100_000])
def test_other_lengths_are_refused(path, size):
    """A file that is not of exactly 32 bytes is no key, and the error says its length."""
    write(path, b"\x01" * size)
    with pytest.raises(RootLocked, match=f"has {size} bytes"):
        KeyFileRoot(path)


def test_zeros_are_refused(path):
    """32 zeros, as a crashed file system may leave, are not taken for a key."""
    write(path, bytes(32))
    with pytest.raises(RootLocked, match="zeros"):
        KeyFileRoot(path)


def test_a_missing_file_is_unavailable_and_not_made(path):
    """Without create= a missing file is an error, and nothing appears."""
    with pytest.raises(RootUnavailable, match="there is no key file"):
        open_root(f"keyfile:{path}")
    assert not path.exists()


def test_create_by_uri_makes_the_file_once(path):
    """With create= the first opening makes the file and the second opens it."""
    first = open_root(f"keyfile:{path}", create=True)
    with SecretBytes(b"k" * 32) as key:
        wrapped = first.wrap(key, b"c")
    content = path.read_bytes()
    second = open_root(f"keyfile:{path}", create=True)
    assert path.read_bytes() == content
    assert second.unwrap(wrapped, b"c").equals(b"k" * 32)


@pytest.mark.parametrize("uri", ["keyfile:", "keyfile:a\0b"])
def test_a_uri_without_a_path_is_refused(uri):
    """An empty path, or one with a NUL, is a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="path"):
        open_root(uri, create=True)


def test_a_relative_path_is_taken_once(path, monkeypatch):
    """describe() has the absolute path, also after the process changed its directory."""
    monkeypatch.chdir(path.parent)
    root = open_root("keyfile:master.key", create=True)
    monkeypatch.chdir("/")
    assert root.describe() == {"kind": "keyfile", "path": str(path)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may always read a process's memory")
def test_the_key_leaves_no_ordinary_bytes_behind(path):
    """After opening and closing, another process finds no copy of the key in this one's memory."""
    out = run_isolated(
        """
        import subprocess, sys
        from adyton.roots import KeyFileRoot

        # Only the scanner knows the key; it reads this process's memory from outside.
        SCAN = '''
        import re, sys
        key, pid, hits = open(sys.argv[1], "rb").read(), sys.argv[2], 0
        with open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in open(f"/proc/{pid}/maps"):
                low, high, mode = re.match("([0-9a-f]+)-([0-9a-f]+) (..)", line).groups()
                if mode == "rw":
                    try:
                        memory.seek(int(low, 16))
                        hits += memory.read(int(high, 16) - int(low, 16)).count(key)
                    except OSError:
                        pass
        print(hits)
        '''
        import os, textwrap
        def scan():
            return subprocess.run([sys.executable, "-c", textwrap.dedent(SCAN), sys.argv[1],
                                   str(os.getpid())], capture_output=True, text=True, check=True
                                  ).stdout.strip()
        KeyFileRoot.create(sys.argv[1]).close()
        root = KeyFileRoot(sys.argv[1])
        during = scan()
        root.close()
        del root
        print(during, scan())
        """,
        str(path),
    )
    during, after = map(int, out.split())
    assert during >= 1, "the scanner has to find the key of the open cipher, or it proves nothing"
    assert after == 0


def test_a_disk_that_does_not_read_is_unavailable(path, monkeypatch):
    """A read error is told as such, and not as a wrong key."""

    def fail(fd, buffers):
        raise OSError(5, "Input/output error")

    write(path)
    monkeypatch.setattr(os, "readv", fail)
    with pytest.raises(RootUnavailable, match="Input/output error"):
        KeyFileRoot(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_file_that_may_not_be_read_is_unavailable(path):
    """A key file of root's, opened by another user, is told apart from a missing one."""
    write(path)
    out = run_isolated(
        """
        import os, sys
        from adyton.errors import RootUnavailable
        from adyton.roots import KeyFileRoot

        os.setresuid(65534, 65534, 65534)
        try:
            KeyFileRoot(sys.argv[1])
        except RootUnavailable as error:
            print(error)
        """,
        str(path),
    )
    assert "can't read the key file" in out
    assert "Permission denied" in out
