"""Certificates that are replaced on disk: taken without an error to a client, or refused whole."""

import contextlib
import hashlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from certs import certificate
from servers import BIN, free_port

TOKEN = "reload-root"


class TlsServer:
    """A server whose certificate is replaced; clients trust one authority."""

    def __init__(
        self, folder, *, reload="100ms", drain="1s", client_ca=None, mount=None, env=None,
        program=(BIN / "adyton",),
    ):  # fmt: skip
        self.folder = folder
        self.authority = certificate(folder, "ca", is_ca=True)
        self.cert, self.key = (mount or folder) / "tls.crt", (mount or folder) / "tls.key"
        if mount is None:
            self.put("first")
        else:
            self.publish("first")
            for path in (self.cert, self.key):
                path.symlink_to(Path("..data") / path.name)
        self.port = free_port()
        more = ["--tls-client-ca", client_ca] if client_ca else []
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [*program, "serve", "--dev", "--dev-root-token-id", TOKEN, *more,
             "--listen", f"127.0.0.1:{self.port}", "--tls-cert", self.cert, "--tls-key", self.key],
            stdout=subprocess.PIPE, stderr=self.log,
            env={**os.environ, "ADYTON_TLS_RELOAD": reload, "ADYTON_TLS_DRAIN": drain,
                 **(env or {})},
        )  # fmt: skip

    def make(self, name, **more):
        certificate(self.folder, name, issuer=self.authority, **more)
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def put(self, name, **more):
        """Replace the served pair, the certificate first."""
        cert, key = self.make(name, **more)
        self.cert.write_bytes(cert.read_bytes())
        self.key.write_bytes(key.read_bytes())

    def publish(self, name):
        """Replace the pair as Kubernetes does: `..data` points to another directory at once."""
        mount = self.cert.parent
        (mount / name).mkdir()
        for path, made in zip((self.cert, self.key), self.make(name), strict=True):
            (mount / name / path.name).write_bytes(made.read_bytes())
        (mount / "..data_tmp").symlink_to(name)
        (mount / "..data_tmp").rename(mount / "..data")

    def context(self, client=None):
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        if client:
            context.load_cert_chain(self.folder / f"{client}.pem", self.folder / f"{client}.key")
        return context

    def connect(self, client=None):
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, context=self.context(client), timeout=20
        )

    def served(self, client=None):
        """Fingerprint of the certificate that a new connection sees, once the server is up."""
        end = time.monotonic() + 30
        while True:
            try:
                with contextlib.closing(self.connect(client)) as connection:
                    connection.connect()
                    return hashlib.sha256(connection.sock.getpeercert(True)).hexdigest()
            except ConnectionRefusedError:
                assert time.monotonic() < end
                time.sleep(0.05)

    def fingerprint(self, name):
        text = (self.folder / f"{name}.pem").read_text()
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()

    def until(self, name, client=None):
        self.eventually(lambda: self.served(client) == self.fingerprint(name))

    def told(self, text, times=1):
        self.eventually(lambda: (self.folder / "log").read_text().count(text) >= times)

    def eventually(self, found):
        end = time.monotonic() + 20
        while not found():
            assert time.monotonic() < end, (self.folder / "log").read_text()
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)

    def __enter__(self):
        try:
            self.served(client="client" if (self.folder / "client.pem").exists() else None)
        except BaseException:
            self.process.kill()
            self.process.communicate()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=30)
        self.log.close()
        assert self.process.returncode == 0, (self.folder / "log").read_text()


def test_reload_under_load_is_seen_by_no_client(tmp_path):
    """Kept connections, pooled ones and new ones go on through four reloads without one error."""
    with TlsServer(tmp_path, drain="300ms") as server:
        errors, counts, stop = [], [0, 0, 0], threading.Event()

        def guarded(number, step):
            while not stop.is_set():
                try:
                    step()
                    counts[number] += 1
                except Exception as error:
                    errors.append((number, repr(error)))
                    return

        kept = server.connect()

        def on_a_kept_connection():
            kept.request("GET", "/v1/sys/health")
            with kept.getresponse() as answer:
                assert answer.status == 200
                answer.read()

        def on_a_new_connection():
            with contextlib.closing(server.connect()) as connection:
                connection.request("GET", "/v1/sys/health")
                assert connection.getresponse().status == 200

        pool = httpx.Client(verify=server.context(), base_url=f"https://127.0.0.1:{server.port}")

        def on_a_pool():
            body = {"data": {"k": "v" * 2_000}}
            headers = {"x-vault-token": TOKEN}
            assert pool.post("/v1/secret/data/a", json=body, headers=headers).status_code == 200

        steps = (on_a_kept_connection, on_a_new_connection, on_a_pool)
        threads = [threading.Thread(target=guarded, args=pair) for pair in enumerate(steps)]
        for thread in threads:
            thread.start()
        for number in range(4):
            server.put(f"next{number}")
            server.until(f"next{number}")
            time.sleep(0.3)
        stop.set()
        for thread in threads:
            thread.join()
        kept.close()
        pool.close()
        assert not errors
        assert min(counts) > 20, counts
        assert (tmp_path / "log").read_text().count("serving by a new certificate") == 4


def test_a_connection_moves_to_the_new_certificate(tmp_path):
    """One that was made before is served on, is asked to close, and finds the new one then."""
    with TlsServer(tmp_path, drain="1h") as server, contextlib.closing(server.connect()) as kept:
        kept.request("GET", "/v1/sys/health")
        kept.getresponse().read()
        before = kept.sock
        server.put("second")
        server.until("second")
        kept.request("GET", "/v1/sys/health")
        answer = kept.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        answer.read()
        assert kept.sock is None, before
        kept.request("GET", "/v1/sys/health")
        answer = kept.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, None)
        assert hashlib.sha256(kept.sock.getpeercert(True)).hexdigest() == server.fingerprint(
            "second"
        )


def test_an_idle_connection_ends_with_the_drain_time(tmp_path):
    """So that whoever was let in by former certificates is not connected for ever."""
    with TlsServer(tmp_path, drain="200ms") as server, contextlib.closing(server.connect()) as idle:
        idle.request("GET", "/v1/sys/health")
        idle.getresponse().read()
        server.put("second")
        server.until("second")
        idle.sock.settimeout(20)
        assert idle.sock.recv(1) == b""


def spoiled_cert(server):
    server.cert.write_bytes(server.cert.read_bytes()[:200])


def spoiled_key(server):
    server.key.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")


def half_a_pair(server):
    server.cert.write_bytes(server.make("other")[0].read_bytes())


def missing_key(server):
    server.key.unlink()


def ended(server):
    server.put("old", hours=-1)


def no_curve_of_tls(server):
    server.put("odd", key=ec.generate_private_key(ec.SECP256K1()))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (spoiled_cert, "holds no certificate in PEM"),
        (spoiled_key, "holds no private key in PEM"),
        (half_a_pair, "is not the key of"),
        (missing_key, "can't read"),
        (ended, "has ended already"),
        (no_curve_of_tls, "does not take the certificate and its key"),
    ],
)
def test_what_does_not_fit_is_refused_whole(tmp_path, spoil, told):
    """The former pair stays, the log says why, and the next good pair is taken."""
    with TlsServer(tmp_path) as server:
        spoil(server)
        server.told(told)
        for _ in range(20):
            assert server.served() == server.fingerprint("first")
        assert "the former certificate stays" in (tmp_path / "log").read_text()
        server.put("good")
        server.until("good")
        with contextlib.closing(server.connect()) as connection:
            headers = {"x-vault-token": TOKEN}
            connection.request("GET", "/v1/sys/metrics?format=prometheus", headers=headers)
            shown = connection.getresponse().read().decode()
        assert 'certificate_reloads_total{result="taken"} 1.0' in shown
        assert 'certificate_reloads_total{result="refused"} 0.0' not in shown


def test_a_swapped_symlink_is_seen(tmp_path):
    """As Kubernetes, cert-manager and certbot replace files: both at once, and never half."""
    mount = tmp_path / "mount"
    mount.mkdir()
    with TlsServer(tmp_path, mount=mount) as server:
        for number in range(3):
            server.publish(f"next{number}")
            server.until(f"next{number}")
        assert "the former certificate stays" not in (tmp_path / "log").read_text()


def test_sighup_reads_the_files_again(tmp_path):
    """With an interval of 0 only a signal does; without a change it does nothing."""
    with TlsServer(tmp_path, reload="0") as server:
        server.process.send_signal(signal.SIGHUP)
        server.put("second")
        time.sleep(0.3)
        server.process.send_signal(signal.SIGHUP)
        server.until("second")


def test_sighup_ends_no_server_without_tls(tmp_path):
    """A plain server goes on."""
    port = free_port()
    process = subprocess.Popen(
        [BIN / "adyton", "serve", "--dev", "--listen", f"127.0.0.1:{port}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert b"development server" in process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        assert httpx.get(f"http://127.0.0.1:{port}/v1/sys/health").status_code == 200
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_client_authorities_are_read_again_too(tmp_path):
    """After the swap clients of the new authority are let in, and those of the former are not."""
    first = certificate(tmp_path, "clients1", is_ca=True)
    second = certificate(tmp_path, "clients2", is_ca=True)
    certificate(tmp_path, "client", issuer=first)
    certificate(tmp_path, "later", issuer=second)
    authorities = tmp_path / "clients.pem"
    authorities.write_bytes((tmp_path / "clients1.pem").read_bytes())

    def let_in(client):
        with contextlib.closing(server.connect(client)) as connection:
            try:
                connection.request("GET", "/v1/sys/health")
                return connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False

    with TlsServer(tmp_path, client_ca=authorities) as server:
        assert [let_in("client"), let_in("later"), let_in(None)] == [True, False, False]
        authorities.write_bytes((tmp_path / "clients2.pem").read_bytes())
        server.eventually(lambda: let_in("later"))
        assert [let_in("client"), let_in("later"), let_in(None)] == [False, True, False]
        server.put("second")
        server.until("second", "later")
        assert [let_in("client"), let_in("later"), let_in(None)] == [False, True, False]


def test_a_certificate_that_ends_soon_is_told(tmp_path):
    """A warning in the log when it is loaded; none for one that lasts."""
    with TlsServer(tmp_path, env={"ADYTON_TLS_WARN_DAYS": "1h"}) as server:
        server.told("the certificate ends at")
        server.put("lasting", hours=48)
        server.until("lasting")
        time.sleep(0.3)
        assert (tmp_path / "log").read_text().count("the certificate ends at") == 1


def test_the_real_agent_through_reloads_under_load(tmp_path):
    """`bao agent` forwards requests over kept HTTP/2 connections: none fails in four reloads."""
    port = free_port()
    with TlsServer(tmp_path, drain="300ms") as server:
        (tmp_path / "agent.hcl").write_text(f"""
            vault {{
              address = "https://127.0.0.1:{server.port}"
              ca_cert = "{tmp_path}/ca.pem"
              retry {{ num_retries = -1 }}
            }}
            api_proxy {{}}
            listener "tcp" {{
              address = "127.0.0.1:{port}"
              tls_disable = true
            }}
        """)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("BAO_", "VAULT_"))}
        agent = subprocess.Popen(
            [BIN / "bao", "agent", f"-config={tmp_path}/agent.hcl", "-log-level=error"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean,
        )  # fmt: skip
        stop, wrong, answers = threading.Event(), [], []

        def ask():
            with contextlib.closing(
                http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            ) as connection:
                while not stop.is_set():
                    connection.request("GET", "/v1/secret/config", headers={"X-Vault-Token": TOKEN})
                    answer = connection.getresponse()
                    body = answer.read()
                    answers.append(answer.status)
                    if answer.status != 200:
                        wrong.append((answer.status, body[:300]))

        def listens():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        threads = [threading.Thread(target=ask) for _ in range(3)]
        try:
            server.eventually(listens)
            for thread in threads:
                thread.start()
            for number in range(4):
                server.put(f"next{number}")
                server.until(f"next{number}")
                time.sleep(0.5)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
            agent.kill()
            agent.wait()
        assert not wrong
        assert len(answers) > 100


_NO_STEERING = """
from adyton.server import front
front._ATTACH_REUSEPORT_CBPF = 9_999
from adyton.cli.main import run
run()
"""


def test_where_the_kernel_cannot_steer_the_former_server_goes_soon(tmp_path):
    """The log says so; after a second only the new one is served, whatever the drain time."""
    program = (BIN / "python", "-c", _NO_STEERING)
    with TlsServer(tmp_path, drain="1h", program=program) as server:
        server.put("second")
        server.told("serving by a new certificate")
        server.told("new connections can't be steered to one socket")
        time.sleep(1.5)
        server.until("second")
        assert {server.served() for _ in range(30)} == {server.fingerprint("second")}


def test_many_reloads_keep_few_former_servers(tmp_path):
    """However often files change and however long connections may drain: threads stay few."""
    with TlsServer(tmp_path, drain="1h", reload="0") as server:
        tasks = Path(f"/proc/{server.process.pid}/task")
        oldest = server.connect()
        oldest.connect()
        counts = []
        for number in range(16):
            server.put(f"next{number}")
            server.process.send_signal(signal.SIGHUP)
            server.until(f"next{number}")
            counts.append(len(list(tasks.iterdir())))
        oldest.sock.settimeout(20)
        assert oldest.sock.recv(1) == b""
        oldest.close()
        # Three threads for each server, at most five of them, and a pool of six; not sixteen.
        server.eventually(lambda: len(list(tasks.iterdir())) <= counts[0] + 24)
        assert max(counts) <= counts[0] + 30, counts
