"""Rotation through the native API, both clients and the command line, and who may use it."""

import asyncio
import json
import time

import pytest

import databases
from adyton import AsyncClient, Client
from adyton.errors import AccessDenied, InvalidInput, RotationError, SecretNotFound
from adyton.rotationpolicy import RotationPolicy
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


def test_the_server_rotates_by_itself_what_a_client_asks_for(client, postgres):
    """A policy set over HTTP is carried out in the background; what is read then lets in."""
    postgres.make_roles("faces_a", "faces_b")
    admin = {"username": databases.ADMIN, "password": databases.PASSWORD}
    client.set_secret("web", "admin", admin)
    policy = RotationPolicy(
        every=2, grace=1, rotator="postgresql", admin="admin",
        settings=postgres.settings("faces_a,faces_b"),
    )  # fmt: skip
    info = client.rotation.set_policy("web", "db", policy)
    assert info.policy == policy
    end = time.monotonic() + 40
    while client.rotation.get_policy("web", "db").version < 2:
        assert time.monotonic() < end, client.rotation.get_policy("web", "db").error
        time.sleep(0.1)
    with client.get_secret("web", "db") as secret:
        assert postgres.lets_in(json.loads(secret.text()))
    steps = [event.step for event in client.rotation.history("web", "db")]
    assert {"create", "set", "test", "promote", "retire"} <= set(steps)
    actors = {e.actor for e in client.get_audit_log("web", action="secret.rotate")}
    assert actors == {"adyton:rotation"}


def test_errors_are_the_librarys(client):
    """Of both clients: absent, wrong, in grace; nothing is left where there was nothing."""
    rotation = client.rotation
    for call in (rotation.run, rotation.cancel, rotation.get_policy, rotation.history,
                 rotation.remove_policy):  # fmt: skip
        with pytest.raises(SecretNotFound):
            call("errors", "x")
    with pytest.raises(InvalidInput):
        rotation.set_policy("errors", "x", RotationPolicy(cron="nonsense"))
    rotation.set_policy("errors", "x", RotationPolicy())
    assert rotation.run("errors", "x").state == "grace"
    with pytest.raises(RotationError, match="still works"):
        rotation.run("errors", "x")
    assert rotation.run_due().failed == 0

    async def same():
        async with AsyncClient(client.address, TOKEN) as other:
            return await other.rotation.list("errors")

    assert asyncio.run(same()) == rotation.list("errors")


def test_places_that_the_operator_did_not_name_are_refused(client, server):
    """A server connects nowhere but to its targets, and runs no programs without a folder."""
    client.set_secret("far", "admin", {"username": "u", "password": "p"})
    for rotator, settings in (
        ("postgresql", {"host": "127.0.0.1", "port": "1", "roles": "a,b"}),
        ("redis", {"host": "127.0.0.1", "user": "u"}),
        ("webhook", {"url": f"{server.addr}/v1/sys/seal"}),
        ("program", {"program": "sh"}),
    ):
        policy = RotationPolicy(rotator=rotator, settings=settings, admin="admin")
        client.rotation.set_policy("far", f"s/{rotator}", policy)
        with pytest.raises(RotationError, match=r"may not connect|may be run"):
            client.rotation.run("far", f"s/{rotator}")


RIGHTS = [
    ("adyton/rotation/s", "update"),
    ("adyton/secrets/s", "update"),
    ("adyton/secrets/s", "read"),
    ("adyton/secrets/admin", "read"),
]


@pytest.mark.parametrize("missing", RIGHTS)
def test_setting_a_policy_needs_four_rights(server, missing):
    """To write the rotation and its secret; to read that, which is told on, and the admin's."""
    policy = RotationPolicy(rotator="redis", settings={"host": "h", "user": "u"}, admin="admin")
    for left_out, allowed in ((missing, False), (None, True)):
        given = {}
        for path, right in RIGHTS:
            if (path, right) != left_out:
                given.setdefault(path, []).append(f'"{right}"')
        text = "".join(
            f'path "{path}" {{ capabilities = [{", ".join(rights)}] }}\n'
            for path, rights in given.items()
        )
        user, token = user_with(server, text)
        with Client(server.addr, token, user=user) as client:
            if allowed:
                assert client.rotation.set_policy(user, "s", policy).state == "waiting"
            else:
                with pytest.raises(AccessDenied):
                    client.rotation.set_policy(user, "s", policy)


def test_the_command_line(tmp_path):
    """Commands with tables and JSON; exit codes for what is absent, wrong or under way."""
    sh = Shell(tmp_path)
    sh("init")
    told = sh.json("rotation", "set", "api/token", "--every", "30d", "--generator", "words",
                   "--option", "words=8", "--grace", "0s")  # fmt: skip
    assert told["policy"]["every"] == 30 * 86_400
    assert sh.json("rotation", "run", "api/token")["version"] == 1
    assert b"api/token" in sh("rotation", "list")
    steps = [event["step"] for event in sh.json("rotation", "history", "api/token")]
    assert steps == ["retire", "promote", "test", "set", "create"]
    assert b"words=8" in sh("rotation", "show", "api/token")
    sh("rotation", "set", "x", "--every", "soon", code=2)
    sh("rotation", "cancel", "api/token", code=9)
    sh("rotation", "remove", "api/token")
    sh("rotation", "run", "api/token", code=3)


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    made = Remote(tmp_path_factory.mktemp("remote"))
    yield made
    code, _, err = made.server.stop()
    assert code == 0, err


def test_the_command_line_on_a_server(remote):
    """The same on a server."""
    remote("rotation", "set", "s", "--grace", "0s")
    assert remote.json("rotation", "run", "s")["version"] == 1
    assert remote.json("rotation", "list")[0]["state"] == "waiting"


def test_the_command_line_runs_what_is_due(tmp_path):
    """For an embedded store, from a timer."""
    sh = Shell(tmp_path)
    sh("init")
    sh("rotation", "set", "s", "--every", "1s", "--grace", "0s")
    time.sleep(1.1)
    assert sh.json("rotation", "run", "--due") == {"taken": 1, "done": 1, "failed": 0}


def test_policies_of_folders_through_a_client(client):
    """Written, read, listed and removed by the folder's name with its slash."""
    client.set_secret("folders", "f/a", "x")
    policy = RotationPolicy(every=86_400)
    assert client.rotation.set_policy("folders", "f/", policy).state == "folder"
    assert client.rotation.get_policy("folders", "f/").policy == policy
    found = {info.name: info.folder for info in client.rotation.list("folders")}
    assert found == {"f/": "", "f/a": "f/"}
    client.set_secret("folders", "f/b", "x")
    assert client.rotation.get_policy("folders", "f/b").folder == "f/"
    assert client.rotation.run("folders", "f/b").version == 2
    client.rotation.remove_policy("folders", "f/")
    assert [info.name for info in client.rotation.list("folders")] == ["f/b"]  # in its grace


def test_a_policy_of_a_folder_needs_rights_on_all_that_is_in_it(server):
    """One secret that the token may not write is enough to refuse it, and nothing is set."""
    rights = ['path "adyton/rotation/f/" { capabilities = ["update", "list"] }',
              'path "adyton/rotation" { capabilities = ["list"] }',
              'path "adyton/secrets/f/*" { capabilities = ["create", "update"] }']  # fmt: skip
    for more, allowed in (
        ('path "adyton/secrets/f/b" { capabilities = ["read"] }', False),
        ("", True),
    ):
        user, token = user_with(server, "\n".join([*rights, more]))
        with Client(server.addr, server.token) as root:
            for name in ("f/a", "f/b"):
                root.set_secret(user, name, "x")
        with Client(server.addr, token, user=user) as client:
            if allowed:
                client.rotation.set_policy(user, "f/", RotationPolicy(every=86_400))
            else:
                with pytest.raises(AccessDenied):
                    client.rotation.set_policy(user, "f/", RotationPolicy(every=86_400))
            assert len(client.rotation.list(user)) == (3 if allowed else 0)


def test_policies_of_folders_on_the_command_line(tmp_path):
    """The listing tells whose policy each is."""
    sh = Shell(tmp_path)
    sh("init")
    sh("set", "db/a", stdin="x")
    sh("rotation", "set", "db/", "--every", "30d")
    found = {each["name"]: each["folder"] for each in sh.json("rotation", "list")}
    assert found == {"db/": "", "db/a": "db/"}
    assert b"own" not in sh("rotation", "list")
    assert b"every" in sh("rotation", "show", "db/")
    sh("rotation", "remove", "db/a", code=2)
    sh("rotation", "remove", "db/")
    assert sh.json("rotation", "list") == []
