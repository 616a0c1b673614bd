"""Malformed and wrong bodies: answers and records tell nothing of what was in them."""

import json

import pytest

from canaries import Canaries
from server.test_audit import Recorded

SHAPES = (
    '{"data": "%s"', '["%s"]', '"%s"', "%s", '{"%s"', '{"a": %s}', '{"a": "%s"}}', "data=%s&x=1",
    '{"data": {"k": "%s"}, "options": {"cas": "%s"}}', '{"data": ["%s"]}', '{"data": {"k": "%s"},}',
    '{"data": {"k": "%s", "k": 1}', "\ufeff%s", '{"password": ["%s"]}', '{"password": {"x": "%s"}}',
    '{"secret_id": ["%s"], "role_id": "%s"}', '{"token": ["%s"]}', '{"token": {"t": "%s"}}',
    '{"token": "%s"}', '{"accessor": "%s"}', '{"password": "%s"}', '{"role_id": "%s"}',
    '{"secret_id": "%s"}', '{"lease_id": "%s"}', '{"custom_metadata": ["%s"]}', '{"meta": ["%s"]}',
    '{"metadata": "%s"}', '{"versions": "%s"}', '{"increment": "%s"}', '{"ttl": "%s"}',
)  # fmt: skip
PLACES = (
    ("POST", "secret/data/x"), ("PATCH", "secret/data/x"), ("POST", "secret/metadata/x"),
    ("POST", "secret/delete/x"), ("POST", "old/x"), ("POST", "auth/token/create"),
    ("POST", "auth/token/lookup"), ("POST", "auth/token/renew"),
    ("POST", "auth/token/revoke-orphan"),
    ("POST", "auth/token/lookup-accessor"), ("POST", "auth/userpass/login/ann"),
    ("POST", "auth/userpass/users/new"), ("POST", "auth/userpass/users/ann/password"),
    ("POST", "auth/approle/login"), ("POST", "auth/approle/role/web/secret-id"),
    ("POST", "auth/approle/role/web/custom-secret-id"),
    ("POST", "auth/approle/role/web/secret-id/lookup"), ("POST", "sys/wrapping/unwrap"),
    ("POST", "sys/wrapping/lookup"), ("POST", "sys/wrapping/rewrap"), ("POST", "sys/leases/lookup"),
    ("POST", "sys/capabilities"), ("POST", "sys/capabilities-accessor"),
    ("POST", "identity/lookup/entity"),
)  # fmt: skip


def is_object(text):
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def test_nothing_of_a_body_is_told(tmp_path):
    """No answer of an error, no audit record and no output holds a canary of any body."""
    recorded = Recorded(tmp_path)
    ask = recorded.ask
    for kind in ("approle", "userpass"):
        ask("POST", f"sys/auth/{kind}", {"type": kind})
    ask("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    ask("POST", "auth/userpass/users/ann", {"password": "right"})
    ask("POST", "auth/approle/role/web", {"token_policies": "default"})
    canaries = Canaries()
    asked, let_in = set(), set()
    merge = {"Content-Type": "application/merge-patch+json"}
    for method, path in PLACES:
        for shape in SHAPES:
            text = shape.replace("%s", canaries.new("malformed"))
            status, answer, ident = ask(method, path, data=text.encode(), headers=merge)
            asked.add(status)
            if is_object(text):
                let_in.add(ident)
            if status >= 400:
                canaries.assert_absent(json.dumps(answer).encode(), f"the answer of {path}")
    for header in ("Authorization", "Cookie", "X-Custom", "User-Agent", "X-Vault-Wrap-TTL"):
        for path in ("secret/data/x", "auth/userpass/login/ann", "sys/mounts"):
            ask("POST", path, {"data": {}}, headers={header: canaries.new("header")})
    assert {200, 204, 400, 403} <= asked
    assert 500 not in asked
    assert ask("GET", "auth/token/lookup-self")[0] == 200
    code, out, err = recorded.server.stop()
    assert code == 0
    log = recorded.adyton("audit", "log", "--limit", "100000")
    # What does not parse is no operation; all else has its record.
    assert let_in <= {entry["request_id"] for entry in json.loads(log)}
    for where, text in (("the output", out), ("the errors", err), ("the audit log", log)):
        canaries.assert_absent(text.encode(), where)


@pytest.mark.parametrize("shape", ['{"a": 1}', "[]", "null", "", " ", "1", '"x"'])
def test_a_body_of_another_kind_is_no_crash(server, shape):
    """Where no body is wanted, and where one is."""
    for method in ("GET", "LIST", "POST", "PATCH", "DELETE"):
        for path in ("secret/data/x", "sys/mounts", "auth/token/lookup-self", "cubbyhole/x"):
            status = server.root(method, f"/v1/{path}", data=shape.encode())[0]
            assert status in {200, 204, 400, 404, 405, 415}, (method, path)


@pytest.mark.parametrize("kind", ["[", '{"a":'])
def test_depth_has_one_limit_whatever_the_size(server, name, kind):
    """64 levels and no more, in small bodies and in those that are looked at in parts."""
    end = {"[": "]", '{"a":': "}"}[kind]
    for padding in ("", " " * 300_000):
        for depth, expected in ((60, 200), (65, 400), (500, 400), (20_000, 400)):
            value = kind * depth + "1" + end * depth
            text = f'{{"data":{{"v":{value}}}{padding}}}'
            status = server.raw(
                "POST", f"/v1/secret/data/{name}", token=server.token, data=text.encode()
            )[0]
            assert status == expected, (kind, depth, len(padding))
