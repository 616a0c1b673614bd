"""How the native API refuses over a real socket, what it bounds, and what it repeats to nobody."""

import http.client

import pyrage
import pytest

from adyton.model import State, from_us
from adyton.server.native.table import TABLE
from adyton.transfer import PortableSecret, PortableVersion
from adyton.transfer.bundle import write_bundle
from natives import b64, call, dumped, kind, put, text, user_with

ALL = 'path "adyton/*" { capabilities = ["create","read","update","delete","list","patch","sudo"] }'


PLACES = {
    "user": "me", "name": "t/absent", "index": "0", "slot": "0", "accessor": "a" * 32,
    "share": "b" * 32, "notice": "msg_x", "webhook": "whk_x", "mute": "x",
    "member": "nobody", "role": "nothing", "grant": "c" * 24,
    "hold": "c" * 32,
    "request": "d" * 24, "report": "access",
}  # fmt: skip
ROUTES = {route.operation: route for route in TABLE.routes}


def path_of(route):
    return route.path.replace("*}", "}").format(**PLACES)


@pytest.mark.parametrize("operation", ROUTES)
def test_methods_tokens_and_types(server, operation):
    """Each route: other methods are 405 with Allow, no token is 403, another type is 415."""
    route = ROUTES[operation]
    path = path_of(route)
    known = {r.method for r in TABLE.routes if r.path == route.path}
    for method in {"GET", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE"} - known:
        status, headers, found = call(server, method, path)
        assert (status, kind(found)) == (405, "method-not-allowed")
        named = set(headers["allow"].split(", "))
        assert named == known | ({"HEAD"} if "GET" in known else set())
    if route.place != "public":
        body = {} if route.body else None
        for token in ("", "adt_nonsense"):
            status, _, found = call(server, route.method, path, body, token=token)
            assert (status, kind(found), found["detail"]) == (
                403, "access-denied", "permission denied",
            )  # fmt: skip
    if route.body is not None:
        for sent in ("text/plain", "application/json; charset=latin-1", "application/xml"):
            status, _, found = call(
                server, route.method, path, data=b"{}", headers={"Content-Type": sent}
            )
            assert (status, kind(found)) == (415, "unsupported-media-type")
        zipped = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        assert call(server, route.method, path, data=b"{}", headers=zipped)[0] == 415
        for wrong in (b"", b"{", b"[]", b"null", b'{"nope":1}', b"\xff", b"[" * 100_000):
            head = {"Content-Type": "application/json"}
            status, _, found = call(server, route.method, path, data=wrong, headers=head)
            assert (status, kind(found)) == (400, "invalid-input"), wrong[:10]
    elif route.place != "public":
        assert call(server, route.method, path, {"a": 1})[0] == 400
    if route.place != "public":
        for query in ("nope=1", "a=%ff", "limit=0", "version=null"):
            status, _, found = call(
                server, route.method, f"{path}?{query}", {} if route.body else None
            )
            assert status == 400, query
        for header in ("X-Vault-Namespace", "X-Vault-Wrap-TTL"):
            status, _, found = call(
                server, route.method, path, {} if route.body else None, headers={header: "60"}
            )
            assert (status, kind(found)) == (400, "invalid-input")


def test_paths_that_are_none(server):
    """Nothing is served there; what is not canonical is refused."""
    for path in ("", "nope", "users/me", "users/me/", "users/me/secrets/", "users//secrets",
                 "users/me/nope/x", "Users", "users/me/audit/0", "health/"):  # fmt: skip
        status, headers, found = call(server, "GET", path)
        assert status in {400, 404, 405}, path
        assert headers["content-type"] == "application/problem+json"
    for name in ("a/../b", "%2e%2e/b", "a//b", "a%00b", "a%0ab", "%ff", "e%CC%81", "a/%2e"):
        status, headers, found = call(server, "GET", f"users/me/secrets/{name}")
        assert (status, kind(found)) == (400, "invalid-input"), name
    for name in ("a/", "%E2%80%AEx", "x" * 513):
        status, headers, found = call(server, "GET", f"users/me/secrets/{name}")
        assert (status, kind(found)) == (400, "invalid-name"), name


def test_slashes_and_percent(server, name):
    """A slash and %2F are one; what was decoded once is not decoded again."""
    put(server, f"{name}%2Fa%252Fb", "x")
    assert call(server, "GET", f"users/me/secrets/{name}/a%252Fb")[2]["name"] == f"{name}/a%2Fb"
    assert call(server, "GET", f"users/me/secrets/{name}/a/b")[0] == 404


def test_head_is_get_without_a_body(server, name):
    """With its status and its entity tag."""
    put(server, name, "x")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(
        "HEAD", f"/v1/adyton/users/me/secrets/{name}", headers={"X-Vault-Token": server.token}
    )
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("etag"), answer.read()) == (200, '"1"', b"")
    connection.close()


def test_both_ways_to_send_a_token(server, name):
    """X-Vault-Token, or Authorization."""
    head = {"Authorization": f"Bearer {server.token}"}
    assert call(server, "GET", "users/me/secrets", token="", headers=head)[0] == 200
    head = {"Authorization": f"Basic {server.token}"}
    assert call(server, "GET", "users/me/secrets", token="", headers=head)[0] == 403


def test_request_ids(server, name):
    """Ours is in the answer and in the records, theirs in the records if it is harmless."""
    for theirs, kept in (
        ("build-17.x_y", True), ("", False), ("x" * 65, False), ("a b", False), ("ü", False),
    ):  # fmt: skip
        sent = {"X-Request-Id": theirs.encode().decode("latin-1")}
        path = f"users/me/secrets/{name}-{len(theirs)}"
        _, headers, found = call(server, "GET", path, headers=sent)
        ours = headers["x-request-id"]
        assert found["request_id"] == ours != theirs
        wanted = f"{ours} {theirs}" if kept else ours
        records = call(server, "GET", f"audit?name={name}-{len(theirs)}&limit=1")[2]
        assert [entry["request_id"] for entry in records["items"]] == [wanted]


CANARY = "c4n4ry-6f1d"


@pytest.mark.parametrize(
    "body",
    [
        '{"value":"%s"}',
        '{"value":{"encoding":"%s","data":"x"}}',
        '{"value":{"encoding":"utf-8","data":["%s"]}}',
        '{"value":{"encoding":"base64","data":"%s!"}}',
        '{"value":{"encoding":"json","data":"%s"}}',
        '{"value":{"encoding":"json","data":{"%s":1,"%s":2}}}',
        '{"value":{"encoding":"utf-8","data":"x","%s":1}}',
        '{"%s":1}',
        '{"value":{"encoding":"utf-8","data":"x"},"tags":"%s"}',
        '{"value":{"encoding":"utf-8","data":"x"},"tags":["\\u0007%s"]}',
        '{"value":{"encoding":"utf-8","data":"x"},"attributes":{"%s":1}}',
        '{"value":{"encoding":"utf-8","data":"x"},"attributes":{"\\u0007%s":"x"}}',
        '{"value":{"encoding":"utf-8","data":"x"},"expires_at":"%s"}',
        '{"value":{"encoding":"utf-8","data":"x","content_type":"\\u0007%s"}}',
        '{"value":{"encoding":"utf-8","data":"\\ud800%s"}}',
        '{"value":{"encoding":"utf-8","data":"%s"',
        '"%s"',
        "%s",
    ],
)
def test_malformed_bodies_are_not_repeated(server, name, body):
    """Neither in the answer, nor in the audit log."""
    data = body.replace("%s", CANARY).encode()
    head = {"Content-Type": "application/json"}
    status, headers, found = call(
        server, "PUT", f"users/me/secrets/{name}", data=data, headers=head
    )
    assert status == 400
    assert CANARY not in dumped(found) + dumped(headers)
    log = call(server, "GET", "audit?limit=9")[2]
    assert CANARY not in dumped(log)
    assert headers["x-request-id"] in [entry["request_id"] for entry in log["items"]]


def test_values_that_are_too_large(server, name):
    """Are refused with their own status."""
    status, _, found = put(server, name, "x" * (1024 * 1024 + 1))
    assert (status, kind(found)) == (413, "value-too-large")


def test_queries_with_too_many_parameters(server):
    """Are refused as such, by both APIs."""
    query = "&".join(["a"] * 1_001)
    for path in ("users/me/secrets", "health"):
        status, _, found = call(server, "GET", f"{path}?{query}")
        assert (status, found["detail"]) == (400, "the query has too many parameters")
    assert server.root("GET", f"/v1/sys/health?{query}")[0] == 400
    assert call(server, "GET", "users/me/secrets?" + "a" * 8_193)[0] == 414


def test_nothing_of_vaults_is_mounted_in_the_way(server):
    """Paths of this API can't be made those of a mount."""
    for path in ("adyton", "adyton/users"):
        status, _, found = server.root("POST", f"/v1/sys/mounts/{path}", {"type": "kv"})
        assert status == 400, found


def test_what_is_malformed_is_recorded(server, name):
    """Once it is known that the token may ask at all."""
    narrow = server.token_with('path "adyton/secrets/*" { capabilities = ["create", "update"] }')
    url = f"users/me/secrets/{name}"
    for headers in ({"Idempotency-Key": "a b"}, {"X-Vault-Namespace": "x"}, {"If-Match": "x"}):
        for token, expected in ((narrow, 400), (server.token_with('path "x" {}'), 403)):
            sent = {"value": text("x")}
            status, answer, _ = call(server, "PUT", url, sent, token=token, headers=headers)
            assert status == expected, headers
            newest = call(server, "GET", "audit?limit=1")[2]["items"][0]
            assert newest["request_id"] == answer["x-request-id"]
            assert not newest["success"]


def test_an_answer_has_bounds(server):
    """Values of more than 32 MiB together are asked for in parts."""
    user, _ = user_with(server, ALL)
    big = "x" * 1024 * 1024
    names = [f"{at:02}" for at in range(33)]
    for name in names:
        assert put(server, name, big, user=user)[0] == 200
    path = f"users/{user}/"
    for asked, body in (
        ("batch/read", {"names": names}),
        ("export", {"format": "json"}),
        ("export", {"format": "json", "names": names}),
    ):
        status, _, found = call(server, "POST", path + asked, body)
        assert (status, kind(found)) == (413, "value-too-large")
    found = call(server, "POST", path + "batch/read", {"names": names[:32]})[2]
    assert len(found["items"]) == 32
    assert call(server, "POST", path + "export", {"format": "json", "prefix": "0"})[0] == 200


def test_a_page_has_bounds(server):
    """One with many versions ends early, and leads on."""
    user, _ = user_with(server, ALL)
    names = [f"{at:02}" for at in range(25)]
    versions = [
        PortableVersion(at, at, "x", State.LIVE, "text/plain", bytearray(b"x"))
        for at in range(1, 1001)
    ]
    secrets = [
        PortableSecret(name, (), {}, None, 1000, 1, 1000, {}, tuple(versions)) for name in names
    ]
    identity = pyrage.x25519.Identity.generate()
    bundle = write_bundle(
        secrets, recipients=[str(identity.to_public())], passphrase=None, now=from_us(1)
    )
    body = {"data": b64(bundle), "identities": [str(identity)]}
    assert call(server, "POST", f"users/{user}/import", body)[0] == 200
    seen, cursor = [], ""
    while cursor is not None:
        url = f"users/{user}/secrets?limit=1000&cursor={cursor}"
        found = call(server, "GET", url)[2]
        seen.append([meta["name"] for meta in found["items"]])
        cursor = found["next_cursor"]
    assert seen == [names[:21], names[21:]]


@pytest.mark.parametrize(
    "headers", [{"X-Large": "x" * 100_000}, {f"X-{at}": "x" for at in range(120)}]
)
def test_headers_that_are_too_large(server, headers):
    """Are refused by the HTTP layer, as the description says."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request("GET", "/v1/adyton/health", headers=headers)
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (431, b"")
    finally:
        connection.close()
