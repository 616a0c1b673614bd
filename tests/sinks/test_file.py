"""The file sink: whole lines only, durable, and a position that never goes back."""

import json
import os
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.errors import InvalidInput
from adyton.ports import Sink, SinkEvent
from adyton.sinks.file import FileSink
from isolated import run_isolated
from test_durable import no_file_over


def event(leaf, text="x"):
    return SinkEvent(leaf, json.dumps({"index": leaf, "action": text}, ensure_ascii=False))


def events(first, end, text="x"):
    return [event(leaf, text) for leaf in range(first, end)]


def leaves(path):
    """The leaf indexes in a file; every line has to be whole."""
    content = path.read_bytes()
    assert content.endswith(b"\n") or not content
    return [json.loads(line)["index"] for line in content.splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "audit.jsonl"


@pytest.fixture
def sink(path):
    made = FileSink(path)
    yield made
    made.close()


def test_it_fits_the_port(sink):
    """The class has every method of the Protocol."""
    wanted = [name for name in vars(Sink) if not name.startswith("_")]
    assert set(wanted) == {"position", "write", "close"}
    assert all(callable(getattr(sink, name)) for name in wanted)


def test_an_empty_sink_lacks_the_first_record(sink, path):
    """Position 0, and a private file."""
    before = os.umask(0)
    try:
        assert sink.position() == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_records_are_appended_one_a_line(sink, path):
    """Records come out in order, and the position is one behind the last."""
    sink.write(events(0, 3))
    sink.write(events(3, 5, text="käse 🔑"))
    assert leaves(path) == [0, 1, 2, 3, 4]
    assert sink.position() == 5
    assert path.read_text().splitlines()[4] == event(4, "käse 🔑").line


def test_a_write_is_synced_before_it_returns(sink, path, monkeypatch):
    """The file is synced after the lines are in it, before the position is saved."""
    synced = []
    real = os.fsync

    def fsync(fd):
        name = os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))
        synced.append((name.split(".")[0] or name.split(".")[1], os.fstat(fd).st_size))
        real(fd)

    sink.position()
    monkeypatch.setattr(os, "fsync", fsync)
    sink.write(events(0, 2))
    assert synced[0] == ("audit", path.stat().st_size)
    assert len(synced) == 3  # the file, the sidecar's new content, the directory


def test_nothing_is_opened_before_the_first_use(tmp_path):
    """A missing directory is an OSError of use, not of construction, and can be mended."""
    sink = FileSink(tmp_path / "later" / "audit.jsonl")
    with pytest.raises(FileNotFoundError):
        sink.position()
    with pytest.raises(FileNotFoundError):
        sink.write(events(0, 1))
    (tmp_path / "later").mkdir()
    sink.write(events(0, 1))
    assert sink.position() == 1
    sink.close()


def test_a_new_process_goes_on_where_the_last_ended(path):
    """The position comes back from the file alone, and from the sidecar alone."""
    first = FileSink(path)
    first.write(events(0, 7))
    first.close()
    sidecar = path.with_name("audit.jsonl.position")
    assert sidecar.read_bytes() == b"7\n"
    assert stat.S_IMODE(sidecar.stat().st_mode) == 0o600
    sidecar.unlink()
    assert FileSink(path).position() == 7
    sidecar.write_bytes(b"7\n")
    path.unlink()
    assert FileSink(path).position() == 7


def test_records_that_are_there_already_are_left_out(sink, path):
    """A batch that is sent again, whole or in part, makes no line twice."""
    sink.write(events(0, 4))
    sink.write(events(0, 4))
    sink.write(events(2, 6))
    sink.write([])
    assert leaves(path) == [0, 1, 2, 3, 4, 5]


def test_it_may_begin_anywhere(sink, path):
    """The first record need not be leaf 0, as older ones may have been archived."""
    sink.write(events(1000, 1002))
    assert leaves(path) == [1000, 1001]
    assert FileSink(path).position() == 1002


def test_a_line_break_in_a_record_is_refused(sink, path):
    """A record on two lines is refused before anything of its batch is written."""
    with pytest.raises(InvalidInput, match="leaf 1 is not on one line"):
        sink.write([event(0), SinkEvent(1, '{"index":\n1}')])
    assert leaves(path) == []
    assert sink.position() == 0


@given(cut=st.integers(0, 400))
@settings(deadline=None, max_examples=80)
def test_a_torn_last_line_is_cut_off(tmp_path_factory, cut):
    """Wherever a crash cut the file, the next process keeps the whole lines and goes on."""
    path = tmp_path_factory.mktemp("sink") / "audit.jsonl"
    first = FileSink(path)
    first.write(events(0, 10, text="käse"))
    first.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    path.with_name("audit.jsonl.position").unlink()
    kept = whole[:cut].count(b"\n")
    again = FileSink(path)
    assert again.position() == kept
    assert leaves(path) == list(range(kept))
    again.write(events(kept, 10, text="käse"))
    assert path.read_bytes() == whole
    again.close()


def test_zeros_that_a_crash_left_are_cut_off(path):
    """A file that grew on disk before its content came ends in zeros, which are removed."""
    first = FileSink(path)
    first.write(events(0, 2))
    first.close()
    with path.open("ab") as file:
        file.write(bytes(500))
    again = FileSink(path)
    assert again.position() == 2
    assert leaves(path) == [0, 1]


def test_a_last_line_longer_than_a_block_is_read(path):
    """Lines over the block size of the backward search are found whole, torn or not."""
    first = FileSink(path)
    first.write([event(0), event(1, "y" * 200_000)])
    first.close()
    path.with_name("audit.jsonl.position").unlink()
    assert FileSink(path).position() == 2
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"index": 2, "pad": "' + b"z" * 150_000)
    assert FileSink(path).position() == 2
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "content",
    [b"root:x:0:0\n", b"no newline", b'{"index": 0}\nnote to self', b'{"a": 1}\n', b"[1]\n", b"\n",
     b'{"index": true}\n', b'{"index": "7"}\n', b'{"index": -1}\n', b"[" * 100_000 + b"\n"],
)  # fmt: skip
def test_a_foreign_file_is_refused_and_untouched(path, content):
    """A file that does not end in audit records is neither cut nor appended to."""
    path.write_bytes(content)
    sink = FileSink(path)
    for use in (sink.position, lambda: sink.write(events(0, 1))):
        with pytest.raises(OSError, match="name another file"):
            use()
    assert path.read_bytes() == content


def test_links_and_devices_are_refused(tmp_path):
    """A link is not followed, and a FIFO neither blocks nor is written to."""
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="symbolic links"):
        FileSink(tmp_path / "link").position()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        FileSink(tmp_path / "fifo").position()


# --- rotation --------------------------------------------------------------------------------


def test_a_moved_file_is_opened_anew_and_the_position_stays(sink, path):
    """After the file was moved away the next record goes to a new one, with no gap or repeat."""
    sink.write(events(0, 3))
    path.rename(path.with_name("audit.jsonl.1"))
    assert sink.position() == 3
    sink.write(events(3, 5))
    assert leaves(path.with_name("audit.jsonl.1")) == [0, 1, 2]
    assert leaves(path) == [3, 4]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_another_tool_put_in_place_is_used(sink, path):
    """Logrotate's 'create' puts an empty file there, which is written to and keeps its mode."""
    sink.write(events(0, 3))
    path.rename(path.with_name("audit.jsonl.1"))
    path.touch()
    path.chmod(0o640)
    sink.write(events(3, 4))
    assert leaves(path) == [3]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_copytruncate_is_survived(sink, path):
    """A file that was emptied in place goes on with the next record, without a hole of zeros."""
    sink.write(events(0, 3))
    os.truncate(path, 0)
    sink.write(events(3, 5))
    assert leaves(path) == [3, 4]


@pytest.mark.parametrize("restored", [False, True])
def test_rotation_and_restart_do_not_go_back(path, restored):
    """After a move and a restart the position is kept, also when an older file was put back."""
    first = FileSink(path)
    first.write(events(0, 2))
    older = path.read_bytes()
    first.write(events(2, 5))
    first.close()
    path.unlink()
    if restored:
        path.write_bytes(older)
    again = FileSink(path)
    assert again.position() == 5
    again.write(events(4, 7))
    assert leaves(path)[-2:] == [5, 6]
    again.close()


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b"-5\n", b"9 9\n", b"x", b"9" * 50])
def test_a_damaged_sidecar_loses_no_record(path, content):
    """With a sidecar that is no number the file's own last line counts."""
    first = FileSink(path)
    first.write(events(0, 4))
    first.close()
    path.with_name("audit.jsonl.position").write_bytes(content)
    assert FileSink(path).position() == 4


def test_close_may_come_twice_and_the_sink_goes_on(sink, path):
    """A closed sink opens the file again when it is used."""
    sink.write(events(0, 1))
    sink.close()
    sink.close()
    sink.write(events(1, 2))
    assert leaves(path) == [0, 1]


# --- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize("room", range(0, 120, 7))
def test_a_full_disk_leaves_no_torn_line(sink, path, room):
    """Wherever the space ends in a batch, the file is as before, and a retry completes it."""
    sink.write(events(0, 2))
    before = path.read_bytes()
    with no_file_over(len(before) + room), pytest.raises(OSError, match="too large"):
        sink.write(events(2, 8))
    assert path.read_bytes() == before
    assert sink.position() == 2
    sink.write(events(2, 8))
    assert leaves(path) == list(range(8))


def test_a_failed_sync_is_not_believed(sink, path, monkeypatch):
    """After a failed fsync the lines are taken back and written again, as nobody knows better."""
    sink.write(events(0, 2))
    real, calls = os.fsync, []

    def fsync(fd):
        calls.append(fd)
        if len(calls) == 1:
            raise OSError(5, "Input/output error")
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output"):
        sink.write(events(2, 4))
    assert leaves(path) == [0, 1]
    assert sink.position() == 2
    sink.write(events(2, 4))
    assert leaves(path) == [0, 1, 2, 3]


def test_a_failed_truncation_is_repaired_at_the_next_opening(sink, path, monkeypatch):
    """When even the truncation fails, the torn line goes before the next one is written."""
    sink.write(events(0, 2))
    size = path.stat().st_size

    def refuse(fd, length):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken, no_file_over(size + 10):
        broken.setattr(os, "ftruncate", refuse)
        with pytest.raises(OSError, match="Input/output"):
            sink.write(events(2, 4))
    assert path.stat().st_size == size + 10
    sink.write(events(2, 4))
    assert leaves(path) == [0, 1, 2, 3]


def test_a_sidecar_that_cannot_be_written_is_tried_again(sink, path):
    """The records are there, the error is told, and a retry saves the position, no more."""
    sidecar = path.with_name("audit.jsonl.position")
    sink.position()
    sidecar.mkdir()
    with pytest.raises(IsADirectoryError):
        sink.write(events(0, 3))
    assert sink.position() == 3
    sidecar.rmdir()
    sink.write(events(0, 3))
    assert leaves(path) == [0, 1, 2]
    assert sidecar.read_bytes() == b"3\n"


def test_a_process_that_ends_while_it_writes_leaves_no_gap(path):
    """A process that is killed at any moment loses and repeats nothing that it reported."""
    script = """
        import sys, os, signal, threading, json
        from adyton.ports import SinkEvent
        from adyton.sinks.file import FileSink

        sink = FileSink(sys.argv[1])
        threading.Timer(float(sys.argv[2]), lambda: os._exit(0)).start()  # no clean-up runs
        at = sink.position()
        while True:
            lines = (json.dumps({"index": at + n, "pad": "p" * 500}) for n in range(9))
            sink.write([SinkEvent(at + n, line) for n, line in enumerate(lines)])
            at += 9
            os.write(1, b"%d\\n" % at)
    """
    reported = 0
    for turn in range(4):
        out = run_isolated(script, str(path), str(0.05 + 0.03 * turn))
        reported = max([reported, *map(int, out.split())])
        sink = FileSink(path)
        assert sink.position() >= reported
        assert leaves(path) == list(range(sink.position()))
        sink.close()
    assert reported > 0


def test_memory_keeps_the_position_when_file_and_sidecar_are_gone(sink, path):
    """While the process runs the position stays, also when both files were moved away."""
    sink.write(events(0, 3))
    path.unlink()
    path.with_name("audit.jsonl.position").unlink()
    sink._saved = 0  # as when the sidecar could not be written
    assert sink.position() == 3
    sink.write(events(3, 4))
    assert leaves(path) == [3]
    assert path.with_name("audit.jsonl.position").read_bytes() == b"4\n"
