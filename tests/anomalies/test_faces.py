"""Alerts through the native API, both clients and the command line."""

import asyncio
import datetime as dt

import pytest

from adyton import AsyncClient, Client
from adyton.errors import AccessDenied, InvalidInput, SecretNotFound
from hookreceiver import Receiver
from natives import token_of, user_with
from servers import TOKEN, Server
from shell import Remote, Shell

EVERY = 'path "*" { capabilities = ["read", "list", "update", "delete", "create"] }'


@pytest.fixture(scope="module")
def server():
    env = {"ADYTON_ALERTS_LEARN_DAYS": "0", "ADYTON_NOTICES_NETWORKS": "127.0.0.1/32"}
    found = Server("serve", "--dev", "--dev-root-token-id", TOKEN, env=env)
    yield found
    code, _, err = found.stop()
    assert code == 0, err


@pytest.fixture
def client(server):
    with Client(server.addr, server.token) as found:
        yield found


def reads(client, user, times):
    for _ in range(times):
        client.get_secret(user, "db").wipe()


def test_an_unusual_read_over_http_comes_to_the_receiver(server, client):
    """A token of somebody new reads what one has read for long: an alert, posted and signed."""
    receiver = Receiver()
    try:
        client.set_secret("web", "db", "a value")
        client.webhooks.add("web", receiver.url, kinds=["anomaly.new-actor"])
        reads(client, "web", 25)
        assert client.alerts.scan("web") == (25, 0)
        with Client(server.addr, token_of(server, "web", EVERY), user="web") as other:
            reads(other, "web", 2)
        assert client.alerts.scan("web") == (2, 1)
        receiver.wait_for(lambda it: it.got)
    finally:
        receiver.close()
    document = receiver.got[0].document
    assert document["type"] == "anomaly.new-actor"
    assert document["data"]["subject"] == "db"
    assert document["data"]["details"]["actor"].startswith("auth/userpass")
    assert document["data"]["details"]["address"] == "127.0.0.1"
    (notice,) = client.notices.list("web", kinds=["anomaly"])
    assert notice.id == receiver.got[0].id
    record = next(
        e for e in client.get_audit_log("web") if e.index == int(notice.details["record"])
    )
    assert record.secret_name == "db"


def test_a_tokens_renewal_makes_nobody_new(server, client):
    """Who logs in again reads by another token, and is the same."""
    client.set_secret("again", "db", "a value")
    for _ in range(3):
        with Client(server.addr, token_of(server, "again", EVERY), user="again") as other:
            reads(other, "again", 9)
    assert client.alerts.scan("again") == (27, 0)
    assert client.alerts.settings("again").actors == 1


def test_settings_and_errors_are_the_librarys(client):
    """Of both clients: sensitivity, mutes, what is refused."""
    alerts = client.alerts
    assert alerts.settings("s") == ("medium", False, 0, 0, None, [])
    alerts.set_sensitivity("s", "high")
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    mute = alerts.mute("s", rule="burst", actor="auth/x", until=until, note="known")
    assert (mute.rule, mute.actor, mute.note) == ("burst", "auth/x", "known")
    for bad in ({}, {"rule": "x"}, {"rule": "burst", "until": until - dt.timedelta(days=2)},
                {"rule": "burst", "until": dt.datetime(2040, 1, 1)}):  # fmt: skip # noqa: DTZ001 - none
        with pytest.raises(InvalidInput):
            alerts.mute("s", **bad)
    with pytest.raises(InvalidInput):
        alerts.set_sensitivity("s", "x")
    for ident in ("mute_none", "", "x" * 99):
        with pytest.raises(SecretNotFound):
            alerts.unmute("s", ident)

    async def same():
        async with AsyncClient(client.address, TOKEN) as other:
            return await other.alerts.settings("s")

    assert asyncio.run(same()) == alerts.settings("s")
    alerts.unmute("s", mute.id)
    assert alerts.settings("s")[:2] == ("high", True)
    assert alerts.settings("s").mutes == []


def test_users_reach_their_own_alone(server, client):
    """Another's alerts and settings are refused, whatever one may at home."""
    user, token = user_with(server, EVERY)
    with Client(server.addr, token, user=user) as bound:
        assert bound.alerts.scan(user).alerts == 0
        for call in (
            lambda: bound.alerts.settings("web"),
            lambda: bound.alerts.scan("web"),
            lambda: bound.alerts.set_sensitivity("web", "off"),
            lambda: bound.alerts.mute("web", rule="burst"),
        ):
            with pytest.raises(AccessDenied):
                call()


def commands(sh):
    """What both faces of the command line do."""
    sh("set", "db", stdin="a value")
    for _ in range(3):
        sh("get", "db")
    assert sh.json("alert", "scan")["alerts"] == 0
    assert sh.json("alert", "list") == []
    made = sh.json("alert", "mute", "--rule", "burst", "--secret", "db/", "--until", "30d",
                   "--note", "load test")  # fmt: skip
    assert b"load test" in sh("alert", "settings")
    found = sh.json("alert", "settings", "--sensitivity", "low")
    assert (found["sensitivity"], found["secrets"], found["mutes"][0]["rule"]) == (
        "low", 1, "burst",
    )  # fmt: skip
    sh("alert", "settings", "--sensitivity", "default")
    sh("alert", "settings", "--sensitivity", "x", code=2)
    sh("alert", "unmute", made["id"])
    sh("alert", "unmute", made["id"], code=3)
    sh("alert", "mute", code=2)
    sh("alert", "show", "msg_none", code=3)
    sh("alert", "ack", code=2)
    assert sh.json("alert", "ack", "--all") == {"acknowledged": 0}
    sh("rotation", "set", "api/token", "--grace", "0s")
    sh("rotation", "run", "api/token")
    (notice,) = sh.json("notice", "list")
    sh("alert", "show", notice["id"], code=3)  # a notice, and no alert


def test_the_command_line_on_a_store(tmp_path):
    """Commands with tables and JSON; exit codes for what is absent or wrong."""
    sh = Shell(tmp_path)
    sh("init")
    commands(sh)


def test_the_command_line_on_a_server(tmp_path):
    """The same commands, the same answers."""
    sh = Remote(tmp_path)
    try:
        commands(sh)
    finally:
        code, _, err = sh.server.stop()
        assert code == 0, err
