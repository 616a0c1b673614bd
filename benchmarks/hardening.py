"""What hardening the server's process costs: reads and writes with it and without, in turns.

    python -m benchmarks.hardening

The peer is the same server on the same disk, whose ``harden_process`` does nothing. Processor
time by request is the figure to trust on a noisy machine; requests per second stand beside it.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.server import (
    SECRETS,
    VALUE,
    WORK,
    Target,
    ask,
    free_port,
    install_wrk,
    wait_for,
    wrk,
)

_TARGET = 1.05
_SOFT = """
import sys
from adyton import hardening
hardening.harden_process = lambda: None
from adyton.cli import serve
serve.harden_process = hardening.harden_process
from adyton.cli.main import run
run()
"""


@contextmanager
def server(folder: Path, name: str, *, hard: bool) -> Iterator[Target]:
    """A development server with secrets in it; hardened, or not."""
    port, token = free_port(), "benchmark-root"
    code = "from adyton.cli.main import run; run()" if hard else _SOFT
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--dev", "--listen", f"127.0.0.1:{port}"],
        env={**os.environ, "ADYTON_DEV_ROOT_TOKEN_ID": token, "TMPDIR": str(folder)},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(port, process)
        for n in range(SECRETS):
            ask(port, "POST", f"/v1/secret/data/s{n}", {"data": {"v": VALUE}}, token)
        yield Target(name, port, token, process, time.monotonic() - started)
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(target: Target) -> float:
    """Processor time that a server has used so far."""
    fields = Path(f"/proc/{target.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(
    rounds: Annotated[int, typer.Option(help="Runs of each work on each server.")] = 7,
    seconds: Annotated[int, typer.Option(help="Length of a run.")] = 2,
) -> None:
    """Measure and print a table."""
    install_wrk()
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (
            server(folder, "hardened", hard=True) as hardened,
            server(folder, "plain", hard=False) as plain,
        ):
            table = Table("work", "hardened", "plain", "CPU us", "CPU us, plain", "ratio", "target")
            for title in ("KV read", "KV write"):
                rates: dict[str, list[float]] = {"hardened": [], "plain": []}
                costs: dict[str, list[float]] = {"hardened": [], "plain": []}
                for _ in range(rounds):
                    for target in (hardened, plain):
                        before = cpu_seconds(target)
                        run = wrk(target, WORK[title], seconds, folder)
                        used = cpu_seconds(target) - before
                        rates[target.name].append(run.per_second)
                        costs[target.name].append(used / (run.per_second * seconds) * 1e6)
                mine, peer = (statistics.median(costs[name]) for name in ("hardened", "plain"))
                ratio = statistics.median(
                    a / b for a, b in zip(costs["hardened"], costs["plain"], strict=True)
                )
                table.add_row(
                    title,
                    f"{statistics.median(rates['hardened']):,.0f}/s",
                    f"{statistics.median(rates['plain']):,.0f}/s",
                    f"{mine:.0f}",
                    f"{peer:.0f}",
                    f"{ratio:.3f}",
                    f"at most {_TARGET}: " + ("met" if ratio <= _TARGET else "missed"),
                )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
