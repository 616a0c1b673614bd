"""What alerts and notices cost: looking at a record, a whole pass, a notice, its delivery.

python -m benchmarks.alerts
"""

import statistics
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from adyton import Caller, SecretStore
from adyton.actions import Action
from adyton.service.anomalies.detector import THRESHOLDS, Detector, Event
from adyton.service.commit import Scope
from adyton.service.journal import Draft
from adyton.service.notices.outbox import put_notice
from adyton.service.notices.room import NoticeOptions
from benchmarks.harness import Figure, core_of, fresh_store, show

_RECORDS = 200_000
_SECRETS, _ACTORS = 500, 40
_ACTOR = Caller("bench")


def events() -> list[Event]:
    """Reads of some actors, each of its secrets, in steps of three seconds."""
    return [
        Event(
            (1_767_225_600 + 3 * number) * 1_000_000,
            f"auth/actor-{number % _ACTORS}#{number // 1000}",
            f"app/{number * 7 % _SECRETS}",
            f"10.{number % _ACTORS}.0.{number % 9}",
            number,
        )
        for number in range(_RECORDS)
    ]


def detection() -> list[Figure]:
    """The rules alone, over reads that are there already."""
    found = events()
    times = []
    for _ in range(3):
        detector = Detector({}, {}, THRESHOLDS["medium"])
        start = time.perf_counter()
        for event in found:
            detector.see(event)
        times.append((time.perf_counter() - start) / len(found))
    return [Figure("rules, a read", statistics.median(times) * 1e6, "us")]


def passes(store: SecretStore, count: int) -> list[Figure]:
    """A pass over a store's records, opening and writing included; the size of what it keeps."""
    core = core_of(store)
    store.set_secret("u", "a", b"x")
    keys = core.ring.cached("u")

    async def fill() -> None:
        for start in range(0, count, 1_000):
            await core.record(
                *(
                    Draft(
                        Caller(f"auth/actor-{n % _ACTORS}#t", "u", f"10.{n % _ACTORS}.0.1"),
                        Action.SECRET_GET, keys, "u", f"app/{n * 7 % _SECRETS}",
                    )
                    for n in range(start, start + 1_000)
                )
            )  # fmt: skip

    core.commit.run_sync(fill())
    start = time.perf_counter()
    report = store.alerts.scan("u")
    whole = (time.perf_counter() - start) / report.reads

    async def size() -> int:
        async with core.storage.snapshot() as rows:
            return (await rows.counted(keys.user)).bytes if keys is not None else 0

    kept = core.commit.run_sync(size())
    return [
        Figure("a pass over new records, a read", whole * 1e6, "us"),
        Figure(f"what is kept of {_SECRETS} secrets and {_ACTORS} actors", kept / 1024, "KiB"),
    ]


def notices(store: SecretStore, count: int) -> list[Figure]:
    """A commit with a notice in it beside one without, and delivery on loopback."""
    core = core_of(store)
    store.set_secret("n", "a", b"x")

    def commit(*, told: bool) -> float:
        async def work(scope: Scope) -> None:
            keys = await core.keys_in(scope, "n")
            if told and keys is not None:
                await put_notice(core, scope, _ACTOR, keys, "bench.notice", "a", {"k": "v"})

        async def operation() -> None:
            draft = Draft(_ACTOR, Action.NOTICE_PUT, core.ring.cached("n"), "n")
            await core.commit.submit(work, drafts=[draft])

        start = time.perf_counter()
        core.commit.run_sync(operation())
        return time.perf_counter() - start

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        plain = [commit(told=False) for _ in range(count)]
        store.webhooks.add("n", f"http://127.0.0.1:{server.server_port}/")
        told = [commit(told=True) for _ in range(count)]
        start = time.perf_counter()
        report = store.notices.deliver()
        spent = time.perf_counter() - start
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    return [
        Figure("a commit with a notice", statistics.median(told) * 1e6, "us",
               statistics.median(plain) * 1e6, "a commit without"),
        Figure("delivery to one webhook", report.delivered / spent, "/s"),
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    figures = detection()
    with fresh_store(notices=NoticeOptions(("127.0.0.1/32",))) as store:
        figures += passes(store, 20_000)
        figures += notices(store, 300)
    show(figures)


if __name__ == "__main__":
    main()
