"""Notices and webhooks through the native API, both clients and the command line."""

import asyncio
import time

import pytest

from adyton import AsyncClient, Client
from adyton.crypto import webhooks as signing
from adyton.errors import AccessDenied, InvalidInput, RotationError, SecretNotFound
from adyton.rotationpolicy import RotationPolicy
from hookreceiver import Receiver
from natives import user_with
from servers import TOKEN, Server
from shell import Remote, Shell

WAIT = 20


@pytest.fixture(scope="module")
def server():
    env = {"ADYTON_NOTICES_NETWORKS": "127.0.0.1/32", "ADYTON_NOTICES_RETRY_SECONDS": "0.2"}
    found = Server("serve", "--dev", "--dev-root-token-id", TOKEN, env=env)
    yield found
    code, _, err = found.stop()
    assert code == 0, err


@pytest.fixture
def client(server):
    with Client(server.addr, server.token) as found:
        yield found


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def test_the_server_delivers_by_itself(client, receiver):
    """A rotation over HTTP has its notice at the receiver, after failures as well."""
    receiver.answers = [500, "drop"]
    made = client.webhooks.add("web", receiver.url, kinds=["rotation"], note="of tests")
    client.rotation.set_policy("web", "s", RotationPolicy(grace=0))
    client.rotation.run("web", "s")
    receiver.wait_for(lambda it: len(it.got) == 3)
    (notice,) = client.notices.list("web")
    assert (notice.kind, notice.subject) == ("rotation.succeeded", "s")
    assert receiver.ids == [notice.id] * 3
    got = receiver.got[-1]
    assert signing.verifies(
        [signing.secret_key(made.secret)], got.id, int(got.headers["webhook-timestamp"]),
        got.body, got.headers["webhook-signature"],
    )  # fmt: skip
    end = time.monotonic() + WAIT
    while client.webhooks.get("web", made.webhook.id).delivered < 1:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert client.webhooks.list("web")[0].note == "of tests"
    assert client.notices.acknowledge("web", [notice.id]) == 1
    assert client.notices.list("web", fresh=True) == []
    assert client.notices.get("web", notice.id).acknowledged_at is not None


def test_errors_are_the_librarys(client, receiver):
    """Of both clients: absent, wrong; the test's answer comes back."""
    for call in (client.webhooks.get, client.webhooks.test, client.webhooks.rotate,
                 client.webhooks.remove, client.notices.get):  # fmt: skip
        for ident in ("whk_none", "msg_000000000001_0123456789abcdef", "x" * 99, ""):
            with pytest.raises(SecretNotFound):
                call("errors", ident)
    with pytest.raises(InvalidInput):
        client.webhooks.add("errors", "nonsense")
    with pytest.raises(InvalidInput):
        client.notices.list("errors", limit=100_000)
    made = client.webhooks.add("errors", receiver.url)
    assert client.webhooks.test("errors", made.webhook.id) == (True, 204, "")
    turned = client.webhooks.rotate("errors", made.webhook.id, overlap=60)
    assert turned.secret != made.secret

    async def same():
        async with AsyncClient(client.address, TOKEN) as other:
            assert (await other.notices.deliver()).failed == 0
            return await other.webhooks.list("errors")

    assert asyncio.run(same()) == client.webhooks.list("errors")
    client.webhooks.remove("errors", made.webhook.id)
    assert client.webhooks.list("errors") == []


def test_users_reach_their_own_alone(server, client, receiver):
    """One's webhook and notices are absent for the other, whatever rights it has at home."""
    policy = 'path "*" { capabilities = ["read", "list", "update", "delete"] }'
    (alice, alices), (bob, bobs) = user_with(server, policy), user_with(server, policy)
    with (
        Client(server.addr, alices, user=alice) as a,
        Client(server.addr, bobs, user=bob) as b,
    ):
        hook = a.webhooks.add(alice, receiver.url).webhook.id
        for owner in (alice, bob):
            with pytest.raises((AccessDenied, SecretNotFound)):
                b.webhooks.get(owner, hook)
            with pytest.raises((AccessDenied, SecretNotFound)):
                b.webhooks.test(owner, hook)
        assert b.webhooks.list(bob) == []
        with pytest.raises(AccessDenied):
            b.webhooks.list(alice)
        with pytest.raises(AccessDenied):
            b.notices.deliver()
    assert receiver.got == []


def test_a_server_reaches_into_no_network_that_it_was_not_allowed(tmp_path, receiver):
    """By default loopback is refused, in words that don't tell what is there."""
    with Client((found := Server("serve", "--dev", "--dev-root-token-id", TOKEN)).addr, TOKEN) as c:
        try:
            with pytest.raises(InvalidInput):
                c.webhooks.add("u", receiver.url)
            secure = receiver.url.replace("http:", "https:")
            with pytest.raises(InvalidInput, match="not one of the internet"):
                c.webhooks.add("u", secure)
            hook = c.webhooks.add("u", secure.replace("127.0.0.1", "localhost")).webhook.id
            answer = c.webhooks.test("u", hook)
            assert (answer.delivered, answer.status) == (False, 0)
            assert answer.error == "the host is not one of the internet"
        finally:
            found.stop()
    assert receiver.got == []


def commands(sh, receiver):
    """What both faces of the command line do."""
    made = sh.json("webhook", "add", receiver.url, "--kind", "rotation", "--note", "pager")
    ident, secret = made["webhook"]["id"], made["secret"]
    assert secret.startswith("whsec_")
    assert b"pager" in sh("webhook", "list")
    assert receiver.url.encode() in sh("webhook", "show", ident).replace(b"\n", b"")
    sh("webhook", "test", ident)
    assert receiver.got[-1].document["type"] == "test"
    receiver.usual = 500
    sh("webhook", "test", ident, code=9)
    assert "it answers with 500" in sh.error
    receiver.usual = 200
    out = sh.folder / "secret"
    sh("webhook", "rotate", ident, "--overlap", "60", "--out", str(out))
    assert out.read_text().strip().startswith("whsec_")
    assert out.stat().st_mode & 0o777 == 0o600
    sh("rotation", "set", "api/token", "--grace", "0s")
    sh("rotation", "run", "api/token")
    assert sh.json("notice", "deliver")["failed"] == 0
    receiver.wait_for(lambda it: it.got[-1].document["type"] == "rotation.succeeded")
    (notice,) = sh.json("notice", "list", "--kind", "rotation", "--fresh")
    assert notice["subject"] == "api/token"
    assert notice["id"].encode() in sh("notice", "list")
    assert b"rotation.succeeded" in sh("notice", "show", notice["id"])
    sh("notice", "ack", notice["id"])
    assert sh.json("notice", "ack", "--all") == {"acknowledged": 0}
    assert sh.json("notice", "list", "--fresh") == []
    sh("notice", "ack", code=2)
    sh("notice", "show", "msg_none", code=3)
    sh("webhook", "add", "nonsense", code=2)
    sh("webhook", "remove", ident)
    sh("webhook", "show", ident, code=3)


def test_the_command_line_on_a_store(tmp_path, receiver):
    """Commands with tables and JSON; exit codes for what is absent, wrong or not taken."""
    sh = Shell(tmp_path)
    sh.env["ADYTON_NOTICES_NETWORKS"] = "127.0.0.1/32"
    sh("init")
    commands(sh, receiver)


def test_the_command_line_on_a_server(tmp_path, receiver, monkeypatch):
    """The same commands, the same answers."""
    monkeypatch.setenv("ADYTON_NOTICES_NETWORKS", "127.0.0.1/32")
    sh = Remote(tmp_path)
    try:
        commands(sh, receiver)
    finally:
        code, _, err = sh.server.stop()
        assert code == 0, err


def test_failing_rotations_are_told_over_http(client):
    """What fails by hand is in the list too."""
    policy = RotationPolicy(rotator="webhook", admin="admin", settings={"url": "https://x.test"})
    client.rotation.set_policy("fails", "s", policy)
    client.set_secret("fails", "admin", "key")
    with pytest.raises(RotationError):
        client.rotation.run("fails", "s")
    (notice,) = client.notices.list("fails")
    assert (notice.kind, notice.details["step"]) == ("rotation.failing", "create")
