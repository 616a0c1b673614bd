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
from adyton.errors import AccessDenied, SecretNotFound
from natives import call, put, token_of
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


def test_only_what_a_token_may_read_is_shared(server):
    """A right to share is none to read: neither a name nor a folder with one that is forbidden."""
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
        200, 404, 200, 404, 404,
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

    def adyton(user, *arguments):
        command = [BIN / "adyton", "--user", user, "-o", "json", "share", *arguments]
        done = subprocess.run(command, env=env, capture_output=True, check=False)
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
