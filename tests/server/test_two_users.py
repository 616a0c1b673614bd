"""Two users over HTTP against a model: each has what is theirs, and is told nothing more."""

import secrets

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

USERS = ("ann", "bob")
NAMES = st.sampled_from(["a", "b", "f/a", "f/b", "f/g/a"])
USER = st.sampled_from(USERS)
DENIED = (403, {"errors": ["permission denied"]})


class TwoUsers(RuleBasedStateMachine):
    """Both may do everything in their own namespace, and use the same names."""

    server = None

    def __init__(self):
        super().__init__()
        self.spaces = {user: f"{user}-{secrets.token_hex(6)}" for user in USERS}
        self.tokens = {}
        self.model = {user: {} for user in USERS}
        for user, space in self.spaces.items():
            headers = {"X-Vault-Namespace": space}
            body = {"policies": ["root"], "ttl": "1h"}
            made = self.server.root("POST", "/v1/auth/token/create", body, headers=headers)[2]
            self.tokens[user] = made["auth"]["client_token"]

    def ask(self, user, method, path, body=None, *, into=None, by_path=False):
        """A request of a user, into their own namespace or the other's."""
        space = self.spaces[into or user]
        headers = {} if by_path else {"X-Vault-Namespace": space}
        target = f"/v1/{space}/{path}" if by_path else f"/v1/{path}"
        answer = self.server.raw(method, target, body, token=self.tokens[user], headers=headers)
        return answer[0], answer[2]

    @rule(user=USER, name=NAMES, value=st.integers(0, 99), by_path=st.booleans())
    def write(self, user, name, value, by_path):
        body = {"data": {"of": user, "value": value}}
        status, answer = self.ask(user, "POST", f"secret/data/{name}", body, by_path=by_path)
        assert status == 200
        versions = self.model[user].setdefault(name, [])
        versions.append(value)
        assert answer["data"]["version"] == len(versions)

    @rule(user=USER, name=NAMES, by_path=st.booleans())
    def read(self, user, name, by_path):
        status, answer = self.ask(user, "GET", f"secret/data/{name}", by_path=by_path)
        versions = self.model[user].get(name)
        if not versions:
            assert (status, answer) == (404, {"errors": []})
        elif versions[-1] is None:
            assert status == 404
            assert answer["data"]["data"] is None
        else:
            assert answer["data"]["data"] == {"of": user, "value": versions[-1]}

    @rule(user=USER, name=NAMES)
    def delete(self, user, name):
        assert self.ask(user, "DELETE", f"secret/data/{name}")[0] == 204
        if self.model[user].get(name):
            self.model[user][name][-1] = None

    @rule(user=USER, name=NAMES)
    def erase(self, user, name):
        assert self.ask(user, "DELETE", f"secret/metadata/{name}")[0] == 204
        self.model[user].pop(name, None)

    @rule(user=USER, folder=st.sampled_from(["", "f/", "f/g/"]))
    def list(self, user, folder):
        status, answer = self.ask(user, "LIST", f"secret/metadata/{folder}")
        below = [name[len(folder) :] for name in self.model[user] if name.startswith(folder)]
        keys = sorted({head + slash for head, slash, _ in (n.partition("/") for n in below)})
        assert (status, answer) == (404, {"errors": []}) if not keys else status == 200
        if keys:
            assert answer["data"]["keys"] == keys

    @rule(
        user=USER, name=NAMES, by_path=st.booleans(),
        method=st.sampled_from(["GET", "POST", "DELETE", "LIST", "PATCH"]),
        area=st.sampled_from(["data", "metadata", "delete", "undelete", "destroy"]),
    )  # fmt: skip
    def reach_over(self, user, name, by_path, method, area):
        """One refusal, whether the other has such a name or not; and nothing is changed."""
        other = USERS[1 - USERS.index(user)]
        body = {"data": {"of": user}, "versions": [1]} if method in {"POST", "PATCH"} else None
        for path in (f"secret/{area}/{name}", f"secret/{area}/absent"):
            answer = self.ask(user, method, path, body, into=other, by_path=by_path)
            assert answer == DENIED

    @rule(user=USER)
    def look_around(self, user):
        """Nothing in what a user is told of the namespace names the other's."""
        other = USERS[1 - USERS.index(user)]
        for method, path in (
            ("GET", "sys/mounts"), ("GET", "sys/internal/ui/mounts"), ("LIST", "sys/policies/acl"),
            ("LIST", "auth/token/accessors"), ("LIST", "sys/leases/lookup/"),
        ):  # fmt: skip
            status, answer = self.ask(user, method, path)
            assert status == 200
            assert self.spaces[other] not in str(answer)
        accessors = self.ask(user, "LIST", "auth/token/accessors")[1]["data"]["keys"]
        assert len(accessors) == 1


def test_two_users_never_meet(server):
    TwoUsers.server = server
    run_state_machine_as_test(
        TwoUsers, settings=settings(max_examples=12, stateful_step_count=30, deadline=None)
    )
