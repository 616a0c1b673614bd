"""The sink that posts: signed batches in order, at least once, from where it was left."""

import time

import pytest

from adyton import SecretStore, durable
from adyton.crypto import webhooks as signing
from adyton.ports import Sink, SinkEvent
from adyton.rotationpolicy import RotationPolicy
from adyton.sinks import open_sink
from adyton.sinks.posting import PostingSink
from hookreceiver import Receiver

KEY = bytes(range(32))


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path, receiver):
    place = tmp_path / "sink"
    place.mkdir()
    (place / "url").write_text(receiver.url + "\n")
    (place / "secret").write_text(signing.secret_text(KEY) + "\n")
    (place / "secret").chmod(0o600)
    return place


def events(first, end, **more):
    lines = [f'{{"index":{n}{more.get("extra", "")}}}' for n in range(first, end)]
    return [SinkEvent(n, line) for n, line in zip(range(first, end), lines, strict=True)]


def taken(receiver):
    """Indexes of all records that came, each message verified."""
    found = []
    for got in receiver.got:
        assert signing.verifies(
            [KEY], got.id, int(got.headers["webhook-timestamp"]), got.body,
            got.headers["webhook-signature"],
        )  # fmt: skip
        found += [record["index"] for record in got.document["data"]["records"]]
    return found


def test_it_fits_the_port_and_is_found_by_its_uri(folder):
    """Every method of the Protocol."""
    assert isinstance(open_sink(f"webhook:{folder}"), PostingSink)
    assert all(hasattr(PostingSink, name) for name in vars(Sink) if not name.startswith("_"))
    assert str(folder) not in repr(PostingSink(folder))


def test_records_are_posted_in_batches_from_where_it_was_left(folder, receiver):
    """1,200 records are three messages; another process goes on behind them."""
    sink = PostingSink(folder)
    assert sink.position() == 0
    sink.write(events(0, 1200))
    assert taken(receiver) == list(range(1200))
    assert [got.id for got in receiver.got] == ["log_0_499", "log_500_999", "log_1000_1199"]
    again = PostingSink(folder)
    assert again.position() == 1200
    again.write(events(1190, 1205))
    assert taken(receiver)[1200:] == list(range(1200, 1205))


def test_what_is_not_taken_comes_again(folder, receiver):
    """A status that is none, a broken connection, silence: an OSError, and nothing is skipped."""
    receiver.answers = [200, 500, "drop", 302]
    sink = PostingSink(folder)
    for _ in range(3):
        with pytest.raises(OSError, match=r"status|reached|reset|broken|aborted"):
            sink.write(events(0, 600))
    assert sink.position() == 500
    sink.write(events(0, 600))
    assert taken(receiver) == [*range(500), *([*range(500, 600)] * 4)]
    assert sink.position() == 600


def test_what_was_taken_and_not_noted_comes_again(folder, receiver, monkeypatch):
    """Ended between the answer and the position: the next process sends it once more, all of it."""
    sink = PostingSink(folder)
    sink.write(events(0, 3))
    with monkeypatch.context() as ended:
        ended.setattr(durable, "replace", _full)
        with pytest.raises(OSError, match="No space"):
            sink.write(events(3, 6))
    again = PostingSink(folder)
    assert again.position() == 3
    again.write(events(3, 8))
    assert taken(receiver) == [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7]


def test_where_no_position_can_be_kept_nothing_is_sent(folder, receiver, monkeypatch):
    """A folder that is read-only, or a disk that is full, does not make batches come again."""
    sink = PostingSink(folder)
    with monkeypatch.context() as ended:
        ended.setattr(durable, "replace", _full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                sink.write(events(0, 3))
        assert receiver.got == []
    sink.write(events(0, 3))
    with monkeypatch.context() as ended:
        ended.setattr(durable, "replace", _full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                sink.write(events(3, 6))
                sink.write(events(3, 9))
    assert taken(receiver) == [0, 1, 2, 3, 4, 5]  # once, before it was known
    sink.write(events(3, 9))
    assert taken(receiver) == list(range(9))


def _full(path, data):
    raise OSError(28, "No space left on device")


def test_notices_alone(folder, receiver):
    """With the word in the file ``only``, other records are passed over and not posted."""
    (folder / "only").write_text("notices\n")
    sink = PostingSink(folder)
    sink.write(events(0, 5))
    assert receiver.got == []
    assert sink.position() == 5
    sink.write([*events(5, 7, extra=',"notice":{"kind":"x"}'), *events(7, 9)])
    assert taken(receiver) == [5, 6]


def test_what_is_missing_or_open_to_others_is_an_oserror(folder, receiver):
    """It may be mended while the process runs; a secret that others can read is not used."""
    with pytest.raises(OSError, match="No such file"):
        PostingSink(folder / "none").position()
    sink = PostingSink(folder)
    (folder / "secret").chmod(0o644)
    with pytest.raises(OSError, match="secret"):
        sink.write(events(0, 1))
    (folder / "secret").chmod(0o600)
    (folder / "url").write_text("http://192.0.2.1/in-the-clear")
    with pytest.raises(OSError, match="clear"):
        sink.write(events(0, 1))
    assert receiver.got == []
    (folder / "url").write_text(receiver.url)
    sink.write(events(0, 1))
    assert taken(receiver) == [0]


def test_a_store_feeds_it_and_its_notices_arrive(tmp_path, folder, receiver):
    """Every record of a store, after failures too; a notice with its kind and details."""
    receiver.answers = [500]
    with SecretStore.open(
        str(tmp_path / "s.db"), root=f"keyfile:{tmp_path / 'k'}", create=True,
        sinks=[f"webhook:{folder}"],
    ) as store:  # fmt: skip
        store.rotation.set_policy("u", "canary-name", RotationPolicy(grace=0))
        store.rotation.run("u", "canary-name")
        end = time.monotonic() + 20
        while not any(b"rotation.succeeded" in got.body for got in receiver.got):
            assert time.monotonic() < end
            time.sleep(0.05)
        size = store._opened.core.commit.state.size
    found = taken(receiver)
    assert sorted(set(found)) == list(range(max(found) + 1))
    assert max(found) >= size - 1
    assert not any(b"canary" in got.body for got in receiver.got)
