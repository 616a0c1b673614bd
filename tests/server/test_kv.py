"""KV version 2 and 1 as clients use them."""

import time

import hvac
import pytest


def kv2(server):
    return server.hvac().secrets.kv.v2


def test_a_value_comes_back_with_its_metadata(server, name):
    """Write, read, read an older version; the shapes that clients read."""
    kv = kv2(server)
    made = kv.create_or_update_secret(name, {"a": 1, "b": ["x", None]})["data"]
    assert made["version"] == 1
    assert made["deletion_time"] == ""
    assert made["destroyed"] is False
    kv.create_or_update_secret(name, {"a": 2})
    found = kv.read_secret_version(name, raise_on_deleted_version=True)
    assert found["data"]["data"] == {"a": 2}
    assert found["data"]["metadata"]["version"] == 2
    assert found["data"]["metadata"]["custom_metadata"] is None
    older = kv.read_secret_version(name, version=1, raise_on_deleted_version=True)
    assert older["data"]["data"] == {"a": 1, "b": ["x", None]}
    assert set(found) == {
        "request_id", "lease_id", "renewable", "lease_duration", "data", "wrap_info",
        "warnings", "auth",
    }  # fmt: skip


def test_big_numbers_are_exact(server, name):
    """An integer beyond 2^53 comes back as it was written."""
    server.root("POST", f"/v1/secret/data/{name}", data=b'{"data":{"n":12345678901234567,"f":1.5}}')
    _, _, body = server.root("GET", f"/v1/secret/data/{name}")
    assert body["data"]["data"] == {"n": 12345678901234567, "f": 1.5}


def test_check_and_set(server, name):
    """0 means that there must be none; else it is the current version, or nothing is written."""
    kv = kv2(server)
    kv.create_or_update_secret(name, {"a": 1}, cas=0)
    with pytest.raises(hvac.exceptions.InvalidRequest, match="check-and-set parameter did not"):
        kv.create_or_update_secret(name, {"a": 2}, cas=0)
    kv.create_or_update_secret(name, {"a": 2}, cas=1)
    kv.update_metadata(name, cas_required=True)
    with pytest.raises(hvac.exceptions.InvalidRequest, match="check-and-set parameter required"):
        kv.create_or_update_secret(name, {"a": 3})
    assert kv.read_secret_version(name, raise_on_deleted_version=True)["data"]["data"] == {"a": 2}


def test_deleted_is_404_with_metadata_and_absent_without(server, name):
    """A deleted version says when; what never was says nothing."""
    assert server.root("GET", f"/v1/secret/data/{name}")[::2] == (404, {"errors": []})
    kv = kv2(server)
    kv.create_or_update_secret(name, {"a": 1})
    kv.delete_latest_version_of_secret(name)
    status, _, body = server.root("GET", f"/v1/secret/data/{name}")
    assert status == 404
    assert body["data"]["data"] is None
    assert body["data"]["metadata"]["deletion_time"].endswith("Z")
    kv.undelete_secret_versions(name, [1])
    assert kv.read_secret_version(name, raise_on_deleted_version=True)["data"]["data"] == {"a": 1}
    kv.destroy_secret_versions(name, ["1"])
    status, _, body = server.root("GET", f"/v1/secret/data/{name}")
    assert (status, body["data"]["metadata"]["destroyed"]) == (404, True)
    assert body["data"]["metadata"]["deletion_time"] == ""


def test_what_is_not_there_can_be_deleted(server, name):
    """204 for deletes of the absent; versions that are unknown are passed over."""
    for method, path in (("DELETE", "data"), ("DELETE", "metadata")):
        assert server.root(method, f"/v1/secret/{path}/{name}")[0] == 204
    kv2(server).create_or_update_secret(name, {"a": 1})
    assert server.root("POST", f"/v1/secret/delete/{name}", {"versions": [7]})[0] == 204
    assert server.root("POST", f"/v1/secret/delete/{name}", {})[0] == 400


def test_patch_merges(server, name):
    """RFC 7396: null removes; 404 for the absent, 415 for another content type."""
    kv = kv2(server)
    merge = {"Content-Type": "application/merge-patch+json"}
    body = {"data": {"a": 1}}
    assert server.root("PATCH", f"/v1/secret/data/{name}", body, headers=merge)[0] == 404
    kv.create_or_update_secret(name, {"a": 1, "b": {"c": 1, "d": 2}})
    status, _, _ = server.root(
        "PATCH", f"/v1/secret/data/{name}", {"data": {"a": None, "b": {"d": 3}}},
        headers={"Content-Type": "application/merge-patch+json"},
    )  # fmt: skip
    assert status == 200
    found = kv.read_secret_version(name, raise_on_deleted_version=True)["data"]["data"]
    assert found == {"b": {"c": 1, "d": 3}}
    body = {"data": {"a": 1}}
    assert server.root("PATCH", f"/v1/secret/data/{name}", body)[0] == 415


def test_metadata(server, name):
    """Settings, custom metadata, pruning; a key may have metadata and no version."""
    kv = kv2(server)
    kv.update_metadata(
        name, max_versions=2, delete_version_after="1h30m", custom_metadata={"owner": "ops"}
    )
    shown = kv.read_secret_metadata(name)["data"]
    assert (shown["current_version"], shown["versions"], shown["max_versions"]) == (0, {}, 2)
    assert shown["delete_version_after"] == "1h30m0s"
    assert server.root("GET", f"/v1/secret/data/{name}")[0] == 404
    for n in range(3):
        kv.create_or_update_secret(name, {"n": n})
    shown = kv.read_secret_metadata(name)["data"]
    assert set(shown["versions"]) == {"2", "3"}
    assert (shown["current_version"], shown["oldest_version"]) == (3, 2)
    assert shown["versions"]["3"]["deletion_time"] > shown["versions"]["3"]["created_time"]
    assert shown["custom_metadata"] == {"owner": "ops"}
    kv.delete_metadata_and_all_versions(name)
    with pytest.raises(hvac.exceptions.InvalidPath):
        kv.read_secret_metadata(name)


def test_versions_end_by_themselves(server, name):
    """After delete_version_after a version reads as deleted."""
    kv = kv2(server)
    kv.update_metadata(name, delete_version_after="3s")
    kv.create_or_update_secret(name, {"a": 1})
    assert server.root("GET", f"/v1/secret/data/{name}")[0] == 200
    time.sleep(3.1)
    status, _, body = server.root("GET", f"/v1/secret/data/{name}")
    assert (status, body["data"]["data"]) == (404, None)


def test_lists(server, name):
    """Sorted, folders end in a slash, a name may be both; deleted values stay."""
    kv = kv2(server)
    for path in ("x", "x/y", "a/b/c", "z"):
        kv.create_or_update_secret(f"{name}/{path}", {"a": 1})
    kv.delete_latest_version_of_secret(f"{name}/z")
    assert kv.list_secrets(name)["data"]["keys"] == ["a/", "x", "x/", "z"]
    status, _, body = server.root("GET", f"/v1/secret/metadata/{name}/a?list=true")
    assert (status, body["data"]["keys"]) == (200, ["b/"])
    assert server.root("LIST", f"/v1/secret/metadata/{name}/none")[::2] == (404, {"errors": []})


def test_version_1(server, name):
    """A KV v1 mount: plain values, and a real end by delete."""
    client = server.hvac()
    client.sys.enable_secrets_engine("kv", path=name, options={"version": "1"})
    kv = client.secrets.kv.v1
    kv.create_or_update_secret("a/b", {"k": "v"}, mount_point=name)
    assert kv.read_secret("a/b", mount_point=name)["data"] == {"k": "v"}
    assert kv.list_secrets("", mount_point=name)["data"]["keys"] == ["a/"]
    kv.delete_secret("a/b", mount_point=name)
    with pytest.raises(hvac.exceptions.InvalidPath):
        kv.read_secret("a/b", mount_point=name)


def test_mounts_do_not_meet(server, name):
    """Two mounts hold what they hold; the first can't reach the others' names."""
    client = server.hvac()
    client.sys.enable_secrets_engine("kv", path=name, options={"version": "2"})
    kv = client.secrets.kv.v2
    kv.create_or_update_secret("same", {"from": "other"}, mount_point=name)
    kv.create_or_update_secret(f"same-{name}", {"from": "first"})
    found = kv.read_secret_version("same", mount_point=name, raise_on_deleted_version=True)
    assert found["data"]["data"] == {"from": "other"}
    listed = kv.list_secrets("")["data"]["keys"]
    assert not any(key.startswith(".mounts") for key in listed)
    for path in (".mounts", ".mounts/", ".mounts/x/same"):
        assert server.root("GET", f"/v1/secret/data/{path}")[0] in {400, 404}
        assert server.root("POST", f"/v1/secret/data/{path}", {"data": {"a": 1}})[0] == 400
    client.sys.disable_secrets_engine(name)
    assert server.root("GET", f"/v1/{name}/data/same")[0] == 404
    client.sys.enable_secrets_engine("kv", path=name, options={"version": "2"})
    assert server.root("GET", f"/v1/{name}/data/same")[0] == 404


def test_a_version_1_path_on_a_version_2_mount(server, name):
    """404 with a warning that says what is wrong."""
    status, _, body = server.root("GET", f"/v1/secret/{name}")
    assert status == 404
    assert "versioned" in body["warnings"][0]


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b'{"data":1}', b"\xff", b"{}"])
def test_bad_bodies_are_400(server, name, body):
    """Whatever is not an object with an object in it is refused, and nothing is kept."""
    assert server.root("POST", f"/v1/secret/data/{name}", data=body)[0] == 400
    assert server.root("GET", f"/v1/secret/metadata/{name}")[0] == 404


def test_names_with_any_character(server, name):
    """Space, percent, question mark, hash and umlauts are characters of a name, decoded once."""
    kv = kv2(server)
    for part in ("a b", "100%", "what?", "x#y", "größe", "%2e", "a%2Fb"):
        quoted = "".join(f"%{byte:02X}" for byte in part.encode())
        path = f"/v1/secret/data/{name}/{quoted}"
        assert server.root("POST", path, {"data": {"is": part}})[0] == 200, part
        assert server.root("GET", path)[2]["data"]["data"] == {"is": part}
    keys = kv.list_secrets(name)["data"]["keys"]
    assert keys == sorted(["a b", "100%", "what?", "x#y", "größe", "%2e", "a%2Fb"])
