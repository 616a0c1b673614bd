"""Routes of the native API over a real socket: secrets, pages, audit, transfer, the store."""

import base64
import json

import pyrage
import pytest

from adyton.translog import check_proof
from natives import b64, call, kind, put, text, user_with

ALL = 'path "adyton/*" { capabilities = ["create","read","update","delete","list","patch","sudo"] }'


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (text("grüße"), text("grüße") | {"content_type": "text/plain; charset=utf-8"}),
        (text(""), text("") | {"content_type": "text/plain; charset=utf-8"}),
        (
            {"encoding": "base64", "data": "AP8="},
            {"encoding": "base64", "data": "AP8=", "content_type": "application/octet-stream"},
        ),
        (
            {"encoding": "json", "data": {"b": [1, None, True], "a": 12345678901234567890}},
            {
                "encoding": "json",
                "data": {"a": 12345678901234567890, "b": [1, None, True]},
                "content_type": "application/json",
            },
        ),
        (
            {"encoding": "base64", "data": b64(b"-----BEGIN"), "content_type": "text/x-pem"},
            {"encoding": "utf-8", "data": "-----BEGIN", "content_type": "text/x-pem"},
        ),
        (
            text("[1]") | {"content_type": "application/json"},
            {"encoding": "base64", "data": b64(b"[1]"), "content_type": "application/json"},
        ),
        (
            {"encoding": "base64", "data": "/w==", "content_type": "text/plain"},
            {"encoding": "base64", "data": "/w==", "content_type": "text/plain"},
        ),
    ],
)
def test_values_come_back_as_they_were(server, name, sent, kept):
    """In the clearest encoding, and in base64 if that is asked for; with version and metadata."""
    path = f"users/me/secrets/{name}"
    status, headers, wrote = call(server, "PUT", path, {"value": sent, "tags": ["x"]})
    assert (status, headers["etag"], wrote["version"]) == (200, '"1"', 1)
    status, headers, found = call(server, "GET", path)
    assert (status, headers["etag"]) == (200, '"1"')
    assert (found["name"], found["version"], found["value"]) == (name, 1, kept)
    assert found["metadata"]["tags"] == ["x"]
    assert found["metadata"]["versions"][0]["state"] == "live"
    plain = call(server, "GET", path + "?encoding=base64")[2]["value"]
    assert plain["encoding"] == "base64"
    if sent["encoding"] != "json":
        data = sent["data"].encode()
        data = base64.b64decode(data) if sent["encoding"] == "base64" else data
        assert base64.b64decode(plain["data"]) == data


def test_numbers_are_exact(server, name):
    """A JSON value's numbers are those that were sent, digit for digit."""
    raw = b'{"value":{"encoding":"json","data":{"n":0.1000,"big":123456789012345678901234567890}}}'
    path = f"users/me/secrets/{name}"
    head = {"Content-Type": "application/json"}
    assert call(server, "PUT", path, headers=head, data=raw)[0] == 200
    value = call(server, "GET", path + "?encoding=base64")[2]["value"]
    assert base64.b64decode(value["data"]) == b'{"big":123456789012345678901234567890,"n":0.1000}'


def test_a_write_keeps_what_it_leaves_out(server, name):
    """Tags, attributes, expiry and number of kept versions; null ends an expiry."""
    path = f"users/me/secrets/{name}"
    whole = {
        "value": text("1"), "tags": ["b", "a"], "attributes": {"k": "v"},
        "expires_at": "2999-01-01T00:00:00+01:00", "max_versions": 3,
    }  # fmt: skip
    call(server, "PUT", path, whole)
    found = call(server, "PUT", path, {"value": text("2")})[2]
    assert found["tags"] == ["a", "b"]
    assert found["attributes"] == {"k": "v"}
    assert found["expires_at"] == "2998-12-31T23:00:00Z"
    assert found["max_versions"] == 3
    found = call(server, "PUT", path, {"value": text("3"), "tags": [], "expires_at": None})[2]
    assert (found["tags"], found["expires_at"]) == ([], None)


def test_versions_live_and_die(server, name):
    """Delete, undelete, roll back, destroy one, destroy all."""
    path = f"users/me/secrets/{name}"
    for data in ("one", "two", "three"):
        put(server, name, data)
    assert call(server, "GET", path + "?version=2")[2]["value"]["data"] == "two"
    assert call(server, "GET", path + "?version=2")[1]["etag"] == '"2"'
    status, headers, found = call(server, "DELETE", path + "?versions=1&versions=2")
    assert (status, headers["etag"]) == (200, '"3"')
    assert [v["state"] for v in found["versions"]] == ["deleted", "deleted", "live"]
    assert found["versions"][0]["deleted_at"]
    assert call(server, "GET", path + "?version=2")[0] == 404
    assert call(server, "DELETE", path)[0] == 200
    assert call(server, "GET", path)[0] == 404
    found = call(server, "POST", f"users/me/undelete/{name}", {"versions": [1, 3]})[2]
    assert [v["state"] for v in found["versions"]] == ["live", "deleted", "live"]
    status, headers, found = call(server, "POST", f"users/me/rollback/{name}", {"version": 1})
    assert (status, headers["etag"]) == (200, '"4"')
    assert call(server, "GET", path)[2]["value"]["data"] == "one"
    status, headers, found = call(server, "POST", f"users/me/destroy/{name}", {"versions": [1]})
    assert (status, found) == (204, None)
    assert call(server, "POST", f"users/me/rollback/{name}", {"version": 1})[0] == 404
    assert call(server, "POST", f"users/me/destroy/{name}", {"versions": None})[0] == 204
    assert call(server, "GET", f"users/me/metadata/{name}")[0] == 404
    assert put(server, name, "new")[2]["version"] == 1


def test_destroying_is_never_by_omission(server, name):
    """A body that names no versions destroys nothing."""
    put(server, name, "x")
    status, _, found = call(server, "POST", f"users/me/destroy/{name}", {})
    assert (status, found["detail"]) == (
        400, "the body does not fit: object missing required field `versions`",
    )  # fmt: skip
    assert call(server, "GET", f"users/me/secrets/{name}")[0] == 200


def test_metadata_are_replaced_or_merged(server, name):
    """As JSON members take the place of what was there, as a merge patch they are merged."""
    path = f"users/me/metadata/{name}"
    merge = {"Content-Type": "application/merge-patch+json"}
    put(server, name, "x")
    first = {"attributes": {"a": "1", "b": "2"}, "rotation": {"every": "30d"}, "max_versions": 4}
    found = call(server, "PATCH", path, first)[2]
    assert (found["attributes"], found["rotation"], found["max_versions"]) == tuple(first.values())
    found = call(server, "PATCH", path, {"attributes": {"c": "3"}})[2]
    assert (found["attributes"], found["rotation"]) == ({"c": "3"}, {"every": "30d"})
    patch = {"attributes": {"c": None, "d": "4"}, "rotation": {"by": "x"}}
    found = call(server, "PATCH", path, patch, headers=merge)[2]
    assert found["attributes"] == {"d": "4"}
    assert found["rotation"] == {"by": "x", "every": "30d"}
    patch = {"attributes": None, "rotation": None, "max_versions": None}
    for headers in ({}, merge):
        found = call(server, "PATCH", path, patch, headers=headers)[2]
        assert (found["attributes"], found["rotation"], found["max_versions"]) == ({}, {}, 10)
    status, _, found = call(server, "PATCH", path, {"attributes": {"c": None}})
    assert (status, kind(found)) == (400, "invalid-input")
    assert call(server, "GET", path)[2]["attributes"] == {}
    found = call(server, "PATCH", path, {"expires_at": "2001-01-01T00:00:00Z"})[2]
    assert found["expires_at"] == "2001-01-01T00:00:00Z"
    assert call(server, "GET", f"users/me/secrets/{name}")[0] == 404
    assert call(server, "PATCH", path, {"expires_at": None})[0] == 200
    assert call(server, "GET", f"users/me/secrets/{name}")[0] == 200


def test_tags_are_set_added_and_removed(server, name):
    """In one call, or one after another."""
    path = f"users/me/tags/{name}"
    put(server, name, "x")
    assert call(server, "PATCH", path, {"set": ["a", "b"]})[2]["tags"] == ["a", "b"]
    assert call(server, "PATCH", path, {"add": ["c"], "remove": ["a"]})[2]["tags"] == ["b", "c"]
    assert call(server, "PATCH", path, {"set": []})[2]["tags"] == []
    status, _, found = call(server, "PATCH", path, {"set": [""]})
    assert (status, found["detail"]) == (
        400, "the body does not fit at set[0]: expected `str` of length >= 1",
    )  # fmt: skip


def test_batches(server, name):
    """Absent names are left out of what is read; a write is all or none."""
    items = [{"name": f"{name}/{at}", "value": text(str(at)), "cas": 0} for at in range(3)]
    path = "users/me/batch/"
    status, _, found = call(server, "POST", path + "write", {"items": items})
    assert (status, [meta["version"] for meta in found["items"]]) == (200, [1, 1, 1])
    again = [*items[:1], {"name": f"{name}/new", "value": text("x"), "cas": 0}]
    assert call(server, "POST", path + "write", {"items": again})[0] == 412
    names = [f"{name}/{at}" for at in (2, 0, "new", 1)]
    found = call(server, "POST", path + "read", {"names": names})[2]
    assert [(s["name"], s["value"]["data"]) for s in found["items"]] == [
        (f"{name}/2", "2"), (f"{name}/0", "0"), (f"{name}/1", "1"),
    ]  # fmt: skip
    double = [items[0] | {"cas": 1}, items[0] | {"cas": 1}]
    assert call(server, "POST", path + "write", {"items": double})[0] == 400
    found = call(server, "POST", path + "read", {"names": ["a"] * 1_001})
    assert (found[0], "length <= 1000" in found[2]["detail"]) == (400, True)


def test_pages(server):
    """All names once and in order, with any limit; a cursor is for its own query only."""
    user, _ = user_with(server, ALL)
    items = [
        {"name": f"{'ab'[at % 2]}/{at:02}", "value": text("x"), "tags": [f"t{at % 3}"]}
        for at in range(20)
    ]
    call(server, "POST", f"users/{user}/batch/write", {"items": items})
    path = f"users/{user}/secrets"

    def listed(query, limit):
        names, cursor, pages = [], "", 0
        while cursor is not None:
            found = call(server, "GET", f"{path}?limit={limit}{query}&cursor={cursor}")[2]
            names += [meta["name"] for meta in found["items"]]
            cursor, pages = found["next_cursor"], pages + 1
        return names, pages

    expected = sorted(item["name"] for item in items)
    assert listed("", 7) == (expected, 3)
    assert listed("", 20) == (expected, 1)
    assert listed("&prefix=a/", 3) == ([n for n in expected if n.startswith("a/")], 4)
    tagged = sorted(item["name"] for item in items if item["tags"] == ["t1"])
    assert listed("&tag=t1", 2)[0] == tagged
    assert listed("&tag=t1&tag=t2", 2)[0] == []
    call(server, "DELETE", f"{path}/a/00")
    assert listed("", 50)[0] == expected[1:]
    assert listed("&include_deleted=true", 50)[0] == expected


def test_cursors_are_bound(server):
    """To namespace, query and listing; changed in any place they are refused."""
    one, _ = user_with(server, ALL)
    two, _ = user_with(server, ALL)
    for user in (one, two):
        for name in "abc":
            put(server, name, "x", user=user)
    cursor = call(server, "GET", f"users/{one}/secrets?limit=1")[2]["next_cursor"]
    assert call(server, "GET", f"users/{one}/secrets?limit=2&cursor={cursor}")[0] == 200
    for path in (
        f"users/{two}/secrets?cursor={cursor}",
        f"users/{one}/secrets?prefix=a&cursor={cursor}",
        f"users/{one}/secrets?tag=a&cursor={cursor}",
        f"users/{one}/secrets?include_deleted=true&cursor={cursor}",
        f"users/{one}/audit?cursor={cursor}",
        f"users?cursor={cursor}",
        f"users/{one}/secrets?cursor={cursor[:-1]}",
        f"users/{one}/secrets?cursor={cursor}A",
        f"users/{one}/secrets?cursor=A{cursor}",
        f"users/{one}/secrets?cursor=%E2%98%83",
        f"users/{one}/secrets?cursor=a",
    ):
        status, _, found = call(server, "GET", path)
        assert (status, kind(found)) == (400, "invalid-input"), path
    for at in range(len(cursor)):
        other = "B" if cursor[at] != "B" else "C"
        changed = cursor[:at] + other + cursor[at + 1 :]
        if at == len(cursor) - 1:
            continue  # its last bits may not count
        assert call(server, "GET", f"users/{one}/secrets?cursor={changed}")[0] == 400, at


def test_the_audit_log(server, name):
    """Pages and filters of a user's records; a proof that is checked without the server."""
    user, _ = user_with(server, ALL)
    for data in "abcde":
        put(server, name, data, user=user)
    call(server, "GET", f"users/{user}/secrets/none")
    path = f"users/{user}/audit"
    seen, cursor = [], ""
    while cursor is not None:
        found = call(
            server, "GET", f"{path}?action=secret.set&name={name}&limit=2&cursor={cursor}"
        )[2]
        seen += found["items"]
        cursor = found["next_cursor"]
    assert [entry["version"] for entry in seen] == [5, 4, 3, 2, 1]
    assert [e["index"] for e in seen] == sorted((e["index"] for e in seen), reverse=True)
    failed = call(server, "GET", "audit?success=false&name=none&limit=1")[2]["items"]
    assert [(e["action"], e["reason"]) for e in failed] == [("secret.get", "SecretNotFound")]
    proof = call(server, "GET", f"{path}/{seen[0]['index']}/proof")[2]
    vkey = call(server, "GET", "audit/vkey")[2]["vkey"]
    checked = check_proof(json.dumps(proof).encode(), vkey=vkey)
    assert checked.index == seen[0]["index"]
    other, _ = user_with(server, ALL)
    put(server, name, "x", user=other)
    foreign = call(server, "GET", f"users/{other}/audit?limit=1")[2]["items"][0]["index"]
    assert call(server, "GET", f"{path}/{foreign}/proof")[0] == 400
    assert call(server, "GET", f"audit/{foreign}/proof")[0] == 200
    assert call(server, "GET", f"{path}/x/proof")[0] == 400
    assert call(server, "GET", f"{path}/{10**15}/proof")[0] == 400


def test_checkpoints_and_verification(server):
    """A checkpoint that was kept is checked; another log's is a lie, and nonsense is no note."""
    note = call(server, "POST", "audit/checkpoint")[2]["checkpoint"]
    status, _, found = call(server, "POST", "audit/verify", {"checkpoints": [note]})
    assert (status, found["archived"], len(base64.b64decode(found["root"]))) == (200, 0, 32)
    assert found["records"] > 0
    status, _, found = call(server, "POST", "audit/verify", {"checkpoints": ["nonsense"]})
    assert (status, kind(found)) == (400, "invalid-document")
    lines = note.split("\n")
    lines[1] = str(int(lines[1]) + 1)
    status, _, found = call(server, "POST", "audit/verify", {"checkpoints": ["\n".join(lines)]})
    assert (status, kind(found)) == (409, "audit-error")


def test_export_and_import(server, name):
    """A bundle for an age key goes into another namespace whole; conflicts are told."""
    one, _ = user_with(server, ALL)
    two, _ = user_with(server, ALL)
    for data in ("old", "new"):
        put(server, name, data, user=one)
    identity = pyrage.x25519.Identity.generate()
    bundle = call(
        server, "POST", f"users/{one}/export",
        {"recipients": [str(identity.to_public())], "all_versions": True},
    )[2]  # fmt: skip
    wanted = {"data": bundle["data"], "identities": [str(identity)], "prefix": "in/"}
    path = f"users/{two}/import"
    found = call(server, "POST", path, wanted | {"dry_run": True})[2]
    assert (found["created"], found["dry_run"]) == ([f"in/{name}"], True)
    assert call(server, "GET", f"users/{two}/secrets")[2]["items"] == []
    assert call(server, "POST", path, wanted)[2]["created"] == [f"in/{name}"]
    status, _, found = call(server, "POST", path, wanted)
    assert (status, kind(found)) == (409, "import-conflict")
    assert call(server, "POST", path, wanted | {"on_conflict": "skip"})[2]["skipped"]
    old = call(server, "GET", f"users/{two}/secrets/in/{name}?version=1")[2]
    assert old["value"]["data"] == "old"
    plain = call(server, "POST", f"users/{two}/export", {"format": "json", "prefix": "in/"})[2]
    assert json.loads(base64.b64decode(plain["data"])) == {f"in/{name}": "new"}
    for wrong in (
        {"recipients": ["age1nonsense"]},
        {"format": "json", "recipients": [str(identity.to_public())]},
        {"format": "dotenv", "all_versions": True},
    ):
        assert call(server, "POST", f"users/{two}/export", wrong)[0] == 400
    assert (
        call(server, "POST", f"users/{two}/export", {"format": "json", "names": ["no"]})[0] == 404
    )
    other = pyrage.x25519.Identity.generate()
    for wrong in (
        wanted | {"identities": [str(other)]},
        wanted | {"data": b64(b"nonsense")},
        {"format": "json", "data": b64(b"{")},
        {"format": "yaml", "data": b64(b"a: [")},
    ):
        status, _, found = call(server, "POST", path, wrong)
        assert (status, kind(found)) == (400, "invalid-document")


def test_users_keys_and_health(server, name):
    """What the operator asks of the whole store; a purged user's token ends with the user."""
    user, token = user_with(server, ALL)
    put(server, name, "x", user=user)
    assert call(server, "GET", f"users/me/secrets/{name}", token=token)[0] == 200
    users, cursor = [], ""
    while cursor is not None:
        page = call(server, "GET", f"users?limit=2&cursor={cursor}")[2]
        users += page["items"]
        cursor = page["next_cursor"]
    assert {"user": user, "secrets": 1}.items() <= next(
        found for found in users if found["user"] == user
    ).items()
    keys = call(server, "GET", "keys")[2]["items"]
    assert [key["version"] for key in keys if key["user"] == user] == [1]
    assert any(key["user"] == "" for key in keys)
    found = call(server, "POST", "keys/rotate", {"user": user})[2]
    assert found == {"rotated": 1, "master_version": None}
    found = call(server, "POST", "keys/rewrap", {"user": user, "deep": True})[2]
    assert found["users"] == 1
    keys = call(server, "GET", "keys")[2]["items"]
    assert [key["version"] for key in keys if key["user"] == user] == [2]
    status, _, found = call(server, "POST", "keys/rotate", {"user": "nobody"})
    assert (status, kind(found)) == (404, "user-not-found")
    assert call(server, "POST", "keys/rotate", {"user": user, "master": True})[0] == 400
    before = next(key for key in keys if key["user"] == "")["version"]
    found = call(server, "POST", "keys/rotate", {"master": True})[2]
    assert found["master_version"] == before + 1
    assert call(server, "GET", "health/store")[2]["problems"] == []
    assert call(server, "DELETE", f"users/{user}")[2]["secrets"] == 1
    assert call(server, "GET", f"users/me/secrets/{name}", token=token)[0] == 403
    assert put(server, name, "x", token=token)[0] == 403
    assert call(server, "DELETE", f"users/{user}")[0] == 404
    for protected in ("me", "root"):
        assert call(server, "DELETE", f"users/{protected}")[0] == 400


def test_health_tells_nothing(server):
    """To anybody, without a token."""
    assert call(server, "GET", "health", token="")[2] == {"status": "ok"}
