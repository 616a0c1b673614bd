"""Entities, and policies that name them."""

import pytest

POLICY = """
path "secret/data/people/{{{{identity.entity.id}}}}/*" {{ capabilities = ["read"] }}
path "secret/data/names/{{{{identity.entity.name}}}}" {{ capabilities = ["read"] }}
path "secret/data/teams/{{{{identity.entity.metadata.team}}}}" {{ capabilities = ["read"] }}
path "secret/data/mine/{{{{identity.entity.aliases.{accessor}.name}}}}" {{
  capabilities = ["read"]
}}
path "secret/data/groups/{{{{identity.groups.names.x.id}}}}/*" {{ capabilities = ["read"] }}
path "auth/token/create" {{ capabilities = ["update", "sudo"] }}
"""


class People:
    """A login method with two users who have the same policy of templates."""

    def __init__(self, server, mount):
        self.server, self.mount = server, mount
        server.root("POST", f"/v1/sys/auth/{mount}", {"type": "userpass"})
        accessor = server.root("GET", "/v1/sys/auth")[2]["data"][f"{mount}/"]["accessor"]
        policy = {"policy": POLICY.format(accessor=accessor)}
        assert server.root("PUT", f"/v1/sys/policies/acl/{mount}", policy)[0] == 204
        for name in ("ann", "bob"):
            body = {"password": "pw", "token_policies": mount}
            assert server.root("POST", f"/v1/auth/{mount}/users/{name}", body)[0] == 204

    def login(self, name):
        path = f"/v1/auth/{self.mount}/login/{name}"
        return self.server.raw("POST", path, {"password": "pw"})[2]["auth"]

    def status(self, auth, path):
        """404 where the policy allows (nothing is there), 403 where it does not."""
        return self.server.raw("GET", f"/v1/secret/data/{path}", token=auth["client_token"])[0]


@pytest.fixture
def people(server, name):
    made = People(server, name)
    yield made
    server.root("DELETE", f"/v1/sys/auth/{name}")


def test_an_alias_has_one_entity(server, people):
    """The same at each login, in lookups too; another for another user; none for root."""
    first, again, other = (people.login(name) for name in ("ann", "Ann", "bob"))
    assert first["entity_id"] == again["entity_id"] != other["entity_id"] != ""
    looked = server.raw("GET", "/v1/auth/token/lookup-self", token=first["client_token"])[2]
    assert looked["data"]["entity_id"] == first["entity_id"]
    assert server.root("GET", "/v1/auth/token/lookup-self")[2]["data"]["entity_id"] == ""


def test_templates_stand_for_the_entity(server, people):
    """Each user's own place, not the other's; metadata count as soon as they are set."""
    ann, bob = people.login("ann"), people.login("bob")
    for mine, others in ((ann, bob), (bob, ann)):
        assert people.status(mine, f"people/{mine['entity_id']}/x") == 404
        assert people.status(mine, f"people/{others['entity_id']}/x") == 403
        assert people.status(mine, "people/x") == 403
        assert people.status(mine, "groups/x") == 403
    assert people.status(ann, "mine/ann") == 404
    assert people.status(ann, "mine/bob") == 403
    assert people.status(ann, "teams/red") == 403
    entity = f"/v1/identity/entity/id/{ann['entity_id']}"
    body = {"name": f"{people.mount}-ann", "metadata": {"team": "red"}}
    assert server.root("POST", entity, body)[0] == 204
    assert people.status(ann, "teams/red") == 404
    assert people.status(ann, f"names/{people.mount}-ann") == 404
    assert people.status(bob, "teams/red") == 403
    for wide in ("*", "red/*", "+", "a/b"):
        assert server.root("POST", entity, {"metadata": {"team": wide}})[0] == 204
        assert people.status(ann, "teams/red") == 403


def test_a_tokens_own_metadata_give_no_right(server, people):
    """Whoever makes a token chooses its metadata: they stand for nothing in a policy."""
    ann = people.login("ann")
    for more in ({}, {"no_parent": True}):
        body = {"policies": [people.mount], "meta": {"team": "red"}, **more}
        made = server.raw("POST", "/v1/auth/token/create", body, token=ann["client_token"])[2]
        assert people.status(made["auth"], "teams/red") == 403
        allowed = 403 if more else 404  # an orphan has no entity
        assert people.status(made["auth"], f"people/{ann['entity_id']}/x") == allowed


def test_disabling_a_method_ends_its_tokens(server, people, name):
    """What it gave is refused at once, and a new one at the same path begins with nobody."""
    ann = people.login("ann")
    assert people.status(ann, "mine/ann") == 404
    assert server.root("DELETE", f"/v1/sys/auth/{name}")[0] == 204
    assert people.status(ann, "mine/ann") == 403
    server.root("POST", f"/v1/sys/auth/{name}", {"type": "userpass"})
    assert server.root("LIST", f"/v1/auth/{name}/users")[0] == 404
    path = f"/v1/auth/{name}/login/ann"
    assert server.raw("POST", path, {"password": "pw"})[0] == 400


def test_entities_are_their_namespaces_own(server, people, name):
    """Not found by id from another namespace."""
    ann = people.login("ann")
    path = f"/v1/identity/entity/id/{ann['entity_id']}"
    assert server.root("GET", path)[0] == 200
    assert server.root("GET", path, headers={"X-Vault-Namespace": name})[0] == 404
    assert server.root("POST", path, {"policies": ["root"]})[0] == 400


def test_leases_of_tokens(server, name):
    """Listed, looked up, ended; never kept alive by a right on leases."""
    server.root("PUT", f"/v1/sys/policies/acl/{name}", {"policy": 'path "x" { policy = "read" }'})
    made = server.root("POST", "/v1/auth/token/create", {"policies": [name], "ttl": "1h"})[2]
    token, accessor = made["auth"]["client_token"], made["auth"]["accessor"]
    lease = f"auth/token/create/{accessor}"
    listed = server.root("LIST", "/v1/sys/leases/lookup/auth/token/create/")[2]["data"]["keys"]
    assert accessor in listed
    found = server.root("PUT", "/v1/sys/leases/lookup", {"lease_id": lease})[2]["data"]
    assert (found["id"], found["renewable"]) == (lease, True)
    assert 3500 < found["ttl"] <= 3600
    status, _, body = server.root("PUT", "/v1/sys/leases/renew", {"lease_id": lease})
    assert (status, body["errors"]) == (400, ["tokens cannot be renewed through this endpoint"])
    space = {"X-Vault-Namespace": name}
    for path in ("lookup", "renew"):
        asked = {"lease_id": lease}
        assert server.root("PUT", f"/v1/sys/leases/{path}", asked, headers=space)[0] == 400
    assert server.root("PUT", f"/v1/sys/leases/revoke/{lease}", headers=space)[0] == 204
    assert server.raw("GET", "/v1/auth/token/lookup-self", token=token)[0] == 200
    for wrong in (f"auth/token/{accessor}", f"auth/x/create/{accessor}", accessor, "/", "x/"):
        assert server.root("PUT", "/v1/sys/leases/revoke", {"lease_id": wrong})[0] == 204
    assert server.raw("GET", "/v1/auth/token/lookup-self", token=token)[0] == 200
    assert server.root("PUT", "/v1/sys/leases/revoke", {"lease_id": lease})[0] == 204
    assert server.raw("GET", "/v1/auth/token/lookup-self", token=token)[0] == 403


def test_moving_a_method_ends_its_tokens_as_well(server, people, name):
    """A token is bound to the path that it was made at; users and roles move along."""
    ann = people.login("ann")
    body = {"from": f"auth/{name}", "to": f"auth/{name}-moved"}
    ident = server.root("POST", "/v1/sys/remount", body)[2]["migration_id"]
    status = server.root("GET", f"/v1/sys/remount/status/{ident}")[2]["data"]
    assert status["migration_info"]["status"] == "success"
    assert people.status(ann, "mine/ann") == 403
    people.mount = f"{name}-moved"
    again = people.login("ann")
    assert again["entity_id"] == ann["entity_id"]
    assert people.status(again, "mine/ann") == 404
    assert server.root("DELETE", f"/v1/sys/auth/{name}-moved")[0] == 204
    assert people.status(again, "mine/ann") == 403
    for wrong in ({"from": f"auth/{name}", "to": "x"}, {"from": "secret", "to": "auth/x"}):
        assert server.root("POST", "/v1/sys/remount", wrong)[0] == 400


def test_the_real_command_line(server, name):
    """Moves, tuning, leases, entities and another namespace's token, by `bao` unchanged."""
    bao = server.bao
    bao("secrets", "enable", f"-path={name}", "kv-v2")
    assert "Finished moving" in bao("secrets", "move", name, f"{name}-moved")
    bao("kv", "put", f"-mount={name}-moved", "a", "b=c")
    bao("auth", "enable", f"-path={name}", "userpass")
    bao("auth", "tune", "-description=people", f"{name}/")
    assert "people" in bao("auth", "list")
    bao("write", f"auth/{name}/users/ann", "password=pw")
    bao("write", f"auth/{name}/login/ann", "password=pw")
    prefix = f"sys/leases/lookup/auth/{name}/login/ann"
    assert bao("list", prefix).count("\n") == 3
    bao("lease", "revoke", "-prefix", f"auth/{name}")
    assert "No value found" in bao("list", prefix, fails=True)
    assert bao("list", "identity/entity/id").count("\n") >= 3
    made = bao("token", "create", f"-namespace={name}", "-policy=root", "-field=token")
    assert "secret/" in bao("secrets", "list", f"-namespace={name}", token=made)
    assert "permission denied" in bao("secrets", "list", token=made, fails=True)


def test_a_secret_id_does_not_say_which_role_it_is_of(server, name):
    """Whoever makes SecretIDs chooses their metadata; the role's name in there is the role's."""
    server.root("POST", f"/v1/sys/auth/{name}", {"type": "approle"})
    accessor = server.root("GET", "/v1/sys/auth")[2]["data"][f"{name}/"]["accessor"]
    place = f"identity.entity.aliases.{accessor}.metadata.role_name"
    policy = f'path "secret/data/roles/{{{{{place}}}}}" {{ capabilities = ["read"] }}'
    server.root("PUT", f"/v1/sys/policies/acl/{name}", {"policy": policy})
    role = f"/v1/auth/{name}/role/small"
    server.root("POST", role, {"token_policies": name})
    role_id = server.root("GET", f"{role}/role-id")[2]["data"]["role_id"]
    metadata = '{"role_name": "great", "from": "ci"}'
    made = server.root("POST", f"{role}/secret-id", {"metadata": metadata})[2]["data"]
    body = {"role_id": role_id, "secret_id": made["secret_id"]}
    auth = server.raw("POST", f"/v1/auth/{name}/login", body)[2]["auth"]
    assert auth["metadata"] == {"role_name": "small", "from": "ci"}
    for at, expected in (("small", 404), ("great", 403)):
        path = f"/v1/secret/data/roles/{at}"
        assert server.raw("GET", path, token=auth["client_token"])[0] == expected
    server.root("DELETE", f"/v1/sys/auth/{name}")
