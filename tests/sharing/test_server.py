"""Shares of a real server: by the client, by HTTP and policies, by the command line."""

import datetime as dt
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from adyton import Client
from adyton.errors import AccessDenied, InvalidInput, SecretNotFound, VersionConflict
from natives import call, put, text, token_of
from servers import TOKEN, Server

BIN = Path(sys.executable).parent
ALL = 'path "adyton/*" { capabilities = ["create","read","update","delete","list","patch"] }'


@pytest.fixture(scope="module")
def server():
    made = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    yield made
    code, _, err = made.stop()
    assert code == 0, err


@pytest.fixture
def users(server):
    """Clients of two users, each with a token of its own."""
    tail = secrets.token_hex(4)
    names = f"alice-{tail}", f"bob-{tail}"
    clients = [Client(server.addr, token_of(server, name, ALL), user=name) for name in names]
    yield list(zip(names, clients, strict=True))
    for client in clients:
        client.close()


def test_a_share_from_offer_to_end(users):
    (alice, owner), (bob, receiver) = users
    owner.set_secrets("me", {"db/a": "one", "db/b": b"\x00\xff"})
    ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    made = owner.shares.create("me", bob, "db/", expires_at=ends)
    assert (made.owner, made.receiver, made.kind, made.answer) == (alice, bob, "folder", "offered")
    assert [info.id for info in receiver.shares.received("me")] == [made.id]
    with pytest.raises(SecretNotFound):
        receiver.shares.get("me", made.id, "db/a")
    receiver.shares.accept("me", made.id)
    assert receiver.shares.names("me", made.id) == ["db/a", "db/b"]
    with receiver.shares.get("me", made.id, "db/b") as secret:
        assert (secret.reveal(), secret.owner, secret.name) == (b"\x00\xff", alice, "db/b")
    owner.set_secret("me", "db/a", "two")
    with receiver.shares.get("me", made.id, "db/a") as secret:
        assert (secret.text(), secret.version) == ("two", 2)
    assert owner.shares.given("me")[0].answer == "accepted"
    assert owner.shares.revoke("me", made.id, rotate=True) == 3
    for attempt in (
        lambda: receiver.shares.get("me", made.id, "db/a"),
        lambda: receiver.shares.names("me", made.id),
        lambda: receiver.shares.accept("me", made.id),
    ):
        with pytest.raises(SecretNotFound):
            attempt()
    assert owner.get_secret("me", "db/a").text() == "two"


def test_one_secret_and_a_refusal(users):
    (_, owner), (bob, receiver) = users
    owner.set_secret("me", "s", "one")
    owner.set_secret("me", "s", "two")
    made = owner.shares.create("me", bob, "s", version=1)
    receiver.shares.accept("me", made.id)
    with receiver.shares.get("me", made.id) as secret:
        assert secret.text() == "one"
    receiver.shares.refuse("me", made.id)
    assert receiver.shares.received("me") == []
    assert owner.shares.given("me")[0].answer == "refused"


def test_writing_through_a_share(users):
    (_, owner), (bob, receiver) = users
    owner.set_secrets("me", {"db/a": "one", "db/b": "b"})
    made = owner.shares.create("me", bob, "db/", write=True, delete=True)
    assert (made.write, made.delete, made.reshare) == (True, True, 0)
    receiver.shares.accept("me", made.id)
    assert receiver.shares.set("me", made.id, {"k": "v"}, "db/a", cas=1) == 2
    with pytest.raises(VersionConflict):
        receiver.shares.set("me", made.id, "x", "db/a", cas=1)
    assert receiver.shares.set("me", made.id, b"\x00\xff", "db/new/one", cas=0) == 1
    assert owner.get_secret("me", "db/a").json() == {"k": "v"}
    assert owner.get_secret("me", "db/new/one").reveal() == b"\x00\xff"
    assert receiver.shares.delete("me", made.id, "db/b", cas=1) == 1
    with pytest.raises(SecretNotFound):
        owner.get_secret("me", "db/b")
    with pytest.raises(InvalidInput):
        receiver.shares.set("me", made.id, "x", "elsewhere")
    single = owner.shares.create("me", bob, "db/a", write=True)
    receiver.shares.accept("me", single.id)
    assert receiver.shares.set("me", single.id, "three") == 3
    with pytest.raises(AccessDenied):
        receiver.shares.delete("me", single.id)
    told = [(e.action, e.secret_name) for e in owner.get_audit_log("me", limit=50) if e.success]
    assert ("share.write", "db/new/one") in told
    assert ("share.delete", "db/b") in told
    told = [e.action for e in receiver.get_audit_log("me", limit=50) if e.success]
    assert told.count("share.write") == 3


def test_a_write_is_repeated_without_a_second_version(server, users):
    (_, owner), (bob, receiver) = users
    owner.set_secret("me", "s", "one")
    made = owner.shares.create("me", bob, "s", write=True)
    receiver.shares.accept("me", made.id)
    token = token_of(server, bob, ALL)
    path, body = f"users/me/shares/received/{made.id}/secret", {"value": text("two")}
    first, again = (
        call(server, "PUT", path, body, token=token, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    )
    assert first[0] == again[0] == 200
    assert first[2] == again[2] == {"version": 2}
    assert first[1]["etag"] == '"2"'
    assert call(server, "PUT", path, body, token=token, headers={"If-Match": '"1"'})[0] == 412
    assert owner.get_secret_metadata("me", "s").version == 2


def test_passing_on(server, users):
    (alice, owner), (bob, receiver) = users
    owner.set_secrets("me", {"db/a": "one", "db/b": "b"})
    made = owner.shares.create("me", bob, "db/", reshare=1, reshares=2)
    receiver.shares.accept("me", made.id)
    carol = "carol-" + secrets.token_hex(4)
    with Client(server.addr, token_of(server, carol, ALL), user=carol) as third:
        other = receiver.shares.pass_on("me", made.id, carol, "db/a")
        with pytest.raises(AccessDenied):
            receiver.shares.pass_on("me", made.id, carol, write=True)
        third.shares.accept("me", other.id)
        with third.shares.get("me", other.id) as secret:
            assert (secret.text(), secret.owner) == ("one", alice)
        assert {(i.id, i.by, i.parent) for i in owner.shares.given("me")} == {
            (made.id, "", ""), (other.id, bob, made.id),
        }  # fmt: skip
        assert [(i.id, i.answer) for i in receiver.shares.passed("me")] == [(other.id, "accepted")]
        assert third.shares.received("me")[0].by == bob
        assert receiver.shares.revoke("me", other.id) == 0
        with pytest.raises(SecretNotFound):
            third.shares.get("me", other.id)


def test_only_what_a_token_may_do_is_offered(server):
    """Who may read and not write, or write there and not here, offers no more than that."""
    user, bob = "u" + secrets.token_hex(4), "b" + secrets.token_hex(4)
    token = token_of(
        server,
        user,
        'path "adyton/shares" { capabilities = ["update"] }\n'
        'path "adyton/secrets/r/*" { capabilities = ["read"] }\n'
        'path "adyton/secrets/u/*" { capabilities = ["read", "update"] }\n'
        'path "adyton/secrets/w/*" { capabilities = ["read", "update", "create"] }\n'
        'path "adyton/secrets/d/*" { capabilities = ["read", "update", "create", "delete"] }',
    )
    for folder in "ruwd":
        put(server, f"{folder}/a", "x", user=user)

    def offered(**rights):
        return "".join(
            name[0]
            for folder in "ruwd"
            for name in (f"{folder}/a", f"{folder}/")
            if call(
                server, "POST", "users/me/shares", {"receiver": bob, "name": name, **rights},
                token=token,
            )[0] == 200
        )  # fmt: skip

    assert offered() == "rruuwwdd"
    assert offered(write=True) == "uwwdd"
    assert offered(write=True, delete=True) == "dd"


def test_only_what_a_token_may_read_is_shared(server):
    """A right to share is none to read: neither a name, nor a folder that may come to have one."""
    user, bob = "u" + secrets.token_hex(4), "b" + secrets.token_hex(4)
    token = token_of(
        server,
        user,
        'path "adyton/shares" { capabilities = ["update"] }\n'
        'path "adyton/secrets/f/*" { capabilities = ["read"] }\n'
        'path "adyton/secrets/f/secret" { capabilities = ["deny"] }',
    )
    for name in ("f/a", "g/a"):
        put(server, name, "x", user=user)

    def share(name):
        body = {"receiver": bob, "name": name}
        return call(server, "POST", "users/me/shares", body, token=token)[0]

    assert [share(name) for name in ("f/a", "g/a", "f/", "g/", "absent")] == [
        200, 404, 404, 404, 404,
    ]  # fmt: skip
    put(server, "f/secret", "x", user=user)
    assert [share(name) for name in ("f/secret", "f/", "f/a")] == [404, 404, 200]


def test_another_user_finds_nothing(server, users):
    (alice, owner), (bob, receiver) = users
    owner.set_secret("me", "s", "one")
    made = owner.shares.create("me", bob, "s")
    receiver.shares.accept("me", made.id)
    other = "carol-" + secrets.token_hex(4)
    with Client(server.addr, token_of(server, other, ALL), user=other) as carol:
        for attempt in (carol.shares.accept, carol.shares.refuse, carol.shares.get):
            with pytest.raises(SecretNotFound):
                attempt("me", made.id)
        for user in (alice, bob):
            with pytest.raises(AccessDenied):
                carol.shares.get(user, made.id)
            with pytest.raises(AccessDenied):
                carol.shares.revoke(user, made.id)


def test_by_the_command_line(server):
    tail = secrets.token_hex(4)
    alice, bob = f"a-{tail}", f"b-{tail}"
    put(server, "db/a", "by the command line", user=alice)
    env = {**os.environ, "ADYTON_ADDR": server.addr, "ADYTON_TOKEN": server.token}

    def adyton(user, *arguments, value=b""):
        command = [BIN / "adyton", "--user", user, "-o", "json", "share", *arguments]
        done = subprocess.run(command, env=env, input=value, capture_output=True, check=False)
        return done.returncode, done.stdout

    code, out = adyton(alice, "create", "db/", "--with", bob, "--expires", "1d")
    assert code == 0
    found = json.loads(out)["id"]
    assert adyton(bob, "get", found, "db/a")[0] == 3
    assert adyton(bob, "accept", found)[0] == 0
    assert adyton(bob, "get", found, "db/a") == (0, b"by the command line")
    assert json.loads(adyton(bob, "names", found)[1]) == ["db/a"]
    assert json.loads(adyton(bob, "list")[1])[0]["owner"] == alice
    assert json.loads(adyton(alice, "list", "--given")[1])[0]["answer"] == "accepted"
    assert json.loads(adyton(alice, "revoke", found, "--rotate")[1]) == {"reencrypted": 1}
    assert adyton(bob, "get", found, "db/a")[0] == 3

    offer = ("--with", bob, "--write", "--delete", "--reshare", "1", "--reshares", "3")
    found = json.loads(adyton(alice, "create", "db/", *offer)[1])["id"]
    assert adyton(bob, "accept", found)[0] == 0
    code, out = adyton(bob, "set", found, "db/new", "--cas", "0", value=b"by bob\n")
    assert (code, json.loads(out)) == (0, {"version": 1})
    assert adyton(bob, "set", found, "db/new", "--cas", "0", value=b"x")[0] != 0
    assert adyton(bob, "get", found, "db/new") == (0, b"by bob")
    assert json.loads(adyton(bob, "delete", found, "db/new", "--cas", "1")[1]) == {"version": 1}
    carol = f"c-{tail}"
    other = json.loads(adyton(bob, "pass", found, "db/a", "--with", carol)[1])["id"]
    assert adyton(carol, "accept", other)[0] == 0
    assert adyton(carol, "get", other) == (0, b"by the command line")
    (passed,) = json.loads(adyton(bob, "list", "--passed")[1])
    assert (passed["receiver"], passed["parent"], passed["answer"]) == (carol, found, "accepted")
    assert adyton(bob, "revoke", other)[0] == 0
    assert adyton(carol, "get", other)[0] == 3
