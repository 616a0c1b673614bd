"""A client over raw sockets: one that floods a server, or one that asks now and then.

    python -m benchmarks.flood PORT KIND --connections 64 --seconds 5 --think 0.002

asks for what KIND says, on each connection one request after the other, and prints as JSON how many
were answered with which status, how long each took and when it ended, by the clock that all
processes of a machine share. It is a process of its own, so that what
it costs is not counted as the server's.
"""

import argparse
import asyncio
import collections
import json
import os
import time
from collections.abc import Callable

KINDS = ("read", "write", "list", "login", "invalid", "batch", "bulk", "mixed")
BATCHES = {"batch": 20, "bulk": 1_000}
"""Secrets in one request."""


def request(method: str, path: str, token: str, body: object = None) -> bytes:
    """A request as it is sent."""
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n"
    if token:
        head += f"X-Vault-Token: {token}\r\n"
        if "/adyton/" not in path:
            head += f"X-Vault-Namespace: {os.environ.get('FLOOD_USER', '')}\r\n"
    if content:
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return head.encode() + b"\r\n" + content


def maker(kind: str, token: str, number: int) -> Callable[[int], bytes]:
    """Makes the requests of one connection."""
    made = {
        "read": lambda _: request("GET", "/v1/secret/data/read", token),
        "write": lambda n: request(
            "POST", f"/v1/secret/data/written/{number}-{n % 50}", token, {"data": {"n": n}}
        ),
        "list": lambda _: request("LIST", "/v1/secret/metadata/many", token),
        "login": lambda n: request(
            "POST", f"/v1/auth/userpass/login/u{number}-{n}", "", {"password": "wrong"}
        ),
        "invalid": lambda n: request("GET", "/v1/secret/data/read", f"not-a-token-{number}-{n}"),
    }
    if kind in BATCHES:
        value = {"encoding": "utf-8", "data": "x" * 100}
        items = [{"name": f"batch/{number}-{at}", "value": value} for at in range(BATCHES[kind])]
        whole = request("POST", "/v1/adyton/users/me/batch/write", token, {"items": items})
        return lambda _: whole
    if kind == "mixed":
        kinds = [*made.values()]
        return kinds[number % len(kinds)]
    return made[kind]


async def answer(reader: asyncio.StreamReader) -> int:
    """Read one answer; returns its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    length = 0
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    if length:
        await reader.readexactly(length)
    return int(lines[0].split()[1])


class Flood:
    """Connections that ask until the time is over."""

    def __init__(self, args: argparse.Namespace, token: str) -> None:
        self.args = args
        self.token = token
        self.statuses: collections.Counter[int] = collections.Counter()
        self.times: list[float] = []
        self.ends: list[float] = []

    async def connection(self, number: int, end: float) -> None:
        """Ask on one connection; open it anew when it breaks."""
        args = self.args
        make = maker(args.kind, self.token, number)
        sent = 0
        await asyncio.sleep(args.think * number / args.connections)
        while time.monotonic() < end:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", args.port)
                while time.monotonic() < end:
                    started = time.perf_counter()
                    writer.write(make(sent))
                    status = await answer(reader)
                    ended = time.perf_counter()
                    took = ended - started
                    sent += 1
                    self.statuses[status] += 1
                    self.times.append(took)
                    self.ends.append(ended)
                    if args.think:
                        await asyncio.sleep(max(0.0, args.think - took))
                writer.close()
            except (OSError, asyncio.IncompleteReadError):
                self.statuses[0] += 1
                await asyncio.sleep(0.01)

    async def run(self) -> None:
        """Ask on all connections."""
        end = time.monotonic() + self.args.seconds
        await asyncio.gather(*(self.connection(n, end) for n in range(self.args.connections)))


def main() -> None:
    """Run by the arguments; the token is in the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--think", type=float, default=0.0, help="seconds between two requests")
    args = parser.parse_args()
    flood = Flood(args, os.environ.get("FLOOD_TOKEN", ""))
    asyncio.run(flood.run())
    found = {"statuses": flood.statuses, "times": flood.times, "ends": flood.ends}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
