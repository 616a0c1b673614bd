"""The command line on a server: logging in and out, tokens, policies, state, refusals."""

import json
import os
import subprocess

import pytest

from servers import TOKEN, free_port
from shell import ADYTON, Remote, Shell


@pytest.fixture(scope="module")
def remote(tmp_path_factory):
    made = Remote(tmp_path_factory.mktemp("remote"))
    yield made
    code, _, err = made.server.stop()
    assert code == 0, err


def test_login_keeps_the_token_and_logout_ends_it(remote, tmp_path):
    """By token, password and SecretID; the file is private, and its token ends with logging out."""
    server = remote.server
    admin = server.hvac()
    admin.sys.enable_auth_method("userpass")
    admin.sys.enable_auth_method("approle")
    admin.sys.create_or_update_acl_policy("mine", 'path "adyton/*" { capabilities = ["read"] }')
    server.root("POST", "/v1/auth/userpass/users/me", {"password": "pw", "policies": ["mine"]})
    server.root("POST", "/v1/auth/approle/role/bot", {"policies": ["mine"]})
    role_id = server.root("GET", "/v1/auth/approle/role/bot/role-id")[2]["data"]["role_id"]
    made = server.root("POST", "/v1/auth/approle/role/bot/secret-id")[2]
    (tmp_path / "sid").write_text(made["data"]["secret_id"] + "\n")
    bare = {"ADYTON_TOKEN": "", "ADYTON_USER": "", "HOME": str(tmp_path)}
    file = tmp_path / ".adyton-token"

    remote("list", code=5, **bare)
    remote("login", "--method", "userpass", "--name", "me", stdin="wrong\n", code=5, **bare)
    remote("login", "--method", "userpass", stdin="pw\n", code=2, **bare)
    assert not file.exists()
    remote("login", "--method", "userpass", "--name", "me", stdin="pw\n", **bare)
    assert file.stat().st_mode & 0o777 == 0o600
    token = file.read_text().splitlines()[0]
    assert token not in remote.error
    assert "mine" in remote.json("token", "lookup", **bare)["policies"]
    remote("get", "x", code=3, **bare)
    remote("logout", **bare)
    assert not file.exists()
    assert server.raw("GET", "/v1/auth/token/lookup-self", token=token)[0] == 403
    remote("logout", **bare)
    assert "nobody is logged in" in remote.error

    more = ("--role-id", role_id, "--file", str(tmp_path / "sid"))
    told = remote.json("login", "--method", "approle", *more, **bare)
    assert "mine" in told["policies"]
    assert "token" not in told
    file.unlink()
    remote("login", stdin="adt_nonsense", code=5, **bare)
    assert not file.exists()
    remote("login", stdin=f"{TOKEN}\n", **bare)
    assert remote.json("status", **bare)["sealed"] is False
    other = {**bare, "ADYTON_ADDR": f"http://127.0.0.1:{free_port()}"}
    remote("list", code=2, **other)
    assert "another server" in remote.error


def test_tokens_and_policies(remote, tmp_path):
    """Policies are written, read and deleted; tokens made, looked up, renewed and revoked."""
    text = 'path "adyton/secrets/app/*" { capabilities = ["read", "create", "update"] }\n'
    remote("policy", "write", "app", stdin=text)
    assert remote("policy", "read", "app").decode() == text
    assert "app" in remote.json("policy", "list")
    remote("policy", "write", "bad", stdin="path {", code=2)
    made = remote.json("token", "create", "--policy", "app", "--ttl", "1h", "--name", "bot")
    narrow = {"ADYTON_TOKEN": made["token"]}
    remote("set", "app/x", stdin="v", ADYTON_USER="", **narrow)
    assert remote("get", "app/x", ADYTON_USER="me", **narrow) == b"v"
    remote("get", "other", ADYTON_USER="", code=5, **narrow)
    remote("get", "app/x", code=5, **narrow)
    found = remote.json("token", "lookup", "--accessor", made["accessor"])
    assert set(found["policies"]) == {"app", "default"}
    assert 3_500 < found["ttl"] <= 3_600
    assert remote.json("token", "renew", "--increment", "30m", **narrow)["ttl"] <= 1_800
    remote("token", "create", "--policy", "app", "--out", str(tmp_path / "t"))
    assert (tmp_path / "t").stat().st_mode & 0o777 == 0o600
    remote("token", "revoke", "--file", str(tmp_path / "t"))
    remote("token", "revoke", code=2)
    remote("token", "revoke", "--accessor", made["accessor"])
    remote("get", "app/x", ADYTON_USER="", code=5, **narrow)
    remote("policy", "delete", "app")
    remote("policy", "read", "app", code=3)


def test_a_server_that_is_away_has_a_code_of_its_own(tmp_path):
    """A port where nobody listens ends with 9, one line and a hint; so does no server at all."""
    shell = Shell(tmp_path)
    away = {"ADYTON_ADDR": f"http://127.0.0.1:{free_port()}", "ADYTON_TOKEN": "t"}
    shell("get", "x", code=9, **away)
    assert len(shell.error.splitlines()) == 2
    body = json.loads((shell("get", "x", "-o", "json", code=9, **away), shell.error)[1])
    assert body["error"] == "ServerUnavailable"
    shell("login", stdin="t", code=2)
    shell("get", "x", code=2, ADYTON_ADDR="http://example.org", ADYTON_TOKEN="t")


def test_options_of_a_store_and_a_server_are_told_apart(remote, tmp_path):
    """What works on a store alone says so; a store that is named comes before ADYTON_ADDR."""
    remote("init", code=2)
    assert "ADYTON_ADDR" in remote.error
    remote("token", "root", code=2)
    remote("--addr", remote.server.addr, "--store", "x.db", "list", code=2)
    shell = Shell(tmp_path)
    shell("init")
    shell("set", "here", stdin="x")
    env = {**shell.env, "ADYTON_ADDR": remote.server.addr, "ADYTON_TOKEN": TOKEN}
    names = lambda *more: [  # noqa: E731 - two questions
        each["name"]
        for each in json.loads(
            subprocess.run(
                [*ADYTON, "list", "-o", "json", "--user", "42", *more],
                env=env, cwd=tmp_path, capture_output=True, check=True,
            ).stdout
        )["secrets"]
    ]  # fmt: skip
    assert names("--store", shell.env["ADYTON_STORE"]) == ["here"]
    assert "here" not in names()


def test_completion_still_works(tmp_path):
    """The shell's completion names the commands, old and new."""
    env = {**os.environ, "_ADYTON_COMPLETE": "complete_bash", "COMP_WORDS": "adyton lo",
           "COMP_CWORD": "1"}  # fmt: skip
    done = subprocess.run(["adyton"], executable=f"{os.path.dirname(ADYTON[0])}/adyton", env=env,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert set(done.stdout.split()) == {"login", "logout"}
