"""Batch tokens when what they go by goes: roots, entities, roles, users, policies; and made up."""

import base64
import secrets

import pytest

from access.make_vectors import checked
from adyton.actions import Action
from adyton.client import Client
from adyton.model import Caller
from adyton.service.access.records import ENTITIES
from adyton.service.access.tokentext import make_token
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from inprocess import ALL, Handlers
from natives import token_of
from server import sealing
from server.test_batch_tokens import CREATE, DENIED, approle, batch, looked
from server.test_rekey import begin, enter
from server.test_user_roots import AWAY, World
from servers import TOKEN, Server
from shell import Shell

SPACE = "alice"


@pytest.fixture
def near():
    """Handlers in this process, with a namespace that has a policy for everything."""
    made = Handlers()
    made.done("PUT", "sys/policies/acl/all", {"policy": ALL}, space=SPACE)
    yield made
    made.close()


def logins(near, **role):
    """A batch and a service token of two roles of AppRole that are alike."""
    near.raw("POST", "sys/auth/approle", {"type": "approle"}, space=SPACE)
    found = []
    for kind in ("batch", "service"):
        body = {"token_policies": "all", "token_type": kind} | role
        near.done("POST", f"auth/approle/role/{kind}", body, space=SPACE)
        found.append(near.login(SPACE, kind)[0])
    return found


def looks(near, token, path="secret/data/x", method="GET"):
    """An answer, without the request's id."""
    status, body = near.raw(method, path, token=token, space=SPACE)
    return status, {key: value for key, value in (body or {}).items() if key != "request_id"}


def both(near, tokens, path="secret/data/x"):
    """The one status that a batch and a service token have for a path."""
    [status] = {looks(near, token, path)[0] for token in tokens}
    return status


def test_new_shares_leave_it(tmp_path):
    """Changed while it lives: it is as before, nothing while sealed, and again with new shares."""
    server = sealing.serve(tmp_path / "s.db")
    try:
        old = sealing.opened(server)
        token, orphan = approle(server, "ap")()["client_token"], batch(server, no_parent=True)
        done = enter(server, begin(server, 5, 3), old.enough())
        assert done["complete"]
        assert looked(server, token)[0] == looked(server, orphan)[0] == 200
        assert server.root("PUT", "/v1/sys/seal")[0] == 204
        assert looked(server, token)[0] == looked(server, orphan)[0] == 503
        sealing.unseal(server, sealing.Shares(done, 3).enough())
        assert looked(server, token)[0] == looked(server, orphan)[0] == 200
    finally:
        assert server.stop()[0] == 0


def test_another_root_of_trust_leaves_it(tmp_path):
    """Migrated while it lives, with a new master key; a server begun by the new root opens it."""
    shell = Shell(tmp_path)
    shell("init")
    root = shell("token", "root").decode().strip()
    env = {key: value for key, value in shell.env.items() if key.startswith("ADYTON_")}
    token = None
    for one in (env, env | {"ADYTON_ROOT": f"keyfile:{tmp_path}/new"}):
        server = Server("serve", env=one)
        server.token = root
        try:
            if token is None:
                token = batch(server)
                with Client(server.addr, root) as client:
                    client.roots.migrate(f"keyfile:{tmp_path}/new")
                    client.keys.rotate(master=True)
            assert looked(server, token)[0] == 200
        finally:
            assert server.stop()[0] == 0


def test_a_users_own_root_that_is_away(server):
    """Let in before or not, sound or made up: whatever the API answers a service token."""
    world = World(server)
    world.set()
    sealed = {"type": "batch", "policies": ["p"]}
    used, fresh = (
        world.vault("POST", "auth/token/create", sealed)[1]["auth"]["client_token"]
        for _ in range(2)
    )
    assert world.vault("GET", "secret/data/vault", token=used)[0] == 200
    world.take()
    index = base64.urlsafe_b64decode(used[4:28])[:16]
    forged = checked(used[:-12] + "AAAAAA"), make_token(index, secrets.token_bytes(24))
    for method, path, body in (
        ("GET", "users/me/secrets/native", None), ("GET", "users/me/secrets/absent", None),
        ("GET", "users/me/secrets", None), ("DELETE", "users/me/secrets/native", None),
    ):  # fmt: skip
        answers = []
        for token in (world.token, used, fresh, *forged):
            status, found = world.call(method, path, body, token=token)
            found.pop("instance", None), found.pop("request_id", None)
            answers.append((status, found))
        assert answers == [answers[0]] * 5, path
        assert (answers[0][0], answers[0][1]["detail"]) == (503, AWAY)
    for method, path, body in (
        ("GET", "secret/data/vault", None), ("POST", "secret/data/vault", {"data": {"a": "x"}}),
        ("GET", "auth/token/lookup-self", None), ("POST", "auth/token/revoke-self", None),
        ("POST", "auth/token/create", {}), ("GET", "cubbyhole/x", None),
    ):  # fmt: skip
        for token in (world.token, used, fresh, *forged):
            assert world.vault(method, path, body, token=token) == (503, {"errors": [AWAY]}), path
    for name in ("lookup", "revoke"):
        answers = [
            world.vault("POST", f"auth/token/{name}", {"token": token}, token=server.token)
            for token in (world.token, used, fresh)
        ]
        assert answers == [answers[0]] * 3
    assert world.give()[0] == 200
    for token in (used, fresh):
        assert world.vault("GET", "secret/data/vault", token=token)[0] == 200
    for token in forged:
        assert world.vault("GET", "secret/data/vault", token=token) == DENIED


def test_an_entity_that_is_not_there_takes_what_templates_gave(near):
    """In memory or not: the rules that name it give nothing, and none of them gives all."""
    rule = 'path "secret/data/{{identity.entity.id}}*" { capabilities = ["read"] }\n'
    rule += 'path "secret/data/plain" { capabilities = ["read"] }'
    near.done("PUT", "sys/policies/acl/mine", {"policy": rule}, space=SPACE)
    tokens = logins(near, token_policies="mine")
    ids = [
        near.done("GET", "auth/token/lookup-self", token=token, space=SPACE)["data"]["entity_id"]
        for token in tokens
    ]
    for token, ident in zip(tokens, ids, strict=True):
        assert looks(near, token, f"secret/data/{ident}")[0] == 404
    remove_entities(near, ids)
    for token, ident in zip(tokens, ids, strict=True):
        for path in (ident, f"{ident}x", "x", "{{identity.entity.id}}", "{{identity.entity.id}}x"):
            assert looks(near, token, f"secret/data/{path}")[0] == 403
    assert both(near, tokens, "secret/data/plain") == 404
    fresh = logins(near, token_policies="mine")
    assert both(near, fresh, "secret/data/plain") == 404
    assert both(near, [*tokens, *fresh], "secret/data/x") == 403


def remove_entities(near, ids):
    """Out of the store; no operation does so but a purge."""
    core = near.store._opened.core
    draft = Draft(Caller("test"), Action.ACCESS_DELETE, user_id=SPACE)

    async def work(scope):
        changes = ObjectChanges(scope, await core.keys_in(scope, SPACE))
        for ident in ids:
            changes.delete(ENTITIES, ident)
        scope.after_commit(lambda: near.services.spaces.forget(SPACE))
        await changes.write(draft)

    core.commit.run_sync(core.write(draft, work))


def test_roles_and_users_that_are_deleted_leave_it_as_any_token(near):
    """The token lives, as one of the store does; nobody logs in for another."""
    tokens = logins(near)
    near.done("POST", "sys/auth/userpass", {"type": "userpass"}, space=SPACE)
    for kind in ("batch", "service"):
        user = {"password": "a long password", "token_policies": "all", "token_type": kind}
        near.done("POST", f"auth/userpass/users/{kind}", user, space=SPACE)
        body = {"password": "a long password"}
        at = f"auth/userpass/login/{kind}"
        found = near.done("POST", at, body, token="", space=SPACE)
        tokens.append(found["auth"]["client_token"])
    assert both(near, tokens[:3]) == 404  # one is not in memory yet
    for kind in ("batch", "service"):
        near.done("DELETE", f"auth/approle/role/{kind}", space=SPACE)
        near.done("DELETE", f"auth/userpass/users/{kind}", space=SPACE)
        assert (
            near.raw("POST", f"auth/userpass/login/{kind}", body, token="", space=SPACE)[0] == 400
        )
    assert both(near, tokens) == 404
    near.done("DELETE", "sys/auth/approle", space=SPACE)
    near.done("DELETE", "sys/auth/userpass", space=SPACE)
    assert both(near, tokens) == 403


def test_a_policy_that_is_removed_gives_nothing(near):
    """From the next request on, in memory or not; one of the same name gives what it says."""
    used, fresh = logins(near), logins(near)
    assert both(near, used) == 404
    near.done("DELETE", "sys/policies/acl/all", space=SPACE)
    assert both(near, used + fresh) == 403
    assert both(near, used + fresh, "auth/token/lookup-self") == 200  # by the policy `default`
    rule = 'path "secret/data/y" { capabilities = ["read"] }'
    near.done("PUT", "sys/policies/acl/all", {"policy": rule}, space=SPACE)
    assert both(near, used + fresh) == 403
    assert both(near, used + fresh, "secret/data/y") == 404


def garbled(token, hers):
    """Changed in each byte, cut at each place, with another's parts, under other versions."""
    data = base64.urlsafe_b64decode(token[4:-6] + "=" * (-len(token[4:-6]) % 4))
    other = base64.urlsafe_b64decode(hers[4:-6] + "=" * (-len(hers[4:-6]) % 4))
    for at in range(len(data)):
        yield data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
    for at in range(0, len(data), 3):
        yield data[:at]
    yield other[:16] + data[16:]
    yield data[:16] + other[16:]
    yield data[:24] + other[24:]
    yield data + b"\0"
    for version in (0, 2, 2**31, 2**63 - 1, 2**63, 2**64 - 1):
        yield data[:16] + version.to_bytes(8, "big") + data[24:]


def test_made_up_ones_answer_as_an_unknown_token_and_are_recorded(near):
    """Under a right checksum each: the one answer, a record of its own, and no error within."""
    near.done("PUT", "sys/policies/acl/all", {"policy": ALL}, space="bob")
    token, hers = (
        near.done("POST", CREATE[4:], {"type": "batch", "policies": ["all"]}, space=space)["auth"][
            "client_token"
        ]
        for space in (SPACE, "bob")
    )
    assert both(near, [token]) == 404
    index = base64.urlsafe_b64decode(token[4:28])[:16]
    unknown = make_token(index, secrets.token_bytes(24))
    asked = ("GET", "adyton/users/me/secrets"), ("GET", "secret/data/x")
    expected = [looks(near, unknown, path, method) for method, path in asked]
    assert [status for status, _ in expected] == [403, 403]
    texts = [
        checked("adb_" + base64.urlsafe_b64encode(data).rstrip(b"=").decode())
        for data in garbled(token, hers)
    ]
    assert token not in texts
    assert len(set(texts)) > 150
    state = near.store._opened.core.commit.state
    for text in [*texts, text_cut(token), token.upper(), token + "A", "adb_"]:
        before = state.size
        assert [looks(near, text, path, method) for method, path in asked] == expected
        assert state.size == before + 2
    assert both(near, [token]) == 404


def text_cut(token):
    return token[: len(token) // 2]


def test_a_rate_is_used_up_by_ones_own_tokens_alone():
    """No others: made up, ended, of a wrong network, for a wrapped answer; a 429 takes no use."""
    rates = {"ADYTON_RATES_USER_PER_SECOND": "0.01", "ADYTON_RATES_USER_BURST": "30"}
    server = Server("serve", "--dev", "--dev-root-token-id", TOKEN, env=rates)
    try:
        spaces = {user: {"X-Vault-Namespace": user} for user in ("alice", "bob")}

        def made(user, parent, **body):
            answer = server.raw("POST", CREATE, body, token=parent, headers=spaces[user])
            assert answer[0] == 200, answer
            return answer[2]["auth"]["client_token"]

        def status(user, token):
            return server.raw(
                "GET", "/v1/auth/token/lookup-self", token=token, headers=spaces[user]
            )[0]

        alice, bob = (token_of(server, user, ALL) for user in spaces)
        fresh = [made("alice", alice, type="batch") for _ in range(5)]
        counted = made("bob", bob, num_uses=2)
        ended = made("alice", alice)
        gone = [made("alice", ended, type="batch") for _ in range(3)]
        body = {"token": ended}
        path = "/v1/auth/token/revoke"
        assert server.raw("POST", path, body, token=alice, headers=spaces["alice"])[0] == 204
        index = base64.urlsafe_b64decode(fresh[0][4:28])[:16]
        strangers = [ended, *gone, *(make_token(index, secrets.token_bytes(24)) for _ in range(30))]
        strangers += [
            checked(fresh[0][:at] + "AAAA" + fresh[0][at + 4 : -6]) for at in range(60, 90)
        ]
        for token in strangers:
            assert status("alice", token) == 403
        # Both are known to the server from their first use on, and refused all the same.
        role = {"token_bound_cidrs": ["192.0.2.0/24"]}
        path = "/v1/auth/token/roles/far"
        assert server.raw("POST", path, role, token=alice, headers=spaces["alice"])[0] == 204
        bound = server.raw("POST", f"{CREATE}/far", {}, token=alice, headers=spaces["alice"])
        bound = bound[2]["auth"]["client_token"]
        wrap = spaces["alice"] | {"X-Vault-Wrap-TTL": "60s"}
        found = server.raw("GET", "/v1/sys/mounts", token=alice, headers=wrap)[2]
        for token in (bound, found["wrap_info"]["token"]):
            assert [status("alice", token) for _ in range(40)] == [403] * 40
        while (answer := status("bob", bob)) == 200:
            pass
        assert answer == 429
        assert status("bob", counted) == 429
        body = {"token": counted}
        found = server.root("POST", "/v1/auth/token/lookup", body, headers=spaces["bob"])[2]
        assert found["data"]["num_uses"] == 2
        assert [status("alice", token) for token in fresh] == [200] * 5
    finally:
        assert server.stop()[0] == 0
