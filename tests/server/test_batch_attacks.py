"""What batch tokens meet elsewhere: members, counts, kept answers, entities, keys and seals."""

import secrets
import sqlite3

import pytest

from adyton.client import Client
from natives import call, put, text, token_of
from server import sealing
from server.test_batch_tokens import ALL, CREATE, DENIED, approle, batch, looked
from servers import adyton, serve


@pytest.fixture
def owner(server):
    """A user with a secret, and a member `f` who logs in for batch tokens."""
    return Owner(server)


class Owner:
    def __init__(self, server):
        self.server, self.user = server, "o" + secrets.token_hex(4)
        self.space = {"X-Vault-Namespace": self.user}
        self.token = token_of(server, self.user, ALL)
        put(server, "app/db", "v", user=self.user, token=self.token)
        body = {"password": "a password of frank", "token_type": "batch"}
        self.login_body = body
        path = "/v1/auth/userpass/users/f"
        assert server.root("POST", path, body, headers=self.space)[0] == 204
        self.call("PUT", "members/f", {"logins": ["userpass:f"]})

    def call(self, method, path, body=None, *, token=None, headers=None):
        return call(
            self.server, method, f"users/{self.user}/{path}", body,
            token=token or self.token, headers=headers,
        )  # fmt: skip

    def grant(self, **conditions):
        body = {"member": "f", "path": "app/", "role": "viewer"}
        if conditions:
            body = {"member": "f", "path": "app/", "rights": ["read"], "conditions": conditions}
        status, _, made = self.call("POST", "grants", body)
        assert status in {200, 201}, made
        return made["id"]

    def login(self):
        path = "/v1/auth/userpass/login/f"
        found = self.server.raw("POST", path, self.login_body, headers=self.space)[2]["auth"]
        assert found["token_type"] == "batch"
        return found["client_token"]

    def read(self, token):
        return self.call("GET", "secrets/app/db", token=token)[0]


def test_a_count_of_reads_is_the_members_and_not_a_tokens(owner):
    """Eight tokens of one member read three times together."""
    owner.grant(reads=3)
    tokens = [owner.login() for _ in range(8)]
    answers = [owner.read(token) for token in tokens]
    assert answers.count(200) == 3
    assert set(answers[3:]) <= {403, 404}


def test_an_approval_is_one_use_of_whichever_token(owner):
    """One who asks by one token and reads by two others reads once."""
    owner.grant(approval=["/"])
    one, two, three = (owner.login() for _ in range(3))
    assert owner.read(two) != 200
    asked = owner.call("POST", "access/requests", {"right": "read", "path": "app/db"}, token=one)
    assert asked[0] in {200, 201}, asked
    decide = f"access/requests/{asked[2]['id']}/approve"
    assert owner.call("POST", decide, {}, token=three)[0] in {403, 404}
    assert owner.call("POST", decide, {})[0] == 200
    assert owner.read(two) == 200
    assert 200 not in {owner.read(three), owner.read(one)}


def test_a_member_who_goes_takes_the_rights_of_live_tokens_along(owner):
    """The member, or the entity that the token names; the token itself lives on without rights."""
    owner.grant()
    token = owner.login()
    assert owner.read(token) == 200
    assert owner.call("DELETE", "members/f")[0] in {200, 204}
    assert owner.read(token) in {403, 404}
    assert looked(owner.server, token, headers=owner.space)[0] == 200


def test_a_kept_answer_is_for_live_tokens_with_rights(server, name):
    """The same key and request by a weak token, or after the end, is no way to the answer."""
    user = "k" + secrets.token_hex(4)
    strong, space = token_of(server, user, ALL), {"X-Vault-Namespace": user}
    made = server.raw("POST", CREATE, {"type": "batch"}, token=strong, headers=space)[2]["auth"]
    weak = server.raw(
        "POST", CREATE, {"type": "batch", "policies": ["default"]}, token=strong, headers=space
    )[2]["auth"]["client_token"]
    key, path = {"Idempotency-Key": name}, f"users/{user}/secrets/{name}"

    def write(token):
        return call(server, "PUT", path, {"value": text("1")}, token=token, headers=key)

    first, again = write(made["client_token"]), write(made["client_token"])
    assert (first[0], again[0], again[2]) == (200, 200, first[2])
    assert again[1]["idempotency-replayed"] == "true"
    refused = write(weak)
    assert refused[0] in {403, 404}
    assert "idempotency-replayed" not in refused[1]
    assert server.raw("POST", "/v1/auth/token/revoke-self", token=strong, headers=space)[0] == 204
    refused = write(made["client_token"])
    assert refused[0] in {401, 403}
    assert "idempotency-replayed" not in refused[1]


def test_wrapping_and_cubbyholes_are_not_its_own(server):
    """It has no cubbyhole to write to; what it has wrapped opens by the wrapping token."""
    server.root("POST", "/v1/sys/policies/acl/all", {"policy": ALL})
    token = batch(server, policies=["all"])
    assert server.raw("POST", "/v1/cubbyhole/x", {"a": 1}, token=token)[0] in {400, 403}
    wrap = {"X-Vault-Wrap-TTL": "60s"}
    status, _, found = server.raw("GET", "/v1/sys/mounts", token=token, headers=wrap)
    assert status == 200
    wrapping = found["wrap_info"]["token"]
    assert looked(server, wrapping)[0] == 403
    assert server.raw("POST", "/v1/sys/wrapping/unwrap", token=wrapping)[0] == 200
    assert server.raw("POST", "/v1/sys/wrapping/unwrap", token=wrapping)[0] in {400, 403}


def test_seals_and_master_keys_leave_it_and_its_own_end_counts_over_them(tmp_path):
    """Sealed it is nothing; opened again, under another master key too, it is as before."""
    server = sealing.serve(tmp_path / "s.db")
    try:
        made = sealing.opened(server)
        login = approle(server, "ap")
        one, two = login()["client_token"], login()["client_token"]
        child = batch(server)
        assert server.root("POST", "/v1/sys/rotate")[0] == 204
        assert looked(server, one)[0] == 200
        assert server.root("PUT", "/v1/sys/seal")[0] == 204
        assert looked(server, one)[0] == 503
        sealing.unseal(server, made.enough())
        assert [looked(server, token)[0] for token in (one, two, child)] == [200] * 3
        assert server.root("DELETE", "/v1/sys/auth/ap")[0] == 204
        assert looked(server, one) == looked(server, two) == DENIED
        assert looked(server, child)[0] == 200
    finally:
        assert server.stop()[0] == 0


def test_a_backup_that_is_put_back_opens_what_was_made_since_if_its_parent_is_there(tmp_path):
    """As the decision says: what is not stored can't be missed; what has an absent parent is."""
    store = tmp_path / "s.db"
    adyton(str(store), "init")
    root = adyton(str(store), "token", "root").split('"token"')[1].split('"')[1]
    copy = tmp_path / "copy.db"
    server = serve(str(store))
    server.token = root
    try:
        server.root("POST", "/v1/sys/policies/acl/all", {"policy": ALL})
        with sqlite3.connect(store) as source, sqlite3.connect(copy) as target:
            source.backup(target)
        source.close(), target.close()
        since = batch(server)
        with Client(server.addr, root) as client:
            parent = client.tokens.create(policies=["all"], ttl="1h").token
        orphaned = batch(server, parent=parent)
        assert looked(server, since)[0] == looked(server, orphaned)[0] == 200
    finally:
        assert server.stop()[0] == 0
    for end in ("", "-wal", "-shm"):
        (tmp_path / f"s.db{end}").unlink(missing_ok=True)
    copy.rename(store)
    server = serve(str(store))
    try:
        assert looked(server, since)[0] == 200
        assert looked(server, orphaned) == DENIED
    finally:
        assert server.stop()[0] == 0
