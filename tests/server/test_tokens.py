"""Tokens: their lives, their bounds, their children; the one refusal."""

import time

import hvac
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule

DENIED = {"errors": ["permission denied"]}
READ_ALL = 'path "secret/*" { capabilities = ["read", "list"] }'


def lookup(server, token):
    return server.raw("GET", "/v1/auth/token/lookup-self", token=token)


def test_every_refusal_is_the_same(server, name):
    """Absent, unknown, revoked, ended and unallowed: one status, one body, whatever exists."""
    server.root("POST", f"/v1/secret/data/{name}", {"data": {"a": 1}})
    unallowed = server.token_with('path "secret/data/other" { capabilities = ["read"] }')
    revoked = server.token_with(READ_ALL)
    server.root("POST", "/v1/auth/token/revoke", {"token": revoked})
    ended = server.token_with(READ_ALL, ttl="1s")
    time.sleep(1.1)
    for token in ("", "nonsense", "adt_" + "0" * 60, unallowed, revoked, ended):
        for path in (name, name + "-absent"):
            status, headers, body = server.raw("GET", f"/v1/secret/data/{path}", token=token)
            assert (status, body) == (403, DENIED)
            assert headers["content-type"] == "application/json"


def test_lookup_and_bearer(server):
    """What clients read of a token; the Authorization header does as well."""
    token = server.token_with('path "auth/token/lookup-self" { capabilities = ["read"] }')
    status, _, body = lookup(server, token)
    assert status == 200
    data = body["data"]
    assert data["id"] == token
    assert data["type"] == "service"
    assert 0 < data["ttl"] <= 32 * 86400
    assert {
        "accessor",
        "creation_time",
        "creation_ttl",
        "display_name",
        "entity_id",
        "meta",
        "expire_time",
        "explicit_max_ttl",
        "num_uses",
        "orphan",
        "path",
        "policies",
    } <= set(data)
    bearer = {"Authorization": f"Bearer {token}"}
    assert server.raw("GET", "/v1/auth/token/lookup-self", headers=bearer)[0] == 200


def test_token_text_can_be_found_by_scanners(server):
    """The documented form, with its checksum."""
    import re
    import zlib

    token = server.token_with(READ_ALL)
    assert re.fullmatch(r"adt_[0-9A-Za-z]{60}", token)
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = 0
    for digit in token[-6:]:
        number = number * 62 + digits.index(digit)
    assert number == zlib.crc32(token[:-6].encode())


def test_policies_given_are_the_givers(server):
    """A child gets policies of its parent, never more; root is given by root alone."""
    giver = server.token_with('path "auth/token/create" { capabilities = ["update"] }')
    own = server.hvac().lookup_token(giver)["data"]["policies"]
    status, _, body = server.raw("POST", "/v1/auth/token/create", {}, token=giver)
    assert (status, sorted(body["auth"]["policies"])) == (200, sorted([*own, "default"]))
    for wanted in (["root"], ["someone-elses"]):
        status, _, _ = server.raw(
            "POST", "/v1/auth/token/create", {"policies": wanted}, token=giver
        )
        assert status == 400
    for more in ({"no_parent": True}, {"id": "chosen"}, {"period": "1h"}):
        assert server.raw("POST", "/v1/auth/token/create", more, token=giver)[0] == 400


def test_children_end_with_their_parent(server):
    """Revoking a token ends what it made, and theirs; an orphan stays."""
    client = server.hvac()
    parent = client.auth.token.create(policies=["root"], ttl="1h")["auth"]["client_token"]
    child = server.hvac(parent).auth.token.create(ttl="1h")["auth"]["client_token"]
    grandchild = server.hvac(child).auth.token.create(ttl="1h")["auth"]["client_token"]
    orphan = server.hvac(child).auth.token.create_orphan(ttl="1h")["auth"]["client_token"]
    client.auth.token.revoke(parent)
    assert [lookup(server, t)[0] for t in (parent, child, grandchild, orphan)] == [
        403,
        403,
        403,
        200,
    ]
    top = client.auth.token.create(ttl="1h")["auth"]["client_token"]
    kept = server.hvac(top).auth.token.create(ttl="1h")["auth"]["client_token"]
    client.auth.token.revoke_and_orphan_children(top)
    assert [lookup(server, t)[0] for t in (top, kept)] == [403, 200]
    assert client.lookup_token(kept)["data"]["orphan"] is True


def test_uses_are_counted(server, name):
    """The last use succeeds, the next is refused; also when many come at once."""
    from concurrent.futures import ThreadPoolExecutor

    server.root("POST", f"/v1/secret/data/{name}", {"data": {"a": 1}})
    token = server.token_with(READ_ALL, num_uses=2)
    read = lambda _: server.raw("GET", f"/v1/secret/data/{name}", token=token)[0]  # noqa: E731
    assert [read(0), read(0), read(0)] == [200, 200, 403]
    token = server.token_with(READ_ALL, num_uses=5)
    with ThreadPoolExecutor(16) as pool:
        assert sorted(pool.map(read, range(30))) == [200] * 5 + [403] * 25


def test_renewing(server):
    """Within the bounds; not where the token is not renewable."""
    client = server.hvac()
    made = client.auth.token.create(policies=["default"], ttl="1h", explicit_max_ttl="2h")["auth"]
    assert made["lease_duration"] == 3600
    renewed = server.hvac(made["client_token"]).auth.token.renew_self(increment="10h")["auth"]
    assert 7100 <= renewed["lease_duration"] <= 7200
    fixed = client.auth.token.create(policies=["default"], ttl="1h", renewable=False)["auth"]
    with pytest.raises(hvac.exceptions.InvalidRequest, match="not renewable"):
        server.hvac(fixed["client_token"]).auth.token.renew_self()
    periodic = client.auth.token.create(policies=["default"], period="30m")["auth"]
    again = client.auth.token.renew(periodic["client_token"], increment="10h")["auth"]
    assert 1790 <= again["lease_duration"] <= 1800


def test_accessors(server):
    """Look up, renew and revoke without the token's text."""
    client = server.hvac()
    made = client.auth.token.create(policies=["default"], ttl="1h")["auth"]
    found = client.auth.token.lookup_accessor(made["accessor"])["data"]
    assert (found["id"], found["accessor"]) == ("", made["accessor"])
    assert made["accessor"] in client.auth.token.list_accessors()["data"]["keys"]
    client.auth.token.revoke_accessor(made["accessor"])
    assert lookup(server, made["client_token"])[0] == 403
    with pytest.raises(hvac.exceptions.InvalidRequest, match="invalid accessor"):
        client.auth.token.lookup_accessor(made["accessor"])


def test_roles_bound_what_they_give(server, name):
    """A role's policies and times."""
    client = server.hvac()
    bounds = {
        "allowed_policies": "default,a", "orphan": True, "renewable": False,
        "token_explicit_max_ttl": "1h",
    }  # fmt: skip
    assert server.root("POST", f"/v1/auth/token/roles/{name}", bounds)[0] == 204
    role = client.auth.token.read_role(name)["data"]
    assert (role["name"], role["allowed_policies"], role["orphan"]) == (
        name,
        ["a", "default"],
        True,
    )
    made = client.auth.token.create(role_name=name, ttl="5h")["auth"]
    assert (made["orphan"], made["renewable"], made["lease_duration"]) == (True, False, 3600)
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.auth.token.create(role_name=name, policies=["b"])
    client.auth.token.delete_role(name)
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.auth.token.create(role_name=name)


def test_a_role_widens_nothing(server, name):
    """No period without sudo, and no default policy where the role forbids it."""
    server.root("POST", f"/v1/auth/token/roles/{name}", {"disallowed_policies": "default,other"})
    narrow = server.token_with(f'path "auth/token/create/{name}" {{ capabilities = ["update"] }}')
    path = f"/v1/auth/token/create/{name}"
    assert server.raw("POST", path, {"period": "10000h"}, token=narrow)[0] == 400
    mine = server.hvac().lookup_token(narrow)["data"]["policies"]
    status, _, made = server.raw("POST", path, {"policies": mine}, token=narrow)
    assert (status, made["auth"]["policies"]) == (200, mine)
    server.root("POST", f"/v1/auth/token/roles/{name}", {"disallowed_policies_glob": "def*"})
    status, _, made = server.raw("POST", path, {"policies": mine}, token=narrow)
    assert (status, made["auth"]["policies"]) == (200, mine)


@pytest.mark.parametrize(
    "bad", [{"token_bound_cidrs": "garbage"}, {"bound_cidrs": ["10.0.0.300/8"]},
            {"token_num_uses": -4}]
)  # fmt: skip
def test_bounds_that_bound_nothing_are_refused(server, name, bad):
    """What is no network or no count is not kept."""
    status, _, answer = server.root("POST", f"/v1/auth/token/roles/{name}", bad)
    assert (status, len(answer["errors"])) == (400, 1)


def test_a_child_comes_from_where_its_parent_may(server, name):
    """A token bound to a network makes none that is bound less; an orphan is made by sudo alone."""
    here = {"allowed_policies": name, "token_bound_cidrs": "127.0.0.2/32"}
    text = 'path "auth/token/*" { capabilities = ["create", "read", "update"] }'
    server.root("POST", f"/v1/sys/policies/acl/{name}", {"policy": text})
    server.root("POST", f"/v1/auth/token/roles/{name}", here)
    server.root("POST", f"/v1/auth/token/roles/{name}-free", {"allowed_policies": name})
    bound = server.root("POST", f"/v1/auth/token/create/{name}")[2]["auth"]["client_token"]
    for path in ("create", f"create/{name}-free"):
        status, _, made = server.raw(
            "POST", f"/v1/auth/token/{path}", {}, token=bound, source="127.0.0.2"
        )
        assert status == 200
        child = made["auth"]["client_token"]
        for source, expected in (("127.0.0.2", 200), ("127.0.0.1", 403), ("127.0.0.2", 200)):
            asked = server.raw("GET", "/v1/auth/token/lookup-self", token=child, source=source)
            assert asked[0] == expected


class TokenLives(RuleBasedStateMachine):
    """Random families of tokens against a plain model of who lives."""

    tokens = Bundle("tokens")
    server = None

    def __init__(self):
        super().__init__()
        self.parents = {}
        self.alive = set()
        self.accessors = {}
        self.uses = {}
        self.batch = set()

    def spend(self, token):
        """Whether a token is let in, which takes a use of one whose uses are counted."""
        if token not in self.alive:
            return False
        if token in self.uses:
            self.uses[token] -= 1
            return self.uses[token] >= 0
        return True

    def make(self, parent, *, orphan=False, uses=0, kind="service"):
        path = "create-orphan" if orphan else "create"
        body = {"ttl": "1h", "num_uses": uses, "type": kind, "policies": ["maker"]}
        status, _, body = self.server.raw(
            "POST", f"/v1/auth/token/{path}", body, token=parent or self.server.token
        )
        if parent is not None and not self.spend(parent):
            assert status == 403
            return multiple()
        if parent in self.uses or parent in self.batch:
            assert status == 400  # one whose uses are counted makes no other
            return multiple()
        token = body["auth"]["client_token"]
        self.accessors[token] = body["auth"]["accessor"]
        if uses:
            self.uses[token] = uses
        if kind == "batch":
            self.batch.add(token)
        self.parents[token] = None if orphan else parent
        self.alive.add(token)
        return token

    @initialize(target=tokens)
    def first(self):
        return self.make(None)

    @rule(target=tokens, parent=tokens, orphan=st.booleans())
    def child(self, parent, orphan):
        return self.make(parent, orphan=orphan)

    @rule(target=tokens, parent=tokens, uses=st.integers(1, 3))
    def counted_child(self, parent, uses):
        return self.make(parent, uses=uses)

    @rule(target=tokens, parent=tokens, orphan=st.booleans())
    def batch_child(self, parent, orphan):
        return self.make(parent, orphan=orphan, kind="batch")

    @rule(token=tokens)
    def revoke_alone(self, token):
        """Its children live on, as orphans; batch tokens do not."""
        body = {"token": token}
        status = self.server.root("POST", "/v1/auth/token/revoke-orphan", body)[0]
        usable = token in self.alive and self.uses.get(token, 1) > 0 and token not in self.batch
        assert status == (204 if usable else 400)
        if usable:
            self.alive -= {token} | {t for t in self.batch if self.parents[t] == token}
            self.parents = {t: None if p == token else p for t, p in self.parents.items()}

    @rule(token=tokens, how=st.sampled_from(["token", "accessor", "self"]))
    def revoke(self, token, how):
        if how == "self":
            status = self.server.raw("POST", "/v1/auth/token/revoke-self", token=token)[0]
            if not self.spend(token):
                assert status == 403
                return
            assert status == (400 if token in self.batch else 204)
        elif how == "accessor" and token not in self.batch:
            if self.uses.get(token, 1) <= 0:
                return  # found by nobody any more
            body = {"accessor": self.accessors[token]}
            self.server.root("POST", "/v1/auth/token/revoke-accessor", body)
        else:
            status = self.server.root("POST", "/v1/auth/token/revoke", {"token": token})[0]
            assert status == (400 if token in self.batch & self.alive else 204)
        if token in self.batch:
            return
        gone = {token}
        while grown := {t for t, p in self.parents.items() if p in gone} - gone:
            gone |= grown
        self.alive -= gone

    @rule(token=tokens)
    def look(self, token):
        assert (lookup(self.server, token)[0] == 200) == self.spend(token)

    @rule(token=tokens)
    def look_by_accessor(self, token):
        """Takes no use."""
        body = {"accessor": self.accessors[token]}
        status = self.server.root("POST", "/v1/auth/token/lookup-accessor", body)[0]
        if token in self.batch:
            assert (body["accessor"], status) == ("", 400)
            return
        assert (status == 200) == (token in self.alive and self.uses.get(token, 1) > 0)

    @rule(token=tokens)
    def renew(self, token):
        status = self.server.raw("POST", "/v1/auth/token/renew-self", {}, token=token)[0]
        alive = self.spend(token)
        assert status == (403 if not alive else 400 if token in self.batch else 200)


def test_lives_of_tokens_follow_the_model(server):
    """Parents, orphans, uses, renewal and revocation, at random."""
    from hypothesis.stateful import run_state_machine_as_test

    TokenLives.server = server
    text = 'path "auth/token/*" { capabilities = ["create", "read", "update", "sudo"] }'
    assert server.root("POST", "/v1/sys/policies/acl/maker", {"policy": text})[0] == 204
    run_state_machine_as_test(
        TokenLives, settings=settings(max_examples=15, stateful_step_count=25, deadline=None)
    )
