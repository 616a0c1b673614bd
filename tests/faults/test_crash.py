"""SIGKILL at random points: nothing acknowledged is lost, nothing released is unrecorded."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from support import Place

sys.path.insert(0, str(Path(__file__).parent))
import worker

SEED = int(os.environ.get("ADYTON_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)
KILLS = 50
STORES = 4


def run_and_kill(place, seed, run, delay):
    """Fork a worker, kill it, and return what it told."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            worker.work(str(place.path), place.root, writer, seed, run)
        finally:
            os._exit(70)
    os.close(writer)
    told = bytearray()
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while not told.endswith(b"\n"):  # wait until the store is open
            chunk = pipe.read(65536)
            assert chunk, "the worker ended before it opened the store"
            told += chunk
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        while chunk := pipe.read(65536):
            told += chunk
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the worker ended by itself: {status}"
    return [
        json.loads(line) for line in told.decode().splitlines(keepends=True) if line[-1] == "\n"
    ]


class Ledger:
    """What must be there: by user and name the value, or several where one was under way."""

    def __init__(self):
        self.known = {}
        self.reads = []

    def take(self, events):
        begun = None
        self.pending = None  # later writes may have changed what an earlier one left open
        for event in events:
            if event["event"] == "begin":
                begun = event
            elif event["event"] == "end":
                self.apply(begun, event)
                begun = None
        if begun is not None:
            self.maybe(begun)

    def effect(self, begun):
        if begun["kind"] == "set":
            return {begun["name"]: begun["value"]}
        if begun["kind"] == "batch":
            return dict.fromkeys(begun["batch"], begun["value"])
        return {begun["name"]: None} if begun["kind"] == "delete" else {}

    def apply(self, begun, end):
        if begun["kind"] == "get" and "value" in end:
            self.reads.append((begun["user"], begun["name"], end["request"]))
            assert end["value"] in self.known.get((begun["user"], begun["name"]), {None})
        if "refused" in end:
            return
        for name, value in self.effect(begun).items():
            self.known[begun["user"], name] = {value}

    def maybe(self, begun):
        effect = self.effect(begun)
        for name, value in effect.items():
            place = (begun["user"], name)
            self.known[place] = self.known.get(place, {None}) | {value}
        self.pending = (begun["user"], effect) if len(effect) > 1 else None

    def check(self, store):
        seen = {}
        for (user, name), possible in self.known.items():
            found = store.get_secrets(user, [name])
            value = found[name].text() if found else None
            assert value in possible, f"an acknowledged write of {user} is lost"
            seen[user, name] = value
            self.known[user, name] = {value}
        if getattr(self, "pending", None):
            user, effect = self.pending
            done = {seen[user, name] == value for name, value in effect.items()}
            assert len(done) == 1, "half of a batch was kept"
            self.pending = None
        recorded = {
            (e.user, e.secret_name, e.request_id)
            for e in store.get_audit_log(limit=100_000, action="secret.get", success=True)
        }
        assert recorded.issuperset(self.reads), "a value was released without a record"


def campaign(folder, seed, kills):
    chance = random.Random(seed)
    place = Place(folder)
    ledger = Ledger()
    with place.open() as store:
        for user in worker.USERS:
            for name in worker.NAMES:
                store.set_secret(user, name, "first")
                ledger.known[user, name] = {"first"}
    for number in range(kills):
        told = run_and_kill(place, chance.random(), number, chance.uniform(0.002, 0.12))
        ledger.take(told)
        if number % 5 == 4 or number == kills - 1:
            with place.open() as store:
                assert store.health().problems == []
                ledger.check(store)
                store.audit.verify()
    with place.open() as store:
        store.keys.rewrap()
        assert all(info.current for info in store.keys.list())
        ledger.check(store)
        store.audit.verify()


@pytest.mark.parametrize("part", range(STORES))
def test_kills_lose_nothing(tmp_path, part):
    """After each kill the store opens; what was acknowledged is there, reads are recorded."""
    print(f"ADYTON_TEST_SEED={SEED}")
    campaign(tmp_path, SEED + part, KILLS)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_five_thousand_kills(tmp_path):
    """The same, for long."""
    print(f"ADYTON_TEST_SEED={SEED}")
    campaign(tmp_path, SEED, 5_000)
