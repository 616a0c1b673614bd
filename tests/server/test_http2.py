"""HTTP/2 under TLS, attacked with real frames: bounded, and others are answered meanwhile.

Attacks are those of CVE-2023-44487 (rapid reset), CVE-2025-8671 (made to reset), the CONTINUATION
floods of 2024, the floods of 2019 (CVE-2019-9511 to 9518), and streams that are opened and stall.
"""

import contextlib
import http.client
import itertools
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
)

from certs import certificate
from servers import TOKEN, Server

SMALL = {
    "ADYTON_TLS_HTTP2": "true",
    "ADYTON_LIMITS_BODY_SECONDS": "1",
    "ADYTON_LIMITS_STREAMS": "50",
    "ADYTON_LIMITS_HEADER_BYTES": "16384",
}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GOOD = "/v1/secret/data/good"
MOST_MIB = 64
MOST_SECONDS = 10  # of a good request; on a machine where much else runs


class TlsServer(Server):
    """A development server under TLS."""

    def __init__(self, folder, env=None):
        self._context = ssl.create_default_context(cafile=folder / "server.pem")
        super().__init__(
            "serve", "--dev", "--dev-root-token-id", TOKEN, "--tls-cert", folder / "server.pem",
            "--tls-key", folder / "server.key", env=env,
        )  # fmt: skip
        self.root("POST", GOOD, {"data": {"n": 1}})

    def _connection(self, source):
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=20, source_address=source, context=self._context
        )

    def handshake(self, *protocols):
        """A connection that offers these protocols, and the one that was chosen."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(list(protocols))
        sock = context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 10))
        return sock, sock.selected_alpn_protocol()

    def memory(self, name):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split(f"{name}:")[1].split()[0]) / 1024

    def processor(self):
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    made = tmp_path_factory.mktemp("tls")
    certificate(made, "server")
    return made


@pytest.fixture(scope="module")
def server(files):
    made = TlsServer(files, SMALL)
    yield made
    code, _, err = made.stop()
    assert code == 0, err
    assert "panicked" not in err


class Peer:
    """A client that sends whatever frames it is told to."""

    def __init__(self, server):
        self.sock, protocol = server.handshake("h2")
        assert protocol == "h2"
        self.encoder = Encoder()
        self.numbers = itertools.count(1, 2)
        self.answered = set()
        self.refused = set()
        self.gone = False
        self._data = b""
        self.sock.sendall(PREFACE + SettingsFrame(0).serialize())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def headers(self, stream, path=GOOD, *more, method="GET", ends=True):
        block = self.encoder.encode(
            [(":method", method), (":scheme", "https"), (":authority", "localhost"),
             (":path", path), ("x-vault-token", TOKEN), *more]
        )  # fmt: skip
        flags = ["END_HEADERS", "END_STREAM"] if ends else ["END_HEADERS"]
        return HeadersFrame(stream, block, flags=flags).serialize()

    def flood(self, blocks, *, seconds=0.8, reading=True):
        """Send blocks until the server closes, takes no more, or time is over; how many went."""
        end = time.monotonic() + seconds
        sent = 0
        self.sock.settimeout(0.5)
        with contextlib.suppress(OSError):
            while time.monotonic() < end and not self.gone:
                self.sock.sendall(next(blocks))
                sent += 1
                if reading:
                    self.read(0.001)
                    self.sock.settimeout(0.5)
        self.read(0.5)
        return sent

    def read(self, seconds):
        """Take frames for some time, or until the server closes."""
        end = time.monotonic() + seconds
        while not self.gone and (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                part = self.sock.recv(65_536)
            except TimeoutError:
                return
            except OSError:
                part = b""
            self.gone = self.gone or not part
            self._take(part)

    def _take(self, part):
        self._data += part
        while len(self._data) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self._data[:9]))
            if len(self._data) < 9 + length:
                return
            self._data = self._data[9 + length :]
            if isinstance(frame, GoAwayFrame):
                self.gone = True
            elif isinstance(frame, HeadersFrame):
                self.answered.add(frame.stream_id)
            elif isinstance(frame, RstStreamFrame):
                self.refused.add(frame.stream_id)


class Meanwhile:
    """Good requests on connections of their own while the block runs, and what it costs."""

    def __init__(self, server):
        self._server = server
        self.slowest = 0.0
        self.answered = 0
        self.failed = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self):
        try:
            while not self._ends.is_set() or not self.answered:
                began = time.monotonic()
                assert self._server.root("GET", GOOD)[0] == 200
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.answered += 1
                self._ends.wait(0.02)
        except Exception as error:
            self.failed.append(error)

    def __enter__(self):
        Path(f"/proc/{self._server.process.pid}/clear_refs").write_text("5")
        self._before = self._server.memory("VmRSS")
        self._thread.start()
        return self

    def __exit__(self, kind, *_):
        self._ends.set()
        self._thread.join(60)
        self.grown = self._server.memory("VmHWM") - self._before
        if kind is None:
            assert not self.failed
            assert self.answered
            assert self.slowest < MOST_SECONDS
            assert self.grown < MOST_MIB


def reset_at_once(peer, method="GET"):
    while True:
        parts = []
        for stream in itertools.islice(peer.numbers, 200):
            parts.append(peer.headers(stream, method=method, ends=method == "GET"))
            parts.append(RstStreamFrame(stream, error_code=8).serialize())
        yield b"".join(parts)


def made_to_reset(peer):
    """A window that is raised by nothing is an error of the stream, which the server resets."""
    while True:
        parts = []
        for stream in itertools.islice(peer.numbers, 200):
            parts.append(peer.headers(stream))
            parts.append(bytes([0, 0, 4, 8, 0]) + stream.to_bytes(4, "big") + bytes(4))
        yield b"".join(parts)


def never_ending_head(peer, part):
    block = peer.encoder.encode([(":method", "GET"), (":path", "/"), (":scheme", "https")])
    yield HeadersFrame(1, block, flags=["END_STREAM"]).serialize()
    while True:
        yield ContinuationFrame(1, part).serialize() * (1_000 if not part else 20)


def empty_data(peer):
    yield peer.headers(1, method="POST", ends=False)
    while True:
        yield DataFrame(1, b"").serialize() * 1_000


def head_bomb(peer):
    """One byte stands for a header of 3,900 bytes: 4 KiB that are 16 MiB once decoded."""
    peer.encoder.encode([("x-big", "y" * 3_900)])
    once = peer.encoder.encode([("x-big", "y" * 3_900)])
    assert len(once) == 1
    for stream in peer.numbers:
        first = Encoder().encode([(":method", "GET"), (":path", "/"), (":scheme", "https")])
        literal = b"\x40\x05x-big" + b"\x7f\xbd\x1d" + b"y" * 3_900 if stream == 1 else b""
        block = first + literal + once * 4_000
        yield HeadersFrame(stream, block, flags=["END_HEADERS", "END_STREAM"]).serialize()


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param(reset_at_once, id="rapid reset"),
        pytest.param(lambda peer: reset_at_once(peer, "POST"), id="rapid reset with bodies"),
        pytest.param(made_to_reset, id="made to reset"),
        pytest.param(lambda peer: never_ending_head(peer, b"\x00\x01a\x01b" * 3_000), id="head"),
        pytest.param(lambda peer: never_ending_head(peer, b""), id="head of empty frames"),
        pytest.param(empty_data, id="empty data"),
        pytest.param(head_bomb, id="head bomb"),
    ],
)
def test_what_is_abuse_ends_the_connection(server, blocks):
    """The connection is closed within few frames; nothing grows, and others do not wait."""
    with Meanwhile(server), Peer(server) as peer:
        peer.flood(blocks(peer), seconds=5)
        assert peer.gone


@pytest.mark.parametrize("reading", [True, False], ids=["read", "unread"])
@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(SettingsFrame(0, settings={4: 65_535}), id="settings"),
        pytest.param(PingFrame(0, b"12345678"), id="ping"),
        pytest.param(PriorityFrame(1, depends_on=3, stream_weight=1), id="priority"),
    ],
)
def test_frames_that_cost_nothing_to_send(server, frame, reading):
    """Answers that are not taken stop the reading; a frame costs microseconds, no memory."""
    cpu = server.processor()
    with Meanwhile(server), Peer(server) as peer:
        count = 500 * peer.flood(itertools.repeat(frame.serialize() * 500), reading=reading)
    assert (server.processor() - cpu - 0.5) / count < 50e-6


def test_more_streams_than_may_be_are_refused(server):
    """And those that never send their bodies are answered when their time is over."""
    with Meanwhile(server), Peer(server) as peer:
        more = ("content-length", "100000")
        opened = [next(peer.numbers) for _ in range(200)]
        for stream in opened:
            peer.sock.sendall(peer.headers(stream, GOOD, more, method="POST", ends=False))
        peer.read(3)
        assert len(peer.refused - peer.answered) >= 100
        assert 50 <= len(peer.answered) <= 100


def test_http_2_is_not_spoken_unless_it_is_asked_for(files):
    """By default HTTP/1.1 alone is chosen, and the other's preface gets no answer of its kind."""
    server = TlsServer(files)
    try:
        sock, protocol = server.handshake("h2", "http/1.1")
        sock.close()
        assert protocol == "http/1.1"
        sock, protocol = server.handshake("http/1.1")
        with sock:
            sock.sendall(PREFACE + SettingsFrame(0).serialize())
            answer = b""
            with contextlib.suppress(OSError):
                answer = sock.recv(65_536)
            assert not answer or answer.startswith(b"HTTP/1.1 4")
        with contextlib.suppress(OSError):  # refusing the handshake would do as well
            sock, protocol = server.handshake("h2")
            sock.close()
            assert protocol != "h2"
    finally:
        code, _, err = server.stop()
    assert code == 0, err
