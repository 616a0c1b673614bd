"""Batch tokens: what they may, when they end, and that nothing is kept of one."""

import contextlib
import json
import sqlite3
import time

import hvac
import pytest

from access.make_vectors import checked, ident
from adyton.client import Client
from natives import call, put, token_of
from servers import TOKEN, Server, adyton, serve

ALL = 'path "*" { capabilities = ["create","read","update","delete","list","patch","sudo"] }'
DENIED = (403, {"errors": ["permission denied"]})
SELF = "/v1/auth/token/lookup-self"
CREATE = "/v1/auth/token/create"


def looked(server, token, **more):
    status, _, body = server.raw("GET", SELF, token=token, **more)
    return status, body


def batch(server, *, parent=None, path=CREATE, **body):
    body = {"type": "batch", "policies": ["default"]} | body
    status, _, answer = server.raw("POST", path, body, token=parent or server.token)
    assert status == 200, answer
    return answer["auth"]["client_token"]


def service(server, *policies, **body):
    body = {"policies": list(policies or ["all"])} | body
    server.root("POST", "/v1/sys/policies/acl/all", {"policy": ALL})
    return server.root("POST", CREATE, body)[2]["auth"]["client_token"]


def approle(server, mount, **role):
    """An AppRole whose logins give batch tokens; logs in."""
    client = server.hvac()
    with contextlib.suppress(hvac.exceptions.InvalidRequest):
        client.sys.enable_auth_method("approle", path=mount)
    role = {"token_type": "batch", "token_policies": ["all"]} | role
    client.auth.approle.create_or_update_approle("r", mount_point=mount, **role)
    found = client.auth.approle.read_role_id("r", mount_point=mount)["data"]["role_id"]
    made = client.auth.approle.generate_secret_id("r", mount_point=mount)["data"]["secret_id"]
    return lambda: client.auth.approle.login(found, made, use_token=False, mount_point=mount)[
        "auth"
    ]


def test_hvac(server, name):
    """Made by hvac, used by hvac: reads and writes as a service token does."""
    client = server.hvac()
    client.sys.create_or_update_acl_policy("all", ALL)
    made = client.auth.token.create(policies=["all"], type="batch", ttl="1h", meta={"a": "b"})
    auth = made["auth"]
    assert (auth["token_type"], auth["accessor"], auth["renewable"]) == ("batch", "", False)
    mine = server.hvac(auth["client_token"])
    mine.secrets.kv.v2.create_or_update_secret(name, {"k": "v"})
    assert mine.secrets.kv.v2.read_secret_version(name, raise_on_deleted_version=True)["data"][
        "data"
    ] == {"k": "v"}
    found = mine.auth.token.lookup_self()["data"]
    assert (found["type"], found["accessor"], found["meta"]) == ("batch", "", {"a": "b"})
    assert (found["orphan"], found["num_uses"], found["explicit_max_ttl"]) == (False, 0, 0)
    with pytest.raises(hvac.exceptions.InvalidRequest, match="cannot be renewed"):
        mine.auth.token.renew_self()
    with pytest.raises(hvac.exceptions.InvalidRequest, match="cannot be revoked"):
        mine.auth.token.revoke_self()
    with pytest.raises(hvac.exceptions.InvalidRequest, match="cannot create more tokens"):
        mine.auth.token.create(policies=["default"])
    login = approle(server, name)()
    assert (login["token_type"], login["metadata"]) == ("batch", {"role_name": "r"})
    assert server.hvac(login["client_token"]).is_authenticated()


def test_bao(server, name):
    """The real command line makes one, logs in by it and works with it."""
    server.root("POST", "/v1/sys/policies/acl/all", {"policy": ALL})
    made = json.loads(
        server.bao("token", "create", "-type=batch", "-policy=all", "-ttl=1h", "-format=json")
    )
    token = made["auth"]["client_token"]
    assert token.startswith("adb_")
    server.bao("kv", "put", "-mount=secret", name, "k=v", token=token)
    assert "v" in server.bao("kv", "get", "-mount=secret", "-field=k", name, token=token)
    shown = server.bao("token", "lookup", token=token)
    assert "batch" in shown
    assert "cannot be renewed" in server.bao("token", "renew", token=token, fails=True)
    assert "cannot be revoked" in server.bao("token", "revoke", token, fails=True)
    assert "authenticated" in server.bao("login", "-no-store", f"token={token}")


def test_the_client_and_the_command_line(server, name):
    """`tokens.create(batch=True)`; the native API lets it in."""
    server.root("POST", "/v1/sys/policies/acl/all", {"policy": ALL})
    with Client(server.addr, TOKEN) as client:
        grant = client.tokens.create(policies=["all"], ttl="1h", batch=True)
        assert (grant.accessor, grant.renewable) == ("", False)
        client.set_secret("root", name, b"value")
    with Client(server.addr, grant.token) as mine:
        with mine.get_secret("root", name) as secret:
            assert secret.reveal() == b"value"
        assert mine.tokens.lookup().accessor == ""


def test_it_ends_with_its_parent_and_at_its_time(server):
    """Also when the parent is ended alone, by another, or at its own time; an orphan does not."""
    for end in ("revoke", "revoke-orphan", "its grandparent", "its time"):
        above = service(server)
        body = {"ttl": "1s"} if end == "its time" else {}
        parent = server.raw("POST", CREATE, body, token=above)[2]["auth"]["client_token"]
        child = batch(server, parent=parent)
        orphan = batch(server, parent=parent, no_parent=True)
        assert looked(server, child)[0] == looked(server, orphan)[0] == 200
        if end == "its time":
            time.sleep(1.1)
        else:
            what = above if end == "its grandparent" else parent
            how = "revoke-orphan" if end == "revoke-orphan" else "revoke"
            assert server.root("POST", f"/v1/auth/token/{how}", {"token": what})[0] == 204
        assert (looked(server, child), looked(server, orphan)[0]) == (DENIED, 200), end
        assert server.root("POST", "/v1/auth/token/lookup", {"token": child})[0] == 403
    short = batch(server, ttl="1s")
    assert looked(server, short)[0] == 200
    time.sleep(1.1)
    assert looked(server, short) == DENIED


def test_a_parent_that_is_renewed_keeps_it_alive(server):
    """What was known of the parent's end is not held against its child."""
    parent = service(server, ttl="2s")
    child = batch(server, parent=parent)
    assert looked(server, child)[0] == 200
    body = {"token": parent, "increment": "1h"}
    assert server.root("POST", "/v1/auth/token/renew", body)[0] == 200
    time.sleep(2.1)
    assert looked(server, child)[0] == 200


def test_it_ends_with_its_login_method(server, name):
    """Disabled or moved; another one at the same path is another one."""
    login = approle(server, name)
    token = login()["client_token"]
    assert looked(server, token)[0] == 200
    assert server.root("DELETE", f"/v1/sys/auth/{name}")[0] == 204
    assert looked(server, token) == DENIED
    login = approle(server, name)
    assert looked(server, token) == DENIED
    token = login()["client_token"]
    body = {"from": f"auth/{name}", "to": f"auth/{name}-moved"}
    assert server.root("POST", "/v1/sys/remount", body)[0] == 200
    assert looked(server, token) == DENIED
    assert server.root("POST", "/v1/auth/token/lookup", {"token": token})[0] == 403


def test_policies_that_change_change_what_it_may(server, name):
    """It holds their names only, as a service token does."""
    put_policy = lambda text: server.root("PUT", f"/v1/sys/policies/acl/{name}", {"policy": text})  # noqa: E731
    put_policy('path "secret/*" { capabilities = ["create", "update", "read"] }')
    token = batch(server, policies=[name])
    path = f"/v1/secret/data/{name}"
    assert server.raw("POST", path, {"data": {"a": 1}}, token=token)[0] == 200
    put_policy('path "secret/*" { capabilities = ["read"] }')
    assert server.raw("POST", path, {"data": {"a": 1}}, token=token)[0] == 403
    assert server.raw("GET", path, token=token)[0] == 200
    server.root("DELETE", f"/v1/sys/policies/acl/{name}")
    assert server.raw("GET", path, token=token)[0] == 403


def test_networks_bind_it(server, name):
    """Those of its role, and those of its parent."""
    role = {"token_type": "batch", "orphan": True, "renewable": False,
            "token_bound_cidrs": "127.0.0.2/32"}  # fmt: skip
    assert server.root("POST", f"/v1/auth/token/roles/{name}", role)[0] == 204
    token = batch(server, path=f"{CREATE}/{name}")
    login = approle(server, name, token_bound_cidrs=["127.0.0.2/32"])
    for one in (token, login()["client_token"]):
        for source, expected in (("127.0.0.2", 200), ("127.0.0.1", 403), ("127.0.0.2", 200)):
            assert looked(server, one, source=source)[0] == expected


def test_bounds_that_it_would_not_keep_are_refused(server, name):
    """Whoever sets them: at the role, at the method, or both at once."""
    login = approle(server, name)
    for more in ({"token_num_uses": 2}, {"token_period": "1h"}):
        assert server.root("POST", f"/v1/auth/{name}/role/r", more)[0] == 400
    assert login()["num_uses"] == 0
    role = {"token_type": "service", "token_num_uses": 2}
    assert server.root("POST", f"/v1/auth/{name}/role/r", role)[0] == 204
    assert login()["token_type"] == "service"
    server.root("POST", f"/v1/sys/auth/{name}/tune", {"token_type": "batch"})
    with pytest.raises(hvac.exceptions.InvalidRequest, match='cannot have "num_uses" set'):
        login()
    role = {"token_type": "default-batch", "token_explicit_max_ttl": "10s", "token_num_uses": 0}
    assert server.root("POST", f"/v1/auth/token/roles/{name}", role)[0] == 204
    made = server.root("POST", f"{CREATE}/{name}", {"policies": ["default"]})[2]["auth"]
    assert (made["token_type"], made["lease_duration"]) == ("batch", 10)


def test_forged_ones_are_unknown_ones(server, name):
    """Cut, changed, of another namespace or another server: one refusal, and one only."""
    server.root("POST", f"/v1/secret/data/{name}", {"data": {"a": 1}})
    server.root("POST", "/v1/sys/policies/acl/all", {"policy": ALL})
    token = batch(server, policies=["all"])
    alice = token_of(server, "alice", ALL)
    status, _, answer = server.raw(
        "POST", CREATE, {"type": "batch"}, token=alice, headers={"X-Vault-Namespace": "alice"}
    )
    assert status == 200
    hers = answer["auth"]["client_token"]
    forged = [
        token[:-1], token[:-7], checked(token[:-7]), checked(token[:-6] + "A"), token.swapcase(),
        checked(hers[:26] + token[26:-6]), checked(token[:26] + hers[26:-6]), checked("adb_"),
        checked("adb_" + "A" * 60), "adb_" + "A" * 20_000,
    ]  # fmt: skip
    other = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    try:
        forged.append(batch(other, policies=["default"]))
        assert looked(other, token) == DENIED
    finally:
        other.stop()
    for text in forged:
        for path in (f"/v1/secret/data/{name}", f"/v1/secret/data/{name}-absent", SELF):
            status, _, body = server.raw("GET", path, token=text)
            assert (status, body) == DENIED
        assert server.root("POST", "/v1/auth/token/lookup", {"token": text})[0] == 403
        assert server.root("POST", "/v1/auth/token/revoke", {"token": text})[0] == 204
        assert call(server, "GET", "users/root/secrets", token=text)[0] in {401, 403}
    assert looked(server, token)[0] == 200


def test_in_another_namespace_it_is_nothing(server, name):
    """As a service token of its own namespace is nothing there."""
    alice = token_of(server, f"a{name}", ALL)
    space = {"X-Vault-Namespace": f"a{name}"}
    hers = server.raw("POST", CREATE, {"type": "batch"}, token=alice, headers=space)[2]
    hers = hers["auth"]["client_token"]
    other = f"b{name}"
    put(server, name, "v", user=other, token=token_of(server, other, ALL))
    assert looked(server, hers, headers=space)[0] == 200
    for headers in ({}, {"X-Vault-Namespace": other}):
        assert server.raw("GET", f"/v1/secret/data/{name}", token=hers, headers=headers)[0] == 403
    body = {"token": hers}
    assert server.root("POST", "/v1/auth/token/lookup", body, headers=space)[0] == 200
    assert server.root("POST", "/v1/auth/token/lookup", body)[0] == 403
    with Client(server.addr, TOKEN) as client:
        client.purge_user(f"a{name}")
    assert looked(server, hers, headers=space) == DENIED


def rows(store):
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT count(*) FROM objects").fetchone()[0]


def test_nothing_is_stored_and_records_tell_who(tmp_path):
    """Ten logins leave no row; the log names each token, from its making on, and verifies."""
    store = str(tmp_path / "s.db")
    adyton(store, "init")
    root = json.loads(adyton(store, "token", "root"))["token"]
    server = serve(store)
    server.token = root
    try:
        server.root("POST", "/v1/sys/policies/acl/all", {"policy": ALL})
        login = approle(server, "ci")
        login()  # its entity is made
        before = rows(store)
        tokens = [login()["client_token"] for _ in range(10)]
        tokens += [batch(server) for _ in range(10)]
        assert rows(store) == before
        assert looked(server, tokens[0])[0] == looked(server, tokens[-1])[0] == 200
        server.raw("POST", "/v1/secret/data/x", {"data": {"a": 1}}, token=tokens[0])
        with Client(server.addr, root) as client:
            client.keys.rotate()
            assert looked(server, tokens[0])[0] == 200
            entries = client.get_audit_log("root", limit=200)
    finally:
        assert server.stop()[0] == 0
    name = f"batch-{ident(tokens[0])[:32]}"
    by_name = {entry.action for entry in entries if entry.accessor == name}
    assert {"access.login", "token.lookup", "secret.set"} <= {str(one) for one in by_name}
    made = [entry for entry in entries if str(entry.action) == "token.create"]
    assert f"batch-{ident(tokens[-1])[:32]}" in {entry.secret_name for entry in made}
    assert not any(token in repr(entries) for token in tokens)
    server = serve(store)  # what is not stored outlives the server all the same
    try:
        assert looked(server, tokens[0])[0] == 200
        with Client(server.addr, root) as client:
            client.keys.rewrap(deep=True)
            client.audit.verify()
        assert looked(server, tokens[0]) == DENIED
        assert looked(server, batch_of(server, root))[0] == 200
    finally:
        assert server.stop()[0] == 0


def batch_of(server, root):
    server.token = root
    return batch(server)


def test_a_member_logs_in_by_one(server, name):
    """Grants go by who logged in, not by what kind of token that gave."""
    owner = f"o{name}"
    token = token_of(server, owner, ALL)
    put(server, "app/db", "v", user=owner, token=token)
    put(server, "top", "v", user=owner, token=token)
    space = {"X-Vault-Namespace": owner}
    body = {"password": "a password of frank", "token_type": "batch"}
    assert server.root("POST", "/v1/sys/auth/userpass", {"type": "userpass"}, headers=space)[0] in {
        204, 400,
    }  # fmt: skip
    assert server.root("POST", "/v1/auth/userpass/users/f", body, headers=space)[0] == 204
    users = f"users/{owner}"
    assert (
        call(server, "PUT", f"{users}/members/f", {"logins": ["userpass:f"]}, token=token)[0] == 200
    )
    grant = {"member": "f", "path": "app/", "role": "viewer"}
    made = call(server, "POST", f"{users}/grants", grant, token=token)[2]
    auth = server.raw("POST", "/v1/auth/userpass/login/f", body, headers=space)[2]["auth"]
    assert auth["token_type"] == "batch"
    his = auth["client_token"]
    read = lambda path: call(server, "GET", f"{users}/secrets/{path}", token=his)[0]  # noqa: E731
    assert (read("app/db"), read("top")) == (200, 404)
    assert call(server, "DELETE", f"{users}/grants/{made['id']}", token=token)[0] in {200, 204}
    assert read("app/db") in {403, 404}


@pytest.mark.parametrize("kind", ["batch", "service"])
def test_many_tokens_used_once_are_held_to_their_users_rate(kind):
    """Each is new to the server, which counts it as its user's all the same, once it is let in."""
    rates = {"ADYTON_RATES_USER_PER_SECOND": "0.1", "ADYTON_RATES_USER_BURST": "40"}
    server = Server("serve", "--dev", "--dev-root-token-id", TOKEN, env=rates)
    try:
        approle(server, "ap", token_type=kind)
        found = server.hvac().auth.approle
        role_id = found.read_role_id("r", mount_point="ap")["data"]["role_id"]
        secret_id = found.generate_secret_id("r", mount_point="ap")["data"]["secret_id"]
        ids = {"role_id": role_id, "secret_id": secret_id}

        def login():
            return server.raw("POST", "/v1/auth/ap/login", ids)[2]["auth"]

        started = time.monotonic()
        tokens = [login()["client_token"] for _ in range(60)]
        answers = [server.raw("GET", SELF, token=token) for token in tokens]
        most = 41 + (time.monotonic() - started) / 10
        let_in = sum(answer[0] == 200 for answer in answers)
        assert 5 <= let_in <= most
        late = [answer for answer in answers if answer[0] != 200]
        for status, headers, body in late:
            assert (status, body) == (429, {"errors": ["request rate limit exceeded"]})
            assert int(headers["retry-after"]) >= 1
        status, headers, _ = call(
            server, "GET", "users/root/secrets", token=login()["client_token"]
        )
        assert (status, int(headers["retry-after"]) >= 1) == (429, True)
        assert looked(server, "adb_unknown") == DENIED  # strangers take nothing of the user's
    finally:
        assert server.stop()[0] == 0
