"""Sealing, opening, stopping and restarting under load: nothing acknowledged is lost."""

import contextlib
import http.client
import json
import random
import signal
import subprocess
import threading
import time

import pytest

from server.sealing import init, opened, read, serve, status, unseal, wait_for
from server.test_durability import Ledger
from servers import BIN


def run_adyton(store, keys, tmp_path, *command):
    shares = tmp_path / "shares"
    shares.write_text("\n".join(keys))
    shares.chmod(0o600)
    done = subprocess.run(
        [BIN / "adyton", *command, "--store", store, "--root", "shamir:", "--share-file", shares,
         "-o", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(store, keys, ledgers, tmp_path):
    """What clients know, against the store and its log."""
    run_adyton(store, keys, tmp_path, "audit", "verify")
    log = run_adyton(store, keys, tmp_path, "audit", "log", "--user", "root", "--limit", "100000")
    recorded = {e["request_id"] for e in json.loads(log) if e["action"] == "secret.get"}
    for ledger in ledgers:
        assert not ledger.errors, ledger.errors[:3]
        assert {request for _, request in ledger.read} <= recorded
    newest = {}
    for ledger in ledgers:
        newest |= ledger.written
    server = serve(store)
    try:
        unseal(server, keys)
        for name, (version, n) in newest.items():
            found = read(server, name, ledgers[0].token)[2]["data"]
            assert found["metadata"]["version"] >= version
            if found["metadata"]["version"] == version:
                assert found["data"] == {"n": n}
    finally:
        assert server.stop()[0] == 0


def test_sealing_under_load_finishes_what_is_under_way(tmp_path):
    """Sealed and opened again and again under six clients: 200 or 503, and nothing lost."""
    store = tmp_path / "store.db"
    server = serve(store)
    made = opened(server)
    ledger = Ledger(server, server.token, 0)
    try:
        for _ in range(6):
            time.sleep(random.uniform(0.05, 0.25))
            before = len(ledger.read)
            assert server.root("PUT", "/v1/sys/seal")[0] == 204
            assert server.raw("GET", "/v1/sys/health")[0] == 503
            during = len(ledger.read)
            time.sleep(0.05)
            assert len(ledger.read) <= during + 6  # answers on their way to the clients' threads
            unseal(server, made.enough())
            deadline = time.monotonic() + 10
            while len(ledger.read) <= during:
                assert time.monotonic() < deadline, "it does not go on"
                time.sleep(0.01)
            assert before <= during
    finally:
        ledger.end()
    code, out, err = server.stop()
    assert code == 0, (out, err)
    check(store, made.enough(), [ledger], tmp_path)


def seal_if_it_answers(server, token):
    with contextlib.suppress(OSError, http.client.HTTPException):
        server.raw("PUT", "/v1/sys/seal", token=token)


def restart_under_load(tmp_path, rounds):
    """Stop, kill or interrupt the server at random moments; in every third round it seals, too."""
    store = tmp_path / "store.db"
    server = serve(store)
    made = init(server)
    assert server.stop()[0] == 0
    ledgers = []
    for round_ in range(rounds):
        number = (signal.SIGTERM, signal.SIGKILL, signal.SIGINT)[round_ % 3]
        server = serve(store)
        unseal(server, made.enough())
        ledger = Ledger(server, made.root_token, round_ * 1_000_000)
        wait_for(lambda ledger=ledger: ledger.read, 20)
        time.sleep(random.uniform(0.0, 0.4))
        if round_ % 3 == 2:
            sealing = threading.Thread(target=seal_if_it_answers, args=(server, made.root_token))
            sealing.start()
        server.process.send_signal(number)
        _, err = server.process.communicate(timeout=30)
        if round_ % 3 == 2:
            sealing.join()
        ledger.end()
        assert server.process.returncode == (-9 if number == signal.SIGKILL else 0), err
        assert ledger.written
        ledgers.append(ledger)
    check(store, made.enough(), ledgers, tmp_path)


def test_restarts_and_kills_under_load_lose_nothing(tmp_path):
    """SIGTERM, SIGKILL, and SIGINT while it is being sealed."""
    restart_under_load(tmp_path, 3)


@pytest.mark.soak
def test_many_restarts_and_kills_under_load_lose_nothing(tmp_path):
    """The same, thirty times over."""
    restart_under_load(tmp_path, 30)


def test_a_stop_finishes_what_is_under_way_and_a_second_signal_does_not_wait(tmp_path):
    """A request whose body is slow is waited for; a second SIGTERM ends the server at once."""
    store = tmp_path / "store.db"
    for signals in (1, 2):
        server = serve(store)
        if not status(server)["initialized"]:
            made = init(server)
        unseal(server, made.enough())
        slow, begun = threading.Event(), threading.Event()

        def body(slow=slow, begun=begun):
            yield b'{"data":'
            begun.set()
            slow.wait(20)
            yield b'{"v": 1}}'

        answers = []

        def send(server=server, body=body, answers=answers):
            try:
                answers.append(
                    server.raw("POST", "/v1/secret/data/slow", data=body(), token=made.root_token)[
                        0
                    ]
                )
            except OSError:
                answers.append(None)

        sender = threading.Thread(target=send)
        sender.start()
        assert begun.wait(20)
        for _ in range(5):  # what was sent before has arrived by then
            assert server.raw("GET", "/v1/sys/health")[0] == 200
            time.sleep(0.1)
        server.process.terminate()
        wait_for(lambda server=server: server.raw("GET", "/v1/sys/health")[0] == 503)
        assert server.raw("GET", "/v1/sys/health")[1]["retry-after"] == "1"
        if signals == 2:
            started = time.monotonic()
            server.process.terminate()
            server.process.communicate(timeout=10)
            assert time.monotonic() - started < 3
            assert server.process.returncode == 128 + signal.SIGTERM
        slow.set()
        sender.join()
        if signals == 1:
            _, err = server.process.communicate(timeout=30)
            assert server.process.returncode == 0, err
            assert answers == [200]
    server = serve(store)
    unseal(server, made.enough())
    assert read(server, "slow", made.root_token)[2]["data"]["metadata"]["version"] == 1
    assert server.stop()[0] == 0
    run_adyton(store, made.enough(), tmp_path, "audit", "verify")
