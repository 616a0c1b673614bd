"""One name, one path: what a policy denies is denied however the path is spelled.

A token that may do everything (``*``, sudo) but for one path, where a deny rule stands: so each
spelling that the routes take for that path, and policies for another one, would be let through.
"""

import pytest

from adyton.server.vault.policies import _folded
from vaultroutes import vault_routes

VAULT = vault_routes()
ALL = 'capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"]'


def but_for(server, *paths):
    """A token that may do all but what is at these paths."""
    rules = [f'path "{path}" {{ capabilities = ["deny"] }}' for path in paths]
    return server.token_with("\n".join([f'path "*" {{ {ALL} }}', *rules]))


def concrete(path):
    return path.replace("{", "x").replace("}", "").replace("*", "")


def test_a_slash_at_the_end_passes_by_no_rule(server):
    """On every route of the table; a cubbyhole's names with and without it are two names."""
    server.root("POST", "/v1/sys/auth/userpass", {"type": "userpass"})
    server.root("POST", "/v1/sys/auth/approle", {"type": "approle"})
    server.root("POST", "/v1/sys/mounts/database", {"type": "database"})
    routes = [(method, concrete(path)) for method, path in VAULT]
    routes = [(method, path) for method, path in routes if not path.startswith("old/")]
    token = but_for(server, *{path for _, path in routes})
    tried = 0
    for method, path in routes:
        plain, slash = (
            server.raw(method, f"/v1/{path}{end}", {} if method == "POST" else None, token=token)[0]
            for end in ("", "/")
        )
        if plain == 403 and not path.startswith(("cubbyhole/", "secret/")):
            assert slash == 403, (method, path)
            tried += 1
    assert tried > 120


FOLDED = [
    ("sys/policies/acl/closed", "GET", ["CLOSED", "Closed", "%20closed", "closed%20", "closed/"]),
    ("sys/policy/closed", "GET", ["CLOSED", "%20closed"]),
    ("auth/up/users/closed", "GET", ["CLOSED", "closed/"]),
    ("auth/ar/role/closed", "GET", ["CLOSED", "closed/"]),
]


@pytest.mark.parametrize(("path", "method", "others"), FOLDED, ids=lambda value: str(value)[:24])
def test_spellings_of_a_name_are_one_path(server, path, method, others):
    """Names that mean the same are the same to policies, to the store and to records."""
    server.root("POST", "/v1/sys/auth/up", {"type": "userpass"})
    server.root("POST", "/v1/sys/auth/ar", {"type": "approle"})
    server.root("POST", "/v1/sys/policies/acl/closed", {"policy": f'path "x" {{ {ALL} }}'})
    server.root("POST", "/v1/auth/up/users/closed", {"password": "pw"})
    server.root("POST", "/v1/auth/ar/role/closed", {"token_policies": "x"})
    denied = but_for(server, path)
    allowed = server.token_with(f'path "{path}" {{ {ALL} }}')
    base = path.removesuffix("closed")
    for name in ("closed", *others):
        assert server.raw(method, f"/v1/{base}{name}", token=denied)[0] == 403, name
        assert server.raw(method, f"/v1/{base}{name}", token=allowed)[0] == 200, name


@pytest.mark.parametrize("field", ["policies", "role-id", "token-ttl", "custom-secret-id"])
def test_parts_of_a_role_are_the_roles(server, field):
    """Also below a role, where its name is in the middle of the path."""
    server.root("POST", "/v1/sys/auth/ar", {"type": "approle"})
    server.root("POST", "/v1/auth/ar/role/closed", {"token_policies": "x"})
    denied = but_for(server, f"auth/ar/role/closed/{field}")
    for name in ("closed", "CLOSED", "Closed"):
        for method in ("GET", "POST"):
            path = f"/v1/auth/ar/role/{name}/{field}"
            assert server.raw(method, path, {} if method == "POST" else None, token=denied)[0] in (
                {403} if (field, method) != ("custom-secret-id", "GET") else {403, 405}
            ), (method, name)


def test_settings_of_a_mount_have_one_path(server, name):
    """What lies below ``config`` is nothing, and no other way to it."""
    server.root("POST", f"/v1/sys/mounts/{name}", {"type": "kv", "options": {"version": "2"}})
    denied = but_for(server, f"{name}/config")
    assert server.raw("GET", f"/v1/{name}/config", token=denied)[0] == 403
    for more in ("/", "/x", "/config"):
        status, _, answer = server.raw("GET", f"/v1/{name}/config{more}", token=denied)
        assert status in {403, 404, 405}
        assert "max_versions" not in str(answer)
        body = {"max_versions": 7}
        server.raw("POST", f"/v1/{name}/config{more}", body, token=denied)
    assert server.root("GET", f"/v1/{name}/config")[2]["data"]["max_versions"] == 0


def test_one_mounts_folders_are_not_listed_from_another(server, name):
    """The first mount of a namespace shares its room with the others, and tells nothing of them."""
    server.root("POST", f"/v1/sys/mounts/{name}", {"type": "kv", "options": {"version": "2"}})
    server.root("POST", f"/v1/{name}/data/{name}-marker", {"data": {"a": "1"}})
    accessor = server.root("GET", f"/v1/sys/mounts/{name}")[2]["data"]["accessor"]
    token = server.token_with(f'path "secret/*" {{ {ALL} }}')
    for area in ("metadata", "data", "subkeys", "delete", "destroy"):
        for path in (".mounts", ".mounts/", f".mounts/{accessor}", f".mounts/{accessor}/"):
            for method in ("LIST", "GET"):
                status, _, answer = server.raw(method, f"/v1/secret/{area}/{path}", token=token)
                assert status in {400, 404, 405}, (method, area, path)
                assert f"{name}-marker" not in str(answer)


def test_folding_is_final():
    """Folding what is folded changes nothing, or a third spelling would be possible."""
    for name in ("A", " a ", "\u0130", "\u1e9e", "a\u0301", "\xa0x"):
        assert _folded(_folded(name)) == _folded(name)
