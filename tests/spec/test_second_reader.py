"""A second implementation, written from docs/spec alone, reads a real store.

It uses PyCryptodome, hashlib, hmac, sqlite3 and msgpack as decoded by msgspec, and none of
Adyton's code: what it opens proves that the specification is complete and the code keeps to it.
"""

import base64
import hashlib
import hmac
import json
import sqlite3
import struct
from pathlib import Path

import msgspec
import pytest
from Crypto.Cipher import AES
from Crypto.PublicKey import ECC
from Crypto.Signature import eddsa

from adyton.rows import MetaRow
from adyton.service import secretmeta
from support import Place

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
COMMIT_LABEL = b"adyton.audit-commit.v1\x00"
BODY_FIELDS = {1: 12, 2: 16}  # of the formats of audit records


def u64(number):
    return struct.pack(">Q", number)


def context(label, *fields):
    return b"".join(struct.pack(">I", len(x)) + x for x in (label.encode(), *fields))


def open_box(key, box, aad):
    assert box[0] == 1
    cipher = AES.new(key, AES.MODE_GCM, nonce=box[1:13], mac_len=16)
    cipher.update(aad)
    return cipher.decrypt_and_verify(box[13:-16], box[-16:])


def seal_box(key, nonce, plaintext, aad):
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce, mac_len=16)
    cipher.update(aad)
    ciphertext, tag = cipher.encrypt_and_digest(plaintext)
    return b"\x01" + nonce + ciphertext + tag


def index(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()[:16]


def hkdf_expand(key, info, size=32):
    return hmac.new(key, info + b"\x01", hashlib.sha256).digest()[:size]


def tree_root(hashes):
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    halves = tree_root(hashes[:middle]) + tree_root(hashes[middle:])
    return hashlib.sha256(b"\x01" + halves).digest()


def record_key(audit_key, leaf):
    return hkdf_expand(audit_key, context("adyton/v1/audit-record", u64(leaf >> 20)))


def open_record(audit_key, store, leaf, record):
    header = record[:53]
    aad = context("adyton/v1/audit-record", store, u64(0), u64(leaf), header)
    plain = open_box(record_key(audit_key, leaf), b"\x01" + record[53:], aad)
    assert hashlib.sha256(COMMIT_LABEL + plain).digest() == header[21:]
    body = msgspec.msgpack.decode(plain[16:])
    assert len(body) == BODY_FIELDS[header[0]]
    return body


def seal_record(audit_key, store, leaf, user, body, *, salt, nonce):
    """A record in the format that has so many fields."""
    number = next(number for number, count in BODY_FIELDS.items() if count == len(body))
    plain = salt + msgspec.msgpack.encode(body)
    commitment = hashlib.sha256(COMMIT_LABEL + plain).digest()
    header = bytes([number]) + user + struct.pack(">I", leaf >> 20) + commitment
    aad = context("adyton/v1/audit-record", store, u64(0), u64(leaf), header)
    return header + seal_box(record_key(audit_key, leaf), nonce, plain, aad)[1:]


class Reader:
    """Opens a store from its file and its key file."""

    def __init__(self, path, master_keys):
        self.db = sqlite3.connect(path)
        self.store = self.one("SELECT value FROM settings WHERE key='store-id'")[0]
        self.masters = master_keys
        self.store_keys = {
            purpose: open_box(
                self.masters[version],
                box,
                context("adyton/v1/store-key", self.store, purpose.encode(), u64(version)),
            )
            for purpose, version, box in self.db.execute("SELECT * FROM store_keys")
        }

    def one(self, sql, *args):
        return self.db.execute(sql, args).fetchone()

    def user(self, user_id):
        user = index(self.store_keys["user-index"], user_id)
        keys = {}
        for version, master, box in self.db.execute(
            "SELECT version, master_version, wrapped FROM user_keys WHERE user=?", (user,)
        ):
            aad = context("adyton/v1/user-key", self.store, user, u64(version), u64(master))
            keys[version] = open_box(self.masters[master], box, aad)
        subkeys = {}
        for purpose, version, key_version, box in self.db.execute(
            "SELECT purpose, version, key_version, wrapped FROM user_subkeys WHERE user=?", (user,)
        ):
            aad = context(
                "adyton/v1/user-subkey", self.store, user, u64(purpose), u64(version),
                u64(key_version),
            )  # fmt: skip
            subkeys[purpose, version] = open_box(keys[key_version], box, aad)
        newest = max(version for purpose, version in subkeys if purpose == 2)
        id_box = self.one("SELECT id_box FROM users WHERE user=?", user)[0]
        aad = context("adyton/v1/user-id", self.store, user, u64(newest))
        assert open_box(subkeys[2, newest], id_box, aad) == user_id.encode()
        return user, keys, subkeys

    def secret(self, user_id, name):
        user, keys, subkeys = self.user(user_id)
        at = index(subkeys[1, 1], name)
        current, meta_version, meta, key_version, wrapped, box = self.one(
            "SELECT current, meta_version, meta, key_version, wrapped_key, value FROM secrets"
            " WHERE user=? AND name=?", user, at,
        )  # fmt: skip
        place = (self.store, user, at)
        body = msgspec.msgpack.decode(
            open_box(
                subkeys[2, meta_version],
                meta,
                context("adyton/v1/metadata", *place, u64(meta_version)),
            )
        )
        aad = context("adyton/v1/data-key", *place, u64(current), u64(key_version))
        data_key = open_box(keys[key_version], wrapped, aad)
        value = open_box(data_key, box, context("adyton/v1/value", *place, u64(current)))
        assert body[11][-1][6] == box[-16:]
        return body, value

    def records(self):
        hashes = []
        for leaf, user, record in self.db.execute(
            "SELECT leaf, user, record FROM audit_entries ORDER BY leaf"
        ):
            assert leaf == len(hashes)
            assert record[1:17] == user
            hashes.append(hashlib.sha256(b"\x00" + record).digest())
        return hashes

    def record(self, leaf, audit_key):
        (record,) = self.one("SELECT record FROM audit_entries WHERE leaf=?", leaf)
        return open_record(audit_key, self.store, leaf, record)


@pytest.fixture
def reader(tmp_path):
    from adyton import SecretStore
    from adyton.roots import KeyFileRoot
    from adyton.service.keyring import Keyring

    place = Place(tmp_path)
    with place.open() as store:
        store.set_secret("alice", "db/password", "correct horse", tags=["prod"])
        store.set_secret("alice", "db/password", "battery staple")
        store.keys.rotate()
        store.set_secret("alice", "late", {"a": 1})
        store.keys.rewrap(deep=True)
        store.get_secret("alice", "db/password").wipe()
        assert isinstance(store, SecretStore)
    rows = place.sql("SELECT version, wrapped FROM master_keys")
    (store_id,) = place.sql("SELECT value FROM settings WHERE key='store-id'")[0]
    root = KeyFileRoot(tmp_path / "master.key")
    masters = {}
    for version, wrapped in rows:  # the root's own format is docs/spec/roots.md, tested there
        with root.unwrap(wrapped, Keyring.master_context(store_id, version)) as key:
            masters[version] = key.reveal()
    return Reader(place.path, masters)


def test_names_values_and_metadata_open_by_the_specification(reader):
    """From the master key down, everything of a secret opens as docs/spec says."""
    body, value = reader.secret("alice", "db/password")
    assert value == b"battery staple"
    assert body[:2] == [2, "db/password"]
    assert body[3] == 2
    assert body[8] == ["prod"]
    assert body[12] == {}
    assert [version[7] for version in body[11]] == [0, 0]
    assert reader.secret("alice", "late")[1] == b'{"a":1}'


def test_metadata_of_format_1_stays_readable():
    """A body as it was written before there were deletion times and engines' settings."""
    version = [1, 5, "cli:a", 0, 3, "text/plain", bytes(16)]
    body = [1, "n", 1, 1, 5, 5, None, 10, ["t"], {"k": "v"}, {}, [version]]
    row = MetaRow(bytes(16), 1, 1, b"", None)
    meta = secretmeta.parse(msgspec.msgpack.encode(body), row)
    assert (meta.name, meta.engine, meta.versions[0].deleted_us) == ("n", {}, 0)
    assert meta.readable(None, 10).version == 1


def test_audit_records_and_tree_follow_the_specification(reader):
    """Records open, their commitment holds, and the signed root is that of the leaves."""
    _, _, subkeys = reader.user("alice")
    hashes = reader.records()
    actions = []
    for leaf in range(len(hashes)):
        user = reader.one("SELECT user FROM audit_entries WHERE leaf=?", leaf)[0]
        key = subkeys[3, 1] if any(user) else reader.store_keys["system-audit"]
        actions.append(reader.record(leaf, key)[5])
    assert actions[:3] == ["store.init", "secret.set", "secret.set"]
    assert actions[-1] == "secret.get"
    seed = reader.store_keys["log-signing"]
    public = ECC.construct(curve="Ed25519", seed=seed).public_key()
    for size, note in reader.db.execute("SELECT size, note FROM audit_checkpoints"):
        text, _, signature = note.decode().rpartition("\n\n")
        origin, digits, root = text.split("\n")
        assert origin == f"adyton/{reader.store.hex()}/0"
        assert int(digits) == size
        assert base64.b64decode(root) == tree_root(hashes[:size])
        raw = base64.b64decode(signature.split()[-1])
        name_id = hashlib.sha256(
            origin.encode() + b"\n\x01" + public.export_key(format="raw")
        ).digest()[:4]
        assert raw[:4] == name_id
        eddsa.new(public, "rfc8032").verify((text + "\n").encode(), raw[4:])


def make_vectors():
    """Vectors of contexts and boxes, by this file's code alone."""
    key, nonce = bytes(range(32)), bytes(range(12))
    store, user, name = b"S" * 16, b"U" * 16, b"N" * 16
    cases = []
    for label, fields, plaintext in (
        ("adyton/v1/value", (store, user, name, u64(1)), b"correct horse"),
        ("adyton/v1/value", (store, user, name, u64(2)), b""),
        ("adyton/v1/data-key", (store, user, name, u64(1), u64(3)), b"K" * 32),
        ("adyton/v1/metadata", (store, user, name, u64(1)), b"\x90"),
        ("adyton/v1/user-key", (store, user, u64(1), u64(1)), b"K" * 32),
        ("adyton/v1/user-subkey", (store, user, u64(2), u64(1), u64(1)), b"K" * 32),
        ("adyton/v1/user-id", (store, user, u64(1)), b"alice"),
        ("adyton/v1/store-key", (store, b"user-index", u64(1)), b"K" * 32),
    ):
        aad = context(label, *fields)
        box = seal_box(key, nonce, plaintext, aad)
        case = {"label": label, "fields": [f.hex() for f in fields], "context": aad.hex(),
                "key": key.hex(), "nonce": nonce.hex(), "plaintext": plaintext.hex()}  # fmt: skip
        cases.append({**case, "box": box.hex(), "expect": "opens"})
        for expect, changed in (
            ("tampered", box[:-1] + bytes([box[-1] ^ 1])),
            ("truncated", box[:-1]),
            ("unknown format", b"\x02" + box[1:]),
        ):
            cases.append({**case, "box": changed.hex(), "expect": expect})
    return {
        "boxes": cases,
        "indexes": [
            {"key": key.hex(), "text": text, "index": index(key, text).hex()}
            for text in ("alice", "db/password", "grün")
        ],
        "epoch_keys": [
            {"key": key.hex(), "epoch": epoch,
             "epoch_key": hkdf_expand(key, context("adyton/v1/audit-record", u64(epoch))).hex()}
            for epoch in (0, 1, 2**20)
        ],
    }  # fmt: skip


def vector_text():
    return json.dumps(make_vectors(), indent=1, ensure_ascii=False) + "\n"


def test_the_vectors_are_what_this_code_makes():
    """vectors/envelope is made by this second implementation, and by nothing else."""
    assert (VECTORS / "envelope" / "v1.json").read_text("utf-8") == vector_text()
    assert (VECTORS / "audit" / "records.json").read_text("utf-8") == record_text()


def make_records():
    """Audit records of both formats, by this file's code alone."""
    key, store, user = bytes(range(32)), b"S" * 16, b"U" * 16
    old = [
        1_700_000_000_000_000, "cli:alice", "alice", "db/password", 3, "secret.set", True, "",
        "r-1", "192.0.2.1", b"N" * 16, b"D" * 32,
    ]  # fmt: skip
    new = [
        *old,
        *("approle auth/approle/", "xqSwDA0Zt1FUPVWl", "allow:app,default", "ok"),
    ]
    refused = [
        *(1_700_000_000_000_001, "(no token)", "", "", 0, "access.deny", False, "no such token"),
        *("r-2", "2001:db8::1", b"", b"", "", "", "deny", "denied"),
    ]
    cases = []
    for leaf, body in ((0, old), (2**20, old), (7, new), (2**21 + 1, refused)):
        salt, nonce = bytes(range(16)), bytes(range(12))
        record = seal_record(key, store, leaf, user, body, salt=salt, nonce=nonce)
        shown = [field.hex() if isinstance(field, bytes) else field for field in body]
        case = {"key": key.hex(), "store": store.hex(), "user": user.hex(), "leaf": leaf,
                "body": shown, "salt": salt.hex()}  # fmt: skip
        cases.append({**case, "record": record.hex(), "expect": "opens"})
        other = bytes([3 - record[0]])
        for expect, changed in (
            ("the other format", other + record[1:]),
            ("unknown format", b"\x03" + record[1:]),
            ("commitment", record[:21] + bytes(32) + record[53:]),
            ("truncated", record[:64]),
        ):
            cases.append({**case, "record": changed.hex(), "expect": expect})
    return cases


def record_text():
    return json.dumps(make_records(), indent=1) + "\n"


def test_adyton_reads_records_of_both_formats():
    """Each is what the vectors say; a changed one, or one under the other format, is refused."""
    from adyton.crypto.secretbytes import SecretBytes
    from adyton.errors import IntegrityError
    from adyton.service.journal import Journal, to_entry
    from adyton.service.userkeys import AuditKey

    class Keys:
        def __init__(self, user, key):
            self.user, self.audit = user, AuditKey(SecretBytes(key))

    for case in json.loads((VECTORS / "audit" / "records.json").read_text("utf-8")):
        keys = Keys(bytes.fromhex(case["user"]), bytes.fromhex(case["key"]))
        journal = Journal(bytes.fromhex(case["store"]), 0, keys)
        record = bytes.fromhex(case["record"])
        if case["expect"] != "opens":
            with pytest.raises(IntegrityError):
                journal.open(keys, case["leaf"], record)
            continue
        body, plain = journal.open(keys, case["leaf"], record)
        assert plain[:16].hex() == case["salt"]
        shown = case["body"]
        entry = to_entry(case["leaf"], body)
        assert (body.time_us, entry.actor, entry.user, entry.secret_name) == tuple(shown[:4])
        assert (entry.version, entry.action, entry.success, entry.reason) == tuple(shown[4:8])
        assert (entry.request_id, entry.address) == tuple(shown[8:10])
        assert (body.name_index.hex(), body.digest.hex()) == tuple(shown[10:12])
        added = (entry.method, entry.accessor, entry.decision, entry.outcome)
        assert added == (tuple(shown[12:]) or ("", "", "", ""))


def test_a_store_with_records_of_format_1_goes_on(tmp_path, monkeypatch):
    """Records of both formats in one log: read, verified, proved and copied to a sink."""
    from adyton.rows import EntryRow
    from adyton.service.journal import Journal
    from adyton.sinks.file import FileSink

    sealed_now = Journal.seal

    def seal_as_before(journal, drafts, leaf, time_us):
        """What this file makes of the same drafts, in format 1."""
        rows = []
        for draft, row in zip(drafts, sealed_now(journal, drafts, leaf, time_us), strict=True):
            keys = draft.keys or journal._system
            body, plain = journal.open(keys, row.leaf, row.record)
            old = seal_record(
                keys.audit._key.reveal(), store_id, row.leaf, keys.user,
                list(msgspec.structs.astuple(body)[:12]),
                salt=plain[:16], nonce=row.record[53:65],
            )  # fmt: skip
            rows.append(EntryRow(row.leaf, keys.user, old))
        return rows

    place = Place(tmp_path)
    place.open().close()
    (store_id,) = place.sql("SELECT value FROM settings WHERE key='store-id'")[0]
    monkeypatch.setattr(Journal, "seal", seal_as_before)
    with place.open() as store:
        store.set_secret("alice", "old", "value")
        store.get_secret("alice", "old").wipe()
    monkeypatch.undo()
    formats = [record[0] for (record,) in place.sql("SELECT record FROM audit_entries")]
    assert set(formats[1:]) == {1}
    sink = tmp_path / "audit.jsonl"
    with place.open(sinks=[FileSink(sink)]) as store:
        store.get_secret("alice", "old").wipe()
        assert store.audit.verify().records > len(formats)
        log = store.get_audit_log("alice")
        assert [entry.outcome for entry in log if entry.action == "secret.get"] == ["ok", ""]
        for entry in log[:3]:
            assert store.audit.prove(entry.index, user="alice")
    lines = [json.loads(line) for line in sink.read_text("utf-8").splitlines()]
    assert {line["outcome"] for line in lines if line["action"] == "secret.get"} == {"ok", ""}


def test_adyton_agrees_with_the_vectors():
    """Adyton's own code makes the same contexts, boxes, indexes and epoch keys."""
    from adyton.crypto import context as ctx
    from adyton.crypto.aead import AeadKey
    from adyton.crypto.kdf import IndexKey
    from adyton.crypto.secretbytes import SecretBytes
    from adyton.errors import DecryptionFailed
    from adyton.service.userkeys import AuditKey

    vectors = json.loads((VECTORS / "envelope" / "v1.json").read_text("utf-8"))
    for case in vectors["boxes"]:
        aad = ctx.encode(case["label"].encode(), *map(bytes.fromhex, case["fields"]))
        assert aad.hex() == case["context"]
        key = AeadKey(SecretBytes(bytes.fromhex(case["key"])))
        box, plaintext = bytes.fromhex(case["box"]), bytes.fromhex(case["plaintext"])
        if case["expect"] == "opens":
            assert key.seal(plaintext, aad, nonce=bytes.fromhex(case["nonce"])) == box
            assert key.open(box, aad) == plaintext
            assert key.open_secret(box, aad).reveal() == plaintext
        else:
            for opening in (key.open, key.open_secret):
                with pytest.raises(DecryptionFailed):
                    opening(box, aad)
        with pytest.raises(DecryptionFailed):
            key.open(box, aad + b"x")
    for case in vectors["indexes"]:
        key = IndexKey(SecretBytes(bytes.fromhex(case["key"])))
        assert key.index(case["text"]).hex() == case["index"]
    for case in vectors["epoch_keys"]:
        audit = AuditKey(SecretBytes(bytes.fromhex(case["key"])))
        probe = audit.epoch(case["epoch"]).seal(b"x", b"y")
        direct = AeadKey(SecretBytes(bytes.fromhex(case["epoch_key"])))
        assert direct.open(probe, b"y") == b"x"
