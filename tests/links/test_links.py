"""One-time links of a store: one opening, and nothing in the store that opens one."""

import asyncio
import datetime as dt
import hashlib
import hmac
import json
import os
import statistics
import struct
import threading
import time
from pathlib import Path

import msgspec
import pytest
from Crypto.Cipher import AES
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton import AsyncSecretStore, Caller
from adyton.crypto import links
from adyton.errors import AuditError, InvalidInput, LimitExceeded, SecretNotFound
from adyton.service.access.spaces import Spaces
from adyton.service.access.tidy import Tidy
from adyton.service.access.tokens import Tokens
from adyton.service.linkrecords import Link
from adyton.service.links import Asked, Links
from adyton.service.objects import body_of
from support import Place

CANARY = "a-value-behind-a-link"
VECTORS = json.loads(
    (Path(__file__).resolve().parents[2] / "vectors/links/links.json").read_text("utf-8")
)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def store(place):
    with place.open() as opened:
        opened.set_secret("alice", "own", "x")
        yield opened


def test_a_link_opens_once(store):
    made = store.links.create("alice", CANARY, note="for carol")
    assert [info.accessor for info in store.links.list("alice")] == [made.accessor]
    with store.links.open(made.text) as found:
        assert found.text() == CANARY
        assert found.content_type.startswith("text/plain")
    with pytest.raises(SecretNotFound):
        store.links.open(made.text)
    assert store.links.list("alice") == []
    store.audit.verify()


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"", b""),
        (b"\x00\xff" * 300, b"\x00\xff" * 300),
        ("ö", "ö".encode()),
        ({"a": 1}, b'{"a":1}'),
    ],
)
def test_values_come_out_as_they_went_in(store, value, wanted):
    made = store.links.create("alice", value)
    with store.links.open(f"https://host/link#{made.text}") as found:
        got = found.reveal()
    assert got == wanted


def test_all_refusals_are_one(store):
    """Used, revoked, expired, unknown, of nobody, and a wrong passphrase: the same error."""
    told = set()

    def refused(text, **more):
        with pytest.raises(SecretNotFound) as caught:
            store.links.open(text, **more)
        told.add((str(caught.value), caught.value.hint))

    used = store.links.create("alice", CANARY)
    store.links.open(used.text)
    refused(used.text)
    revoked = store.links.create("alice", CANARY)
    store.links.revoke("alice", revoked.accessor)
    refused(revoked.text)
    parsed = links.parse_link(used.text)
    refused(parsed._replace(secret=bytes(32)).text)
    refused(parsed._replace(user=bytes(16)).text)
    locked = store.links.create("alice", CANARY, passphrase="right")
    refused(locked.text, passphrase="wrong")
    expired = store.links.create("alice", CANARY, seconds=60)
    later(store, 61)
    refused(expired.text)
    assert len(told) == 1


def later(store, seconds):
    """Let time pass for the store."""
    core = store._opened.core
    real = core.clock

    class Later:
        def now_us(self):
            return real.now_us() + seconds * 1_000_000

    core.clock = core.commit._clock = Later()


def test_a_passphrase_has_bounded_tries(store):
    made = store.links.create("alice", CANARY, passphrase="right", tries=2)
    for _ in range(2):
        with pytest.raises(SecretNotFound):
            store.links.open(made.text, passphrase="wrong")
    with pytest.raises(SecretNotFound):
        store.links.open(made.text, passphrase="right")
    other = store.links.create("alice", CANARY, passphrase="right", tries=2)
    with pytest.raises(SecretNotFound):
        store.links.open(other.text, passphrase="wrong")
    assert store.links.list("alice")[0].tries == 1
    with store.links.open(other.text, passphrase="right") as found:
        assert found.text() == CANARY
    store.audit.verify()


def test_nobody_uses_a_link_up_without_having_it(store):
    """Who knows its maker's index, its accessor and other links of the maker takes no try of it."""
    made = store.links.create("alice", CANARY, passphrase="right", tries=1)
    other = links.parse_link(store.links.create("alice", "another").text)
    core = store._opened.core
    ident = links.derive(links.parse_link(made.text).secret, "guessed").ident
    near = [bytes([*ident[:at], ident[at] ^ 1, *ident[at + 1 :]]) for at in range(16)]
    guesses = [made.accessor.encode()[:16], bytes(16), *near, *(os.urandom(16) for _ in range(100))]
    for guess in guesses:
        with pytest.raises(SecretNotFound):
            asked = Asked(other.user, guess, os.urandom(32))
            core.commit.run_sync(Links(core).open(store._caller, asked))
    tries = {info.accessor: info.tries for info in store.links.list("alice")}
    assert tries[made.accessor] == 1
    with store.links.open(made.text, passphrase="right") as found:
        assert found.text() == CANARY


def test_the_store_keeps_nothing_that_opens_a_link(place):
    with place.open() as store:
        made = store.links.create("alice", CANARY)
        core = store._opened.core
        parsed = links.parse_link(made.text)
        keys = links.link_keys(parsed, None)
        index = core.ring.user_index("alice")
        # What the store itself can read of its own with every key it has:
        run = core.commit.run_sync
        box = run(Links(core).open(Caller("x"), Asked(index, keys.ident, keys.proof)))
        assert CANARY.encode() not in box
        made = store.links.create("alice", CANARY, note="a-note")
        parsed = links.parse_link(made.text)
    kept = b"".join(file.read_bytes() for file in place.folder.glob("store.db*"))
    derived = links.link_keys(parsed, None)
    secret = (parsed.secret, derived.ident, derived.proof, derived.key.reveal())
    names = (CANARY.encode(), b"a-note", made.accessor.encode(), derived.ident.hex().encode())
    for told in (*secret, *names):
        assert told not in kept


def test_fifty_threads_open_a_link_once(store):
    for _ in range(5):
        made = store.links.create("alice", CANARY)
        start, opened, refused = threading.Barrier(50), [], []

        def attempt(text=made.text, start=start, opened=opened, refused=refused):
            start.wait()
            try:
                opened.append(store.links.open(text).reveal())
            except SecretNotFound:
                refused.append(1)

        threads = [threading.Thread(target=attempt) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert opened == [CANARY.encode()]
        assert len(refused) == 49


def test_purging_its_maker_ends_a_link(store):
    made = store.links.create("alice", CANARY)
    store.purge_user("alice")
    with pytest.raises(SecretNotFound):
        store.links.open(made.text)
    store.set_secret("alice", "new", "x")
    with pytest.raises(SecretNotFound):
        store.links.open(made.text)
    store.audit.verify()


def test_a_link_that_was_put_back_is_found_by_verification(place):
    with place.open() as store:
        made = store.links.create("alice", CANARY)
    rows = place.sql("SELECT * FROM objects")
    with place.open() as store:
        store.links.open(made.text)
    with_marks = ",".join("?" * len(rows[0]))
    place.sql(*((f"INSERT OR REPLACE INTO objects VALUES ({with_marks})", row) for row in rows))
    with place.open() as store, pytest.raises(AuditError):
        store.audit.verify()


def test_every_operation_is_recorded(store):
    made = store.links.create("alice", CANARY)
    store.links.list("alice")
    store.links.open(made.text)
    with pytest.raises(SecretNotFound):
        store.links.open(made.text)
    gone = store.links.create("alice", CANARY)
    store.links.revoke("alice", gone.accessor)
    told = [
        (entry.action, entry.success)
        for entry in store.get_audit_log("alice", limit=20)
        if entry.action.startswith("link.")
    ]
    assert told[::-1] == [
        ("link.create", True), ("link.list", True), ("link.open", True), ("link.open", False),
        ("link.create", True), ("link.revoke", True),
    ]  # fmt: skip
    assert all(
        made.text not in str(entry) and CANARY not in str(entry)
        for entry in store.get_audit_log("alice", limit=50)
    )


def test_keys_change_under_a_link(store):
    made = store.links.create("alice", CANARY)
    store.keys.rotate("alice")
    store.keys.rewrap("alice", deep=True)
    store.keys.rotate(master=True)
    with store.links.open(made.text) as found:
        assert found.text() == CANARY
    store.audit.verify()


def test_what_has_ended_is_removed(store):
    made = store.links.create("alice", CANARY, seconds=60)
    kept = store.links.create("alice", CANARY, seconds=600)
    later(store, 61)
    core = store._opened.core
    from adyton.service.access.gate import Gate

    spaces = Spaces(core)
    tidy = Tidy(core, spaces, Tokens(core, Gate(core, spaces)))
    assert core.commit.run_sync(tidy.run(store._caller)) == 1
    assert [info.accessor for info in store.links.list("alice")] == [kept.accessor]
    with pytest.raises(SecretNotFound):
        store.links.revoke("alice", made.accessor)
    store.audit.verify()


def test_bounds(store, monkeypatch):
    monkeypatch.setattr("adyton.service.links.MAX_LINKS", 2)
    for wrong in (
        {"seconds": 0}, {"seconds": 31 * 86_400}, {"tries": 0}, {"tries": 11},
        {"note": "x" * 201}, {"passphrase": ""}, {"passphrase": "x" * 1_025},
    ):  # fmt: skip
        with pytest.raises(InvalidInput):
            store.links.create("alice", CANARY, **wrong)
    with pytest.raises(InvalidInput):
        store.links.create("alice", b"x" * (1024 * 1024 + 1))
    for _ in range(2):
        store.links.create("alice", CANARY)
    with pytest.raises(LimitExceeded):
        store.links.create("alice", CANARY)
    assert store.links.create("bob", CANARY).expires_at > dt.datetime.now(dt.UTC)


def test_a_bound_caller_makes_and_sees_its_own_alone(store):
    made = store.links.create("alice", CANARY)
    bob = store.acting_as(Caller("bob", user="bob"))
    with pytest.raises(SecretNotFound):
        bob.links.create("alice", CANARY)
    with pytest.raises(SecretNotFound):
        bob.links.list("alice")
    with pytest.raises(SecretNotFound):
        bob.links.revoke("alice", made.accessor)
    with bob.links.open(made.text) as found:  # who has it may open it
        assert found.text() == CANARY


def test_without_blocking_the_loop(place):
    async def scenario():
        store = await AsyncSecretStore.open(str(place.path), root=place.root, create=True)
        async with store:
            made = await store.links.create("alice", CANARY, passphrase="p")
            with await store.links.open(made.text, passphrase="p") as found:
                assert found.text() == CANARY

    asyncio.run(scenario())


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120))
def test_any_text_is_a_link_or_a_clear_refusal(text):
    try:
        parsed = links.parse_link(text)
    except InvalidInput:
        return
    assert links.parse_link(parsed.text) == parsed


def hkdf(material, info, size=32):
    extracted = hmac.new(bytes(32), material, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()[:size]


@pytest.mark.parametrize("vector", VECTORS["links"], ids=lambda one: one["name"])
def test_vectors_by_a_second_reader(vector):
    """From the text and the box to the value by hashlib and PyCryptodome, and by our own code."""
    link = links.parse_link(vector["link"])
    material = link.secret
    if vector["passphrase"] is not None:
        material += Argon2id(
            salt=hkdf(link.secret, b"adyton/v1/link-salt", 16), length=32, iterations=3, lanes=4,
            memory_cost=65536,
        ).derive(vector["passphrase"].encode())  # fmt: skip
    ident, proof = (
        hkdf(link.secret, b"adyton/v1/link-id", 16),
        hkdf(material, b"adyton/v1/link-proof"),
    )
    assert (ident.hex(), proof.hex()) == (vector["id"], vector["proof"])
    box = bytes.fromhex(vector["box"])
    cipher = AES.new(hkdf(material, b"adyton/v1/link-key"), AES.MODE_GCM, nonce=box[1:13])
    for part in (b"adyton/v1/link", ident):
        cipher.update(struct.pack(">I", len(part)) + part)
    plain = cipher.decrypt_and_verify(box[13:-16], box[-16:])
    size = int.from_bytes(plain[:2], "big")
    assert plain[2 : 2 + size].decode() == vector["content_type"]
    assert plain[2 + size :].hex() == vector["value"]
    keys = links.link_keys(link, vector["passphrase"])
    value, kind = links.open_link(keys, box)
    assert (keys.ident, keys.proof, value.reveal().hex(), kind) == (
        ident, proof, vector["value"], vector["content_type"],
    )  # fmt: skip


def test_refusals_take_the_same_work(store):
    """By processor time, in turns; an index of nobody's, which writes nothing, shows as less."""
    core = store._opened.core
    run, door, index = core.commit.run_sync, Links(core), core.ring.user_index("alice")
    times = {"unknown": [], "wrong": [], "used": [], "nobody": []}
    for _ in range(25):
        keys = [
            links.link_keys(
                links.parse_link(store.links.create("alice", CANARY, tries=10).text), None
            )
            for _ in range(2)
        ]
        run(door.open(store._caller, Asked(index, keys[0].ident, keys[0].proof)))
        asked = {
            "unknown": Asked(index, os.urandom(16), bytes(32)),
            "wrong": Asked(index, keys[1].ident, bytes(32)),
            "used": Asked(index, keys[0].ident, keys[0].proof),
            "nobody": Asked(os.urandom(16), os.urandom(16), bytes(32)),
        }
        for _ in range(8):
            for kind, one in asked.items():
                start = time.process_time()
                with pytest.raises(SecretNotFound):
                    run(door.open(store._caller, one))
                times[kind].append(time.process_time() - start)
    middle = {kind: statistics.median(found) for kind, found in times.items()}
    for kind in ("wrong", "used"):
        assert 0.75 < middle[kind] / middle["unknown"] < 1.33, middle
    assert middle["nobody"] / middle["unknown"] < 0.75, middle


RECORDS = json.loads(
    (Path(__file__).resolve().parents[2] / "vectors/links/records.json").read_text("utf-8")
)["records"]


@pytest.mark.parametrize("record", RECORDS, ids=[one["name"] for one in RECORDS])
def test_records_are_those_of_the_vectors(record):
    """Also of links that were made before they named a secret."""
    value = record["value"] | {"proof_hash": bytes.fromhex(record["value"]["proof_hash"])}
    body = bytes.fromhex(record["body"])
    assert body_of(record["id"], Link(**value)) == body
    _, ident, read = msgspec.msgpack.decode(body, type=tuple[int, str, Link])
    assert (ident, read) == (record["id"], Link(**value))
    assert read.secret == record["value"].get("secret", "")


def test_a_link_of_before_opens_and_names_no_secret(store):
    made = store.links.create("alice", CANARY)
    assert store.links.list("alice")[0].secret == ""
    with store.links.open(made.text) as found:
        assert found.text() == CANARY


def test_a_link_says_of_which_secret_it_is(place):
    """Sealed, as all of it: a thief of the database finds no name."""
    with place.open() as opened:
        opened.set_secret("alice", "folder/own-name", "x")
        made = opened.links.create("alice", "x", secret="folder/own-name")
        assert opened.links.list("alice")[0].secret == "folder/own-name"
        for wrong in ("a//b", "x" * 600, "../x", "a\n"):
            with pytest.raises(InvalidInput):
                opened.links.create("alice", "x", secret=wrong)
        opened.links.create("alice", "x", secret="not/there")  # not told either
        opened.keys.rewrap("alice", deep=True)
        assert "folder/own-name" in {info.secret for info in opened.links.list("alice")}
        with opened.links.open(made.text) as found:
            assert found.text() == "x"
        assert {info.secret for info in opened.links.list("alice")} == {"not/there"}
        opened.audit.verify()
    for file in place.folder.iterdir():
        assert b"own-name" not in file.read_bytes()
