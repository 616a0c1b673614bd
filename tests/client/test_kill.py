"""A server that is killed under clients that try again: each write is there, and there once."""

import json
import random
import subprocess
import threading
import time

import pytest

from adyton import Client
from adyton.errors import AdytonError
from servers import BIN, Server, free_port

WRITERS = 4


def _adyton(store, *args):
    done = subprocess.run(
        [BIN / "adyton", "--store", store, "--root", f"keyfile:{store}.key", "-o", "json", *args],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.soak)])
def test_acknowledged_writes_are_there_exactly_once(tmp_path, kills):
    """Versions are counted: as many as were acknowledged, each with its value, after kill -9."""
    store = str(tmp_path / "s.db")
    _adyton(store, "init")
    token = _adyton(store, "token", "root")["token"]
    port = free_port()
    options = ("serve", "--store", store, "--root", f"keyfile:{store}.key")
    stop = threading.Event()
    acknowledged = [[] for _ in range(WRITERS)]
    failed = []

    def write(number):
        name = f"w{number}"
        with Client(
            f"http://127.0.0.1:{port}", token, retries=1_000, retry_seconds=120, timeout=5
        ) as client:
            while not stop.is_set():
                value = f"{number}:{len(acknowledged[number])}"
                try:
                    found = client.set_secret("k", name, value, max_versions=1_000)
                except AdytonError as error:
                    failed.append(error)
                    return
                acknowledged[number].append((found.version, value))

    server = Server(*options, port=port)
    threads = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    for _ in range(kills):
        time.sleep(random.uniform(0.3, 0.8))
        server.process.kill()
        server.process.communicate()
        server = Server(*options, port=port)
    time.sleep(0.3)
    stop.set()
    for thread in threads:
        thread.join(120)
    try:
        assert not failed
        with Client(server.addr, token) as client:
            for number, written in enumerate(acknowledged):
                assert written
                assert [version for version, _ in written] == list(range(1, len(written) + 1))
                found = client.get_secret_metadata("k", f"w{number}")
                assert found.version == len(written)
                for version, value in random.sample(written, min(10, len(written))):
                    with client.get_secret("k", f"w{number}", version=version) as secret:
                        assert secret.text() == value
            client.audit.verify()
    finally:
        assert server.stop()[0] == 0
