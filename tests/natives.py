"""Requests of the native API in tests."""

import base64
import json
import secrets

TEXT = {"encoding": "utf-8", "data": "v"}


def call(server, method, path, body=None, *, token=None, headers=None, data=None):
    """A request below /v1/adyton/ with its path as it is: (status, headers, parsed body)."""
    sent = dict(headers or {})
    if body is not None:
        sent.setdefault("Content-Type", "application/json")
    return server.raw(
        method,
        f"/v1/adyton/{path}",
        body,
        token=server.token if token is None else token,
        headers=sent,
        data=data,
    )


def text(data):
    """A value that is a text."""
    return {"encoding": "utf-8", "data": data}


def put(server, name, data, *, user="me", token=None, **headers):
    """Write a text."""
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    return call(
        server, "PUT", f"users/{user}/secrets/{name}", {"value": text(data)},
        token=token, headers=sent,
    )  # fmt: skip


def user_with(server, policy):
    """A fresh user's id, and a token of the user's own namespace that a policy decides on."""
    user = "u" + secrets.token_hex(4)
    return user, token_of(server, user, policy)


def token_of(server, user, policy):
    """A token of a user's own namespace that a policy decides on."""
    space = {"X-Vault-Namespace": user}
    for path, body in (
        ("sys/policies/acl/p", {"policy": policy}),
        ("sys/auth/userpass", {"type": "userpass"}),
        ("auth/userpass/users/me", {"password": "a password", "policies": "p"}),
    ):
        status, _, found = server.root("POST", f"/v1/{path}", body, headers=space)
        assert status == 204 or "in use" in str(found), found
    login = "/v1/auth/userpass/login/me"
    status, _, found = server.raw("POST", login, {"password": "a password"}, headers=space)
    assert status == 200, found
    return found["auth"]["client_token"]


def kind(found):
    """What kind of problem an answer is."""
    return found["type"].removeprefix("urn:adyton:error:")


def b64(data):
    return base64.b64encode(data).decode()


def dumped(found):
    """An answer as text, to look for what must not be in it."""
    return json.dumps(found)
