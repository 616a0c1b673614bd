"""Members over HTTP: what they were given, and nothing else."""

import secrets

import pytest

from natives import call, put, text, token_of
from servers import TOKEN, Server

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
