"""The audit log: proofs, checkpoints, archives, sinks."""

import json

import pytest

from adyton.errors import AuditError, InvalidDocument, InvalidInput, SecretNotFound
from adyton.service.journal import decode_body
from adyton.translog import (
    NoteVerifier,
    check_proof,
    parse_tile_path,
    verify_checkpoint,
)
from support import Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def reads(store, count):
    store.set_secret("u", "n", "x")
    for _ in range(count):
        store.get_secret("u", "n").wipe()


def test_a_proof_is_checked_offline_and_opens_one_record(place):
    """A proof shows its record under the log's key, and nothing of another store's."""
    with place.open() as store:
        reads(store, 3)
        vkey = store.audit.vkey
        proof = store.audit.prove(2)
    checked = check_proof(proof, vkey=vkey)
    assert checked.key_was_trusted
    entry = decode_body(checked.body, checked.index)
    assert (entry.index, entry.action, entry.secret_name) == (2, "secret.get", "n")
    assert not check_proof(proof).key_was_trusted
    with place.open() as store:
        assert store.audit.vkey == vkey


@pytest.mark.parametrize("size", [254, 255, 256, 257, 511, 512, 520])
def test_proofs_hold_at_the_edges_of_tiles(place, size):
    """First, last and boundary leaves can be proven whatever the size of the log."""
    with place.open() as store:
        store.set_secret("u", "n", "x")
        while store._opened.core.commit.state.size < size:
            store.get_secret("u", "n").wipe()
        for leaf in {0, 1, 254, 255, 256, size - 1}:
            if leaf < size:
                assert check_proof(store.audit.prove(leaf), vkey=store.audit.vkey).index == leaf


def test_a_user_proves_only_records_of_their_own(place):
    """Another user's leaf, the store's, and one that does not exist are refused alike."""
    with place.open() as store:
        store.set_secret("a", "n", "x")
        store.set_secret("b", "n", "x")
        view = store.acting_as(store._caller)
        assert check_proof(view.audit.prove(1, user="a")).index == 1
        texts = set()
        for leaf in (0, 2, 10**6, -1):
            with pytest.raises(InvalidInput) as refused:
                view.audit.prove(leaf, user="a")
            texts.add(str(refused.value))
        assert len(texts) == 1
        with pytest.raises(SecretNotFound):
            store.audit.prove(1, user="nobody")


def test_a_changed_proof_is_refused(place):
    """No field of a proof can be changed."""
    with place.open() as store:
        reads(store, 5)
        proof, vkey = store.audit.prove(3), store.audit.vkey
    document = json.loads(proof)
    for field, value in document.items():
        if field == "vkey":
            continue
        changed = dict(document)
        changed[field] = value + 1 if isinstance(value, int) else value[:-1]
        with pytest.raises((AuditError, InvalidDocument)):
            check_proof(json.dumps(changed).encode(), vkey=vkey)


def test_checkpoints_verify_with_the_key_kept_outside(place):
    """A checkpoint is a signed note of the log's size and root, and verify accepts it."""
    with place.open() as store:
        reads(store, 3)
        note = store.audit.checkpoint()
        found = verify_checkpoint(note, [NoteVerifier.parse(store.audit.vkey)])
        assert found.size == 6  # the asking itself has a record
        reads(store, 300)
        report = store.audit.verify(checkpoints=[note])
        assert report.records > 300
        with pytest.raises((AuditError, InvalidDocument)):
            store.audit.verify(checkpoints=[note.replace(b"\n6\n", b"\n7\n")])


def test_closing_signs_what_is_there(place):
    """After closing, the newest checkpoint covers every record."""
    with place.open() as store:
        reads(store, 3)
    ((size,),) = place.sql("SELECT max(size) FROM audit_checkpoints")
    ((leaves,),) = place.sql("SELECT count(*) FROM audit_entries")
    assert size == leaves


def test_an_archived_log_still_verifies(place):
    """Bundles go to files in the layout of tile logs; verify reads them there."""
    folder = place.folder / "archive"
    with place.open() as store:
        reads(store, 600)
        first = store.audit.archive(folder, keep=10)
        assert (first.first, first.end) == (0, 512)
        files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
        assert files == {
            "checkpoint", "tile/entries/000", "tile/entries/001", "tile/0/000", "tile/0/001",
        }  # fmt: skip
        assert all(parse_tile_path(name) for name in files if name != "checkpoint")
        with pytest.raises(InvalidDocument):
            store.audit.verify()
        assert store.audit.verify(archive=folder).archived == 512
        assert check_proof(store.audit.prove(550)).index == 550
        reads(store, 300)
        assert store.audit.archive(folder).first == 512
    with place.open() as store:
        store.audit.verify(archive=folder)
        bundle = folder / "tile/entries/001"
        changed = bytearray(bundle.read_bytes())
        changed[3000] ^= 1
        bundle.write_bytes(changed)
        with pytest.raises((AuditError, InvalidDocument)):
            store.audit.verify(archive=folder)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_sink_has_every_record_once_and_catches_up(place):
    """A sink that was away gets what it missed, in order and once; names are pseudonyms."""
    sink = place.folder / "sink.jsonl"
    with place.open() as store:
        reads(store, 20)  # while no sink was set
    with place.open(sinks=[f"file:{sink}"]) as store:
        reads(store, 20)
    with place.open(sinks=[f"file:{sink}"]) as store:
        reads(store, 20)
    found = lines(sink)
    ((leaves,),) = place.sql("SELECT count(*) FROM audit_entries")
    assert [line["index"] for line in found] == list(range(leaves))
    assert all(line["user"].startswith("hmac:") for line in found if line.get("user"))
    revealed = place.folder / "clear.jsonl"
    with place.open(sinks=[f"file:{revealed}"], reveal_to_sinks=True):
        pass
    assert {line["secret"] for line in lines(revealed)} == {"", "n"}


def test_a_sink_ahead_of_the_log_tells_of_an_older_database(place, caplog):
    """The whole database put back to an earlier day: the sink, kept elsewhere, gives it away."""
    sink = place.folder / "sink.jsonl"
    with place.open(sinks=[f"file:{sink}"]) as store:
        reads(store, 5)
    old = place.copy()
    with place.open(sinks=[f"file:{sink}"]) as store:
        reads(store, 5)
    assert not caplog.records
    kept = sink.read_bytes()
    place.put_back(old)
    with place.open(sinks=[f"file:{sink}"]):
        pass
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "an older database was put back" in record.getMessage()
    assert sink.read_bytes() == kept


def test_an_archive_waits_for_a_sink_that_is_behind(place):
    """Records that a sink lacks are not archived away from it."""

    class Away:
        def position(self):
            raise OSError(5, "away")

        def write(self, events):
            raise OSError(5, "away")

        def close(self):
            pass

    with place.open(sinks=[Away()]) as store:
        reads(store, 300)
        with pytest.raises(InvalidInput):
            store.audit.archive(place.folder / "archive")


def test_a_failed_operation_of_an_unknown_user_leaves_only_a_record(place):
    """A thousand refused reads make no namespace and no key."""
    tables = ("users", "user_keys", "user_subkeys", "secrets", "versions", "jobs")
    with place.open() as store:
        store.set_secret("u", "n", "x")
        for n in range(1000):
            with pytest.raises(SecretNotFound):
                store.get_secret(f"stranger{n}", "n")
    assert [place.sql(f"SELECT count(*) FROM {table}")[0][0] for table in tables] == [
        1, 1, 3, 1, 0, 0,
    ]  # fmt: skip
