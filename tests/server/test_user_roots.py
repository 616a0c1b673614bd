"""A user's own root over HTTP: given by whoever holds it, told to nobody else."""

import inspect
import secrets
import time

import pytest

from adyton.client import Client
from adyton.client.sync_userroots import UserRoots
from adyton.crypto.links import proof_hash
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import AccessDenied, InvalidInput, UserRootAway, UserRootRefused
from adyton.library.sync_userroots import UserRoots as Embedded
from natives import b64, call, kind, put, text, token_of
from ownroots import own
from servers import TOKEN, Server
from shell import Shell
from userroots.make_vectors import made

AWAY = "the user's own root is away, and nothing of this user opens without it"
ALL = 'path "*" { capabilities = ["create","read","update","delete","list","patch"] }\n'


@pytest.fixture(scope="module")
def server():
    server = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    yield server
    code, _, err = server.stop()
    assert code == 0, err


class World:
    """A user with a secret in both APIs, a token, and a root that can be given."""

    def __init__(self, server):
        self.server = server
        self.user = "u" + secrets.token_hex(4)
        self.token = token_of(server, self.user, ALL)
        self.key = secrets.token_bytes(32)
        assert put(server, "native", "n", token=self.token)[0] == 200
        assert self.vault("POST", "secret/data/vault", {"data": {"a": "v"}})[0] == 200
        self.root = secrets.token_bytes(16)

    def call(self, method, path, body=None, *, token=None):
        status, _, found = call(self.server, method, path, body, token=token or self.token)
        return status, found

    def vault(self, method, path, body=None, *, token=None, **headers):
        status, _, found = self.server.raw(
            method, f"/v1/{path}", body, token=token or self.token,
            headers={"X-Vault-Namespace": self.user} | headers,
        )  # fmt: skip
        return status, found

    def set(self):
        body = {"root": b64(self.root), "key": b64(self.key), "roots": [], "seconds": 600}
        status, found = self.call("POST", "users/me/root", body)
        assert status == 200, found
        return found

    def give(self, *, token=None, key=None, user="me"):
        body = {"root": b64(self.root), "key": b64(key or self.key), "seconds": 600}
        return self.call("POST", f"users/{user}/root/give", body, token=token)

    def take(self):
        assert self.call("POST", "users/me/root/take") == (200, {"taken": True})


@pytest.fixture
def world(server):
    world = World(server)
    world.set()
    world.take()
    return world


def test_both_apis_answer_the_one_error_and_go_on_when_it_is_given(world):
    """503, with a type of its own; nothing of the namespace is different, tokens included."""
    for method, path, body in (
        ("GET", "users/me/secrets/native", None),
        ("PUT", "users/me/secrets/native", {"value": text("x")}),
        ("GET", "users/me/secrets", None),
        ("GET", "users/me/metadata/native", None),
        ("GET", "users/me/audit", None),
        ("GET", "users/me/quota", None),
    ):
        status, found = world.call(method, path, body)
        assert (status, kind(found), found["detail"]) == (503, "user-root-away", AWAY), path
    for method, path, body in (
        ("GET", "secret/data/vault", None),
        ("POST", "secret/data/vault", {"data": {"a": "x"}}),
        ("LIST", "secret/metadata", None),
        ("GET", "sys/mounts", None),
        ("GET", "auth/token/lookup-self", None),
        ("GET", "cubbyhole/x", None),
    ):
        assert world.vault(method, path, body) == (503, {"errors": [AWAY]}), path
    status, found = world.give()
    assert (status, found["given"], found["user"]) == (200, True, world.user)
    assert world.call("GET", "users/me/secrets/native")[1]["value"]["data"] == "n"
    assert world.vault("GET", "secret/data/vault")[1]["data"]["data"] == {"a": "v"}
    world.take()
    assert world.call("GET", "users/me/secrets/native")[0] == 503
    assert world.vault("GET", "secret/data/vault")[0] == 503


def test_the_operator_sees_that_it_is_away_and_gets_no_further(world):
    """With every right there is: by the path, by the namespace, and by new tokens and policies."""
    server, user = world.server, world.user
    for method, path, body in (
        ("GET", f"users/{user}/secrets/native", None),
        ("PUT", f"users/{user}/secrets/native", {"value": text("x")}),
        ("POST", f"users/{user}/export", {"format": "json"}),
        ("GET", f"users/{user}/audit", None),
        ("POST", "keys/rotate", {"user": user}),
        ("POST", "keys/rewrap", {"user": user, "deep": True}),
    ):
        status, _, found = call(server, method, path, body)
        assert (status, kind(found)) == (503, "user-root-away"), path
    space = {"X-Vault-Namespace": user}
    for method, path, body in (
        ("GET", "secret/data/vault", None),
        ("GET", "sys/mounts", None),
        ("GET", "sys/auth", None),
        ("GET", "sys/internal/ui/mounts", None),
        ("GET", "sys/internal/ui/mounts/secret", None),
        ("LIST", "sys/policies/acl", None),
        ("POST", "sys/policies/acl/p", {"policy": ALL}),
        ("POST", "auth/token/create", {"policies": ["p"]}),
        ("LIST", "auth/token/accessors", None),
        ("POST", "auth/userpass/users/me", {"password": "another password"}),
    ):
        status, _, found = server.root(method, f"/v1/{path}", body, headers=space)
        # A login method can't be seen while it is closed; all else says why.
        assert (status, found) == (503, {"errors": [AWAY]}) or "userpass" in path, (path, found)
    assert call(server, "POST", "keys/rotate", {"master": True})[0] == 200
    assert call(server, "POST", "keys/rewrap", {})[0] == 200
    assert call(server, "POST", "audit/verify", {})[2]["closed"] >= 1
    assert user in [each["user"] for each in call(server, "GET", "users")[2]["items"]]
    assert world.give()[0] == 200
    assert world.call("GET", "users/me/secrets/native")[1]["value"]["data"] == "n"


def test_strangers_learn_nothing(world):
    """A namespace that is closed answers them as one that never was."""
    server = world.server
    stranger = token_of(server, "s" + secrets.token_hex(4), ALL)
    nobody = "n" + secrets.token_hex(4)
    for path in ("secret/data/vault", "sys/mounts", "auth/token/lookup-self", "x/y"):
        seen = [
            server.raw("GET", f"/v1/{path}", token=token, headers={"X-Vault-Namespace": user})
            for user in (world.user, nobody)
            for token in (stranger, "hvs.nonsense", "")
        ]
        answers = [(status, found.get("errors")) for status, _, found in seen]
        assert answers[:3] == answers[3:], path
    for method, path, body in (
        ("GET", "users/{}/secrets/native", None),
        ("GET", "users/{}/root", None),
        ("POST", "users/{}/root/take", None),
        ("POST", "users/{}/root/give", {"root": b64(bytes(16)), "key": b64(bytes(32))}),
    ):
        for token in (stranger, "hvs.nonsense", ""):
            seen = [
                call(server, method, path.format(user), body, token=token)
                for user in (world.user, nobody)
            ]
            answers = [(status, found["detail"]) for status, _, found in seen]
            assert answers == [(403, "permission denied")] * 2, path
    login = {"password": "a password"}
    seen = [
        server.raw(
            "POST", "/v1/auth/userpass/login/me", login, token="", headers={"X-Vault-Namespace": u}
        )[::2]
        for u in (world.user, nobody)
    ]
    assert seen[0][0] == seen[1][0]
    assert seen[0][1]["errors"] == seen[1][1]["errors"]


def test_only_the_key_itself_gives_it(world):
    """A wrong one, that of another user, an older id; with the user's token or the operator's."""
    other = World(world.server)
    other.set()
    for token in (world.token, TOKEN):
        user = "me" if token == world.token else world.user
        for wrong in (bytes(32), other.key):
            status, found = world.give(token=token, key=wrong, user=user)
            assert (status, kind(found)) == (403, "user-root-refused")
        body = {"root": b64(bytes(16)), "key": b64(world.key)}
        status, found = world.call("POST", f"users/{user}/root/give", body, token=token)
        assert (status, kind(found)) == (403, "user-root-refused")
    assert world.call("GET", "users/me/secrets/native")[0] == 503
    # A token of one namespace names no other one.
    assert other.call("POST", "users/me/root/take")[0] == 200
    assert world.give(token=other.token, user=world.user)[0] == 403
    assert world.give(token=TOKEN, user=world.user)[0] == 200


def test_roots_are_changed_from_the_revision_that_was_seen(world):
    """A request that names an older one is refused with 412, and one that names none with 400."""
    wrap = {"slot": 0, "kind": "mine", "described": {}, "wrapped": b64(b"w" * 60)}
    body = {"root": b64(world.root), "key": b64(world.key), "roots": [wrap]}
    assert world.call("POST", "users/me/root/roots", body)[0] == 400
    assert world.call("GET", "users/me/root")[1]["revision"] == 0
    status, found = world.call("POST", "users/me/root/roots", body | {"revision": 0})
    assert (status, found["revision"], found["given"]) == (200, 1, False)
    for revision in (0, 2):
        other = body | {"roots": [], "revision": revision}
        status, found = world.call("POST", "users/me/root/roots", other)
        assert (status, kind(found)) == (412, "version-conflict")
    assert [each["kind"] for each in world.call("GET", "users/me/root")[1]["roots"]] == ["mine"]


def test_a_token_that_ended_meanwhile_gives_but_does_not_read(world):
    """Giving shows who holds the root; reading still asks for a token that holds."""
    world.give()
    made_ = world.vault("POST", "auth/token/create", {"policies": ["p"], "ttl": "1h"})[1]
    child = made_["auth"]["client_token"]
    world.vault("POST", "auth/token/revoke", {"token": child})
    world.take()
    assert world.give(token=child)[0] == 200
    assert world.call("GET", "users/me/secrets/native", token=child)[0] == 403


def test_links_and_wrapped_answers_wait(world):
    """A link looks like one that never was, and opens when the root is back."""
    world.give()
    ident, proof = secrets.token_bytes(16), secrets.token_bytes(32)
    body = {"id": b64(ident), "proof_hash": b64(proof_hash(proof)), "box": b64(bytes(64))}
    status, found = world.call("POST", "users/me/links", body)
    assert status == 200, found
    wrapped = world.vault("GET", "secret/data/vault", **{"X-Vault-Wrap-TTL": "300"})[1][
        "wrap_info"
    ]["token"]
    world.take()
    asked = {"user": found["user"], "id": b64(ident), "proof": b64(proof)}
    gone = call(world.server, "POST", "links/open", asked, token="")
    never = call(world.server, "POST", "links/open", asked | {"id": b64(bytes(16))}, token="")
    assert (gone[0], gone[2]["detail"]) == (never[0], never[2]["detail"])
    assert world.vault("POST", "sys/wrapping/unwrap", token=wrapped)[0] == 503
    world.give()
    status, _, found = call(world.server, "POST", "links/open", asked, token="")
    assert status == 200, found
    assert world.vault("POST", "sys/wrapping/unwrap", token=wrapped)[1]["data"]["data"] == {
        "a": "v"
    }


def test_records_tell_of_each_try_and_of_no_name(world):
    """In the store's own log, which the operator reads."""
    world.call("GET", "users/me/secrets/native")
    call(world.server, "GET", f"users/{world.user}/secrets/a-name-to-hide")
    world.give(key=bytes(32))
    world.give()
    found = call(world.server, "GET", "audit?limit=200")[2]
    of_user = [each for each in found["items"] if each["user"] == world.user]
    assert "a-name-to-hide" not in str(found)
    told = {(each["action"], each["success"]) for each in of_user}
    assert {
        ("userroot.set", True), ("userroot.take", True), ("userroot.give", False),
        ("userroot.give", True), ("secret.get", False),
    } <= told  # fmt: skip
    denied = [each for each in found["items"] if each["reason"] == "UserRootAway"]
    assert {each["action"] for each in denied} >= {"access.deny", "secret.get"}


def test_the_client_opens_the_root_beside_itself(server):
    """Any root of trust, which the server never sees; errors are those of the library."""
    user = "u" + secrets.token_hex(4)
    token = token_of(server, user, ALL)
    with Client(server.addr, token) as client:
        client.set_secret("me", "a", "value")
        with pytest.raises(InvalidInput, match="no root of their own"):
            client.user_roots.give("me", own())
        info = client.user_roots.set("me", own(), recovery=[own("the one in the safe")])
        assert info.given
        assert info.user == user
        assert [root.kind for root in info.roots] == ["passphrase", "passphrase"]
        assert client.user_roots.take("me") is True
        with pytest.raises(UserRootAway):
            client.get_secret("me", "a")
        with pytest.raises(UserRootRefused):
            client.user_roots.give("me", own("not the one that it is"))
        client.user_roots.give("me", own("the one in the safe"))
        assert client.get_secret("me", "a").text() == "value"
        client.user_roots.take("me")
        info = client.user_roots.drop("me", own(), 1)
        assert [root.slot for root in info.roots] == [0]
        info = client.user_roots.add("me", own(), own("another one in the safe"))
        assert [root.slot for root in info.roots] == [0, 1]
        client.user_roots.change("me", own(), SecretBytes(made("k", 32)))
        client.user_roots.take("me")
        with pytest.raises(UserRootRefused):
            client.user_roots.give("me", own())
        client.user_roots.remove("me", SecretBytes(made("k", 32)))
        assert client.get_secret("me", "a").text() == "value"
        assert client.user_roots.show("me").root == b""
    with Client(server.addr, "hvs.nonsense") as client, pytest.raises(AccessDenied):
        client.user_roots.show(user)


def test_the_client_does_not_ask_again_in_vain(world):
    """The error does not pass by waiting."""
    with Client(world.server.addr, world.token, retries=5) as client:
        started = time.monotonic()
        with pytest.raises(UserRootAway):
            client.get_secret("me", "native")
        assert time.monotonic() - started < 2


def test_the_command_line(server, tmp_path):
    """Set with recovery, away, given to the server, changed, removed; warned of what is lost."""
    user = "u" + secrets.token_hex(4)
    shell = Shell(tmp_path)
    shell.env |= {"ADYTON_ADDR": server.addr, "ADYTON_TOKEN": token_of(server, user, ALL)}
    for name, words in (("one", "the first of two"), ("two", "the second of two")):
        file = tmp_path / name
        file.write_text(words)
        file.chmod(0o600)
    one, two = (f"passphrase:file={tmp_path}/{name}" for name in ("one", "two"))
    shell.env.pop("ADYTON_USER", None)
    shell("set", "a", stdin="value")
    shell("user", "root", "set", one, code=2)
    assert "lost for good" in shell.error or "wants a yes" in shell.error
    shell("user", "root", "set", one, "--yes", "--for", "2h")
    assert "no --recovery" in shell.error
    assert shell("get", "a") == b"value"
    shell("user", "root", "add", one, two)
    shell("user", "root", "take")
    shell("get", "a", code=8)
    assert "own root is away" in shell.error
    found = shell.json("user", "root", "show")
    assert (found["given"], [each["kind"] for each in found["roots"]]) == (
        False,
        ["passphrase"] * 2,
    )
    assert "wrapped" not in str(found)
    shell("user", "root", "give", two, "--for", "10m")
    assert shell("get", "a") == b"value"
    shell("user", "root", "drop", two, "0", "--yes")
    shell("user", "root", "change", two, one, "--yes")
    shell("user", "root", "remove", two, "--yes", code=5)
    shell("user", "root", "remove", one, "--yes")
    assert shell.json("user", "root", "show")["root"] == ""
    assert shell("get", "a") == b"value"


def test_a_command_on_a_store_itself_names_the_root(tmp_path):
    """There is nobody to give it to: it is named for the length of the command."""
    shell = Shell(tmp_path)
    file = tmp_path / "mine"
    file.write_text("the user's own passphrase")
    file.chmod(0o600)
    mine = f"passphrase:file={file}"
    shell("init")
    shell("set", "a", stdin="value")
    shell("user", "root", "set", mine, "--yes")
    shell("get", "a", code=8)
    shell("user", "root", "give", mine, code=2)
    assert "--user-root" in shell.error
    assert shell("get", "a", "--user-root", mine) == b"value"
    assert shell("get", "a", ADYTON_USER_ROOT=mine) == b"value"
    shell("get", "a", code=8)


def test_the_client_has_the_methods_of_the_store():
    """The same names and arguments, but for what asks a person and tells of progress."""
    for name in [name for name in vars(Embedded) if not name.startswith("_")]:
        ours = inspect.signature(getattr(Embedded, name)).parameters
        theirs = inspect.signature(getattr(UserRoots, name)).parameters
        assert [each for each in ours if each not in {"ask", "watch"}] == list(theirs), name
