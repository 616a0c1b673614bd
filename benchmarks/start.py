"""How soon a development server answers, from the start of the program to the first secret.

    python -m benchmarks.start

In turns with `bao server -dev` (OpenBao in memory, without audit), on the same machine. Adyton's
store is on disk with durable audit; with TLS its certificate is made in that time, too.
"""

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.server import BIN, first_secret, free_port, wait_for

_TARGET_SECONDS = 1.0
_TOKEN = "benchmark-root"


def _commands(port: int) -> dict[str, list[str]]:
    listen = f"127.0.0.1:{port}"
    ours = [str(BIN / "adyton"), "serve", "--dev", "--dev-root-token-id", _TOKEN]
    theirs = [str(BIN / "bao"), "server", "-dev", "-dev-no-store-token"]
    return {
        "adyton serve --dev": [*ours, "--listen", listen],
        "bao server -dev": [
            *theirs, f"-dev-root-token-id={_TOKEN}", f"-dev-listen-address={listen}"
        ],
    }  # fmt: skip


def once(name: str, home: Path) -> tuple[float, float]:
    """Seconds to the first secret, and seconds of processor time until then."""
    port = free_port()
    begun = time.monotonic()
    process = subprocess.Popen(
        _commands(port)[name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(home)},
    )  # fmt: skip
    try:
        wait_for(port, process)
        first_secret(port, _TOKEN)
        seconds = time.monotonic() - begun
        times = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return seconds, (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")
    finally:
        process.terminate()
        process.wait()


def main(rounds: Annotated[int, typer.Option(help="Starts of each.")] = 15) -> None:
    """Start each in turns, print medians and the best."""
    names = list(_commands(0))
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="adyton-bench-") as home:
        for _ in range(rounds):
            for name in names:
                found[name].append(once(name, Path(home)))
    table = Table("program", "median", "best", "processor", "target", box=None)
    for name, starts in found.items():
        seconds = [each[0] for each in starts]
        median = statistics.median(seconds)
        met = "met" if median < _TARGET_SECONDS else "missed"
        table.add_row(
            name, f"{median:.2f} s", f"{min(seconds):.2f} s",
            f"{statistics.median(each[1] for each in starts):.2f} s",
            f"under {_TARGET_SECONDS:.0f} s: {met}" if name.startswith("adyton") else "",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
