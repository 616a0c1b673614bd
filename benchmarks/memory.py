"""What is left of secrets in the memory of a running server, where, and why.

    python -m benchmarks.memory

Needs root: the server's process is not dumpable. 40 values of each size are written and read over
HTTP, other requests follow, and a second process reads all of the server's memory after each step.
A raw scan does not see copies in another form, such as hexadecimal.
"""

import http.client
import json
import os
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.server import free_port, wait_for

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from memory import regions  # type: ignore[import-not-found]

COUNT = 40
WHY = {
    "anonymous": "pools of Python's small objects, not overwritten until used again; keys in use",
    "heap": "the C library's heap: larger bytes objects, and OpenSSL's copies of keys in use",
}


class Client:
    """One connection."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._headers = {"X-Vault-Token": token}

    def ask(self, method: str, path: str, body: object = None) -> bytes:
        """One request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request(
                method, path, None if body is None else json.dumps(body), self._headers
            )
            return connection.getresponse().read()
        finally:
            connection.close()


def measure(table: Table, pid: int, client: Client, size: int) -> None:
    """Rows for values of one size."""
    values = [secrets.token_hex(size // 2).encode() for _ in range(COUNT)]

    def row(step: str) -> None:
        found = regions(pid, values)
        places = sum(found.values(), start=type(next(iter(found.values())))()) if found else {}
        where = ", ".join(f"{name} {count}" for name, count in places.items())
        table.add_row(f"{size} bytes", step, f"{len(found)} of {COUNT}", where)

    for n, value in enumerate(values):
        client.ask("POST", f"/v1/secret/data/k{n}", {"data": {"v": value.decode()}})
    row("written")
    for n, value in enumerate(values):
        if value not in client.ask("GET", f"/v1/secret/data/k{n}"):
            raise RuntimeError("a value did not come back")
    row("read")
    for _ in range(200):
        client.ask("GET", "/v1/sys/health")
    row("200 other requests")
    for _ in range(2_000):
        client.ask("GET", "/v1/auth/token/lookup-self")
    row("2,000 more")


def main() -> None:
    """Measure and print a table."""
    if os.geteuid() != 0:
        raise SystemExit("run it as root: the server's process lets nobody else read its memory")
    port, token = free_port(), "benchmark-root"
    table = Table("values", "after", "found", "where (copies)")
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "adyton", "serve", "--dev",
             "--listen", f"127.0.0.1:{port}"],
            env={**os.environ, "ADYTON_DEV_ROOT_TOKEN_ID": token, "TMPDIR": folder},
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            wait_for(port, process)
            client = Client(port, token)
            for size in (100, 1_000, 8_000):
                measure(table, process.pid, client, size)
            (key,) = Path(folder).glob("*/dev.key")
            found = regions(process.pid, [key.read_bytes()])
            for places in found.values():
                where = ", ".join(f"{name} {count}" for name, count in places.items())
                table.add_row("root's key", "while open", "found", where)
        finally:
            process.terminate()
            process.wait()
    console = Console()
    console.print(table)
    for name, why in WHY.items():
        console.print(f"{name}: {why}")


if __name__ == "__main__":
    main()
