"""Nothing that a client sends or reads is in any log, metric or trace, whatever goes wrong."""

import http.client
import json
import os
import re
import socket
import subprocess
import time
from functools import partial

import pytest

from canaries import Canaries
from otlp import Receiver
from servers import BIN, Server, WatchedServer, free_port

HEADERS = (
    "X-Vault-Token", "X-Vault-Namespace", "X-Vault-Wrap-TTL", "Authorization", "Cookie", "Accept",
    "User-Agent", "Content-Type", "X-Forwarded-For", "Forwarded", "Referer", "Origin", "Host",
    "traceparent", "tracestate", "baggage", "X-Request-Id", "Idempotency-Key", "If-Match",
    "X-Vault-Policy-Override", "X-Custom",
)  # fmt: skip
CRASH = {"x-crash": "1"}


class Attack:
    """Sends canaries to one server."""

    def __init__(self, server):
        self.server = server
        self.canaries = Canaries()
        self.statuses = set()

    def new(self, kind):
        return self.canaries.new(kind)

    def send(self, method, path, body=None, headers=None):
        """One request, written as it is; whatever the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            self.statuses.add(answer.status)
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            connection.close()

    def root(self, method, path, body=None, **headers):
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return self.send(method, path, data, {"X-Vault-Token": self.server.token} | headers)

    def raw(self, data):
        """Bytes that need not be HTTP."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=5) as connection:
            connection.sendall(data)
            connection.settimeout(0.5)
            try:
                while connection.recv(4096):
                    pass
            except OSError:
                return

    # -- kinds of attack ------------------------------------------------------------------------

    def headers(self):
        for base in ("/v1/secret/data/x", "/v1/sys/health", "/v1/adyton/users/me/secrets", "/"):
            for name in HEADERS:
                self.send("GET", base, headers={name: self.new("header")})
            self.send("GET", base, headers={self.new("headername"): self.new("header")})
            self.send("GET", base, headers={"Authorization": f"Bearer {self.new('bearer')}"})

    def paths(self):
        for prefix in (
            "/", "/v1/", "/v1/secret/", "/v1/secret/data/", "/v1/secret/metadata/", "/v1/sys/",
            "/v1/sys/policies/acl/", "/v1/sys/mounts/", "/v1/auth/", "/v1/auth/token/roles/",
            "/v1/cubbyhole/", "/v1/adyton/", "/v1/adyton/users/", "/v2/", "/v1/secret/data/%2e%2e/",
        ):  # fmt: skip
            for method in ("GET", "LIST", "DELETE", "PATCH", "HEAD", self.new("METHOD").upper()):
                self.root(method, prefix + self.new("segment"))
            self.send("GET", f"{prefix}{self.new('segment')}?x={self.new('query')}")
            self.root("GET", f"{prefix}x?{self.new('queryname')}={self.new('query')}")
            self.root("GET", f"{prefix}x?version={self.new('query')}")

    def bodies(self):
        secret, key = self.new("value"), self.new("key")
        name = self.new("name")
        self.root("POST", f"/v1/secret/data/{name}", {"data": {key: secret}})
        self.root("GET", f"/v1/secret/data/{name}")
        self.root("POST", f"/v1/secret/data/{name}", {"data": {key: secret}, "options": {"cas": 9}})
        wrong = self.new("cas")
        self.root("POST", f"/v1/secret/data/{name}", {"data": {}, "options": {"cas": wrong}})
        self.root("POST", f"/v1/secret/metadata/{name}",
                  {"custom_metadata": {self.new("meta"): self.new("meta") * 40}})  # fmt: skip
        self.root("POST", "/v1/sys/policies/acl/p", {"policy": f'path "{self.new("policy")}" {{'})
        self.root("POST", "/v1/sys/mounts/m1", {"type": self.new("type")})
        self.root("POST", "/v1/auth/token/create", {"ttl": self.new("ttl")})
        self.root("POST", "/v1/auth/token/create", {"meta": {"k": self.new("meta")}})
        self.root("POST", "/v1/auth/token/lookup", {"token": self.new("token")})
        self.root("POST", "/v1/sys/wrapping/unwrap", {"token": self.new("token")})
        self.root("POST", "/v1/sys/wrapping/wrap", {"x": self.new("wrapped")},
                  **{"X-Vault-Wrap-TTL": "60"})  # fmt: skip
        for body in (
            '{"data": "%s"', '["%s"]', '"%s"', "%s", '{"%s"', '{"a": %s}', '\xff%s', "\x00%s",
            "[" * 500 + '"%s"', "data=%s&x=1",
        ):  # fmt: skip
            text = (body % self.new("malformed")).encode("utf-8", "surrogateescape")
            self.root("POST", f"/v1/secret/data/{name}", text)
            self.root("POST", "/v1/auth/token/create", text)
            self.root("PATCH", f"/v1/secret/data/{name}", text)
            self.root("POST", "/v1/adyton/users/me/secrets/x", text)

    def logins(self):
        for kind in ("userpass", "approle"):
            self.root("POST", f"/v1/sys/auth/{kind}", {"type": kind})
        user, password = self.new("user"), self.new("password")
        self.root("POST", f"/v1/auth/userpass/users/{user}", {"password": password})
        self.send("POST", f"/v1/auth/userpass/login/{user}", json.dumps({"password": password}))
        for _ in range(7):
            bad = json.dumps({"password": self.new("password")})
            self.send("POST", f"/v1/auth/userpass/login/{user}", bad)
        self.send("POST", f"/v1/auth/userpass/login/{self.new('user')}", self.new("password"))
        role = self.new("role")
        self.root("POST", f"/v1/auth/approle/role/{role}", {})
        self.root("POST", f"/v1/auth/approle/role/{role}/custom-secret-id",
                  {"secret_id": self.new("secretid")})  # fmt: skip
        login = {"role_id": self.new("roleid"), "secret_id": self.new("secretid")}
        self.send("POST", "/v1/auth/approle/login", json.dumps(login))

    def crashes(self):
        for method in ("GET", "POST"):
            self.root(method, f"/v1/secret/data/{self.new('segment')}?q={self.new('query')}",
                      {"data": {"k": self.new("value")}}, **CRASH,
                      **{"X-Custom": self.new("header")})  # fmt: skip

    def not_http(self):
        for text in ("%s\r\n\r\n", "GET %s\r\n\r\n", "GET / HTTP/9.9\r\nX: %s\r\n\r\n",
                     "GET /%s HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                     "POST /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"):  # fmt: skip
            self.raw((text % self.new("raw")).encode())

    def disk(self):
        for how in ("full", "sync"):
            self.server.fail_disk(how)
            self.root("POST", f"/v1/secret/data/{self.new('name')}", {"data": {"k": self.new("v")}})
            self.root("GET", f"/v1/secret/data/{self.new('name')}")
            self.logins()
            self.server.fail_disk(None)

    def everything(self):
        self.headers()
        self.paths()
        self.bodies()
        self.logins()
        self.crashes()
        self.not_http()
        self.disk()


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_canary_is_in_any_output(tmp_path, form):
    """Logs at debug, a line for each request, metrics and traces, over everything one can send."""
    receiver = Receiver()
    server = WatchedServer(
        tmp_path, log_level="debug", log_format=form, log_requests=True,
        unauthenticated_metrics=True, traces_endpoint=receiver.endpoint,
    )  # fmt: skip
    attack = Attack(server)
    attack.everything()
    assert {200, 204, 400, 403, 404, 405, 429, 500, 503} <= attack.statuses
    outputs = {
        "metrics": attack.send("GET", "/v1/sys/metrics?format=prometheus")[1],
        "metrics as JSON": attack.send("GET", "/v1/sys/metrics")[1],
    }
    assert b"adyton_http_requests_total" in outputs["metrics"]
    code, out, err = server.stop()
    receiver.close()
    assert code == 0, err[-2000:]
    outputs |= {"standard output": out.encode(), "the log": err.encode()}
    outputs["the traces"] = b"".join(receiver.raw)
    for where, data in outputs.items():
        attack.canaries.assert_absent(data, where)
        assert server.token.encode() not in data, where
    assert not out
    assert len(receiver.spans) > 500
    assert err.count("request") > 300
    assert "builtins.ValueError" in err, "the crash is told, by its type"
    assert "builtins.KeyError" in err
    assert "builtins.RuntimeError" in err
    if form == "json":
        events = [json.loads(line) for line in err.splitlines()]
        assert all({"event", "level", "timestamp"} <= set(event) for event in events)


def test_no_share_or_first_token_is_in_any_output(tmp_path):
    """Making a store over HTTP, wrong shares, broken ones, the right ones, and sealing again."""
    receiver = Receiver()
    server = Server.__new__(Server)
    server.port = free_port()
    settings = {
        "log_level": "debug", "log_format": "json", "log_requests": "true",
        "unauthenticated_metrics": "true", "traces_endpoint": receiver.endpoint,
    }  # fmt: skip
    env = {f"ADYTON_TELEMETRY_{name}".upper(): value for name, value in settings.items()}
    log = tmp_path / "log"
    with log.open("w") as err:
        server.process = subprocess.Popen(
            [BIN / "adyton", "--store", tmp_path / "s.db", "--root", "shamir:2/3", "serve",
             "--listen", f"127.0.0.1:{server.port}"],
            stdout=subprocess.DEVNULL, stderr=err, env={**os.environ, **env},
        )  # fmt: skip
    attack = Attack(server)
    deadline = time.monotonic() + 30
    while not attack.send("GET", "/v1/sys/seal-status")[0]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    try:
        put = partial(attack.send, "PUT")
        made = json.loads(put("/v1/sys/init", '{"secret_shares":3,"secret_threshold":2}')[1])
        for key in made["keys"] + made["keys_base64"] + [made["root_token"]]:
            attack.canaries.all[key] = "share or token"
        for body in ('{"key":"%s"}', '{"key":%s}', '{"%s"', '{"keys":["%s"]}', '{"x":"%s"}'):
            put("/v1/sys/unseal", body % attack.new("key"))
            put("/v1/sys/init", body % attack.new("init"))
            put("/v1/sys/unseal", body % (made["keys"][0][:-4] + "0000"))
        put("/v1/secret/data/" + attack.new("name"), json.dumps({"data": {"k": attack.new("v")}}),
            headers={"X-Vault-Token": made["root_token"]})  # fmt: skip
        sealed = attack.send("GET", "/v1/sys/metrics?format=prometheus")[1]
        assert b"adyton_sealed 1.0" in sealed
        for key in made["keys"][:2]:
            put("/v1/sys/unseal", json.dumps({"key": key}))
        server.token = made["root_token"]
        assert attack.root("GET", "/v1/auth/token/lookup-self")[0] == 200
        is_open = attack.send("GET", "/v1/sys/metrics?format=prometheus")[1]
        assert b"adyton_sealed 0.0" in is_open
        assert attack.root("PUT", "/v1/sys/seal")[0] == 204
        put("/v1/sys/unseal", json.dumps({"key": made["keys"][2]}))
    finally:
        server.process.terminate()
        server.process.wait(30)
        receiver.close()
    lines = log.read_text()
    assert all(json.loads(line)["event"] for line in lines.splitlines())
    assert lines.count('"request"') > 20
    for where, data in (("the log", lines.encode()), ("metrics", sealed + is_open),
                        ("the traces", b"".join(receiver.raw))):  # fmt: skip
        attack.canaries.assert_absent(data, where)


def test_the_search_would_find_one():
    """A canary in any of its forms is found: the tests above can fail."""
    canaries = Canaries()
    canary = canaries.new("value")
    for data in (canary, canary.encode().hex(), f"x{canary}y"):
        with pytest.raises(AssertionError):
            canaries.assert_absent(data.encode(), "here")
    canaries.assert_absent(b"nothing", "here")
    assert re.fullmatch(r"value[0-9a-f]{24}", canary)
