"""Clients of both faces that check a server before it gets a byte of theirs."""

import asyncio
import contextlib
import json
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from adyton.attest.verifier import parse_policy
from adyton.client import AsyncClient, Client
from adyton.errors import AttestationError, InvalidDocument, ServerUnavailable
from attest.serving import AttestedServer, key_of
from certs import certificate


@pytest.fixture(autouse=True)
def nobody(monkeypatch, tmp_path):
    """No settings of the one who runs the tests."""
    for name in ("ADYTON_ADDR", "ADYTON_TOKEN", "ADYTON_CACERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


class Sync:
    """The synchronous client."""

    def __init__(self, *args, **more):
        self.client = Client(*args, **more)

    def run(self, work):
        return work(self.client)

    def close(self):
        self.client.close()


class Async:
    """The asynchronous one, in an event loop of its own."""

    def __init__(self, *args, **more):
        self.loop = asyncio.new_event_loop()
        self.client = AsyncClient(*args, **more)

    def run(self, work):
        return self.loop.run_until_complete(work(self.client))

    def close(self):
        self.loop.run_until_complete(self.client.close())
        self.loop.close()


@pytest.fixture(params=[Sync, Async])
def face(request):
    made = []

    def make(*args, **more):
        made.append(request.param(*args, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def options(server, policy=None, **more):
    return {
        "addr": server.addr, "token": server.token, "ca": server.ca,
        "attestation": parse_policy(policy or server.policy()), "retry_seconds": 5.0, **more,
    }  # fmt: skip


def put(client):
    return client.set_secret("me", "a", b"value")


def test_an_accepted_server_is_used(server, face, tmp_path):
    """With a policy as such and from a file; attested once for many requests."""
    (tmp_path / "p.toml").write_text(server.policy())
    for policy in (parse_policy(server.policy()), tmp_path / "p.toml", str(tmp_path / "p.toml")):
        client = face(**{**options(server), "attestation": policy})
        client.run(lambda client: client.attest())
        for _ in range(3):
            client.run(put)


@pytest.mark.parametrize("change", ["pcr", "ak", "empty", "unreviewed", "log"])
def test_a_refused_server_is_not_used(server, face, change):
    """The error names the rule, from attest() and from any operation."""
    policy, rule = {
        "pcr": (server.policy(pcr16="ab" * 32), "pcrs"),
        "ak": (server.policy(ak="000b" + "ab" * 32), "ak"),
        "empty": ("version = 1", "platform"),
        "unreviewed": (server.policy(top="reviewed = false"), "unreviewed"),
        "log": (server.policy(top='log_keys = ["other"]'), "log-key"),
    }[change]
    client = face(**options(server, policy))
    for work in (
        put,
        lambda client: client.attest(),
        lambda client: client.login_userpass("me", "pw"),
    ):
        with pytest.raises(AttestationError) as refused:
            client.run(work)
        assert refused.value.rule == rule


def test_policies_that_are_none(server, face, tmp_path):
    """Told when the client is made; so is an address without TLS."""
    (tmp_path / "p.toml").write_text("nonsense = 1")
    with pytest.raises(InvalidDocument):
        Client(server.addr, server.token, ca=server.ca, attestation=tmp_path / "p.toml")
    with pytest.raises(AttestationError) as refused:
        Client("http://127.0.0.1:1", "t", attestation=parse_policy(""))
    assert refused.value.rule == "tls"


class Relay:
    """A man in the middle: ends TLS by a certificate that the client trusts, passes all on.

    It records every byte of requests in the clear, as one can who holds that certificate's key.
    """

    def __init__(self, folder, server, name="mitm", *, replay=None):
        if not (folder / f"{name}.pem").exists():
            certificate(folder, name, issuer=server.authority)
        self.seen = bytearray()
        self.replay = replay
        self._target = server
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
        self.key = key_of((folder / f"{name}.pem").read_bytes())
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.addr = f"https://127.0.0.1:{self.port}"
        self.ca, self.token = server.ca, server.token
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with contextlib.suppress(OSError):
            connection.settimeout(10)
            with self._context.wrap_socket(connection, server_side=True) as tls:
                while True:
                    data = b""
                    while b"\r\n\r\n" not in data:
                        part = tls.recv(65_536)
                        if not part:
                            return
                        data += part
                        self.seen += part
                    line = data.split(b"\r\n", 1)[0].decode()
                    method, target, _ = line.split(" ")
                    answer = self._answer(method, target)
                    tls.sendall(
                        b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\n"
                        b"content-length: %d\r\n\r\n" % (answer[0], len(answer[1])) + answer[1]
                    )

    def _answer(self, method, target):
        if self.replay is not None:
            return 200, self.replay
        found = httpx.request(
            method, self._target.addr + target,
            verify=ssl.create_default_context(cafile=self._target.ca),
        )  # fmt: skip
        return found.status_code, found.content

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


TOKEN, SECRET = "canary-token-" + secrets.token_hex(8), "canary-secret-" + secrets.token_hex(8)


def canary(client):
    return client.set_secret("canary-user", "canary/name", SECRET)


def spilled(relay):
    return [each for each in (b"canary", b"token", TOKEN.encode(), SECRET.encode())
            if each.lower() in relay.seen.lower()]  # fmt: skip


def test_a_man_in_the_middle_gets_nothing(server, face, tmp_path):
    """He passes on genuine evidence of the genuine server: it is bound to another TLS key."""
    relay = Relay(tmp_path, server)
    try:
        client = face(**options(server, addr=relay.addr, token=TOKEN))
        for _ in range(2):
            with pytest.raises(AttestationError) as refused:
                client.run(canary)
            assert refused.value.rule == "tls-key"
        assert b"/v1/adyton/attestation" in relay.seen  # he was asked for evidence
        assert not spilled(relay)
    finally:
        relay.close()


def test_a_man_in_the_middle_who_lies_gets_nothing(server, face, tmp_path):
    """He says that the evidence is bound to his key, or replays what he saw before."""
    status, data, _ = server.ask()
    assert status == 200
    relay = Relay(tmp_path, server, replay=data)
    try:
        client = face(**options(server, addr=relay.addr, token=TOKEN))
        with pytest.raises(AttestationError) as refused:
            client.run(canary)
        assert refused.value.rule == "nonce"
        assert not spilled(relay)
    finally:
        relay.close()

    class Liar(Relay):
        def _answer(self, method, target):
            status, data = super()._answer(method, target)
            import base64

            found = json.loads(data)
            found["tls_key"] = base64.b64encode(self.key).decode()
            return status, json.dumps(found).encode()

    liar = Liar(tmp_path, server)
    try:
        client = face(**options(server, addr=liar.addr, token=TOKEN))
        with pytest.raises(AttestationError) as refused:
            client.run(canary)
        assert refused.value.rule == "binding"
        assert not spilled(liar)
    finally:
        liar.close()


class Switch:
    """A port in front of two others: where new connections go is changed at will."""

    def __init__(self, port):
        self.to = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.addr = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        self.open = []
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._threads[0].start()

    def _serve(self):
        while True:
            try:
                near, _ = self._socket.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.to))
            self.open += [near, far]
            self._threads.append(threading.Thread(target=self._join, args=(near, far)))
            self._threads[-1].start()

    def _join(self, near, far):
        back = threading.Thread(target=self._pump, args=(far, near))
        back.start()
        self._pump(near, far)
        back.join()
        near.close()
        far.close()

    @staticmethod
    def _pump(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def cut(self):
        for each in self.open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.open.clear()

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._threads[0].join(10)
        self.cut()
        for thread in self._threads:
            thread.join(10)


def test_a_man_who_comes_later_gets_nothing(server, face, tmp_path):
    """After a server was accepted, a reconnect meets another key: no byte of a request is sent."""
    relay, switch = Relay(tmp_path, server), Switch(server.port)
    try:
        client = face(**options(server, addr=switch.addr))
        client.run(put)
        switch.to = relay.port
        switch.cut()
        for _ in range(2):
            with pytest.raises(AttestationError) as refused:
                client.run(canary)
            assert refused.value.rule == "tls-key"
        assert not spilled(relay)
        assert server.token.encode() not in relay.seen
        switch.to = server.port
        switch.cut()
        client.run(put)
    finally:
        switch.close()
        relay.close()


def test_a_new_certificate_is_attested_again(tmp_path, tpm, face):
    """A reload shows another key: the client asks for evidence again, and goes on."""
    with AttestedServer(tmp_path, tpm, drain="100ms") as server:
        client = face(**options(server))
        for name in (None, "second", "third"):
            if name is not None:
                server.put(name)
                server.until(name)
                time.sleep(0.3)
            for _ in range(3):
                client.run(put)


def test_after_max_age_it_is_attested_again(tmp_path, tpm, face):
    """What has changed since then is refused, on connections that are open too."""
    with AttestedServer(tmp_path, tpm) as server:
        client = face(**options(server, server.policy(top="max_age = 1")))
        client.run(put)
        tpm.extend(16, secrets.token_bytes(8))
        time.sleep(1.1)
        with pytest.raises(AttestationError) as refused:
            client.run(put)
        assert refused.value.rule == "pcrs"


def test_a_server_that_shows_none_is_refused(tmp_path, face):
    """One without evidence, and one that is none of ours; one that is away is told as away."""
    from server.test_tls_reload import TlsServer

    with TlsServer(tmp_path) as plain:
        plain.addr, plain.ca, plain.token = (
            f"https://127.0.0.1:{plain.port}", tmp_path / "ca.pem", TOKEN,
        )  # fmt: skip
        client = face(**options(plain, "version = 1"))
        with pytest.raises(AttestationError):
            client.run(canary)
        relay = Relay(tmp_path, plain, replay=b'{"platform": 3}')
        try:
            client = face(**options(plain, "version = 1", addr=relay.addr))
            with pytest.raises(AttestationError) as refused:
                client.run(canary)
            assert refused.value.rule == "malformed"
            assert not spilled(relay)
        finally:
            relay.close()
    client = face(**options(plain, "version = 1", retries=0))
    with pytest.raises(ServerUnavailable):
        client.run(canary)


def test_an_untrusted_certificate_stays_untrusted(server, face, tmp_path):
    """Evidence does not stand in for the authority that the client trusts."""
    certificate(tmp_path, "others", is_ca=True)
    client = face(**options(server, ca=tmp_path / "others.pem", retries=0))
    with pytest.raises(ServerUnavailable) as refused:
        client.run(put)
    assert "not trusted" in str(refused.value)


def test_many_threads_ask_once(server):
    """Threads that begin at the same time share one verification."""
    with Client(**options(server)) as client:
        asked, real = [], client._connection._attesting.pins.learn
        client._connection._attesting.pins.learn = lambda key, replace: (
            asked.append(key) or real(key, replace)
        )
        threads = [threading.Thread(target=put, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(asked) == 1


def test_a_client_needs_no_library_of_a_tpm(server, tmp_path):
    """Neither tpm2-pytss nor the extra is imported to check a quote of a TPM."""
    (tmp_path / "p.toml").write_text(server.policy())
    program = (
        "import sys\n"
        "for name in ('tpm2_pytss', 'dcap_qvl', 'cbor2'): sys.modules[name] = None\n"
        "from adyton import Client\n"
        f"c = Client({server.addr!r}, {server.token!r}, ca={str(server.ca)!r},"
        f" attestation={str(tmp_path / 'p.toml')!r})\n"
        "c.set_secret('me', 'x', b'y')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
