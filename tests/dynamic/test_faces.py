"""Dynamic credentials through the native API, both clients and the command line."""

import asyncio
import json
import time

import pytest

import databases
from adyton import AsyncClient, Client
from adyton.dynamicvalues import Connection, DynamicRole
from adyton.errors import AccessDenied, InvalidInput, LeaseError, SecretNotFound
from leasing import configure, lets_in, roles_in, settings
from natives import user_with
from servers import TOKEN, Server
from shell import Remote, Shell


@pytest.fixture(scope="module")
def server(postgres):
    env = {"ADYTON_ROTATION_TARGETS": f"127.0.0.1:{postgres.port}"}
    found = Server("serve", "--dev", "--dev-root-token-id", TOKEN, env=env)
    yield found
    code, _, err = found.stop()
    assert code == 0, err


@pytest.fixture
def client(server):
    with Client(server.addr, server.token) as found:
        yield found


def test_the_server_revokes_by_itself_what_a_client_asked_for(client, postgres):
    """Credentials of a second let in, and are gone soon after their end."""
    configure(client, postgres, "web")
    assert client.dynamic.roles("web") == {"app": DynamicRole(connection="db")}
    assert client.dynamic.get_role("web", "app") == DynamicRole(connection="db")
    where = Connection(settings=settings(postgres), admin="admin")
    assert client.dynamic.connections("web") == {"db": where}
    assert client.dynamic.get_connection("web", "db") == where
    with client.dynamic.issue("web", "app", ttl=2) as made:
        assert lets_in(postgres, made.username, made.password.text())
    assert client.dynamic.lease("web", made.lease.id) == made.lease
    assert client.dynamic.leases("web", "app") == [made.lease]
    end = time.monotonic() + 40
    while made.username in roles_in(postgres):
        assert time.monotonic() < end, client.dynamic.leases("web")
        time.sleep(0.1)
    actors = {e.actor for e in client.get_audit_log("web", action="lease.revoke")}
    assert actors == {"adyton:leases"}


def test_renewing_and_revoking(client, postgres):
    """By their ids, by role, and all; both clients say the same."""
    configure(client, postgres, "many")
    made = []
    for _ in range(3):
        with client.dynamic.issue("many", "app") as each:
            made.append(each.lease)
    assert client.dynamic.renew("many", made[0].id, ttl=7200).expires_at > made[0].expires_at
    client.dynamic.revoke("many", made[0].id)

    async def same():
        async with AsyncClient(client.address, TOKEN) as other:
            return await other.dynamic.leases("many")

    assert asyncio.run(same()) == client.dynamic.leases("many") == made[1:]
    assert client.dynamic.revoke_all("many", "other") == (0, 0)
    assert client.dynamic.revoke_all("many", "app") == (2, 0)
    client.dynamic.remove_role("many", "app")
    client.dynamic.remove_connection("many", "db")
    assert client.dynamic.roles("many") == client.dynamic.connections("many") == {}


def test_errors_are_the_librarys(client, postgres):
    """Absent, wrong, a place that the operator did not name, an admin who is not let in."""
    dynamic = client.dynamic
    for call in (
        lambda: dynamic.issue("errors", "x"), lambda: dynamic.renew("errors", "x/y"),
        lambda: dynamic.revoke("errors", "x/y"), lambda: dynamic.lease("errors", "x/y"),
        lambda: dynamic.get_role("errors", "x"), lambda: dynamic.get_connection("errors", "x"),
        lambda: dynamic.remove_role("errors", "x"),
        lambda: dynamic.remove_connection("errors", "x"),
    ):  # fmt: skip
        with pytest.raises(SecretNotFound):
            call()
    client.set_secret("errors", "admin", {"username": databases.ADMIN, "password": "wrong"})
    where = Connection(settings=settings(postgres), admin="admin")
    with pytest.raises(LeaseError, match="refuses the login"):
        dynamic.set_connection("errors", "db", where, verify=True)
    assert dynamic.connections("errors") == {}
    far = Connection(settings=settings(postgres) | {"port": "1"}, admin="admin")
    with pytest.raises(LeaseError, match="may not connect"):
        dynamic.set_connection("errors", "db", far, verify=True)
    dynamic.set_connection("errors", "db", far)
    dynamic.set_role("errors", "app", DynamicRole(connection="db"))
    with pytest.raises(LeaseError, match="may not connect"):
        dynamic.issue("errors", "app")
    assert dynamic.revoke_all("errors", force=True).failed == 0
    with pytest.raises(InvalidInput):
        dynamic.set_role("errors", "a.", DynamicRole(connection="db"))


@pytest.mark.parametrize("missing", ["adyton/dynamic-connections/db", "adyton/secrets/admin"])
def test_setting_a_connection_needs_two_rights(server, postgres, missing):
    """On the connection to write, on the admin's secret to read."""
    rights = {"adyton/dynamic-connections/db": "update", "adyton/secrets/admin": "read"}
    for left_out, allowed in ((missing, False), (None, True)):
        text = "".join(
            f'path "{path}" {{ capabilities = ["{right}"] }}\n'
            for path, right in rights.items()
            if path != left_out
        )
        user, token = user_with(server, text)
        where = Connection(settings=settings(postgres), admin="admin")
        with Client(server.addr, token, user=user) as client:
            if allowed:
                client.dynamic.set_connection(user, "db", where)
            else:
                with pytest.raises(AccessDenied):
                    client.dynamic.set_connection(user, "db", where)


def test_leases_end_with_the_token_that_asked_for_them(server, postgres):
    """Whether it is revoked or its time is over, or that of a token that it comes from."""
    every = 'path "*" { capabilities = ["create","read","update","delete","list","sudo"] }'
    user, token = user_with(server, every)
    space = {"X-Vault-Namespace": user}

    def child(of, **body):
        made = server.raw("POST", "/v1/auth/token/create", body, token=of, headers=space)
        return made[2]["auth"]["client_token"]

    with Client(server.addr, token, user=user) as client:
        configure(client, postgres, user)
    ended = child(token)
    cases = {"revoked": ended, "of a child": child(ended), "short": child(token, ttl="2s")}
    made = {}
    for name, each in cases.items():
        with Client(server.addr, each, user=user) as client:
            made[name] = client.dynamic.issue(user, "app").lease
    with Client(server.addr, token, user=user) as client:
        kept = client.dynamic.issue(user, "app").lease
        assert {made[name].username for name in ("revoked", "of a child")} < roles_in(postgres)
        path = "/v1/auth/token/revoke-self"
        assert server.raw("POST", path, {}, token=ended, headers=space)[0] == 204
        end = time.monotonic() + 40
        while client.dynamic.leases(user) != [kept]:
            assert time.monotonic() < end, client.dynamic.leases(user)
            time.sleep(0.1)
        assert not roles_in(postgres) & {lease.username for lease in made.values()}
        assert client.dynamic.revoke_all(user) == (1, 0)


def test_purging_a_user_revokes(client, postgres):
    """Nobody is left in the database when the user is gone."""
    configure(client, postgres, "leaving")
    with client.dynamic.issue("leaving", "app") as made:
        pass
    client.purge_user("leaving")
    assert made.username not in roles_in(postgres)
    assert client.dynamic.leases("leaving") == []


def commands(sh, postgres):
    """Credentials that let in until their lease is revoked; how a connection is given again."""
    admin = json.dumps({"username": databases.ADMIN, "password": databases.PASSWORD})
    sh("set", "admin", "--json", stdin=admin.encode())
    where = [f"--set={key}={value}" for key, value in settings(postgres).items()]
    sh("dynamic", "set-connection", "db", "--admin", "admin", *where)
    sh("dynamic", "set-role", "app", "--connection", "db", "--ttl", "10m")
    made = sh.json("dynamic", "issue", "app", "--ttl", "5m")
    assert lets_in(postgres, made["username"], made["password"])
    lease = made["lease"]["id"]
    assert made["password"].encode() not in sh("lease", "list") + sh("lease", "show", lease)
    assert sh.json("lease", "renew", lease, "--ttl", "1h")["id"] == lease
    sh("lease", "revoke", lease)
    assert not lets_in(postgres, made["username"], made["password"])
    return where


def test_the_command_line(tmp_path, postgres):
    """Commands with tables and JSON; exit codes for what is absent, wrong or fails."""
    sh = Shell(tmp_path)
    sh.env["ADYTON_ROTATION_TARGETS"] = f"127.0.0.1:{postgres.port}"
    sh("init")
    where = commands(sh, postgres)
    assert b"127.0.0.1" in sh("dynamic", "connections")
    assert sh.json("dynamic", "roles")[0]["ttl"] == 600
    assert b"password" in sh("dynamic", "issue", "app")
    assert sh.json("lease", "revoke", "--all") == {"revoked": 1, "failed": 0}
    assert sh.json("lease", "revoke", "--due") == {"taken": 0, "done": 0, "failed": 0}
    sh("lease", "revoke", code=2)
    sh("lease", "revoke", "app/none", code=3)
    sh("dynamic", "set-connection", "far", "--admin", "admin", *where, "--set=port=1", code=9)
    sh("dynamic", "set-role", "x", "--connection", "db", "--creation", "/absent", code=2)
    sh("dynamic", "remove-role", "app")
    sh("dynamic", "remove-connection", "db")


def test_the_command_line_on_a_server(tmp_path_factory, postgres, monkeypatch):
    """The same on a server."""
    monkeypatch.setenv("ADYTON_ROTATION_TARGETS", f"127.0.0.1:{postgres.port}")
    remote = Remote(tmp_path_factory.mktemp("remote"))
    try:
        commands(remote, postgres)
    finally:
        code, _, err = remote.server.stop()
        assert code == 0, err
