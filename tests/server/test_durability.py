"""A server that is killed or stopped under load: nothing acknowledged is lost, all is recorded."""

import contextlib
import http.client
import json
import os
import random
import subprocess
import threading
import time

from servers import BIN, adyton, serve


class Ledger:
    """Clients that write down what the server has acknowledged and released."""

    def __init__(self, server, token, start):
        self.server = server
        self.token = token
        self.written = {}
        self.read = []
        self.errors = []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(n, start)) for n in range(6)]
        for thread in self.threads:
            thread.start()

    def run(self, number, start):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        with contextlib.closing(connection):
            self.work(connection, number, start)

    def work(self, connection, number, start):
        headers = {"X-Vault-Token": self.token}
        at = start
        while not self.stop.is_set():
            name = f"w{number}/k{at % 7}"
            try:
                body = json.dumps({"data": {"n": at}})
                connection.request("POST", f"/v1/secret/data/{name}", body, headers)
                answer = connection.getresponse()
                content = json.loads(answer.read())
                if answer.status == 200:
                    self.written[name] = (content["data"]["version"], at)
                    connection.request("GET", f"/v1/secret/data/{name}", None, headers)
                    answer = connection.getresponse()
                    content = json.loads(answer.read())
                if answer.status == 200:
                    self.read.append((name, content["request_id"]))
                elif answer.status != 503:
                    self.errors.append((answer.status, content))
            except (OSError, http.client.HTTPException, ValueError):
                return
            at += 1

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def audit(store, user):
    lines = json.loads(adyton(store, "audit", "log", "--user", user, "--limit", "100000"))
    return {entry["request_id"] for entry in lines if entry["action"] == "secret.get"}


def check(store, ledgers):
    """What clients know, against the store and its log."""
    adyton(store, "audit", "verify")
    recorded = audit(store, "root")
    for ledger in ledgers:
        assert not ledger.errors
        assert {request for _, request in ledger.read} <= recorded
    newest = {}
    for ledger in ledgers:
        newest |= ledger.written
    server = serve(store)
    try:
        for name, (version, n) in newest.items():
            found = server.raw("GET", f"/v1/secret/data/{name}", token=ledgers[0].token)[2]["data"]
            assert found["metadata"]["version"] >= version
            if found["metadata"]["version"] == version:
                assert found["data"] == {"n": n}
    finally:
        assert server.stop()[0] == 0


def test_kill_9_under_load_loses_nothing(tmp_path):
    """Killed at random moments, several times over."""
    store = str(tmp_path / "store.db")
    adyton(store, "init")
    token = json.loads(adyton(store, "token", "root"))["token"]
    ledgers = []
    for round_ in range(5):
        server = serve(store)
        ledger = Ledger(server, token, round_ * 1_000_000)
        time.sleep(random.uniform(0.2, 0.8))
        server.process.kill()
        server.process.communicate()
        ledger.end()
        assert ledger.written
        assert ledger.read
        ledgers.append(ledger)
    check(store, ledgers)


def test_a_graceful_stop_finishes_what_is_under_way(tmp_path):
    """SIGTERM under load: exit code 0, a signed checkpoint, nothing lost, one server at a time."""
    store = str(tmp_path / "store.db")
    adyton(store, "init")
    token = json.loads(adyton(store, "token", "root"))["token"]
    server = serve(store)
    second = subprocess.run(
        [BIN / "adyton", "serve", "--store", store, "--wait", "0.1", "--listen", "127.0.0.1:9"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "ADYTON_ROOT": f"keyfile:{store}.key"},
    )  # fmt: skip
    assert second.returncode in {2, 6}
    ledger = Ledger(server, token, 0)
    time.sleep(0.7)
    code, _, err = server.stop()
    ledger.end()
    assert code == 0, err
    check(store, [ledger])


def test_nothing_secret_is_in_the_store_or_the_output(tmp_path):
    """Names, values, tokens, policies, users and passwords: in no file, in no line."""
    store = str(tmp_path / "store.db")
    adyton(store, "init")
    root = json.loads(adyton(store, "token", "root"))["token"]
    server = serve(store)
    canary = "canary-" + os.urandom(6).hex()

    def ask(method, path, body=None, token=root):
        return server.raw(method, path, body, token=token)

    ask("POST", f"/v1/secret/data/{canary}/name", {"data": {canary + "-key": canary + "-value"}})
    ask(
        "PUT",
        f"/v1/sys/policies/acl/{canary}-policy",
        {"policy": f'path "secret/data/{canary}/*" {{ capabilities = ["read"] }}'},
    )
    made = ask("POST", "/v1/auth/token/create", {"policies": [canary + "-policy"]})[2]["auth"]
    ask("GET", f"/v1/secret/data/{canary}/name", token=made["client_token"])
    ask("GET", f"/v1/secret/data/{canary}/refused", token=canary + "-token")
    ask("POST", f"/v1/sys/auth/{canary}-mount", {"type": "userpass"})
    ask("POST", f"/v1/auth/{canary}-mount/users/{canary}-user", {"password": canary + "-pw"})
    ask("POST", f"/v1/auth/{canary}-mount/login/{canary}-user", {"password": canary + "-pw"})
    ask("POST", f"/v1/cubbyhole/{canary}", {"k": canary})
    server.raw("POST", f"/v1/secret/data/{canary}", token=root, data=b'{"data":' + canary.encode())
    assert ask("GET", f"/v1/secret/data/{canary}/name")[0] == 200
    code, out, err = server.stop()
    assert code == 0
    needles = (canary, root, made["client_token"], made["accessor"])
    everything = [out.encode(), err.encode()]
    everything += [file.read_bytes() for file in tmp_path.iterdir() if file.suffix != ".key"]
    for needle in needles:
        assert not any(needle.encode() in content for content in everything)
    adyton(store, "audit", "verify")
