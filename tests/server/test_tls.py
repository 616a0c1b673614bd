"""TLS from files: version 1.3 and nothing older; clients with certificates where that is asked."""

import contextlib
import http.client
import ssl
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from certs import certificate
from servers import BIN, free_port


@pytest.fixture
def files(tmp_path):
    authority = certificate(tmp_path, "ca", is_ca=True)
    certificate(tmp_path, "server", issuer=authority)
    certificate(tmp_path, "client", issuer=authority)
    certificate(tmp_path, "stranger")
    return tmp_path


@contextlib.contextmanager
def serving(files, *options):
    port = free_port()
    process = subprocess.Popen(
        [BIN / "adyton", "serve", "--dev", "--dev-root-token-id", "tls-root", "--listen",
         f"127.0.0.1:{port}", "--tls-cert", files / "server.pem", "--tls-key", files / "server.key",
         *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield port
    finally:
        process.terminate()
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err


def trusting(files, client=None):
    context = ssl.create_default_context(cafile=files / "ca.pem")
    if client:
        context.load_cert_chain(files / f"{client}.pem", files / f"{client}.key")
    return context


def health(port, context, deadline=20):
    """Status and protocol of one request."""
    end = time.monotonic() + deadline
    while True:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=5)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/v1/sys/health")
                return connection.getresponse().status, connection.sock.version()
            except ConnectionRefusedError:
                assert time.monotonic() < end
                time.sleep(0.05)


def test_tls_1_3_and_nothing_older(files):
    """1.3 is spoken; a client that offers at most 1.2 is refused, and so is plain HTTP."""
    with serving(files) as port:
        assert health(port, trusting(files)) == (200, "TLSv1.3")
        old = trusting(files)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            health(port, old)
        plain = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.closing(plain), pytest.raises((OSError, http.client.HTTPException)):
            plain.request("GET", "/v1/sys/health")
            plain.getresponse()


def test_only_clients_with_a_certificate_where_that_is_asked(files):
    """One that was signed by the authority is let in; none, and a stranger's, are not."""
    with serving(files, "--tls-client-ca", files / "ca.pem") as port:
        assert health(port, trusting(files, "client")) == (200, "TLSv1.3")
        for client in (None, "stranger"):
            with pytest.raises((OSError, http.client.HTTPException)):
                health(port, trusting(files, client))


def test_what_the_http_server_does_not_take_is_told_before_it_starts(files):
    """A key of a kind that TLS here has not: an error and exit code 2, not a crash."""
    certificate(files, "odd", key=ec.generate_private_key(ec.SECP521R1()))
    done = subprocess.run(
        [BIN / "adyton", "serve", "--dev", "--listen", "127.0.0.1:0", "--tls-cert",
         files / "odd.pem", "--tls-key", files / "odd.key"],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert "does not take the certificate and its key" in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--tls-cert", "/nonexistent"], "TLS needs both tls.cert and tls.key"),
        (["--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"], "there is no file"),
        (["--listen", "nowhere"], "is not an address"),
        (["--listen", "127.0.0.1:65536"], "is not an address"),
        (["--listen", "::1:8200"], "is not an address"),
        (["--listen", "192.0.2.1:8200"], "No interface of this machine has that address"),
        (["--listen", "no-such-host.invalid:8200"], "can't listen on no-such-host.invalid"),
        (["--dev-root-token-id", "x"], "not a development server"),
    ],
)
def test_wrong_options_are_told(tmp_path, options, told):
    """Before anything is opened: what is wrong, and exit code 2."""
    dev = [] if "--dev-root-token-id" in options else ["--dev"]
    done = subprocess.run(
        [BIN / "adyton", "serve", *dev, *options],
        capture_output=True, text=True, check=False, cwd=tmp_path, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert told in done.stderr
    assert not list(tmp_path.iterdir())
