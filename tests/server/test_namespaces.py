"""Names that have been special elsewhere: of namespaces, of policies; ids of other namespaces."""

import re
from urllib.parse import quote

import pytest

from adyton.server.vault.api import VaultApi
from adyton.server.vault.context import NOT_BY_PATH
from adyton.server.vault.service import Services
from support import Place

DENIED = {"errors": ["permission denied"]}
NAMES = ["me", "default", "admin", "ROOT", "Root", "roots", "secret2", "v1", "a b", "größe", "-"]


def by_header(server, name, method, path, body=None, *, token=None):
    headers = {"X-Vault-Namespace": name.encode()} if name is not None else {}
    token = server.token if token is None else token
    return server.raw(method, f"/v1/{path}", body, token=token, headers=headers)


def by_path(server, name, method, path, body=None, *, token=None):
    token = server.token if token is None else token
    return server.raw(method, f"/v1/{quote(name)}/{path}", body, token=token)


@pytest.mark.parametrize("space", [*NAMES, "root"])
def test_header_and_path_name_the_same_namespace(server, name, space):
    """What is written by one way is read by the other, and in no other namespace."""
    path = f"secret/data/{name}"
    written = {"data": {"in": space}}
    assert by_path(server, space, "POST", path, written)[0] == 200
    for spelled in (space, space + "/", "/" + space) if space.isascii() else ():
        found = by_header(server, spelled, "GET", path)
        assert (found[0], found[2]["data"]["data"]) == (200, {"in": space})
    assert by_path(server, space, "GET", path)[2]["data"]["data"] == {"in": space}
    for other in (*NAMES, "root"):
        if other != space:
            assert by_path(server, other, "GET", path)[0] == 404
    # The operator's own namespace has one name, and none at all means it as well.
    bare = server.root("GET", f"/v1/{path}")[0], by_header(server, "", "GET", path)[0]
    assert bare == ((200, 200) if space == "root" else (404, 404))


@pytest.mark.parametrize("space", ["..", ".", "a/b", "a/../root", "x\x7f", "n" * 129, "e\u0301"])
def test_names_that_are_none_are_refused(server, space):
    """By the header 400 as by the path, and nothing is served."""
    if space.isascii() and space.isprintable():
        assert by_header(server, space, "GET", "secret/data/x")[0] == 400
    if "/" not in space:
        assert by_path(server, space, "GET", "secret/data/x")[0] == 400


@pytest.mark.parametrize("space", sorted(NOT_BY_PATH))
def test_built_in_paths_are_no_namespaces(server, name, space):
    """A namespace of such a name is reached by its header only."""
    path = f"secret/data/{name}"
    assert by_header(server, space, "POST", path, {"data": {"in": space}})[0] == 200
    assert by_header(server, space, "GET", path)[2]["data"]["data"] == {"in": space}
    assert by_path(server, space, "GET", path)[0] in {404, 405}


def test_a_path_names_one_namespace_and_once(server, name):
    """No second prefix, none behind a header: each request has one reading."""
    inner = f"secret/data/{name}"
    by_path(server, "me", "POST", inner, {"data": {"in": "me"}})
    assert by_path(server, "me/me", "GET", inner)[0] == 404
    assert by_path(server, "root/me", "GET", inner)[0] == 404
    assert by_path(server, "/".join(["root"] * 500), "GET", inner)[0] == 404
    assert by_header(server, "default", "GET", f"me/{inner}")[0] == 404
    assert by_header(server, "root", "GET", f"me/{inner}")[0] == 404


def test_a_mount_of_the_operator_is_no_namespace(server, name):
    """Where something is mounted, the path means the mount."""
    by_header(server, name, "POST", "secret/data/a", {"data": {"in": "namespace"}})
    assert by_path(server, name, "GET", "secret/data/a")[0] == 200
    server.root("POST", f"/v1/sys/mounts/{name}", {"type": "kv", "options": {"version": "1"}})
    assert by_path(server, name, "GET", "secret/data/a")[0] == 404
    assert by_header(server, name, "GET", "secret/data/a")[2]["data"]["data"]["in"] == "namespace"
    server.root("DELETE", f"/v1/sys/mounts/{name}")


def test_policies_see_the_namespace_by_either_way(server, name):
    """A token of the operator with a right in one namespace; a namespace's own token."""
    path = f"secret/data/{name}"
    for space in ("me", "default", "root"):
        by_path(server, space, "POST", path, {"data": {"in": space}})
    narrow = server.token_with(f'path "me/{path}" {{ capabilities = ["read"] }}')
    for way in (by_header, by_path):
        assert way(server, "me", "GET", path, token=narrow)[0] == 200
        for other in ("default", "root", "Me", "ME"):
            assert way(server, other, "GET", path, token=narrow)[::2] == (403, DENIED)
    assert server.raw("GET", f"/v1/{path}", token=narrow)[0] == 403
    by_root = server.token_with(f'path "root/{path}" {{ capabilities = ["read"] }}')
    for way in (by_header, by_path):  # one's own namespace is not named in policies
        assert way(server, "root", "GET", path, token=by_root)[0] == 403
    made = by_header(server, "me", "POST", "auth/token/create", {"policies": ["default"]})
    assert made[0] == 200
    own = made[2]["auth"]["client_token"]
    for way in (by_header, by_path):
        assert way(server, "me", "GET", "auth/token/lookup-self", token=own)[0] == 200
        for other in ("default", "root", "ME"):
            assert way(server, other, "GET", "auth/token/lookup-self", token=own)[0] == 403
    assert server.raw("GET", "/v1/auth/token/lookup-self", token=own)[0] == 403


ROOTS = ["root", "ROOT", "Root", " root", "root ", "root\t", "x,root", "root,x", "r\u043e\u043et",
         "root\u200b", "root\x00", "\uff52oot", "root/", "./root", "root\u0301"]  # fmt: skip


def may_do_everything(server, token):
    return server.raw("GET", "/v1/sys/policies/acl", token=token)[0] == 200


@pytest.mark.parametrize("spelled", ROOTS)
def test_no_spelling_of_root_gives_its_rights(server, name, spelled):
    """By making a token, by a role of tokens, by each login method."""
    maker = server.token_with('path "auth/token/*" { capabilities = ["create", "update", "sudo"] }')
    body = {"policies": [spelled]}
    for path in ("create", "create-orphan"):
        made = server.raw("POST", f"/v1/auth/token/{path}", body, token=maker)
        assert made[0] == 400
    server.root("POST", f"/v1/auth/token/roles/{name}", {"allowed_policies": [spelled, name]})
    for chosen in (body, {}):
        made = server.raw("POST", f"/v1/auth/token/create/{name}", chosen, token=maker)
        assert made[0] == 400 or not may_do_everything(server, made[2]["auth"]["client_token"])
    for kind in ("userpass", "approle"):
        server.root("POST", f"/v1/sys/auth/{name}-{kind}", {"type": kind})
    user = {"password": "pw", "token_policies": [spelled]}
    server.root("POST", f"/v1/auth/{name}-userpass/users/u", user)
    login = server.raw("POST", f"/v1/auth/{name}-userpass/login/u", {"password": "pw"})
    assert login[0] == 400 or not may_do_everything(server, login[2]["auth"]["client_token"])
    role = f"/v1/auth/{name}-approle/role/r"
    for change in (("", {"token_policies": [spelled]}), ("/policies", {"token_policies": spelled})):
        server.root("POST", role + change[0], change[1])
        ids = {
            "role_id": server.root("GET", f"{role}/role-id")[2]["data"]["role_id"],
            "secret_id": server.root("POST", f"{role}/secret-id")[2]["data"]["secret_id"],
        }
        login = server.raw("POST", f"/v1/auth/{name}-approle/login", ids)
        assert login[0] == 400 or not may_do_everything(server, login[2]["auth"]["client_token"])
    text = {"policy": 'path "*" { capabilities = ["read", "sudo"] }'}
    written = server.root("PUT", f"/v1/sys/policies/acl/{quote(spelled)}", text)[0]
    assert written in ({400} if spelled.strip().lower() == "root" else {204, 400, 404, 405})
    if written == 204:
        server.root("DELETE", f"/v1/sys/policies/acl/{quote(spelled)}")


def test_the_stores_own_paths_are_the_operators(server, name):
    """A namespace's administrator neither reads what is counted of all, nor seals the store."""
    made = by_header(server, name, "POST", "auth/token/create", {"policies": ["root"]})
    assert made[2]["auth"]["policies"] == ["root"]
    admin = made[2]["auth"]["client_token"]
    assert by_header(server, name, "GET", "sys/policies/acl", token=admin)[0] == 200
    for method, path in (
        ("GET", "sys/metrics"), ("GET", "sys/key-status"), ("PUT", "sys/seal"),
        ("PUT", "sys/rotate"),
        ("PUT", "sys/rekey/init"), ("GET", "sys/rekey/init"), ("DELETE", "sys/rekey/init"),
    ):  # fmt: skip
        for way in (by_header, by_path):
            status = way(server, name, method, path, {}, token=admin)[0]
            assert status in {403, 404, 405}, path
    assert by_header(server, name, "GET", "sys/audit", token=admin)[2]["data"] == {}
    assert server.raw("GET", "/v1/sys/policies/acl", token=admin)[0] == 403
    assert server.raw("GET", "/v1/sys/health")[0] == 200


def routes_of(folder):
    """All routes of the server, read from its tables: pattern, methods, whether public."""
    with Place(folder).open() as store:
        services = Services(store._opened.core)
        api = VaultApi(services)
        found = [(route, "") for routes in api._routes._routes.values() for route in routes]
        for kind, method in services.logins.items():
            found += [
                (route, f"auth/{kind}/")
                for routes in method._routes._routes.values()
                for route in routes
            ]
    return found


def test_no_route_takes_ids_or_tokens_of_another_namespace(server, name, tmp_path):
    """Each route of the tables, with ids that are real elsewhere: refused, nothing is changed."""
    ours, theirs = name, name + "-theirs"
    everything = {"policy": 'path "*" { capabilities = ["create", "read", "update", "patch",'
                            ' "delete", "list", "sudo"] }'}  # fmt: skip
    tokens = {}
    for space in (ours, theirs):
        by_header(server, space, "PUT", "sys/policies/acl/all", everything)
        body = {"policies": ["all"], "ttl": "1h"}
        tokens[space] = by_header(server, space, "POST", "auth/token/create", body)[2]["auth"]
        for kind in ("userpass", "approle"):
            by_header(server, space, "POST", f"sys/auth/{kind}", {"type": kind})
    by_header(server, theirs, "POST", "auth/approle/role/r", {"token_policies": "all"})
    role = "auth/approle/role/r"
    role_id = by_header(server, theirs, "GET", f"{role}/role-id")[2]["data"]["role_id"]
    secret = by_header(server, theirs, "POST", f"{role}/secret-id")[2]["data"]
    victim = tokens[theirs]
    lease = f"auth/token/create/{victim['accessor']}"
    body = {
        "accessor": victim["accessor"],
        "token": victim["client_token"],
        "lease_id": lease,
        "role_id": role_id,
        "secret_id": secret["secret_id"],
        "secret_id_accessor": secret["secret_id_accessor"],
        "id": victim["accessor"],
        "increment": 7200,
        "paths": ["secret/data/x"],
        "input": "x",
    }
    mine = tokens[ours]["client_token"]
    skipped = re.compile("sys/(seal|unseal|init|rekey|rotate|step-down|generate-root)")
    tried = 0
    for route, prefix in routes_of(tmp_path):
        pattern = prefix + route.pattern.pattern.removesuffix("/?").replace("\\", "")
        path = re.sub(r"\(\?P<(\w+)>[^)]*\)", lambda m: lease if m[1] in {"lease", "prefix"} else
                      victim["accessor"] if m[1] in {"id", "name"} else "r", pattern)  # fmt: skip
        if route.public or skipped.match(path) or path.endswith("revoke-self"):
            continue
        for method in ("GET", "LIST", "POST", "PATCH", "DELETE"):
            sent = body if method in {"POST", "PATCH"} else None
            for way in (by_header, by_path):
                status, _, answer = way(server, theirs, method, path, sent, token=mine)
                if route.own_check and status == 405:
                    continue
                assert status == 403, (method, path, status)
                assert answer == DENIED or path.startswith("sys/internal/ui/mounts/")
            # In one's own namespace, where these ids are none.
            if "auth/token/roles" not in path and "auth/token/create" not in path:
                by_header(server, ours, method, path, sent, token=mine)
            tried += 1
    assert tried > 200
    looked = by_header(
        server, theirs, "GET", "auth/token/lookup-self", token=victim["client_token"]
    )
    assert looked[0] == 200
    assert looked[2]["data"]["ttl"] <= 3600
    again = by_header(
        server, theirs, "POST", "auth/approle/login",
        {"role_id": role_id, "secret_id": secret["secret_id"]}, token="",
    )  # fmt: skip
    assert again[0] == 200


def test_a_mount_that_was_made_anew_is_read_anew(server, name):
    """By the operator's token, which has read the former one at the same path in that namespace."""
    alice = {"X-Vault-Namespace": name}
    for value in ("former", "newer"):
        made = {"type": "kv", "options": {"version": "2"}}
        assert server.root("POST", "/v1/sys/mounts/kv", made, headers=alice)[0] == 204
        server.root("POST", "/v1/kv/data/x", {"data": {"in": value}}, headers=alice)
        for _ in range(3):
            for way in (by_header, by_path):
                found = way(server, name, "GET", "kv/data/x")
                assert (found[0], found[2]["data"]["data"]) == (200, {"in": value})
        assert server.root("DELETE", "/v1/sys/mounts/kv", headers=alice)[0] == 204
        assert by_header(server, name, "GET", "kv/data/x")[0] == 404


def test_a_path_that_becomes_a_mount_means_the_mount(server, name):
    """Also for a token that has read its namespace by that path before."""
    made = by_header(server, name, "POST", "auth/token/create", {"policies": ["root"]})
    own = made[2]["auth"]["client_token"]
    by_header(server, name, "POST", "secret/data/x", {"data": {"in": "namespace"}})
    for _ in range(3):
        assert by_path(server, name, "GET", "secret/data/x", token=own)[0] == 200
    server.root("POST", f"/v1/sys/mounts/{name}", {"type": "kv", "options": {"version": "1"}})
    assert by_path(server, name, "GET", "secret/data/x", token=own)[0] == 403
    assert by_header(server, name, "GET", "secret/data/x", token=own)[0] == 200
    server.root("DELETE", f"/v1/sys/mounts/{name}")
