"""The server's process: what is left of secrets in its memory, and who can look there at all."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from isolated import run_isolated
from memory import scan
from servers import BIN, TOKEN, Server, free_port

COUNT = 40
PLAIN = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"] if os.geteuid() == 0 else []


def made(size):
    """Values of a size, and a request to write each."""
    values = [secrets.token_hex(size // 2).encode() for _ in range(COUNT)]
    return values, [json.dumps({"data": {"v": value.decode()}}).encode() for value in values]


@pytest.fixture(scope="module")
def hardened():
    server = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    yield server
    server.stop()


@pytest.mark.parametrize("size", [100, 4000])
def test_values_that_went_through_the_server_are_gone_from_its_memory(hardened, size):
    """Of 40 values that were written and read, nearly all are overwritten when others have come.

    What Python frees is not overwritten until it is used again: a few may still be there.
    """
    if os.geteuid() != 0:
        pytest.skip("only root reads the memory of a process that is not dumpable")
    values, bodies = made(size)
    for n, body in enumerate(bodies):
        assert hardened.root("POST", f"/v1/secret/data/m{size}-{n}", data=body)[0] == 200
    for n, value in enumerate(values):
        found = hardened.root("GET", f"/v1/secret/data/m{size}-{n}")[2]
        assert found["data"]["data"]["v"] == value.decode()
    for _ in range(200):
        hardened.raw("GET", "/v1/sys/health")
    left = scan(hardened.process.pid, values)
    # Without hardening it is 28 to 40 of them.
    assert len(left) <= COUNT // 5, f"{len(left)} of {COUNT} values are in memory"


def test_the_scanner_finds_what_the_server_keeps_in_ordinary_memory(hardened):
    """Control: the table of mounts is kept on purpose, and the scan finds its descriptions."""
    if os.geteuid() != 0:
        pytest.skip("only root reads the memory of a process that is not dumpable")
    marks = [secrets.token_hex(24).encode() for _ in range(3)]
    for n, mark in enumerate(marks):
        body = {"type": "kv", "description": mark.decode()}
        assert hardened.root("POST", f"/v1/sys/mounts/control{n}", body)[0] == 204
    assert hardened.root("GET", "/v1/sys/mounts")[0] == 200
    assert len(scan(hardened.process.pid, marks)) == len(marks)


PEEK = "import sys; open(f'/proc/{sys.argv[1]}/mem', 'rb').close(); print('open')"


def test_the_servers_process_can_be_neither_dumped_nor_traced(tmp_path):
    """Core dumps are forbidden, an abort leaves none, and its own user is refused its memory.

    Capabilities are taken from all, as root's would let it in; an ordinary process is the control.
    """
    ordinary = subprocess.Popen([*PLAIN, sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = Running(tmp_path)
    try:
        limits = Path(f"/proc/{started.pid}/limits").read_text()
        core = next(line.split() for line in limits.splitlines() if "core file" in line)
        assert core[4:6] == ["0", "0"]
        peeks = [
            subprocess.run(
                [*PLAIN, sys.executable, "-c", PEEK, str(pid)],
                capture_output=True, text=True, check=False,
            )
            for pid in (ordinary.pid, started.pid)
        ]  # fmt: skip
        assert peeks[0].stdout.strip() == "open", "the control is refused too"
        assert "PermissionError" in peeks[1].stderr
        started.process.send_signal(signal.SIGABRT)
        assert started.process.wait(timeout=20) == -signal.SIGABRT
        assert not list(tmp_path.glob("core*"))
    finally:
        started.stop()
        ordinary.communicate(b"\n")


def test_a_secret_in_the_environment_is_gone_after_the_start(tmp_path):
    """The kernel's copy of the environment shows neither passphrase nor root token any more."""
    passphrase = secrets.token_hex(16)
    token = "tok-" + secrets.token_hex(16)
    started = Running(
        tmp_path, env={"ADYTON_DEV_ROOT_TOKEN_ID": token, "ADYTON_TEST_PASS": passphrase}
    )
    try:
        environ = Path(f"/proc/{started.pid}/environ").read_bytes()
        assert token.encode() not in environ
        assert b"ADYTON_TEST_PASS=" + passphrase.encode() in environ  # nothing else is touched
    finally:
        started.stop()


def test_a_forgotten_variable_is_overwritten_where_the_kernel_shows_it():
    """forget_variable() gives the value once, and leaves zeros in /proc/self/environ."""
    out = run_isolated(
        """
        import os, sys, subprocess
        if "SECRET_ONE" not in os.environ:
            env = {**os.environ, "SECRET_ONE": "first-value", "SECRET_ONE_MORE": "second-value"}
            done = subprocess.run([sys.executable, "-c", sys.argv[1], sys.argv[1]], env=env,
                                  capture_output=True, text=True)
            print(done.stdout, done.stderr)
            raise SystemExit
        """,
        FORGET,
    )
    assert out.split() == ["b'first-value'", "None", "None", "False", "True"]


FORGET = """
import os
from adyton.hardening import forget_variable
print(forget_variable("SECRET_ONE"), forget_variable("SECRET_ONE"), os.environ.get("SECRET_ONE"))
environ = open("/proc/self/environ", "rb").read()
print(b"first-value" in environ, b"SECRET_ONE_MORE=second-value" in environ)
"""


class Running:
    """A development server without capabilities, as an ordinary user's would be."""

    def __init__(self, folder, env=None):
        self.process = subprocess.Popen(
            [*PLAIN, BIN / "adyton", "serve", "--dev", "--listen", f"127.0.0.1:{free_port()}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env={**os.environ, **(env or {})},
        )
        self.pid = self.process.pid
        deadline = time.monotonic() + 30
        while b"address" not in (line := self.process.stdout.readline()):
            assert line, self.process.stderr.read()
            assert time.monotonic() < deadline

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=20)
