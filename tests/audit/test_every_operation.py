"""Each operation leaves an audit record: done, refused for its rights, refused for its arguments.

The sweeps go over the tables of routes and over the rooms of the library, so that a new operation
without a record fails here.
"""

import re

import pytest

from adyton.actions import Action
from adyton.server.native.table import TABLE
from adyton.service.auditlog import AuditLog
from inprocess import Handlers
from server.test_native_rights import NEEDED, PUBLIC
from vaultroutes import vault_routes

NATIVE = {route.operation: route for route in TABLE.routes if route.operation not in PUBLIC}
WORDS = {
    "secret": "r/x", "name": "x", "path": "p", "prefix": "p", "lease": "p", "role": "x",
    "id": "x", "kind": "userpass", "accessor": "x", "mount": "m", "type": "rate-limit",
    "user": "me", "index": "0",
}  # fmt: skip
UNRECORDED = {
    # What tells nothing of a store's contents and lets nobody in.
    ("GET", "sys/health"), ("GET", "sys/init"), ("GET", "sys/seal-status"), ("GET", "sys/leader"),
    ("POST", "sys/unseal"),
}  # fmt: skip
OTHERWISE = {"set_quota", "clear_quota"}
"""Recorded by an action that tells more than that of their refused arguments."""


@pytest.fixture(scope="module")
def server():
    made = Handlers()
    for name in ("r/x", "r/y"):
        body = {"value": {"encoding": "utf-8", "data": "v"}}
        made.done("PUT", f"adyton/users/root/secrets/{name}", body)
    for kind in ("approle", "userpass"):
        made.done("POST", f"sys/auth/{kind}", {"type": kind})
    made.done("POST", "sys/mounts/database", {"type": "database"})
    made.done("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    made.done("POST", "sys/policies/acl/none", {"policy": 'path "none" {capabilities=["read"]}'})
    token = made.done(
        "POST", "auth/token/create", {"policies": ["none"], "no_default_policy": True}
    )
    made.weak = token["auth"]["client_token"]
    yield made
    made.close()


def entries(server, limit):
    core = server.store._opened.core
    log = AuditLog(core)
    return core.commit.run_sync(log.entries(server.store._caller, None, limit=limit))


def records(server, since):
    """Records that were made since the log had so many."""
    return [one for one in entries(server, 50) if one.index >= since]


def asked(server, method, path, body, token, headers=None):
    """The status of an answer, and the records that the request has left."""
    since = size(server)
    rid = f"r{server._count + 1}"
    status, _ = server.raw(method, path, body, token=token, **(headers or {}))
    return status, [one for one in records(server, since) if one.request_id.split()[:1] == [rid]]


def size(server):
    return max((one.index for one in entries(server, 1)), default=-1) + 1


@pytest.mark.parametrize("operation", NATIVE)
def test_each_route_of_the_native_api(server, operation):
    """Done, or refused for what is not there; refused by policies; refused for its arguments."""
    route = NATIVE[operation]
    _, _, path, body = NEEDED[operation]
    path = "adyton/" + path
    status, found = asked(server, route.method, path, body, server.token)
    assert found, (operation, status)
    assert all(one.action in set(Action) and one.actor for one in found)
    if status < 300:
        assert any(one.success for one in found)
        assert route.action in {one.action for one in found} or operation in OTHERWISE
    status, found = asked(server, route.method, path, body, server.weak)
    assert status in {403, 404}
    assert [one.success for one in found] == [False]
    status, found = asked(
        server, route.method, f"{path}{'&' if '?' in path else '?'}nope=1", body, server.token
    )
    assert status == 400
    assert [one.success for one in found] == [False]
    status, found = asked(server, route.method, path, body, "adt_nonsense")
    assert status == 403
    assert [(one.success, one.action) for one in found] == [(False, Action.ACCESS_DENY)]


@pytest.mark.parametrize(("method", "path"), [
    one for one in vault_routes() if one not in UNRECORDED
])  # fmt: skip
def test_each_route_of_the_vault_api(server, method, path):
    """By who may do everything, and by who may do nothing."""
    at = re.sub(r"\{(\w+)\}", lambda found: WORDS[found[1]], path)
    if at in {"sys/seal", "sys/step-down"}:
        return  # what follows is in the tests of sealing
    body = {} if method in {"POST", "PATCH"} else None
    headers = {"content_type": "application/merge-patch+json"} if method == "PATCH" else {}
    for token in (server.token, server.weak):
        status, found = asked(server, method, at, body, token, headers)
        assert found or status == 405, (status, token == server.weak)  # 405: there is none
        if status == 403 or token == server.weak:
            assert any(not one.success for one in found) or status in {200, 204, 405}, status
