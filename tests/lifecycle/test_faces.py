"""Over HTTP, by both clients and the command line: the same rules, the same refusals."""

import asyncio
import datetime as dt
import json
import secrets as randomness
import time

import hvac
import pytest

from adyton import AsyncClient, Client
from adyton.errors import AccessDenied, InvalidInput, LegalHold, SecretNotFound
from lifecycles import DAY
from natives import call, kind, user_with
from servers import TOKEN, Server
from shell import Shell


@pytest.fixture(scope="module")
def server():
    env = {"ADYTON_LIFECYCLE_RETENTION_MAX_DAYS": "200"}
    found = Server("serve", "--dev", "--dev-root-token-id", TOKEN, env=env)
    yield found
    code, _, err = found.stop()
    assert code == 0, err


@pytest.fixture
def client(server):
    with Client(server.addr, server.token) as found:
        yield found


@pytest.fixture
def user():
    return "u" + randomness.token_hex(4)


def later(seconds):
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)


def test_a_hold_by_a_client(client, user):
    """Placed, listed, obeyed by the native API, released."""
    client.set_secret(user, "case/a", "v")
    hold = client.holds.add(user, "case 4711", where="case/")
    assert client.holds.list(user) == [hold]
    assert (hold.where, hold.operator) == ("case/", False)
    for attempt in (
        lambda: client.delete_secret(user, "case/a"),
        lambda: client.destroy_secret(user, "case/a"),
        lambda: client.purge_user(user),
        lambda: client.import_secrets(
            user, b'{"case/a": "w"}', format="json", on_conflict="replace"
        ),
    ):
        with pytest.raises(LegalHold, match="legal hold"):
            attempt()
    with pytest.raises(SecretNotFound):
        client.holds.release(user, "0" * 24)
    client.holds.release(user, hold.id)
    client.delete_secret(user, "case/a")


def test_the_operators_holds_are_the_operators(server, client):
    """A user's own token with every right at home can't release it, nor place one of them."""
    user, token = user_with(server, 'path "*" { capabilities = ["list", "update", "delete"] }')
    hold = client.holds.add(user, "court order", operator=True)
    assert hold.operator
    with Client(server.addr, token) as own:
        assert own.holds.list(user) == [hold]
        for attempt in (
            lambda: own.holds.release(user, hold.id),
            lambda: own.holds.release(user, hold.id, operator=True),
            lambda: own.holds.add(user, "r", operator=True),
        ):
            with pytest.raises(AccessDenied):
                attempt()
        mine = own.holds.add(user, "mine")
    client.holds.release(user, mine.id, operator=True)
    client.holds.release(user, hold.id, operator=True)
    assert client.holds.list(user) == []


def test_the_vault_api_obeys_holds(server, client):
    """Delete, destroy, metadata delete and unmount are refused and change nothing."""
    path = "k" + randomness.token_hex(4)
    vault = server.hvac()
    vault.sys.enable_secrets_engine("kv", path=path, options={"version": "2"})
    kv = vault.secrets.kv.v2
    for value in ("one", "two"):
        kv.create_or_update_secret("a", {"v": value}, mount_point=path)
    [name] = [
        meta.name for meta in client.list_secrets("root") if meta.name.startswith(f".mounts/{path}")
    ] or [meta.name for meta in client.list_secrets("root") if meta.name.endswith("/a")][-1:]
    hold = client.holds.add("root", "case", where=name)
    before = kv.read_secret_metadata("a", mount_point=path)["data"]["versions"]
    for attempt in (
        lambda: kv.delete_latest_version_of_secret("a", mount_point=path),
        lambda: kv.delete_secret_versions("a", [1], mount_point=path),
        lambda: kv.destroy_secret_versions("a", [1], mount_point=path),
        lambda: kv.delete_metadata_and_all_versions("a", mount_point=path),
        lambda: vault.sys.disable_secrets_engine(path),
    ):
        with pytest.raises(hvac.exceptions.VaultError, match="legal hold"):
            attempt()
    kv.update_metadata("a", max_versions=1, mount_point=path)
    kv.create_or_update_secret("a", {"v": "three"}, mount_point=path)
    after = kv.read_secret_metadata("a", mount_point=path)["data"]["versions"]
    assert {number: after[number] for number in before} == before
    found = kv.read_secret_version("a", version=1, mount_point=path, raise_on_deleted_version=True)
    assert found["data"]["data"] == {"v": "one"}
    client.holds.release("root", hold.id)
    vault.sys.disable_secrets_engine(path)
    with pytest.raises(SecretNotFound):
        client.get_secret_metadata("root", name)


def test_what_has_expired_over_http(server, client, user):
    """404 as for what never was, by both APIs, also where the path was read a moment ago."""
    token = user_with(server, 'path "*" { capabilities = ["read", "create", "update"] }')
    user, token = token
    space = {"X-Vault-Namespace": user}
    status, _, _ = server.raw(
        "POST", "/v1/secret/data/e", {"data": {"a": 1}}, token=token, headers=space
    )
    assert status == 200
    client.update_secret_metadata(user, "e", expires_at=later(1.0))
    deadline = time.monotonic() + 20
    while True:
        status, _, found = server.raw("GET", "/v1/secret/data/e", token=token, headers=space)
        if status == 404 or time.monotonic() > deadline:
            break
        assert found["data"]["data"] == {"a": 1}
        time.sleep(0.1)
    assert (status, found) == (404, {"errors": []})
    status, _, found = call(server, "GET", f"users/{user}/secrets/e")
    assert (status, kind(found)) == (404, "secret-not-found")
    assert client.get_secrets(user, ["e"]) == {}
    [ended] = client.lifecycle.expiring(user, within=0)
    assert (ended.name, ended.expired) == ("e", True)
    client.update_secret_metadata(user, "e", expires_at=None)
    status, _, found = server.raw("GET", "/v1/secret/data/e", token=token, headers=space)
    assert found["data"]["data"] == {"a": 1}


def test_rules_by_a_client(client, user):
    life = client.lifecycle
    rules = life.set_notice(user, [DAY, 9 * DAY], where="db/")
    assert rules.notice == {"db/": (9 * DAY, DAY)}
    assert life.set_retention(user, 100 * DAY).own_retention == 100 * DAY
    for bad in (0, 201 * DAY):
        with pytest.raises(InvalidInput):
            life.set_retention(user, bad)
    assert life.set_notice(user, None, where="db/").notice == {}
    assert life.get(user).retention == 100 * DAY
    client.set_secret(user, "a", "v", expires_at=later(DAY))
    client.set_secret(user, "b", "v", expires_at=later(50 * DAY))
    assert [each.name for each in life.expiring(user)] == ["a"]
    assert [each.name for each in life.expiring(user, within=60 * DAY)] == ["a", "b"]
    assert life.run_due().failed == 0


def test_the_asynchronous_client(server, user):
    async def work():
        async with AsyncClient(server.addr, server.token) as client:
            await client.set_secret(user, "a", "v", expires_at=later(DAY))
            hold = await client.holds.add(user, "r", where="a")
            with pytest.raises(LegalHold):
                await client.delete_secret(user, "a")
            assert await client.holds.list(user) == [hold]
            await client.holds.release(user, hold.id)
            assert [each.name for each in await client.lifecycle.expiring(user)] == ["a"]
            return await client.lifecycle.set_retention(user, DAY)

    assert asyncio.run(work()).retention == DAY


def test_a_token_sees_what_it_may_list(server, client):
    """Of what ends: the folders that its policies let it list."""
    user, token = user_with(
        server,
        'path "adyton/expiring" { capabilities = ["list"] }\n'
        'path "adyton/secrets/open/" { capabilities = ["list"] }',
    )
    for name in ("open/a", "closed/b"):
        client.set_secret(user, name, "v", expires_at=later(DAY))
    with Client(server.addr, token) as own:
        assert [each.name for each in own.lifecycle.expiring(user)] == ["open/a"]
        with pytest.raises(AccessDenied):
            own.lifecycle.get(user)


def test_the_command_line(tmp_path):
    """Over a store that is opened here."""
    sh = Shell(tmp_path)
    sh("init")
    sh("set", "case/a", "--expires", "3d", stdin="v")
    assert b"case/a" in sh("expiring", "--within", "1w")
    made = json.loads(sh("hold", "add", "case/", "--reason", "4711", "-o", "json"))
    assert b"4711" in sh("hold", "list")
    sh("delete", "case/a", code=4)
    sh("hold", "release", made["id"])
    sh("reminder", "set", "--before", "14d,1d,0s")
    assert b"14d, 1d, 0s" in sh("reminder", "list")
    assert sh("reminders", "list") == sh("reminder", "list")  # its name of before
    sh("retention", "set", "30d")
    assert json.loads(sh("retention", "show", "-o", "json"))["retention"] == 30 * DAY
    sh("retention", "run", "--due")
    for bad in (("reminder", "set", "--before", "soon"), ("retention", "set", "0d")):
        sh(*bad, code=2)


def test_the_command_line_on_a_server(tmp_path, server):
    """The same commands over HTTP."""
    sh = Shell(tmp_path)
    del sh.env["ADYTON_STORE"], sh.env["ADYTON_ROOT"]
    sh.env |= {
        "ADYTON_ADDR": server.addr, "ADYTON_TOKEN": server.token,
        "ADYTON_USER": "c" + randomness.token_hex(4),
    }  # fmt: skip
    sh("set", "case/a", "--expires", "3d", stdin="v")
    [ends] = json.loads(sh("expiring", "-o", "json"))
    assert ends["name"] == "case/a"
    sh("hold", "add", "--reason", "4711", "--operator")
    sh("delete", "case/a", code=4)
    sh("reminder", "set", "db/", "--before", "none")
    assert json.loads(sh("reminder", "list", "-o", "json"))["notice"] == {"db/": []}


def test_a_link_ends_with_its_secret(tmp_path, server):
    """Not with the time that was asked for, where the secret ends before it."""
    sh = Shell(tmp_path)
    del sh.env["ADYTON_STORE"], sh.env["ADYTON_ROOT"]
    sh.env |= {
        "ADYTON_ADDR": server.addr, "ADYTON_TOKEN": server.token,
        "ADYTON_USER": "c" + randomness.token_hex(4),
    }  # fmt: skip
    sh("set", "ends", "--expires", "2h", stdin="v")
    sh("set", "stays", stdin="v")
    hours = {}
    for name in ("ends", "stays"):
        made = json.loads(sh("link", "create", name, "--ttl", "1d", "-o", "json"))
        left = dt.datetime.fromisoformat(made["expires_at"]) - dt.datetime.now(dt.UTC)
        hours[name] = left.total_seconds() / 3600
    assert 1.8 < hours["ends"] <= 2
    assert hours["stays"] > 23
