"""The short way of reads against the long one, while everything that they depend on changes.

One server's rooms in this process, asked over the very handlers that HTTP reaches. The oracle is
made anew for each question, over the same store: nothing is kept there, so whatever it says comes
from the store as it is at this moment.
"""

import itertools
import json

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from adyton import SecretStore
from adyton.model import Caller
from adyton.server.build import build_handler
from adyton.server.http import Request, token_text
from adyton.service.access.tidy import Tidy
from adyton.service.keyadmin import KeyAdmin
from adyton.service.purging import Purging

OPERATOR = Caller("test")
SPACES = ("root", "alice")
KINDS = ("service", "batch")
MOUNTS = ("secret", "box")
PLACES = (*MOUNTS, "alice")
SECRETS = ("a", "b/c")
READ = 'path "{}" {{ capabilities = ["read", "list"] }}\n'
POLICIES = [
    READ.format("secret/data/*") + READ.format("secret/metadata/*"),
    READ.format("+/data/a"),
    READ.format("box/*") + READ.format("alice/secret/data/a"),
    READ.format("*") + 'path "secret/data/a" { capabilities = ["deny"] }\n',
    READ.format("secret/data/b/*").replace("]", "]\n min_wrapping_ttl = 1"),
    READ.format("secret/data/{{identity.entity.metadata.folder}}/c"),
]


class Moving:
    """The store's own clock, and more."""

    def __init__(self, clock):
        self._clock, self.more = clock, 0

    def now_us(self):
        return self._clock.now_us() + self.more


class Ways(RuleBasedStateMachine):
    """Random changes; after each, some reads by both ways."""

    def __init__(self):
        super().__init__()
        self.store = SecretStore.open("memory:", root="dev:", upkeep=False)
        self.core = self.store._opened.core
        self.core.clock = self.clock = Moving(self.core.clock)
        self.core.commit._clock = self.clock
        self.handle, self.services, _ = build_handler(self.core)
        self.run = self.core.commit.run_sync
        self.root = self.run(self.services.tokens.create_root(OPERATOR)).text
        self.tokens = []
        self.ids = itertools.count()
        self.turns = itertools.count()

    def teardown(self):
        self.store.close()

    def request(self, method, path, body=None, *, token="", space="", address="127.0.0.1", **more):
        headers = {"x-vault-token": token, **more}
        if space:
            headers["x-vault-namespace"] = space
        content = b"" if body is None else json.dumps(body).encode()
        return Request(
            method, path, {}, headers, content, address, f"r{next(self.ids)}",
            session=self.services.gate.sessions.known(token_text(headers)) if not content else None,
        )  # fmt: skip

    def ask(self, method, path, body=None, *, space="root", token=None, **more):
        """A request of the operator's, or of a token's."""
        token = self.root if token is None else token
        made = self.request(method, f"v1/{path}", body, token=token, space=space, **more)
        answer = self.run(self.handle(made))
        return answer.status, json.loads(answer.body) if answer.body else None

    @initialize()
    def begin(self):
        for space in SPACES:
            options = {"type": "kv", "options": {"version": "2"}}
            self.ask("POST", "sys/mounts/box", options, space=space)
            self.ask("POST", "sys/auth/up", {"type": "userpass"}, space=space)
            self.ask("POST", "sys/policies/acl/p", {"policy": POLICIES[0]}, space=space)
            for mount, name in itertools.product(MOUNTS, SECRETS):
                value = {"data": {"at": f"{space}/{mount}/{name}"}}
                self.ask("POST", f"{mount}/data/{name}", value, space=space)
            self.make_token(space, {"ttl": "1h"})

    # -- tokens -----------------------------------------------------------------------------------

    def make_token(self, space, body, parent=None, path="auth/token/create"):
        body = {"policies": ["p"], **body}
        status, made = self.ask("POST", path, body, space=space, token=parent)
        if status == 200:
            auth = made["auth"]
            self.tokens.append((space, auth["client_token"], auth["accessor"]))

    @rule(
        space=st.sampled_from(SPACES),
        ttl=st.sampled_from(["5s", "1h"]),
        kind=st.sampled_from(KINDS),
    )
    def token(self, space, ttl, kind):
        self.make_token(space, {"ttl": ttl, "type": kind})

    @rule(space=st.sampled_from(SPACES))
    def bound_token(self, space):
        role = {"allowed_policies": "p", "token_bound_cidrs": "10.0.0.0/8"}
        self.ask("POST", "auth/token/roles/r", role, space=space)
        self.make_token(space, {}, path="auth/token/create/r")

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), kind=st.sampled_from(KINDS))
    def child(self, data, kind):
        space, parent, _ = data.draw(st.sampled_from(self.tokens))
        text = READ.format("*").replace('"read"', '"read", "update"')
        self.ask("POST", "sys/policies/acl/p", {"policy": text}, space=space)
        self.make_token(space, {"ttl": "1h", "type": kind}, parent=parent)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), how=st.sampled_from(["accessor", "self", "orphan", "prefix", "lease"]))
    def revoke(self, data, how):
        space, token, accessor = data.draw(st.sampled_from(self.tokens))
        path, body, by = {
            "accessor": ("auth/token/revoke-accessor", {"accessor": accessor}, None),
            "self": ("auth/token/revoke-self", {}, token),
            "orphan": ("auth/token/revoke-orphan", {"token": token}, None),
            "prefix": ("sys/leases/revoke-prefix/auth/token/create", {}, None),
            "lease": ("sys/leases/revoke", {"lease_id": f"auth/token/create/{accessor}"}, None),
        }[how]
        self.ask("POST", path, body, space=space, token=by)

    @rule(seconds=st.sampled_from([1, 6, 4_000]))
    def time_passes(self, seconds):
        self.clock.more += seconds * 1_000_000

    @rule()
    def tidy(self):
        tidy = Tidy(self.core, self.services.spaces, self.services.tokens)
        self.run(tidy.run(OPERATOR))

    @rule(space=st.sampled_from(SPACES), folder=st.sampled_from(["b", "x"]))
    def login(self, space, folder):
        """A token with an entity, whose metadata stand in a policy."""
        login = {"password": "pw", "token_policies": "p"}
        self.ask("POST", "auth/up/users/ann", login, space=space)
        status, made = self.ask(
            "POST", "auth/up/login/ann", {"password": "pw"}, space=space, token=""
        )
        if status == 200:
            auth = made["auth"]
            self.tokens.append((space, auth["client_token"], auth["accessor"]))
            entity = f"identity/entity/id/{auth['entity_id']}"
            self.ask("POST", entity, {"metadata": {"folder": folder}}, space=space)

    # -- policies, mounts, keys -------------------------------------------------------------------

    @rule(space=st.sampled_from(SPACES), text=st.sampled_from(POLICIES))
    def policy(self, space, text):
        self.ask("POST", "sys/policies/acl/p", {"policy": text}, space=space)

    @rule(space=st.sampled_from(SPACES))
    def no_policy(self, space):
        self.ask("DELETE", "sys/policies/acl/p", space=space)

    @rule(
        space=st.sampled_from(SPACES),
        ends=st.sampled_from([("box", "secret"), ("box", "box2"), ("secret", "box"),
                              ("box2", "secret"), ("secret", "alice")]),
    )  # fmt: skip
    def move(self, space, ends):
        body = {"from": ends[0], "to": ends[1]}
        self.ask("POST", "sys/remount", body, space=space)

    @rule(
        space=st.sampled_from(SPACES), path=st.sampled_from([*MOUNTS, "alice"]), new=st.booleans()
    )
    def mount(self, space, path, new):
        options = {"type": "kv", "options": {"version": "2"}}
        method = "POST" if new else "DELETE"
        self.ask(method, f"sys/mounts/{path}", options if new else None, space=space)

    @rule(space=st.sampled_from(SPACES), login=st.booleans())
    def method(self, space, login):
        body = {"type": "userpass"} if login else None
        self.ask("POST" if login else "DELETE", "sys/auth/up", body, space=space)

    @rule(user=st.sampled_from([*SPACES, None]), master=st.booleans())
    def rotate(self, user, master):
        admin = KeyAdmin(self.core)
        self.run(admin.rotate_master(OPERATOR) if master else admin.rotate(OPERATOR, user))

    @rule()
    def purge(self):
        self.run(Purging(self.core).purge(OPERATOR, "alice"))
        self.ask("POST", "sys/policies/acl/p", {"policy": POLICIES[0]}, space="alice")

    @rule(
        space=st.sampled_from(SPACES),
        mount=st.sampled_from(MOUNTS),
        name=st.sampled_from(SECRETS),
        change=st.sampled_from(["data", "delete", "metadata"]),
    )
    def write(self, space, mount, name, change):
        if change == "data":
            value = {"data": {"at": f"{space}/{mount}/{name}", "new": next(self.ids)}}
            self.ask("POST", f"{mount}/data/{name}", value, space=space)
        else:
            area = "data" if change == "delete" else "metadata"
            self.ask("DELETE", f"{mount}/{area}/{name}", space=space)

    # -- reads ------------------------------------------------------------------------------------

    def oracle(self, *args, **options):
        """The same question to a server that has just begun."""
        handle, services, _ = build_handler(self.core)
        self.core.on_purge.pop()
        made = self.request(*args, **options)
        made.session = None
        answer = self.run(handle(made))
        assert services.gate.sessions.loads <= 1
        return answer

    @staticmethod
    def seen(answer):
        """What an answer tells, without its own id."""
        body = json.loads(answer.body) if answer.body else {}
        body.pop("request_id", None)
        return answer.status, body

    @invariant()
    def both_ways_answer_alike(self):
        """Each read twice by the short way, if it is open; a few of them by the oracle."""
        asking = [(space, token) for space, token, _ in self.tokens[-4:]]
        asking += [("alice", self.root), ("alice", self.root)]
        for space, token in asking:
            for mount, name in itertools.product(MOUNTS, SECRETS):
                turn = next(self.turns)
                by_path = space == "alice" and turn % 5 < 2
                path = f"v1/{'alice/' if by_path else ''}{mount}/data/{name}"
                options = {
                    "token": token,
                    "space": "" if by_path else space,
                    "address": ("127.0.0.1", "10.0.0.9")[turn // 7 % 2],
                }
                first, second = (
                    self.run(self.handle(self.request("GET", path, **options))) for _ in range(2)
                )
                assert self.seen(first) == self.seen(second)
                if turn % 3 == 0:
                    assert self.seen(first) == self.seen(self.oracle("GET", path, **options))


class LongWays(Ways):
    """The same for long."""


Ways.TestCase.settings = settings(max_examples=12, stateful_step_count=16, deadline=None)
LongWays.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestWays = Ways.TestCase
TestLongWays = pytest.mark.soak(LongWays.TestCase)
