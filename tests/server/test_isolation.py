"""Two users over HTTP: with everything but a token of the other's, nothing of the other is there.

The calls are made from the tables of routes, so that a new route is in here by being served. Each
is made twice: with what belongs to alice, and with what belongs to nobody. The answers must be the
same, but for what was sent; and at the end nothing of alice's has changed.
"""

import json
import re
import secrets
import string
import urllib.parse
from http.client import HTTPConnection

import hypothesis
import pytest
from hypothesis import strategies as st

from adyton.server.native.table import TABLE
from natives import b64, call, put, text, token_of
from servers import TOKEN, Server
from vaultroutes import vault_routes

EVERY = '["create","read","update","delete","list","patch","sudo"]'
VAULT = vault_routes()
NATIVE = sorted((route.method, route.path.replace("*}", "}")) for route in TABLE.routes)


def test_the_tables_are_whole():
    """What is swept over is what there is."""
    assert len(VAULT) > 100
    assert {("POST", "auth/token/create"), ("GET", "secret/data/{secret}")} <= set(VAULT)
    assert {name for _, path in VAULT for name in re.findall(r"\{(\w+)\}", path)} <= set(WORDS)
    assert len(NATIVE) == len(TABLE.routes) > 25


WORDS = {
    "secret": "secret", "name": "named", "path": "path", "prefix": "path", "lease": "path",
    "role": "role", "id": "accessor", "kind": "named", "accessor": "accessor", "mount": "path",
    "type": "named", "user": "user", "index": "index", "member": "named", "hold": "accessor",
    "request": "request",
}  # fmt: skip


class User:
    """A user with something in every room, or one who does not exist."""

    def __init__(self, server, *, real):
        self.real = real
        tail = secrets.token_hex(4)
        self.user = f"user-{tail}"
        self.secret = f"folder-{tail}/secret-{tail}"
        self.named = f"thing-{tail}"
        self.role = f"role-{tail}"
        self.path = f"mount-{tail}"
        self.value = f"value-{secrets.token_hex(8)}"
        self.tag = f"tag-{secrets.token_hex(4)}"
        self.accessor = "".join(secrets.choice(string.ascii_letters) for _ in range(24))
        self.role_id = self.secret_accessor = self.accessor
        self.index = 10**12 + secrets.randbelow(10**6)
        self.cursor = secrets.token_urlsafe(40)
        self.share = secrets.token_urlsafe(18)
        self.notice = f"msg_000000000001_{secrets.token_hex(8)}"
        self.webhook = f"whk_{secrets.token_hex(12)}"
        self.mute = f"mute_{secrets.token_hex(6)}"
        self.grant = secrets.token_urlsafe(18)
        self.request = secrets.token_urlsafe(18)
        self.link = b64(secrets.token_bytes(16))
        if real:
            self.fill(server)

    def fill(self, server):
        space = {"X-Vault-Namespace": self.user}

        def root(method, path, body=None):
            status, _, found = server.root(method, f"/v1/{path}", body, headers=space)
            assert status in {200, 204}, (path, found)
            return found

        root("POST", f"sys/policies/acl/{self.named}",
             {"policy": f'path "*" {{ capabilities = {EVERY} }}'})  # fmt: skip
        for kind in ("userpass", "approle"):
            root("POST", f"sys/auth/{kind}", {"type": kind})
        root("POST", f"sys/mounts/{self.path}", {"type": "kv", "options": {"version": "2"}})
        root("POST", f"{self.path}/data/{self.secret}", {"data": {"k": self.value}})
        root("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
        root("POST", f"old/{self.secret}", {"k": self.value})
        root("POST", f"auth/userpass/users/{self.named}",
             {"password": self.value, "policies": self.named})  # fmt: skip
        root("POST", f"auth/approle/role/{self.role}", {"policies": self.named})
        root("POST", f"auth/approle/role/{self.named}", {"policies": self.named})
        self.role_id = root("GET", f"auth/approle/role/{self.role}/role-id")["data"]["role_id"]
        made = root("POST", f"auth/approle/role/{self.role}/secret-id", {})["data"]
        self.secret_accessor = made["secret_id_accessor"]
        login = f"/v1/auth/userpass/login/{self.named}"
        auth = server.raw("POST", login, {"password": self.value}, headers=space)[2]["auth"]
        self.accessor, self.token = auth["accessor"], auth["client_token"]
        root("POST", f"auth/token/roles/{self.role}", {"allowed_policies": self.named})
        for name in (self.secret, self.secret + "2", self.named):
            body = {"value": text(self.value), "tags": [self.tag], "attributes": {"a": self.tag}}
            headers = {"Idempotency-Key": self.named}
            made = call(server, "PUT", f"users/{self.user}/secrets/{name}", body)
            assert made[0] == 200
        put(server, self.named, self.value, token=self.token, **{"Idempotency-Key": self.named})
        self.mute = call(server, "POST", f"users/{self.user}/alerts/mutes", {"actor": self.named})[
            2
        ]["id"]
        self.webhook = call(
            server, "POST", f"users/{self.user}/webhooks", {"url": f"https://{self.named}.invalid/"}
        )[2]["webhook"]["id"]
        for path, body in (
            (f"members/{self.named}", {}), (f"roles/{self.role}", {"rights": ["read"]}),
        ):  # fmt: skip
            assert call(server, "PUT", f"users/{self.user}/{path}", body)[0] == 200
        body = {"member": self.named, "path": self.secret, "role": self.role}
        self.grant = call(server, "POST", f"users/{self.user}/grants", body)[2]["id"]
        root("POST", "sys/mounts/database", {"type": "database"})
        for kind, body in (
            ("dynamic-connections", BODIES["set_dynamic_connection"] | {"admin": self.named}),
            ("dynamic-roles", {"connection": self.named}),
        ):
            made = call(server, "PUT", f"users/{self.user}/{kind}/{self.named}", body)
            assert made[0] == 204
        records = call(server, "GET", f"users/{self.user}/audit?limit=1")[2]["items"]
        self.index = records[0]["index"]
        page = call(server, "GET", f"users/{self.user}/secrets?limit=1")[2]
        self.cursor = page["next_cursor"]
        assert headers

    report = "access"  # of which there is the same for everybody
    slot = "0"  # of a root of the store, which is nobody's

    def told(self):
        """What a caller may know of the user, and may send."""
        return {
            str(found)
            for found in (
                self.user, self.secret, self.named, self.role, self.path, self.accessor,
                self.role_id, self.secret_accessor, self.index, self.cursor, self.tag,
                self.grant,
                self.secret.split("/")[0], self.secret.split("/")[1],
            )
        }  # fmt: skip

    def filled(self, path):
        """A path with what belongs to the user."""
        return re.sub(
            r"\{(\w+)\}", lambda found: str(getattr(self, WORDS.get(found[1], found[1]))), path
        )

    def body(self):
        """A body that many routes can make use of."""
        return {
            "accessor": self.accessor, "secret_id_accessor": self.secret_accessor,
            "role_id": self.role_id, "secret_id": self.secret_accessor, "policies": [self.named],
            "policy": f'path "{self.path}/*" {{ capabilities = ["read"] }}',
            "data": {"k": "v"}, "versions": [1], "type": "kv", "options": {"version": "2"},
            "password": "a password of bob", "from": self.path, "to": self.path + "-to",
            "path": f"{self.path}/data/{self.secret}", "paths": [f"secret/data/{self.secret}"],
            "lease_id": f"auth/userpass/login/{self.named}/{self.accessor}", "name": self.named,
            "token": self.accessor, "custom_metadata": {"a": "b"}, "id": self.accessor,
        }  # fmt: skip


BODIES = {
    "set_quota": {"secrets": 9},
    "set_secret": {"value": text("bob")},
    "undelete_secret": {},
    "destroy_secret": {"versions": None},
    "rollback_secret": {"version": 1},
    "update_secret_metadata": {"attributes": {"by": "bob"}},
    "update_secret_tags": {"add": ["bob"]},
    "get_secrets": {"names": ["{secret}", "{named}"]},
    "set_secrets": {"items": [{"name": "{secret}", "value": text("bob")}]},
    "export_secrets": {"format": "json", "names": ["{secret}"]},
    "import_secrets": {"format": "json", "data": b64(b'{"n":"bob"}'), "on_conflict": "replace"},
    "verify_log": {},
    "open_link": {"user": b64(bytes(16)), "id": b64(bytes(16)), "proof": b64(bytes(32))},
    "request_access": {"right": "read", "path": "{secret}"},
    "approve_access": {},
    "add_member": {"kind": "user", "user": "{user}"},
    "create_member_token": {},
    "set_role": {"rights": ["list"]},
    "create_grant": {"member": "{named}", "path": "{secret}", "role": "viewer"},
    "create_share": {"receiver": "{user}", "name": "{secret}"},
    "pass_share_on": {"receiver": "{user}"},
    "set_shared_secret": {"value": text("bob")},
    "set_secret_of_share": {"value": text("bob")},
    "create_link": {"id": "{link}", "proof_hash": b64(bytes(32)), "box": b64(bytes(64))},
    "rotate_keys": {"user": "{user}"},
    "rewrap_keys": {"user": "{user}", "deep": True},
    "set_rotation": {},
    "set_alert_sensitivity": {"sensitivity": "off"},
    "mute_alerts": {"actor": "{named}"},
    "add_webhook": {"url": "https://bob.invalid/{named}"},
    "acknowledge_notices": {"ids": None},
    "rotate_webhook": {},
    "set_dynamic_connection": {"settings": {"host": "h.invalid"}, "admin": "{named}"},
    "set_dynamic_role": {"connection": "{named}"},
    "issue_credentials": {},
    "renew_lease": {},
    "revoke_lease": {},
    "revoke_leases": {},
    "add_hold": {"reason": "a case", "where": "nothing/"},
    "add_operator_hold": {"reason": "a case"},
    "set_notice": {"before": [60]},
    "set_retention": {"seconds": 60},
    # For longer than may be: what bob does at home is not to close his own namespace.
    "set_user_root": {
        "root": b64(bytes(16)),
        "key": b64(bytes(32)),
        "roots": [],
        "seconds": 10**9,
    },
    "give_user_root": {"root": b64(bytes(16)), "key": b64(bytes(32))},
    "change_user_root": {
        "root": b64(bytes(16)),
        "key": b64(bytes(32)),
        "new_root": b64(bytes(16)),
        "new_key": b64(bytes(32)),
        "roots": [],
    },
    "wrap_user_root": {"root": b64(bytes(16)), "key": b64(bytes(32)), "roots": []},
    "remove_user_root": {"root": b64(bytes(16)), "key": b64(bytes(32))},
    "add_root": {"uri": "keyfile:"},
    "migrate_root": {"uri": "keyfile:"},
    "test_roots": {"uri": "keyfile:"},
    "ask_attestation": {"nonce": "none"},
}
# Whatever namespace is named, these tell of the server, ...
OF_THE_SERVER = {
    "sys/health", "sys/init", "sys/leader", "sys/seal-status", "sys/unseal", "sys/wrapping/lookup",
}  # fmt: skip
# ... and this of mounts that the token may see: of the other's, none.
OF_MOUNTS = {"sys/internal/ui/mounts"}
# Whether a method is there to log in with is for everybody to see; that a name is unknown to it is
# not (test_logins.py).
LOGINS = {"auth/userpass/login/{name}", "auth/approle/login"}
ELSEWHERE_TOO = OF_THE_SERVER | OF_MOUNTS | LOGINS


@pytest.fixture(scope="module")
def world():
    """A server, alice with all that there is, bob with every right at home, and nobody."""
    server = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    alice, nobody = User(server, real=True), User(server, real=False)
    policy = f'path "*" {{ capabilities = {EVERY} }}\n'
    for user in (alice.user, nobody.user):
        policy += f'path "{user}/*" {{ capabilities = {EVERY} }}\n'
    before = state_of(server, alice)
    yield Bob(server, alice, nobody, policy)
    assert state_of(server, alice) == before
    code, _, err = server.stop()
    assert code == 0, err


def state_of(server, alice):
    """All that alice has, and how often somebody has touched it."""
    space = {"X-Vault-Namespace": alice.user}
    found = {}
    for method, path in (
        ("LIST", "sys/policies/acl"), ("GET", f"sys/policies/acl/{alice.named}"),
        ("GET", "sys/mounts"), ("GET", "sys/auth"), ("LIST", "auth/token/accessors"),
        ("LIST", "auth/token/roles"), ("LIST", "auth/approle/role"),
        ("GET", f"auth/approle/role/{alice.role}/role-id"), ("LIST", "auth/userpass/users"),
        ("LIST", f"auth/approle/role/{alice.role}/secret-id"), ("GET", "secret/config"),
    ):  # fmt: skip
        answer = server.root(method, f"/v1/{path}", headers=space)
        found[path] = answer[0], answer[2] and answer[2].get("data")
    found["login"] = server.raw(
        "GET", "/v1/auth/token/lookup-self", token=alice.token, headers=space
    )[0]
    secrets_ = call(server, "GET", f"users/{alice.user}/secrets?include_deleted=true")[2]["items"]
    found["secrets"] = secrets_
    found["values"] = [
        call(server, "GET", f"users/{alice.user}/metadata/{meta['name']}")[2] for meta in secrets_
    ]
    entries = call(server, "GET", f"users/{alice.user}/audit?limit=1000")[2]["items"]
    found["records"] = [e["index"] for e in entries if "userpass-me" in e["actor"]]
    for kind in ("dynamic-connections", "dynamic-roles", "leases"):
        found[kind] = call(server, "GET", f"users/{alice.user}/{kind}")[2]["items"]
    keys = call(server, "GET", "keys")[2]["items"]
    found["keys"] = [key for key in keys if key["user"] == alice.user]
    return found


class Bob:
    """Asks the same of alice and of nobody, each time with a fresh token of bob's."""

    def __init__(self, server, alice, nobody, policy):
        self.server, self.alice, self.nobody, self.policy = server, alice, nobody, policy
        self.bob = "bob-" + secrets.token_hex(4)
        self.as_ = ""
        self.token = token_of(server, self.bob, policy)

    def fresh(self):
        path, home = "/v1/auth/token/create", {"X-Vault-Namespace": self.bob}
        made = self.server.raw("POST", path, {}, token=self.token, headers=home)
        if made[0] != 200:  # bob was made to give up his own rights
            self.token = token_of(self.server, self.bob, self.policy)
            made = self.server.raw("POST", path, {}, token=self.token, headers=home)
        assert made[0] == 200, made
        return made[2]["auth"]["client_token"]

    def ask(self, user, method, path, body, headers, filled):
        sent = {key: user.filled(text_) for key, text_ in headers.items()}
        payload = None if body is None else json.dumps(body(user)).encode()
        if payload is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        sent["X-Vault-Token"] = self.as_ or self.fresh()
        url = "/v1/" + urllib.parse.quote(user.filled(path) if filled else path, safe="/?&=")
        connection.request(method, url, payload, sent)
        answer = connection.getresponse()
        content = answer.read().decode()
        names = {key.lower() for key, _ in answer.getheaders()}
        connection.close()
        for kept in (user.value, user.tag):
            assert kept not in content or kept in url + str(payload), (method, url)
        told = neutral(content, user)
        return answer.status, told, names - {"date", "content-length"}, shape(content, user)

    def same(self, method, path, *, body=None, headers=None, filled=True, exactly=False):
        """The answers about alice and about nobody are the same."""
        headers = headers or {}
        asked = [
            self.ask(user, method, path, body, headers, filled)
            for user in (self.alice, self.nobody)
        ]
        if asked[0][0] == 200 and not exactly:  # bob's own things, which differ by the moment
            asked = [(status, "", names, form) for status, _, names, form in asked]
        assert asked[0] == asked[1] or path.removeprefix("{user}/") in LOGINS, (method, path)
        return asked[0][0]


def shape(content, user):
    """The names of an answer's members, and of those of its data."""
    found = json.loads(content) if content.startswith("{") else {}
    inner = found.get("data")
    parts = [found, inner if isinstance(inner, dict) else {}]
    return [sorted(neutral(name, user) for name in part) for part in parts]


UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def neutral(content, user):
    """An answer without what was sent, and without the identifier of its request."""
    content = UUID.sub("ID", content)
    for known in sorted(user.told(), key=len, reverse=True):
        content = content.replace(known, "*")
    return content


OPERATION = {(r.method, r.path.replace("*}", "}")): r for r in TABLE.routes}


def native_body(route):
    """A body for a route, with what belongs to a user."""
    if route.body is None:
        return None
    text_ = json.dumps(BODIES[route.operation])
    return lambda user: json.loads(
        re.sub(r"\{(secret|named|user)\}", lambda found: getattr(user, found[1]), text_)
    )


@pytest.mark.parametrize(("method", "path"), VAULT, ids=[f"{m} {p}" for m, p in VAULT])
def test_vault_routes_tell_nothing_of_another(world, method, path):
    """In the other's namespace by header and by path, and at home with the other's ids."""
    bob = world
    body = None if method in {"GET", "LIST", "DELETE"} else User.body
    headers = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
    there = headers | {"X-Vault-Namespace": "{user}"}
    exactly = path not in OF_THE_SERVER
    status = bob.same(method, path, body=body, headers=there, exactly=exactly)
    assert status == 403 or path in ELSEWHERE_TOO, (method, path, status)
    bob.same(method, "{user}/" + path, body=body, headers=headers, exactly=exactly)
    bob.same(method, path, body=body, headers=headers | {"X-Vault-Namespace": bob.bob})


@pytest.mark.parametrize(("method", "path"), NATIVE, ids=[f"{m} {p}" for m, p in NATIVE])
def test_native_routes_tell_nothing_of_another(world, method, path):
    """In the other's namespace, and at home with the other's names, indexes, cursors and keys."""
    bob = world
    route = OPERATION[method, path]
    body = native_body(route)
    path = "adyton/" + path
    for name in ("{secret}", "{named}"):
        asked = path.replace("{name}", name)
        status = bob.same(method, asked, body=body)
        if route.operation in {"open_link", "ask_attestation", "get_attestation"}:
            # There is no such link, and no evidence without a nonce, whoever asks.
            assert status == (404 if route.operation == "open_link" else 400)
            continue
        assert status == (200 if route.place in {"public", "own"} else 403), (method, path)
        if route.place == "user":
            mine = asked.replace("users/{user}", "users/me")
            bob.same(method, mine, body=body)
            for key in ("If-Match", "Idempotency-Key"):
                value = {"If-Match": '"1"', "Idempotency-Key": "{named}"}[key]
                bob.same(method, mine, body=body, headers={key: value})
        if "cursor" in route.query.__struct_fields__:
            bob.same(method, asked + "?cursor={cursor}", body=body)
            bob.same(method, asked.replace("{user}", "me") + "?cursor={cursor}", body=body)
            bob.same(method, asked.replace("{user}", "me") + "?prefix={secret}", body=body)


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "adyton/users/{user}/metadata/{secret}", {}),
        ("GET", "adyton/users/{user}/audit/{index}/proof", {}),
        ("GET", "adyton/users/{user}/secrets?cursor={cursor}", {}),
        ("GET", "secret/metadata/{secret}", {"X-Vault-Namespace": "{user}"}),
        ("LIST", "{user}/auth/token/accessors", {}),
        ("GET", "sys/policies/acl/{named}", {"X-Vault-Namespace": "{user}"}),
    ],
)
def test_a_difference_would_be_seen(world, method, path, headers):
    """One who may see alice gets another answer about her than about nobody."""
    world.as_ = world.server.token
    try:
        with pytest.raises(AssertionError):
            world.same(method, path, headers=headers, exactly=True)
    finally:
        world.as_ = ""


PLACES = st.sampled_from(["{user}", "me", "{user}2", "{named}"])
NAMES = st.sampled_from(
    ["{secret}", "{secret}2", "{secret}3", "{named}", "{path}", ".mounts", "{user}", "{accessor}"]
)
QUERIES = st.lists(
    st.sampled_from(
        ["version=1", "version=2", "prefix={secret}", "limit=1", "include_deleted=true",
         "cursor={cursor}", "name={named}", "action=secret.set", "versions=1", "tag={tag}",
         "encoding=base64", "success=true", "below={index}"]
    ),
    max_size=3,
    unique=True,
).map("&".join)  # fmt: skip
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Idempotency-Key": st.just("{named}"),
        "If-Match": st.sampled_from(['"0"', '"1"', '"2"']),
        "If-None-Match": st.just("*"),
        "X-Vault-Namespace": st.just("{user}"),
    },
)


@hypothesis.settings(
    max_examples=120, deadline=None, database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)  # fmt: skip
@hypothesis.given(
    st.sampled_from(NATIVE), PLACES, NAMES, QUERIES, HEADERS, st.sampled_from(sorted(BODIES))
)
def test_whatever_is_asked(world, route, place, name, query, headers, other):
    """Any route with any of the other's ids in any place, and also with another route's body."""
    method, path = route
    body = native_body(OPERATION[route])
    if body is not None and query:
        found = next(r for r in TABLE.routes if r.operation == other)
        body = native_body(found)
    asked = path.replace("users/{user}", f"users/{place}").replace("{name}", name)
    world.same(method, f"adyton/{asked}?{query}", body=body, headers=headers)
