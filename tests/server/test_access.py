"""Policies, wrapping, cubbyholes, mounts and state, as clients use them."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import hvac
import pytest

from adyton.service.access import spaces
from adyton.service.access.policy import parse_policy

DENIED = {"errors": ["permission denied"]}


def test_the_default_policy_is_what_it_shows():
    """Its text, and the form that is enforced without loading a grammar."""
    shown = parse_policy("default", spaces.DEFAULT_POLICY_TEXT)
    assert shown == parse_policy("default", spaces._DEFAULT_JSON)


def test_policies_are_kept_as_written(server, name):
    """Both endpoints; the shapes that hvac compares whole."""
    client = server.hvac()
    text = 'path "secret/data/x" { capabilities = ["read"] }  # a comment'
    client.sys.create_or_update_acl_policy(name, text)
    assert client.sys.read_acl_policy(name)["data"] == {"name": name, "policy": text}
    assert client.sys.read_policy(name)["data"]["rules"] == text
    assert name in client.sys.list_acl_policies()["data"]["keys"]
    assert name in client.sys.list_policies()["data"]["policies"]
    client.sys.delete_policy(name)
    with pytest.raises(hvac.exceptions.InvalidPath):
        client.sys.read_policy(name)
    for bad in ("path {", 'path "x" { capabilities = ["fly"] }', ""):
        with pytest.raises(hvac.exceptions.InvalidRequest):
            client.sys.create_or_update_acl_policy(name, bad)
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.sys.create_or_update_acl_policy("root", text)


def test_a_changed_policy_applies_at_once(server, name):
    """Live tokens obey the new text, also when it is removed."""
    server.root("POST", f"/v1/secret/data/{name}", {"data": {"a": 1}})
    client = server.hvac()
    client.sys.create_or_update_acl_policy(name, 'path "secret/*" { capabilities = ["read"] }')
    token = client.auth.token.create(policies=[name])["auth"]["client_token"]
    read = lambda: server.raw("GET", f"/v1/secret/data/{name}", token=token)[0]  # noqa: E731
    assert read() == 200
    client.sys.create_or_update_acl_policy(name, 'path "secret/*" { capabilities = ["list"] }')
    assert read() == 403
    client.sys.create_or_update_acl_policy(name, 'path "secret/*" { capabilities = ["read"] }')
    assert read() == 200
    client.sys.delete_policy(name)
    assert read() == 403


def test_create_and_update_are_told_apart(server, name):
    """By whether the secret is there."""
    token = server.token_with(f'path "secret/data/{name}/*" {{ capabilities = ["create"] }}')
    path = f"/v1/secret/data/{name}/a"
    assert server.raw("POST", path, {"data": {"a": 1}}, token=token)[0] == 200
    assert server.raw("POST", path, {"data": {"a": 2}}, token=token)[0] == 403
    token = server.token_with(f'path "secret/data/{name}/*" {{ capabilities = ["update"] }}')
    assert server.raw("POST", path, {"data": {"a": 2}}, token=token)[0] == 200
    assert server.raw("POST", path + "b", {"data": {"a": 2}}, token=token)[0] == 403


def test_capabilities(server):
    """Of oneself, of a token, of an accessor."""
    client = server.hvac()
    token = server.token_with(
        'path "secret/data/a" { capabilities = ["read", "list"] }'
        ' path "sys/capabilities-self" { capabilities = ["update"] }'
    )
    status, _, body = server.raw(
        "POST", "/v1/sys/capabilities-self", {"paths": ["secret/data/a", "x"]}, token=token
    )
    assert status == 200
    assert body["secret/data/a"] == body["data"]["secret/data/a"] == ["list", "read"]
    assert body["x"] == ["deny"]
    found = client.sys.get_capabilities(["secret/data/a"], token=token)
    assert found["data"]["capabilities"] == ["list", "read"]
    assert client.sys.get_capabilities(["x"])["data"]["x"] == ["root"]


def test_sudo_paths(server):
    """Update on a path is not enough where sudo is needed."""
    for capabilities, status in (('"update"', 403), ('"update", "sudo"', 200)):
        token = server.token_with(
            f'path "auth/token/create-orphan" {{ capabilities = [{capabilities}] }}'
        )
        assert server.raw("POST", "/v1/auth/token/create-orphan", {}, token=token)[0] == status


def test_wrapping(server, name):
    """One taking, by either way; errors stay unwrapped; lookup takes nothing."""
    client = server.hvac()
    client.secrets.kv.v2.create_or_update_secret(name, {"a": 1})
    path = f"/v1/secret/data/{name}"
    wrap = {"X-Vault-Wrap-TTL": "1m"}
    status, _, body = server.root("GET", path, headers=wrap)
    assert (status, body["data"], body["auth"], body["wrap_info"]["ttl"]) == (200, None, None, 60)
    assert body["wrap_info"]["creation_path"] == f"secret/data/{name}"
    token = body["wrap_info"]["token"]
    status, _, seen = server.raw("POST", "/v1/sys/wrapping/lookup", {"token": token})
    assert (status, seen["data"]["creation_ttl"]) == (200, 60)
    assert server.raw("GET", path, token=token)[::2] == (403, DENIED)
    inner = server.raw("POST", "/v1/sys/wrapping/unwrap", token=token)[2]
    assert inner["data"]["data"] == {"a": 1}
    again = server.raw("POST", "/v1/sys/wrapping/unwrap", token=token)
    assert again[0] == 400
    assert "wrapping token is not valid" in again[2]["errors"][0]
    token = server.root("GET", path, headers=wrap)[2]["wrap_info"]["token"]
    moved = server.root("POST", "/v1/sys/wrapping/rewrap", {"token": token})[2]["wrap_info"][
        "token"
    ]
    assert server.root("POST", "/v1/sys/wrapping/unwrap", {"token": token})[0] == 400
    taken = client.sys.unwrap(moved)
    assert taken["data"]["data"] == {"a": 1}
    assert server.root("GET", path + "-absent", headers=wrap)[::2] == (404, {"errors": []})
    short = server.root("GET", path, headers={"X-Vault-Wrap-TTL": "1"})[2]["wrap_info"]["token"]
    time.sleep(1.1)
    assert server.raw("POST", "/v1/sys/wrapping/unwrap", token=short)[0] == 400


def test_a_wrapped_response_is_taken_once_by_many(server):
    """Of many who come at once, one gets it."""
    from concurrent.futures import ThreadPoolExecutor

    made = server.root(
        "POST", "/v1/sys/wrapping/wrap", {"x": 1}, headers={"X-Vault-Wrap-TTL": "60"}
    )[2]["wrap_info"]["token"]
    take = lambda _: server.raw("POST", "/v1/sys/wrapping/unwrap", token=made)[0]  # noqa: E731
    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(take, range(32))) == [200] + [400] * 31


def test_cubbyholes(server, name):
    """Seen by their own token alone, and gone with it."""
    client = server.hvac()
    one, two = (client.auth.token.create(ttl="1h")["auth"]["client_token"] for _ in range(2))
    path = f"/v1/cubbyhole/{name}/a"
    assert server.raw("POST", path, {"k": "v"}, token=one)[0] == 204
    assert server.raw("GET", path, token=one)[2]["data"] == {"k": "v"}
    assert server.raw("GET", path, token=two)[0] == 404
    listed = server.raw("LIST", "/v1/cubbyhole/" + name, token=one)[2]["data"]["keys"]
    assert listed == ["a"]
    assert server.raw("DELETE", path, token=one)[0] == 204
    assert server.raw("GET", path, token=one)[0] == 404


def test_mounts(server, name):
    """Enable, read, tune, move, disable."""
    client = server.hvac()
    client.sys.enable_secrets_engine("kv", path=name, options={"version": "2"}, description="d")
    mounts = client.sys.list_mounted_secrets_engines()
    assert mounts["data"][f"{name}/"]["options"] == {"version": "2"}
    assert mounts[f"{name}/"]["type"] == "kv"
    with pytest.raises(hvac.exceptions.InvalidRequest, match="already in use"):
        client.sys.enable_secrets_engine("kv", path=name)
    client.sys.tune_mount_configuration(name, default_lease_ttl="1h", description="new")
    assert client.sys.read_mount_configuration(name)["data"]["default_lease_ttl"] == 3600
    client.secrets.kv.v2.create_or_update_secret("a", {"k": 1}, mount_point=name)
    client.sys.move_backend(name, name + "-moved")
    found = client.secrets.kv.v2.read_secret_version(
        "a", mount_point=name + "-moved", raise_on_deleted_version=True
    )
    assert found["data"]["data"] == {"k": 1}
    client.sys.disable_secrets_engine(name + "-moved")
    assert f"{name}-moved/" not in client.sys.list_mounted_secrets_engines()["data"]
    for bad in ("transit", "pki"):
        with pytest.raises(hvac.exceptions.InvalidRequest):
            client.sys.enable_secrets_engine(bad)
    assert server.root("POST", "/v1/transit/encrypt/x", {"plaintext": "aa"})[0] == 404


def test_ui_mounts_of_a_narrow_token(server):
    """The call that the command line makes before each kv command."""
    token = server.token_with('path "secret/data/one" { capabilities = ["read"] }')
    status, _, body = server.raw("GET", "/v1/sys/internal/ui/mounts/secret/one", token=token)
    assert status == 200
    assert (body["data"]["path"], body["data"]["options"]) == ("secret/", {"version": "2"})
    other = server.token_with('path "else/*" { capabilities = ["read"] }')
    assert server.raw("GET", "/v1/sys/internal/ui/mounts/secret/one", token=other)[0] == 403


def test_state(server):
    """Health, seal status, leader, init: flat answers without a token."""
    for query in ("", "?standbyok=true&haunhealhty=299&sealedcode=299"):
        status, _, body = server.raw("GET", "/v1/sys/health" + query)
        assert (status, body["initialized"], body["sealed"]) == (200, True, False)
    assert server.raw("GET", "/v1/sys/health?activecode=299")[0] == 299
    assert server.raw("HEAD", "/v1/sys/health")[0] == 200
    assert server.raw("GET", "/v1/sys/seal-status")[2]["sealed"] is False
    assert server.raw("GET", "/v1/sys/leader")[2]["ha_enabled"] is False
    assert server.raw("GET", "/v1/sys/init")[2] == {"initialized": True}
    assert server.raw("POST", "/v1/sys/init", {"secret_shares": 1})[0] == 400


def test_methods_and_types(server):
    """Unknown methods and paths; bad JSON is told before the token is judged."""
    assert server.raw("POST", "/v1/secret/data/x", data=b"{")[0] == 400
    assert server.root("DELETE", "/v1/auth/token/lookup-self")[0] == 405
    status, headers, body = server.root("GET", "/v1/nothing/here")
    assert (status, headers["cache-control"]) == (404, "no-store")
    assert "no handler for route" in body["errors"][0]


def test_namespaces_are_kept_apart(server, name):
    """A namespace is a user: same path, other secrets; its tokens stay in it."""
    space = {"X-Vault-Namespace": name}
    path = f"/v1/secret/data/{name}"
    server.root("POST", path, {"data": {"in": "root"}})
    server.root("POST", path, {"data": {"in": "other"}}, headers=space)
    assert server.root("GET", path)[2]["data"]["data"] == {"in": "root"}
    assert server.root("GET", path, headers=space)[2]["data"]["data"] == {"in": "other"}
    narrow = server.token_with('path "secret/*" { capabilities = ["read"] }')
    assert server.raw("GET", path, token=narrow)[0] == 200
    assert server.raw("GET", path, token=narrow, headers=space)[::2] == (403, DENIED)
    over = server.token_with(f'path "{name}/secret/*" {{ capabilities = ["read"] }}')
    assert server.raw("GET", path, token=over, headers=space)[0] == 200
    assert server.raw("GET", path, token=over)[0] == 403
    # What a token does to itself it does at home, whatever namespace the request is about.
    assert server.root("GET", "/v1/auth/token/lookup-self", headers=space)[0] == 200
    assert server.root("POST", f"/v1/cubbyhole/{name}", {"k": "v"}, headers=space)[0] == 204
    assert server.root("GET", f"/v1/cubbyhole/{name}")[2]["data"] == {"k": "v"}
    absent = {"X-Vault-Namespace": name + "-none"}
    assert server.raw("GET", path, token=narrow, headers=absent)[::2] == (403, DENIED)


def test_the_real_command_line(server, name):
    """`bao`, unchanged: values, versions, policies, tokens, wrapping."""
    bao = server.bao
    bao("kv", "put", f"secret/{name}", "a=1", "b=@/etc/hostname")
    assert bao("kv", "get", "-field=a", f"secret/{name}").strip() == "1"
    bao("kv", "patch", f"secret/{name}", "a=2")
    assert bao("kv", "get", "-field=a", f"secret/{name}").strip() == "2"
    bao("kv", "patch", "-method=rw", f"secret/{name}", "a=3")
    assert bao("kv", "get", "-version=1", "-field=a", f"secret/{name}").strip() == "1"
    bao("kv", "rollback", "-version=1", f"secret/{name}")
    bao("kv", "delete", f"secret/{name}")
    bao("kv", "undelete", "-versions=4", f"secret/{name}")
    bao("kv", "metadata", "put", "-custom-metadata=owner=me", "-max-versions=3", f"secret/{name}")
    assert "owner:me" in bao("kv", "metadata", "get", f"secret/{name}")
    assert name in bao("kv", "list", "secret/")
    bao(
        "policy", "write", name, "-", stdin=f'path "secret/data/{name}" {{ capabilities=["read"] }}'
    )
    token = bao("token", "create", f"-policy={name}", "-field=token", "-ttl=1h").strip()
    assert bao("kv", "get", "-field=a", f"secret/{name}", token=token).strip() == "1"
    bao("kv", "put", f"secret/{name}", "a=9", token=token, fails=True)
    bao("token", "lookup", token=token)
    bao("token", "renew", token=token)
    bao("token", "revoke", token)
    bao("token", "lookup", token=token, fails=True)
    wrapped = json.loads(bao("kv", "get", "-wrap-ttl=60", "-format=json", f"secret/{name}"))
    assert "data" in bao("unwrap", wrapped["wrap_info"]["token"])
    bao("secrets", "enable", f"-path={name}", "-version=2", "kv")
    bao("kv", "put", f"{name}/x", "k=v")
    assert f"{name}/" in bao("secrets", "list")
    bao("secrets", "disable", name)
    assert "token/" in bao("auth", "list")
    assert "Sealed" in bao("status")
    bao("kv", "metadata", "delete", f"secret/{name}")


def test_a_heavy_policy_does_not_hold_up_others(server, name):
    """While a text that takes a parser long is judged, other requests are answered."""
    heavy = "a = [" + "1," * 30_000 + "1]"

    def health():
        started = time.monotonic()
        assert server.raw("GET", "/v1/sys/health")[0] == 200
        return time.monotonic() - started

    for _ in range(3):  # a noisy machine may spoil a round
        with ThreadPoolExecutor(1) as pool:
            started = time.monotonic()
            writing = pool.submit(
                server.root, "POST", f"/v1/sys/policies/acl/{name}", {"policy": heavy}
            )
            waits = []
            while not writing.done():
                waits.append(health())
            took = time.monotonic() - started
        assert writing.result()[0] == 400
        if max(waits) < took / 3:
            return
    pytest.fail(f"a request waited {max(waits):.2f} s of the {took:.2f} s of another's policy")
