"""What a request costs above the HTTP server: processor time, without a socket.

    python -m benchmarks.handler

The application is called as Granian calls it, with thirty-two requests under way, on a store
with durable audit. What is counted is the processor time of the whole process, with that of
commits and without waiting for the disk, so a busy machine changes it little.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from adyton.config import HttpLimits
from adyton.server.admission import Admission
from adyton.server.app import Application
from adyton.server.build import build_handler
from adyton.server.driver import Run
from adyton.server.seal.scrub import tune_interpreter
from adyton.server.tokens import make_root_token
from benchmarks.harness import Figure, fresh_store, save

CALLERS = 32
SECRETS = 1_000
BODY = b'{"data":{"v":"%s"}}' % (b"v" * 100)
RESULTS = Path(__file__).parent / "results" / "handler.json"

WORK = {
    "KV read": ("GET", "/v1/secret/data/s{n}", "", b""),
    "KV write": ("POST", "/v1/secret/data/s{n}", "", BODY),
    "list of 1,000": ("GET", "/v1/secret/metadata", "list=true", b""),
    "token lookup": ("GET", "/v1/auth/token/lookup-self", "", b""),
    "health": ("GET", "/v1/sys/health", "", b""),
}


class Call:
    """One request, in the place of both of Granian's objects."""

    proto, scheme, http_version, client = "http", "http", "1.1", "127.0.0.1:50000"

    def __init__(
        self, load: "Load", method: str, path: str, query: str, headers: dict[str, str], body: bytes
    ) -> None:
        self._load = load
        self.method = method
        self.path = path
        self.query_string = query
        self.headers = headers
        self._body = body

    def __call__(self) -> "asyncio.Future[bytes]":
        """The body."""
        future = self._load.loop.create_future()
        self._load.loop.call_soon(future.set_result, self._body)
        return future

    def response_bytes(self, status: int, _: list[tuple[str, str]], __: bytes) -> None:
        """Take the answer."""
        if status != 200:
            self._load.wrong.append(status)
        self._load.answered()

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        """As :meth:`response_bytes`."""
        self.response_bytes(status, headers, b"")


class Load:
    """Keeps requests of one kind under way until there have been enough.

    Args:
        application: What answers.
        token: Sent with each.
    """

    def __init__(self, application: Application, token: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.wrong: list[int] = []
        self._application = application
        self._headers = {"x-vault-token": token}
        self._calls: Iterator[Call] = iter(())
        self._left = 0
        self._under_way = 0
        self._ended: asyncio.Future[None] = self.loop.create_future()

    async def run(self, title: str, count: int) -> float:
        """Microseconds of processor time a request.

        Raises:
            RuntimeError: An answer was not a success.
        """
        method, path, query, body = WORK[title]
        headers = self._headers | ({"content-length": str(len(body))} if body else {})
        self._calls = (
            Call(self, method, path.replace("{n}", str(n * 7919 % SECRETS)), query, headers, body)
            for n in range(count)
        )
        self._left, self._under_way = count, 0
        self._ended = self.loop.create_future()
        tune_interpreter()  # as the server does once, and as nothing of a round is left by then
        begin = time.process_time()
        for _ in range(min(CALLERS, count)):
            self._begin()
        await self._ended
        spent = time.process_time() - begin
        if self.wrong:
            raise RuntimeError(f"{title}: {self.wrong[0]}")
        return spent / count * 1e6

    def _begin(self) -> None:
        self._left -= 1
        self._under_way += 1
        # Behind the current call, where there may be a task.
        self.loop.call_soon(lambda: Run(self._watch(next(self._calls)), self.loop))

    async def _watch(self, call: Any) -> None:  # noqa: ANN401 - in the place of two
        await self._application.__rsgi__(call, call)

    def answered(self) -> None:
        """One more was answered: begin another, as a client would."""
        self._under_way -= 1
        if self._left:
            self._begin()
        elif not self._under_way:
            self._ended.set_result(None)


async def measure(make: Callable[[], Load], rounds: int, count: int) -> list[Figure]:
    """Medians of some rounds of each work, in turn."""
    load = make()
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
        handler, services, _ = build_handler(store._opened.core)
        admission = Admission(services.gate.sessions.known)
        admission.use(services.gate.sessions.known, holds=services.gate.sessions.holds)
        application = Application(handler, HttpLimits(), admission=admission)
        token = make_root_token(store._opened, "")
        figures = uvloop.run(measure(lambda: Load(application, token), rounds, count))
    table = Table("work", "processor time", title="Above the HTTP server", title_justify="left")
    for figure in figures:
        table.add_row(figure.name, f"{figure.value:,.1f} us")
    Console().print(table)
    save(figures, out)


if __name__ == "__main__":
    typer.run(main)
