"""Members over HTTP: what they were given, and nothing else."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from natives import call, put, text, token_of
from servers import TOKEN, Server

BIN = Path(sys.executable).parent
ALL = 'path "*" { capabilities = ["create","read","update","delete","list","patch","sudo"] }'


@pytest.fixture(scope="module")
def server():
    made = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    yield made
    code, _, err = made.stop()
    assert code == 0, err


class Owner:
    """A namespace with secrets, and its owner."""

    def __init__(self, server):
        self.server = server
        self.user = "o" + secrets.token_hex(4)
        self.token = token_of(server, self.user, ALL)
        for name in ("app/db", "app/prod/key", "application/x", "top"):
            put(server, name, f"value of {name}", token=self.token)

    def call(self, method, path, body=None, *, token=None, status=None):
        found = call(
            self.server, method, f"users/{self.user}/{path}", body, token=token or self.token
        )
        if status is not None:
            assert found[0] == status, found
        return found[0], found[2]

    def member(self, name, **body):
        self.call("PUT", f"members/{name}", body, status=200)
        if "user" in body:
            return None
        return self.call("POST", f"members/{name}/token", {}, status=200)[1]["token"]

    def grant(self, member, path, *, status=200, **more):
        return self.call("POST", "grants", {"member": member, "path": path, **more}, status=status)[
            1
        ]


@pytest.fixture
def owner(server):
    return Owner(server)


def test_a_viewer_reads_its_folder_and_sees_nothing_else(owner):
    token = owner.member("alice")
    assert owner.call("GET", "secrets/app/db", token=token)[0] == 404
    made = owner.grant("alice", "app/", role="viewer")
    status, found = owner.call("GET", "secrets/app/db", token=token)
    assert (status, found["value"]["data"]) == (200, "value of app/db")
    for name in ("top", "application/x", "absent", "app"):
        assert owner.call("GET", f"secrets/{name}", token=token)[0] == 404, name
    status, found = owner.call("GET", "secrets", token=token)
    assert [one["name"] for one in found["items"]] == ["app/db", "app/prod/key"]
    assert owner.call("PUT", "secrets/app/db", {"value": text("x")}, token=token)[0] == 403
    assert owner.call("PUT", "secrets/top", {"value": text("x")}, token=token)[0] == 404
    owner.call("DELETE", f"grants/{made['id']}", status=204)
    assert owner.call("GET", "secrets/app/db", token=token)[0] == 404
    assert owner.call("GET", "secrets", token=token)[0] == 404


def test_vault_clients_obey_the_same_grants(owner):
    token = owner.member("bob")
    owner.grant("bob", "app/", role="editor")
    space = {"X-Vault-Namespace": owner.user}

    def ask(method, path, body=None):
        return owner.server.raw(method, f"/v1/secret/{path}", body, token=token, headers=space)

    assert ask("POST", "data/app/new", {"data": {"k": "v"}})[0] == 200
    assert ask("GET", "data/app/new")[2]["data"]["data"] == {"k": "v"}
    assert ask("GET", "data/top")[0] == ask("GET", "data/absent")[0] == 404
    assert ask("LIST", "metadata/")[2]["data"]["keys"] == ["app/"]
    assert ask("LIST", "metadata/app")[2]["data"]["keys"] == ["db", "new", "prod/"]
    assert ask("DELETE", "data/app/new")[0] == 204
    assert ask("GET", "config")[0] == 403


def test_another_user_acts_by_its_own_token(server, owner):
    other = "m" + secrets.token_hex(4)
    token = token_of(server, other, ALL)
    put(server, "own", "of the other", token=token)
    assert owner.call("GET", "secrets/app/db", token=token)[0] == 403
    owner.member("theirs", kind="user", user=other)
    assert owner.call("GET", "secrets/app/db", token=token)[0] == 404
    owner.grant("theirs", "app/", role="viewer")
    assert owner.call("GET", "secrets/app/db", token=token)[0] == 200
    assert owner.call("GET", "secrets/top", token=token)[0] == 404
    status, found = owner.call("GET", "secrets", token=token)
    assert [one["name"] for one in found["items"]] == ["app/db", "app/prod/key"]
    status, found = owner.call("POST", "export", {"format": "json"}, token=token)
    assert status == 200
    narrow = token_of(server, other, 'path "adyton/*" { capabilities = ["read"] }')
    assert owner.call("GET", "secrets/app/db", token=narrow)[0] == 403
    owner.call("DELETE", "members/theirs", status=204)
    assert owner.call("GET", "secrets/app/db", token=token)[0] == 403


def test_holds_need_admin_where_they_are(owner):
    """On the folder to place one, on everything to release or see them."""
    token = owner.member("law")
    owner.grant("law", "app/", rights=["admin", "delete"])
    made = {"reason": "case", "where": "app/"}
    for where in ("", "top", "application/"):
        found = owner.call("POST", "holds", {"reason": "case", "where": where}, token=token)
        assert found[0] in {403, 404}, where
    hold = owner.call("POST", "holds", made, token=token, status=200)[1]
    assert owner.call("DELETE", "secrets/app/db", token=token)[0] == 409
    assert owner.call("DELETE", f"holds/{hold['id']}", token=token)[0] in {403, 404}
    assert owner.call("GET", "holds", token=token)[0] in {403, 404}
    owner.grant("law", "/", rights=["admin"])
    assert [one["id"] for one in owner.call("GET", "holds", token=token)[1]["items"]] == [
        hold["id"]
    ]
    owner.call("DELETE", f"holds/{hold['id']}", token=token, status=204)
    owner.call("DELETE", "secrets/app/db", token=token, status=200)


def test_what_ends_is_shown_to_members_by_name(owner):
    """Of the folders that a member may list; shares and grants to who may list those."""
    token = owner.member("eve")
    for name in ("app/db", "top"):
        body = {"expires_at": "2099-01-01T00:00:00Z"}
        owner.call("PATCH", f"metadata/{name}", body, status=200)
    owner.grant("eve", "app/", rights=["list"], expires_at="2099-01-01T00:00:00Z")
    path = f"expiring?within={90 * 366 * 86_400}"
    found = owner.call("GET", path, token=token, status=200)[1]["items"]
    assert [(one["kind"], one["name"]) for one in found] == [("secret", "app/db")]
    found = owner.call("GET", path, status=200)[1]["items"]
    assert sorted((one["kind"], one["name"]) for one in found) == [
        ("grant", "app/"), ("secret", "app/db"), ("secret", "top"),
    ]  # fmt: skip
    assert owner.call("PUT", "lifecycle/retention", {"seconds": 60}, token=token)[0] in {403, 404}


def test_an_auditor_of_a_folder_sees_the_records_of_that_folder(owner):
    token = owner.member("carl")
    owner.grant("carl", "app/", role="auditor")
    for name in ("app/db", "top"):
        owner.call("GET", f"secrets/{name}", status=200)
    found = owner.call("GET", "audit?limit=100", token=token, status=200)[1]["items"]
    names = {one["secret_name"] for one in found}
    assert "app/db" in names
    assert {name for name in names if not name.startswith("app/")} == set()
    assert owner.call("GET", "audit/0/proof", token=token)[0] in {403, 404}
    assert owner.call("GET", "secrets/app/db", token=token)[0] == 403
    assert owner.call("GET", "access/who?path=app/db", token=token)[0] == 200
    assert owner.call("GET", "access/who?path=top", token=token)[0] == 404
    assert owner.call("GET", "access/who", token=token)[0] == 403


def test_an_admin_of_a_folder_gives_grants_there_and_none_to_itself(owner):
    token = owner.member("dan")
    owner.member("eve")
    owner.grant("dan", "app/", rights=["admin"])
    body = {"member": "eve", "path": "app/prod/", "role": "viewer"}
    made = owner.call("POST", "grants", body, token=token, status=200)[1]
    for path in ("top", "/", "application/"):
        assert owner.call("POST", "grants", body | {"path": path}, token=token)[0] in {403, 404}
    assert owner.call("POST", "grants", body | {"member": "dan"}, token=token)[0] == 400
    elsewhere = owner.grant("eve", "top", role="viewer")["id"]
    shown = owner.call("GET", "grants", token=token, status=200)[1]["items"]
    assert {one["path"] for one in shown} == {"app/", "app/prod/"}
    for method in ("GET", "DELETE"):
        assert owner.call(method, f"grants/{elsewhere}", token=token)[0] in {403, 404}
    owner.call("DELETE", f"grants/{made['id']}", token=token, status=204)
    for method, path in (("GET", "members"), ("PUT", "members/x"), ("PUT", "roles/x")):
        body = {"rights": ["read"]} if "roles" in path else {} if method == "PUT" else None
        assert owner.call(method, path, body, token=token)[0] in {403, 404}, path
    assert owner.call("POST", "members/eve/token", {}, token=token)[0] in {403, 404}


def test_a_login_is_the_members(server, owner):
    """Named before its first log-in; its children are the member, its orphans are nobody."""
    space = {"X-Vault-Namespace": owner.user}
    body = {"password": "a password of frank"}
    status, _, _ = server.root("POST", "/v1/auth/userpass/users/frank", body, headers=space)
    assert status == 204
    owner.call("PUT", "members/frank", {"logins": ["userpass:frank"]}, status=200)
    owner.grant("frank", "app/", role="viewer")
    login = "/v1/auth/userpass/login/frank"
    token = server.raw("POST", login, body, headers=space)[2]["auth"]["client_token"]
    assert owner.call("GET", "secrets/app/db", token=token)[0] == 200
    assert owner.call("GET", "secrets/top", token=token)[0] == 404
    other = server.raw("POST", "/v1/auth/userpass/login/me", {"password": "a password"},
                       headers=space)[2]["auth"]["client_token"]  # fmt: skip
    assert owner.call("GET", "secrets/top", token=other)[0] == 200  # by its policy


def test_two_members_and_two_users_see_nothing_of_each_other(server, owner):
    second = Owner(server)
    ann, ben = owner.member("ann"), owner.member("ben")
    owner.grant("ann", "app/", role="editor")
    owner.grant("ben", "top", role="editor")
    second.member("ann")
    second.grant("ann", "/", role="editor")
    for token, mine, theirs in ((ann, "app/db", "top"), (ben, "top", "app/db")):
        assert owner.call("GET", f"secrets/{mine}", token=token)[0] == 200
        there, absent = (
            owner.call("GET", f"secrets/{name}", token=token) for name in (theirs, "absent")
        )
        there[1].pop("request_id")
        absent[1].pop("request_id")
        assert there == absent
        assert second.call("GET", f"secrets/{mine}", token=token)[0] == 403
        listed = owner.call("GET", "secrets", token=token, status=200)[1]["items"]
        assert theirs not in {one["name"] for one in listed}


def test_explain_and_the_command_line(server, owner, tmp_path):
    env = dict(os.environ, ADYTON_ADDR=server.addr, ADYTON_TOKEN=owner.token, HOME=str(tmp_path))

    def adyton(*arguments, token=None):
        command = [BIN / "adyton", "--user", owner.user, "-o", "json", *arguments]
        here = env | ({"ADYTON_TOKEN": token} if token else {})
        done = subprocess.run(command, env=here, capture_output=True, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None

    assert adyton("member", "add", "gina", "--machine")[1]["kind"] == "machine"
    token = adyton("member", "token", "gina", "--ttl", "1h")[1]["token"]
    assert adyton("get", "app/db", token=token)[0] == 3
    made = adyton("grant", "add", "gina", "app/", "--role", "viewer", "--expires", "7d",
                  "--approval", "app/prod/")[1]  # fmt: skip
    found = adyton("access", "explain", "gina", "get", "app/db")[1]
    assert (found["allowed"], found["rule"]) == (True, f"grant:{made['id']}")
    found = adyton("access", "explain", "gina", "write", "app/db")[1]
    assert (found["allowed"], found["steps"][-1]["outcome"]) == (False, "does not apply")
    assert adyton("access", "explain", "gina", "get", "app/prod/key")[1]["allowed"] is False
    key = ("get", "app/prod/key")
    assert adyton(*key, token=token)[0] == 5
    asked = adyton("access", "request", "read", "app/prod/key", "--reason", "x", token=token)[1]
    assert adyton("access", "approve", asked["id"], token=token)[0] == 3
    assert adyton("access", "approve", asked["id"])[1]["state"] == "approved"
    assert adyton(*key, token=token)[0] == 0
    assert adyton(*key, token=token)[0] == 5
    who = adyton("access", "who", "app/db")[1]
    assert ("gina", "grant") in {(one["actor"], one["kind"]) for one in who}
    assert adyton("grant", "list", "--member", "gina")[1][0]["id"] == made["id"]
    assert adyton("role", "set", "mine", "--right", "read")[1]["rights"] == ["read"]
    assert adyton("grant", "revoke", made["id"])[0] == 0
    assert adyton("get", "app/db", token=token)[0] == 3
    assert adyton("member", "remove", "gina", "--yes")[0] == 0
    assert adyton("member", "list")[1] == []


def test_who_could_read_tells_of_tokens_by_their_policies(owner):
    def by_policy(path):
        found = owner.call("GET", f"access/who?path={path}", status=200)[1]["items"]
        return [one for one in found if "policies top-only" in one["through"]]

    rule = 'path "secret/data/top" { capabilities = ["read"] }'
    assert by_policy("top") == []
    for path, body in (
        ("sys/policies/acl/top-only", {"policy": rule}),
        ("auth/userpass/users/bo", {"password": "a password", "policies": "top-only"}),
    ):
        assert owner.server.root(
            "POST", f"/v1/{path}", body, headers={"X-Vault-Namespace": owner.user}
        )[0] == 204  # fmt: skip
    (found,) = by_policy("top")
    assert found["kind"] == "policy"
    assert by_policy("app/db") == []


def test_each_route_uses_up_what_it_was_approved_for(owner):
    """One approval, one operation: of reads, writes, deletions, tags and metadata alike."""
    token = owner.member("hal")
    owner.grant("hal", "app/", role="editor", conditions={"approval": ["/"]})
    asked = (
        ("read", "GET", "secrets/app/db", None),
        ("read-metadata", "GET", "metadata/app/db", None),
        ("write", "PUT", "secrets/app/db", {"value": text("x")}),
        ("write", "POST", "rollback/app/db", {"version": 1}),
        ("write", "PATCH", "metadata/app/db", {}),
        ("tag", "PATCH", "tags/app/db", {"add": ["x"]}),
        ("delete", "DELETE", "secrets/app/db", None),
        ("delete", "POST", "undelete/app/db", {}),
        ("write", "POST", "rotation-run/app/db", None),
        ("delete", "POST", "destroy/app/db", {"versions": None}),
    )
    owner.call("PUT", "rotation/app/db", {"grace": 0}, status=200)
    for right, method, path, body in asked:
        refused = owner.call(method, path, body, token=token)
        assert refused[0] == 403, (path, refused)
        ask = {"right": right, "path": "app/db"}
        made = owner.call("POST", "access/requests", ask, token=token, status=200)[1]
        owner.call("POST", f"access/requests/{made['id']}/approve", {}, status=200)
        found = owner.call(method, path, body, token=token)
        assert found[0] in {200, 204}, (path, found)
        left = owner.call("GET", "access/requests", status=200)[1]["items"]
        assert [one["uses_left"] for one in left if one["id"] == made["id"]] == [0], path
        assert owner.call(method, path, body, token=token)[0] in {403, 404}, path


def test_reads_by_vault_clients_are_counted(owner):
    """Each of them, though the server knows the way to what was read before."""
    token = owner.member("ida")
    owner.call("PUT", "secrets/app/db", {"value": {"encoding": "json", "data": {"k": "v"}}})
    owner.grant("ida", "app/db", rights=["read"], conditions={"reads": 3})
    space = {"X-Vault-Namespace": owner.user}
    found = [
        owner.server.raw("GET", f"/v1/secret/{area}/app/db", token=token, headers=space)[0]
        for area in ("data", "data", "subkeys", "data", "subkeys")
    ]
    assert found == [200, 200, 200, 403, 403]
    batch = {"names": ["app/db"]}
    assert owner.call("POST", "batch/read", batch, token=token)[0] in {403, 404}
    grants = owner.call("GET", "grants", status=200)[1]["items"]
    assert grants[0]["reads_left"] == 0


@pytest.mark.parametrize("place", ["app/db", "app/"])
def test_who_may_only_write_has_no_rotator_told_the_value(owner, place):
    ann = owner.member("ann")
    owner.grant("ann", "app/", rights=["write"])
    owner.grant("ann", "top", rights=["read"])
    policy = {"rotator": "webhook", "admin": "top", "settings": {"url": "https://127.0.0.1:9/"}}
    owner.call("PUT", f"rotation/{place}", policy, token=ann, status=403)
    owner.call("PUT", f"rotation/{place}", {"grace": 0}, token=ann, status=200)
    owner.grant("ann", "app/", rights=["read"])
    assert owner.call("PUT", f"rotation/{place}", policy, token=ann)[0] != 403


def test_no_member_revokes_a_denial_of_their_own(owner):
    ann, boss = owner.member("ann"), owner.member("boss")
    for name in ("ann", "boss"):
        owner.grant(name, "app/", rights=["admin", "read"])
    denied = owner.grant("ann", "app/prod/", rights=["read"], deny=True)["id"]
    owner.call("DELETE", f"grants/{denied}", token=ann, status=400)
    owner.call("GET", "secrets/app/prod/key", token=ann, status=403)
    owner.call("DELETE", f"grants/{denied}", token=boss, status=204)
    owner.call("GET", "secrets/app/prod/key", token=ann, status=200)


def test_no_member_changes_a_role_of_their_own(owner):
    ann = owner.member("ann")
    owner.call("PUT", "roles/clerk", {"rights": ["list"]}, status=200)
    owner.grant("ann", "/", rights=["admin"])
    owner.grant("ann", "app/", role="clerk")
    owner.call("PUT", "roles/clerk", {"rights": ["list", "read"]}, token=ann, status=400)
    owner.call("GET", "secrets/app/db", token=ann, status=403)
    owner.call("PUT", "roles/other", {"rights": ["read"]}, token=ann, status=200)
    owner.call("PUT", "roles/clerk", {"rights": ["list", "read"]}, status=200)
    owner.call("GET", "secrets/app/db", token=ann, status=200)


def test_a_kept_answer_is_told_to_whoever_may_ask_for_it_alone(server, owner):
    """The key and the request are not enough, also of the same namespace."""
    token = owner.member("zed")
    key = {"Idempotency-Key": "k" + secrets.token_hex(4)}

    def write(by, path, body, method="PUT"):
        where = f"users/{owner.user}/{path}"
        status, headers, found = call(server, method, where, body, token=by, headers=key)
        return status, headers.get("idempotency-replayed"), json.dumps(found)

    request = "secrets/app/db", {"value": text("new")}
    assert write(owner.token, *request)[:2] == (200, None)
    assert write(token, *request)[:2] == (404, None)
    owner.grant("zed", "app/", role="viewer")
    assert write(token, *request)[:2] == (403, None)
    made = owner.grant("zed", "app/", role="editor")
    assert write(token, *request)[:2] == (200, "true")
    assert owner.call("GET", "metadata/app/db")[1]["version"] == 2
    owner.call("DELETE", f"grants/{made['id']}", status=204)
    assert write(token, *request)[:2] == (403, None)
    key["Idempotency-Key"] += "w"
    hook = "webhooks", {"url": "https://example.org/hook"}, "POST"
    status, _, found = write(owner.token, *hook)
    assert (status, "whsec_" in found) == (200, True), found
    status, _, found = write(token, *hook)
    assert status in {403, 404}
    assert "whsec_" not in found


def test_what_is_denied_in_a_folder_is_denied_in_lists_that_a_policy_gives(server, owner):
    """Records and grants of it, name by name; ``root`` is nobody's to deny."""
    space = {"X-Vault-Namespace": owner.user}
    body = {"password": "a password of gina", "policies": "p"}
    assert server.root("POST", "/v1/auth/userpass/users/gina", body, headers=space)[0] == 204
    login = "/v1/auth/userpass/login/gina"
    owner.call("PUT", "members/gina", {"logins": ["userpass:gina"]}, status=200)
    owner.member("other")
    owner.grant("other", "app/db", role="viewer")
    owner.grant("other", "top", role="viewer")
    token = server.raw("POST", login, body, headers=space)[2]["auth"]["client_token"]

    def seen():
        records = owner.call("GET", "audit?limit=1000", token=token, status=200)[1]["items"]
        grants = owner.call("GET", "grants", token=token, status=200)[1]["items"]
        names = {one["secret_name"] for one in records} | {one["path"] for one in grants}
        return {name for name in names if name in {"app/db", "top", "app/"}}

    assert seen() == {"app/db", "top"}
    owner.grant("gina", "app/", rights=["audit", "admin"], deny=True)
    assert seen() == {"top"}


def test_what_a_policy_denies_no_grant_gives(server, owner):
    """Deny wins, whichever says it; the grant goes on where the policy is silent."""
    narrow = 'path "adyton/secrets/app/prod/*" { capabilities = ["deny"] }'
    assert server.root(
        "PUT", "/v1/sys/policies/acl/narrow", {"policy": narrow},
        headers={"X-Vault-Namespace": owner.user},
    )[0] == 204  # fmt: skip
    body = {"password": "a password of hugo", "policies": "narrow"}
    where, space = "userpass/users/hugo", {"X-Vault-Namespace": owner.user}
    assert server.root("POST", f"/v1/auth/{where}", body, headers=space)[0] == 204
    owner.call("PUT", "members/hugo", {"logins": ["userpass:hugo"]}, status=200)
    owner.grant("hugo", "app/", role="editor")
    login = server.raw("POST", "/v1/auth/userpass/login/hugo", body, headers=space)
    token = login[2]["auth"]["client_token"]
    assert owner.call("GET", "secrets/app/db", token=token)[0] == 200
    assert owner.call("GET", "secrets/app/prod/key", token=token)[0] == 403
