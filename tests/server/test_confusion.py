"""Spellings of a path, on every kind of mount: what a policy closes stays closed.

A token may read ``open`` and not ``closed``. Whatever the spelling, it is never given what lies
at ``closed``; and to who may read everything, a path that is not canonical is 400.
"""

import http.client

import pytest

MARK = "marker-of-the-closed"


LEAVES = """
Closed CLOSED %63losed %2563losed closed;x=1 closed; closed. closed%20 %20closed closed%00
closed%00open closed%0d%0a cl%c3%b6sed closed%cc%81 close%64 %ef%bd%83losed open%2f..%2fclosed
closed%23 closed%3f + * open* open/* %2a %2b
"""


def spelled(base, leaf=""):
    """Ways to write ``base/closed`` that some part of some server has taken for ``base/open``."""
    up = ["..", "%2e%2e", ".%2e", "%2E.", "%252e%252e", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae",
          "..;", "%2e%2e;x", "..%00", "%ef%bc%8e%ef%bc%8e", "..%20", "%u002e%u002e"]  # fmt: skip
    slash = ["/", "%2f", "%2F", "%252f", "\\", "%5c", "%c0%af", "%e2%88%95", "//", "/./", "%2f%2f"]
    yield from (f"{base}/open/{dots}/closed{leaf}" for dots in up)
    yield from (f"{base}/open{one}..{one}closed{leaf}" for one in slash)
    yield from (f"{base}/open{one}{dots}{one}closed{leaf}" for one in slash for dots in up[1:3])
    yield from (f"{base}{one}closed{leaf}" for one in slash)
    yield from (f"{base}/{name}{leaf}" for name in LEAVES.split())
    for tail in ("/", "//", "%2f", "/.", "/..", "%00", "?x", "#x", ";x", "%20", "/%2e"):
        yield f"{base}/closed{leaf}{tail}"
    yield f"{base}/open/../open/../closed{leaf}"
    first, _, rest = base.partition("/")
    if rest:
        yield f"{first}//{rest}/closed{leaf}"
        yield f"{first}%2f{rest}/closed{leaf}"
        yield f"{first}/../{base}/closed{leaf}"
        yield f"x/../{base}/closed{leaf}"
        yield f"{first.upper()}/{rest}/closed{leaf}"


class Raw:
    """Requests with their target as it is, over one connection as long as that lives."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def get(self, target, token):
        self.connection.putrequest("GET", target)
        self.connection.putheader("X-Vault-Token", token)
        self.connection.endheaders()
        answer = self.connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture
def raw(server):
    made = Raw(server.port)
    yield made
    made.connection.close()


def kv2(server, name):
    for leaf, value in (("open", "x"), ("closed", MARK)):
        server.root("POST", f"/v1/secret/data/{name}/{leaf}", {"data": {"k": value}})
    return f"secret/data/{name}", ""


def kv2_elsewhere(server, name):
    server.root("POST", f"/v1/sys/mounts/{name}/kv", {"type": "kv", "options": {"version": "2"}})
    for leaf, value in (("open", "x"), ("closed", MARK)):
        server.root("POST", f"/v1/{name}/kv/data/{leaf}", {"data": {"k": value}})
    return f"{name}/kv/data", ""


def kv1(server, name):
    server.root("POST", f"/v1/sys/mounts/{name}", {"type": "kv", "options": {"version": "1"}})
    for leaf, value in (("open", "x"), ("closed", MARK)):
        server.root("POST", f"/v1/{name}/{leaf}", {"k": value})
    return name, ""


def userpass(server, name):
    server.root("POST", f"/v1/sys/auth/{name}", {"type": "userpass"})
    for leaf, value in (("open", "x"), ("closed", MARK)):
        body = {"password": "pw", "token_policies": value}
        server.root("POST", f"/v1/auth/{name}/users/{leaf}", body)
    return f"auth/{name}/users", ""


def approle(server, name):
    server.root("POST", f"/v1/sys/auth/{name}", {"type": "approle"})
    for leaf, value in (("open", "x"), ("closed", MARK)):
        server.root("POST", f"/v1/auth/{name}/role/{leaf}", {"token_policies": value})
    return f"auth/{name}/role", ""


def one_field(server, name):
    return approle(server, name)[0], "/policies"


def policies(server, name):
    for leaf, value in (("open", "x"), ("closed", MARK)):
        text = f'path "{value}" {{ capabilities = ["read"] }}'
        server.root("PUT", f"/v1/sys/policies/acl/{leaf}", {"policy": text})
    return "sys/policies/acl", ""


def token_roles(server, name):
    for leaf, value in (("open", "x"), ("closed", MARK)):
        server.root("POST", f"/v1/auth/token/roles/{leaf}", {"allowed_policies": value})
    return "auth/token/roles", ""


def namespace(server, name):
    for leaf, value in (("open", "x"), ("closed", MARK)):
        server.root("POST", f"/v1/{name}/secret/data/{leaf}", {"data": {"k": value}})
    return f"{name}/secret/data", ""


KINDS = [kv2, kv2_elsewhere, kv1, userpass, approle, one_field, policies, token_roles, namespace]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_spelling_opens_what_is_closed(server, raw, name, kind):
    base, leaf = kind(server, name)
    token = server.token_with(
        f'path "{base}/open" {{ capabilities = ["read"] }}'
        f' path "{base}/open/*" {{ capabilities = ["read"] }}'
    )
    assert raw.get(f"/v1/{base}/closed{leaf}", token)[0] == 403
    # What is closed is there: whoever may read all gets it by its own name.
    status, content = raw.get(f"/v1/{base}/closed{leaf}", server.token)
    assert status == 200
    assert MARK.encode() in content
    assert raw.get(f"/v1/{base}/open{leaf}", token)[0] == 200
    targets = ["/v1/" + path for path in spelled(base, leaf)]
    targets += [f"http://127.0.0.1:{server.port}/v1/{base}/open/../closed{leaf}",
                f"http://other.example/v1/{base}/closed{leaf}",
                f"//127.0.0.1/v1/{base}/closed{leaf}", f"/v1/v1/{base}/closed{leaf}",
                f"/v1/open/../../v1/{base}/closed{leaf}", f"/V1/{base}/closed{leaf}",
                f"/v1/{base}/open?path={base}/closed", f"/v1?/{base}/closed{leaf}"]  # fmt: skip
    seen = set()
    for target in targets:
        status, content = raw.get(target, token)
        assert MARK.encode() not in content, target
        assert status in {200, 307, 400, 403, 404, 405}, (target, status)
        seen.add(status)
    assert {400, 403} <= seen
    for dots in ("..", "%2e%2e", ".%2e", "."):
        for target in (f"/v1/{base}/open/{dots}/closed{leaf}", f"/v1/{base}/{dots}/closed{leaf}"):
            assert raw.get(target, server.token)[0] == 400


def test_a_cubbyhole_is_its_tokens_own_by_any_spelling(server, raw):
    """What one token keeps is never given to another."""
    tokens = [server.token_with('path "cubbyhole/*" { policy = "write" }') for _ in range(2)]
    server.raw("POST", "/v1/cubbyhole/closed", {"k": MARK}, token=tokens[0])
    assert MARK.encode() in raw.get("/v1/cubbyhole/closed", tokens[0])[1]
    for path in spelled("cubbyhole"):
        assert MARK.encode() not in raw.get("/v1/" + path, tokens[1])[1], path


def test_forms_of_unicode_are_one_name_or_none(server, raw, name):
    """NFC is a name; NFD and compatibility forms are refused or other names, never the same."""
    server.root("POST", f"/v1/secret/data/{name}/gr%C3%BCn", {"data": {"k": MARK}})
    assert raw.get(f"/v1/secret/data/{name}/gr%C3%BCn", server.token)[0] == 200
    assert raw.get(f"/v1/secret/data/{name}/gru%CC%88n", server.token)[0] == 400
    for other in ("GR%C3%9CN", "gr%C3%9Cn", "grun", "%EF%BD%87r%C3%BCn", "gr%FCn", "gr%25C3%25BCn"):
        status, content = raw.get(f"/v1/secret/data/{name}/{other}", server.token)
        assert status in {400, 404}
        assert MARK.encode() not in content
