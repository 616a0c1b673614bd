"""What the server's handler costs above HTTP: processor time for each request, without a socket.

    python -m benchmarks.handler

Thirty-two tasks call the handler as the HTTP server would, on a store with durable audit. What
is counted is the processor time of the whole process, the commit's included and the waiting for
the disk not, so a busy machine changes it little; ``--callgrind`` is for running under valgrind.
"""

import asyncio
import itertools
import json
import statistics
import time
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from adyton.server.build import build_handler
from adyton.server.http import Handler, Request
from adyton.server.tokens import make_root_token
from adyton.service.commit import GroupCommit
from benchmarks.harness import Figure, fresh_store, save

CALLERS = 32
SECRETS = 1_000
BODY = json.dumps({"data": {"v": "v" * 100}}).encode()
RESULTS = Path(__file__).parent / "results" / "handler.json"

WORK = {
    "KV read": ("GET", "v1/secret/data/s{n}", b""),
    "KV write": ("POST", "v1/secret/data/s{n}", BODY),
    "list of 1,000": ("LIST", "v1/secret/metadata", b""),
    "token lookup": ("GET", "v1/auth/token/lookup-self", b""),
    "health": ("GET", "v1/sys/health", b""),
}


class Load:
    """Calls a handler from many tasks at once."""

    def __init__(self, handler: Handler, commit: GroupCommit, token: str) -> None:
        self._handler = handler
        self._commit = commit
        self._headers = {"x-vault-token": token}
        self._ids = itertools.count()

    async def run(self, title: str, count: int) -> float:
        """Microseconds of processor time a request.

        Raises:
            RuntimeError: An answer was not a success.
        """
        method, path, body = WORK[title]
        left = iter(range(count))

        async def work() -> None:
            for n in left:
                request = Request(
                    method, path.replace("{n}", str(n * 7919 % SECRETS)), {}, self._headers, body,
                    "127.0.0.1", f"00000000-0000-4000-8000-{next(self._ids):012x}",
                )  # fmt: skip
                response = await self._commit.run_async(self._handler(request))
                if response.status != 200:
                    raise RuntimeError(f"{title}: {response.status}")

        begin = time.process_time()
        await asyncio.gather(*(work() for _ in range(CALLERS)))
        return (time.process_time() - begin) / count * 1e6


async def measure(load: Load, rounds: int, count: int) -> list[Figure]:
    """Medians of some rounds of each work, in turn."""
    await load.run("KV write", SECRETS * 2)
    found: dict[str, list[float]] = {title: [] for title in WORK}
    for _ in range(rounds):
        for title, times in found.items():
            times.append(await load.run(title, count // 20 if "list" in title else count))
    return [Figure(title, statistics.median(times), "us") for title, times in found.items()]


def main(
    rounds: Annotated[int, typer.Option(help="Runs of each work.")] = 5,
    count: Annotated[int, typer.Option(help="Requests in a run.")] = 4_000,
    out: Annotated[Path, typer.Option(help="Where the JSON goes.")] = RESULTS,
) -> None:
    """Measure, print a table, write JSON."""
    with fresh_store() as store:
        handler, _, _ = build_handler(store._opened.core)
        core = store._opened.core
        load = Load(handler, core.commit, make_root_token(store._opened, ""))
        figures = uvloop.run(measure(load, rounds, count))
    table = Table("work", "processor time", title="The handler, above HTTP", title_justify="left")
    for figure in figures:
        table.add_row(figure.name, f"{figure.value:,.1f} us")
    Console().print(table)
    save(figures, out)


if __name__ == "__main__":
    typer.run(main)
