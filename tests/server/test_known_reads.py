"""Reads that go the short way: it ends with whatever the long way depends on."""

import time

import pytest

from servers import Server

READER = 'path "secret/data/app/*" { capabilities = ["read"] }'
PATH = "/v1/secret/data/app/one"


@pytest.fixture(scope="module")
def server():
    found = Server("serve", "--dev", "--dev-root-token-id", "dev-root")
    found.token = "dev-root"
    yield found
    found.stop()


@pytest.fixture
def ask(server):
    def ask(method, path, body=None, *, token="dev-root", headers=None):
        status, _, found = server.raw(method, path, body, token=token, headers=headers)
        return status, found

    ask("POST", "/v1/sys/policies/acl/reader", {"policy": READER})
    ask("POST", PATH, {"data": {"value": "old"}})
    return ask


def reader(ask, **options):
    status, made = ask("POST", "/v1/auth/token/create", {"policies": ["reader"], **options})
    assert status == 200
    return made["auth"]["client_token"]


def read_often(ask, token, *, path=PATH, **more):
    """Reads until the short way is taken for sure; all must be alike."""
    answers = [ask("GET", path, token=token, **more) for _ in range(4)]
    assert {status for status, _ in answers} == {200}
    values = [answer["data"]["data"] for _, answer in answers]
    assert all(value == values[0] for value in values)
    ids = [answer["request_id"] for _, answer in answers]
    assert len(set(ids)) == len(ids)
    return values[0]


def test_both_ways_answer_alike_and_see_each_write(ask):
    """The first read and later ones differ in their ids alone; a write is seen at once."""
    token = reader(ask)
    for value in ("new", "newer"):
        assert ask("POST", PATH, {"data": {"value": value}})[0] == 200
        first, second, third = (ask("GET", PATH, token=token)[1] for _ in range(3))
        for answer in (first, second, third):
            assert answer.pop("request_id")
        assert first == second == third
        assert first["data"]["data"] == {"value": value}


def test_a_revoked_token_reads_no_more(ask):
    """From the very next request on."""
    token = reader(ask)
    read_often(ask, token)
    assert ask("POST", "/v1/auth/token/revoke", {"token": token})[0] == 204
    assert ask("GET", PATH, token=token)[0] == 403


def test_an_expired_token_reads_no_more(ask):
    """Also where nothing but time has passed."""
    token = reader(ask, ttl="1s")
    read_often(ask, token)
    time.sleep(1.2)
    assert ask("GET", PATH, token=token)[0] == 403


def test_a_changed_policy_holds_from_the_next_request(ask):
    """Taken away and given back."""
    token = reader(ask)
    for _ in range(2):
        read_often(ask, token)
        ask("POST", "/v1/sys/policies/acl/reader", {"policy": READER.replace("app", "other")})
        assert ask("GET", PATH, token=token)[0] == 403
        ask("POST", "/v1/sys/policies/acl/reader", {"policy": READER})


def test_a_policy_that_asks_for_wrapping_is_asked_each_time(ask):
    """A read with a wrap TTL never goes the short way, nor does it open one."""
    token = reader(ask)
    read_often(ask, token)
    status, answer = ask("GET", PATH, token=token, headers={"X-Vault-Wrap-TTL": "60"})
    assert status == 200
    assert answer["wrap_info"]["token"]
    assert answer["data"] is None
    read_often(ask, token)


def test_uses_are_counted_and_another_version_is_another_read(ask):
    """A token with two uses reads twice; ``version=1`` reads the first version each time."""
    ask("POST", PATH, {"data": {"value": "later"}})
    token = reader(ask, num_uses=2)
    assert [ask("GET", PATH, token=token)[0] for _ in range(3)] == [200, 200, 403]
    token = reader(ask)
    read_often(ask, token)
    assert read_often(ask, token, path=PATH + "?version=1") == {"value": "old"}
    assert read_often(ask, token) == {"value": "later"}


def test_a_deleted_version_is_told_of_and_a_disabled_mount_is_gone(ask):
    """404 with metadata, then a value again; the mount's end is seen as well."""
    ask("POST", "/v1/sys/mounts/brief", {"type": "kv", "options": {"version": "2"}})
    path = "/v1/brief/data/a"
    ask("POST", path, {"data": {"value": "x"}})
    read_often(ask, "dev-root", path=path)
    assert ask("DELETE", path)[0] == 204
    status, answer = ask("GET", path)
    assert status == 404
    assert answer["data"]["data"] is None
    assert answer["data"]["metadata"]["deletion_time"]
    ask("POST", "/v1/brief/undelete/a", {"versions": [1]})
    read_often(ask, "dev-root", path=path)
    ask("DELETE", "/v1/sys/mounts/brief")
    assert ask("GET", path)[0] == 404


def test_namespaces_do_not_meet(ask):
    """The same path by the same token in another namespace is another read."""
    other = {"X-Vault-Namespace": "alice"}
    assert ask("POST", PATH, {"data": {"value": "alice's"}}, headers=other)[0] == 200
    for _ in range(2):
        assert read_often(ask, "dev-root", headers=other) == {"value": "alice's"}
        assert read_often(ask, "dev-root") != {"value": "alice's"}
    token = reader(ask)
    read_often(ask, token)
    assert ask("GET", PATH, token=token, headers=other)[0] == 403


@pytest.mark.parametrize("header", ["X-Vault-Namespace", "X-Vault-Wrap-TTL"])
def test_headers_that_can_not_be_read_are_refused_each_time(ask, header):
    """The short way never takes a header that is not ASCII for one that is not there."""
    read_often(ask, "dev-root")
    for _ in range(3):
        status, answer = ask("GET", PATH, token="dev-root", headers={header: "j\xfcrgen"})
        assert status == 400
        assert "value" not in str(answer)
        read_often(ask, "dev-root")
