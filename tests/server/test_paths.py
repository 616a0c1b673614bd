"""Path confusion: one canonical form, decoded once, or 400; never another's secret."""

import pytest

from adyton.errors import InvalidInput
from adyton.server.paths import canonical

CONFUSED = [
    "/v1/secret/data/open/../closed/x",
    "/v1/secret/data/open/%2e%2e/closed/x",
    "/v1/secret/data/open/.%2e/closed/x",
    "/v1/secret/data/open/..%2fclosed/x",
    "/v1/secret/data/open%2f..%2fclosed%2fx",
    "/v1/secret/data/open//x",
    "/v1//secret/data/open/x",
    "/v1/secret/data/open/./x",
    "/v1/secret/data/open/x%00",
    "/v1/secret/data/open/x%0a",
    "/v1/secret/data/open/%ff",
    "/v1/secret/data/open/%c0%ae%c0%ae/closed/x",
    "/v1/secret/data/open/e%cc%81",
    "/v1/secret/data/open/" + "a" * 5000,
]


@pytest.mark.parametrize("path", CONFUSED)
def test_confused_paths_are_refused(server, path):
    """With a token that may read everything: 400, whatever lies there."""
    assert server.root("GET", path)[0] == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/secret/data/closed/x", 403),
        ("/v1/secret/data/open/x", 200),
        ("/v1/secret/data%2fopen%2fx", 200),
        ("/v1/secret/data/open/%252e%252e/closed/x", 404),
        ("/v1/secret/data/OPEN/x", 403),
        ("/V1/secret/data/open/x", 404),
        ("/v1/SECRET/data/open/x", 403),
        ("/v1/secret/data/open/../closed/x", 400),
        ("/v1/secret/data/closed%2fx", 403),
        ("/v1/secret/data/open/x?version=1&list=false", 200),
    ],
)
def test_policies_see_the_path_that_is_served(server, path, status):
    """A token for one folder reaches nothing else by any spelling."""
    for folder in ("open", "closed"):
        server.root("POST", f"/v1/secret/data/{folder}/x", {"data": {"in": folder}})
    token = server.token_with('path "secret/data/open/*" { capabilities = ["read"] }')
    found, _, body = server.raw("GET", path, token=token)
    assert found == status
    if found == 200:
        assert body["data"]["data"] == {"in": "open"}


def test_canonical_never_changes_a_path():
    """What passes is what came, without its leading slash."""
    for path in ("/a/b", "/a b/c%d", "/größe/", "/a..b/c...", "/.a/b."):
        assert canonical(path) == path[1:]
    for path in ("/..", "/a/..", "/a/./b", "//a", "/a//b", "/a\x7f", "/a\ufffd", "/..\u2028"):
        with pytest.raises(InvalidInput):
            canonical(path)


def test_headers_that_are_not_ascii_are_not_taken_for_absent(server):
    """A namespace or a wrapping that is asked for in vain is never left out."""
    server.root("POST", "/v1/secret/data/header", {"data": {"a": "b"}})
    for name in ("X-Vault-Namespace", "X-Vault-Wrap-TTL"):
        sent = {name: "é".encode().decode("latin-1")}
        status, _, found = server.root("GET", "/v1/secret/data/header", headers=sent)
        assert (status, found["errors"]) == (400, [f"the header {name.lower()} is not ASCII"])
