"""What the service manager is told (``sd_notify``): ready once requests are answered, stopping."""

import http.client
import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from adyton.server.notify import notify
from servers import BIN


@pytest.mark.parametrize("abstract", [False, True])
def test_ready_and_stopping_are_told(tmp_path, abstract):
    """By a socket in the file system or an abstract one; after READY the next request works."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(60)
        name = f"@adyton-{os.getpid()}" if abstract else str(tmp_path / "notify")
        manager.bind("\0" + name[1:] if abstract else name)
        process = subprocess.Popen(
            [BIN / "adyton", "serve", "--dev", "--listen", "127.0.0.1:0", "-o", "json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "NOTIFY_SOCKET": name},
        )  # fmt: skip
        try:
            assert manager.recv(100) == b"READY=1"
            address = json.loads(process.stdout.readline())["address"].removeprefix("http://")
            connection = http.client.HTTPConnection(address, timeout=20)
            connection.request("GET", "/v1/sys/health")
            assert connection.getresponse().status == 200
            connection.close()
        finally:
            process.terminate()
        assert manager.recv(100) == b"STOPPING=1"
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err


def test_a_manager_that_does_not_listen_is_no_trouble(tmp_path, monkeypatch):
    """A name that is none, a socket that is not there or is full: the server goes on."""
    for name in ("", "relative", str(tmp_path / "none"), "/" + "x" * 200):
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify("READY=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("READY=1")
    full = Path(tmp_path / "full")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(full))
        monkeypatch.setenv("NOTIFY_SOCKET", str(full))
        for _ in range(1_000):
            notify("READY=1")
        assert manager.recv(100) == b"READY=1"
