"""The server's handlers over a store in memory, without a socket, with a clock set by hand."""

import json
import urllib.parse

from adyton import SecretStore
from adyton.server.build import build_handler
from adyton.server.http import Request
from adyton.server.tokens import make_root_token
from lifecycles import World

EVERY = '["create","read","update","delete","list","patch","sudo"]'
ALL = f'path "*" {{ capabilities = {EVERY} }}'


class Handlers:
    """What a server answers, and the store that it answers from."""

    def __init__(self):
        self.store = SecretStore.open("memory:", root="dev:", create=True, upkeep=False)
        self.world = World(self.store)
        self.handler, self.services, _ = build_handler(self.store._opened.core)
        self.token = make_root_token(self.store._opened)
        self._count = 0

    def close(self):
        self.store.audit.verify()
        self.store.close()

    def raw(self, method, path, body=None, *, token=None, space="", address="10.1.2.3", **headers):
        """Ask for a path below /v1/: (status, parsed body)."""
        path, _, query = path.partition("?")
        data = b"" if body is None else json.dumps(body).encode()
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        sent["x-vault-token"] = self.token if token is None else token
        if space:
            sent["x-vault-namespace"] = space
        if data:
            sent.setdefault("content-type", "application/json")
        self._count += 1
        request = Request(
            method, f"v1/{path}", dict(urllib.parse.parse_qsl(query)), sent, data, address,
            f"r{self._count}", query,
        )  # fmt: skip
        commit = self.store._opened.core.commit
        answer = commit.run_sync(self.handler(request))
        return answer.status, json.loads(answer.body) if answer.body else None

    def native(self, method, path, body=None, **more):
        """Ask for a path of the native API."""
        return self.raw(method, f"adyton/{path}", body, **more)

    def done(self, *args, space="", **more):
        """Ask for what must be done, as the operator, in a namespace; the parsed body."""
        status, found = self.raw(*args, space=space, **more)
        assert status in {200, 204}, (args, status, found)
        return found

    def approle(self, user, name, policies):
        """A role of AppRole of a user's namespace."""
        self.done("POST", f"auth/approle/role/{name}", {"policies": policies}, space=user)

    def login(self, user, name):
        """A token of a role of AppRole, with its accessor."""
        at = f"auth/approle/role/{name}"
        role = self.done("GET", f"{at}/role-id", space=user)["data"]["role_id"]
        secret = self.done("POST", f"{at}/secret-id", {}, space=user)["data"]["secret_id"]
        body = {"role_id": role, "secret_id": secret}
        auth = self.done("POST", "auth/approle/login", body, token="", space=user)["auth"]
        return auth["client_token"], auth["accessor"]
