"""How much one user's flood moves another's times: ``python -m benchmarks.fairness``.

Two users of one server over real sockets. One asks at a steady rate, and its times are taken, with
and without the other's flood, in turn and many times over, since machines are noisy. Printed are
the pooled p50 and p99 of both and the ratio; once more with turns switched off, for comparison.
"""

import argparse
import bisect
import contextlib
import http.client
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
UNFAIR = {
    "ADYTON_TURNS_ALONE": "1000000",
    "ADYTON_TURNS_SHARE": "1000000",
    "ADYTON_TURNS_TOTAL": "1000000",
}
OPEN = {"ADYTON_RATES_NETWORK_PER_SECOND": "0"}
"""So that it is turns that are measured, and not rates."""


class Server:
    """`adyton serve --dev` with two users, each with a token and secrets."""

    def __init__(self, names: int, env: dict[str, str]) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.root = "dev-" + secrets.token_hex(8)
        binary = Path(sys.executable).parent / "adyton"
        self.process = subprocess.Popen(
            [binary, "serve", "--dev", "--dev-root-token-id", self.root,
             "--listen", f"127.0.0.1:{self.port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **OPEN, **env},
        )  # fmt: skip
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            self._until_up()
            self.tokens = {user: self._user(user) for user in ("calm", "flood")}
            self._names(names)
        except BaseException:
            self.close()
            raise

    def _until_up(self) -> None:
        for _ in range(500):
            try:
                if self.ask("GET", "/v1/sys/health")[0] == 200:
                    return
            except OSError:
                self._connection.close()
            time.sleep(0.02)
        raise AssertionError("the server does not come up")

    def ask(self, method: str, path: str, body: object = None, user: str = "") -> Any:  # noqa: ANN401 - JSON
        """One request as the operator: status, body."""
        headers = {"X-Vault-Token": self.root}
        if user:
            headers["X-Vault-Namespace"] = user
        data = None if body is None else json.dumps(body)
        self._connection.request(method, path, data, headers)
        found = self._connection.getresponse()
        content = found.read()
        return found.status, json.loads(content) if content else None

    def _user(self, user: str) -> str:
        everything = 'path "*" { capabilities = ["create", "read", "update", "delete", "list"] }'
        self.ask("PUT", "/v1/sys/policies/acl/all", {"policy": everything}, user)
        self.ask("POST", "/v1/sys/auth/approle", {"type": "approle"}, user)
        self.ask("POST", "/v1/auth/approle/role/r", {"token_policies": "all"}, user)
        role = self.ask("GET", "/v1/auth/approle/role/r/role-id", None, user)[1]["data"]["role_id"]
        made = self.ask("POST", "/v1/auth/approle/role/r/secret-id", {}, user)[1]["data"]
        login = {"role_id": role, "secret_id": made["secret_id"]}
        status, body = self.ask("POST", "/v1/auth/approle/login", login, user)
        assert status == 200, body
        self.ask("POST", "/v1/secret/data/read", {"data": {"value": "x" * 100}}, user)
        return str(body["auth"]["client_token"])

    def _names(self, count: int) -> None:
        self.ask("POST", "/v1/sys/auth/userpass", {"type": "userpass"})
        for at in range(count):
            path = f"/v1/secret/data/many/name-{at:05}"
            self.ask("POST", path, {"data": {"n": at}}, "flood")

    def memory(self, name: str = "VmRSS") -> float:
        """MiB of memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split(f"{name}:")[1].split()[0]) / 1024

    def close(self) -> None:
        """End it."""
        self._connection.close()
        self.process.terminate()
        self.process.wait()


def start(server: Server, user: str, kind: str, *options: str) -> "subprocess.Popen[str]":
    """A client of its own process."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.flood", str(server.port), kind, *options],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "FLOOD_USER": user, "FLOOD_TOKEN": server.tokens[user]},
    )  # fmt: skip


def result(client: "subprocess.Popen[str]") -> dict[str, Any]:
    """What a client has printed."""
    out, _ = client.communicate(timeout=120)
    found: dict[str, Any] = json.loads(out)
    return found


@dataclass
class Times:
    """The calm user's seconds, without and with the flood, and what the flood got."""

    alone: list[float] = field(default_factory=list)
    flooded: list[float] = field(default_factory=list)
    flood: dict[str, int] = field(default_factory=dict)
    overtaken: list[int] = field(default_factory=list)
    """Answers to the flood while one of the calm user's requests waited: of each request."""

    def ratio(self) -> float:
        """p99 with the flood by p99 without."""
        return p99(self.flooded) / p99(self.alone)


def p99(times: list[float]) -> float:
    """The time that one in a hundred takes longer than."""
    return statistics.quantiles(times, n=100)[98]


def measure(
    server: Server, kind: str, *, rounds: int, seconds: float, connections: int, think: float
) -> Times:
    """Take the calm user's times in turn without and with a flood."""
    found = Times()
    for _ in range(rounds):
        for flooded in (False, True):
            flood = None
            if flooded:
                options = (f"--connections={connections}", f"--think={think}")
                length = f"--seconds={seconds + 1.5}"
                flood = start(server, "flood", kind, *options, length)
            time.sleep(0.5 if flooded else 0.2)
            calm = start(
                server, "calm", "read", "--connections=2", "--think=0.01", f"--seconds={seconds}"
            )
            told = result(calm)
            # The first ones come while Python and connections warm up.
            times, ends = told["times"][10:], told["ends"][10:]
            (found.flooded if flooded else found.alone).extend(times)
            if flood is not None:
                flooding = result(flood)
                for status, count in flooding["statuses"].items():
                    found.flood[status] = found.flood.get(status, 0) + count
                answers = sorted(flooding["ends"])
                found.overtaken += [
                    bisect.bisect(answers, end) - bisect.bisect(answers, end - took)
                    for took, end in zip(times, ends, strict=True)
                ]
    return found


@contextlib.contextmanager
def served(names: int, env: dict[str, str]) -> Iterator[Server]:
    """A server that is ended."""
    with tempfile.TemporaryDirectory():
        server = Server(names, env)
        try:
            yield server
        finally:
            server.close()


def main() -> None:
    """Measure each kind of flood, with turns and without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--think", type=float, default=0.02)
    parser.add_argument("--names", type=int, default=10_000)
    parser.add_argument("--kinds", default="read,write,list,login,invalid,mixed")
    args = parser.parse_args()
    print(f"{'flood':8} {'turns':5} {'p50 ms':>14} {'p99 ms':>14} {'ratio':>6}  flood's answers")
    for name, env in (("on", {}), ("off", UNFAIR)):
        with served(args.names, env) as server:
            for kind in args.kinds.split(","):
                found = measure(
                    server, kind, rounds=args.rounds, seconds=args.seconds,
                    connections=args.connections, think=args.think,
                )  # fmt: skip
                middle = [statistics.median(times) * 1e3 for times in (found.alone, found.flooded)]
                high = [p99(times) * 1e3 for times in (found.alone, found.flooded)]
                print(
                    f"{kind:8} {name:5} {middle[0]:6.2f} {middle[1]:7.2f} {high[0]:6.2f} "
                    f"{high[1]:7.2f} {found.ratio():6.2f}  {found.flood}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
