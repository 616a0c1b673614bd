"""The KV v2 source: against a server that lies, stalls and fails."""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from adyton.errors import (
    AccessDenied,
    AdytonError,
    ConfigurationError,
    InvalidDocument,
    InvalidInput,
    StoreError,
)
from adyton.transfer import TransferLimits, _kv2_http
from adyton.transfer.kv2 import read_kv2
from transfer.helpers import CANARY, chain

TIME = "2026-01-31T23:59:59.123456789Z"
MOUNT = {"type": "kv", "options": {"version": "2"}}
VERSION = {"created_time": TIME, "deletion_time": "", "destroyed": False}
META = {
    "created_time": TIME,
    "updated_time": TIME,
    "max_versions": 0,
    "custom_metadata": None,
    "versions": {"1": VERSION},
}
DATA = {"data": {"k": "v"}, "metadata": {}}
GOOD = {
    "/v1/sys/internal/ui/mounts/secret": MOUNT,
    "/v1/secret/metadata/?list=true": {"keys": ["a"]},
    "/v1/secret/metadata/a": META,
    "/v1/secret/data/a?version=1": DATA,
}


class Server:
    """Answers each path with a value, raw bytes, a status, or by calling a function."""

    def __init__(self):
        self.answers = dict(GOOD)
        self.seen = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.seen.append((self.path, dict(self.headers)))
                answer = outer.answers.get(self.path, 404)
                if callable(answer):
                    answer = answer(self)
                if answer is None:
                    return
                status = answer if isinstance(answer, int) else 200
                body = b'{"errors":[]}' if isinstance(answer, int) else answer
                if not isinstance(body, bytes):
                    body = json.dumps({"data": body}).encode()
                self.reply(status, body)

            def reply(self, status, body, **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_args: None
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(
            target=self.http.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def read(self, **more):
        more = {"retries": 2, "backoff": 0.001} | more
        return read_kv2(self.address, "t0ken-" + CANARY, "secret", **more)


@pytest.fixture
def server():
    found = Server()
    try:
        yield found
    finally:
        found.close()


def test_the_good_answers_are_read(server):
    """The answers that the hostile tests change are read as they stand."""
    (found,) = server.read()
    assert (found.name, found.current.value) == ("a", b'{"k":"v"}')
    assert found.created_us == 1_769_903_999_123_456
    headers = server.seen[-1][1]
    assert headers["X-Vault-Token"] == "t0ken-" + CANARY
    assert headers["Accept-Encoding"] == "identity"


def test_numbers_are_exact(server):
    """Numbers that no 64-bit float holds arrive digit for digit."""
    server.answers["/v1/secret/data/a?version=1"] = (
        b'{"data":{"data":{"n":123456789012345678901234567890,"f":1.10}}}'
    )
    (found,) = server.read()
    assert found.current.value == b'{"f":1.10,"n":123456789012345678901234567890}'


LIST = "/v1/secret/metadata/?list=true"
A_META = "/v1/secret/metadata/a"
A_DATA = "/v1/secret/data/a?version=1"


@pytest.mark.parametrize(
    ("path", "answer", "fault"),
    [
        (LIST, b"", "has no data"),
        (LIST, b"[]", "not a JSON object"),
        (LIST, b"[" * 100_000, "nested too deep"),
        (LIST, CANARY.encode(), "not JSON"),
        (LIST, b"\xff", "not UTF-8"),
        (LIST, b'{"data":{"keys":["a"]},"data":{}}', "same key twice"),
        (LIST, {"keys": "a"}, "has no keys"),
        (LIST, {}, "has no keys"),
        (LIST, {"keys": ["a", "a"]}, "a key that is none, or twice"),
        (LIST, {"keys": [1]}, "a key that is none"),
        (LIST, {"keys": [""]}, "a key that is none"),
        (LIST, {"keys": ["/"]}, "a key that is none"),
        (LIST, {"keys": [f"{CANARY}/x"]}, "a key that is none"),
        (LIST, {"keys": [".."]}, "a name of the source can't be kept"),
        (LIST, {"keys": ["../"]}, "a name of the source can't be kept"),
        (LIST, {"keys": [CANARY + "\x00"]}, "a name of the source can't be kept"),
        (LIST, {"keys": [CANARY + "e\u0301"]}, "normalization form C"),
        (LIST, b'{"data":{"keys":["\\ud800"]}}', "can't be kept"),
        (A_META, {}, "secret 1: its metadata are not"),
        (A_META, META | {"versions": []}, "its metadata are not"),
        (A_META, META | {"versions": {CANARY: VERSION}}, "has no number"),
        (A_META, META | {"versions": {"01": VERSION}}, "has no number"),
        (A_META, META | {"versions": {"\u0661": VERSION}}, "has no number"),
        (A_META, META | {"versions": {"": VERSION}}, "has no number"),
        (A_META, META | {"versions": {"1": None}}, "its metadata are not"),
        (A_META, META | {"versions": {str(n): VERSION for n in range(1, 9)}}, "more than 7 vers"),
        (A_META, META | {"created_time": CANARY}, "not RFC 3339"),
        (A_META, META | {"created_time": None}, "not RFC 3339"),
        (A_META, META | {"created_time": "2026-02-30T00:00:00Z"}, "not RFC 3339"),
        (A_META, META | {"updated_time": "0001-01-01T00:00:00Z"}, "before 1970"),
        (A_META, META | {"updated_time": "0001-01-01T00:00:00+23:59"}, "time"),
        (A_META, META | {"custom_metadata": {CANARY: 1}}, "custom metadata are not text"),
        (A_META, META | {"custom_metadata": [1]}, "its metadata are not"),
        (A_META, META | {"custom_metadata": {CANARY + "\x00": ""}}, "control"),
        (A_META, META | {"max_versions": -1}, "max_versions"),
        (A_DATA, {"data": [CANARY]}, "its value is not a JSON object"),
        (A_DATA, {"data": {"k": [[[[[[CANARY]]]]]]}}, "nested more than 5 deep"),
        (A_DATA, {"data": {"k": CANARY * 5}}, "its value is over 100 bytes"),
        (A_DATA, b'{"data":{"data":{"k":"\\ud800"}}}', "unpaired surrogate"),
        (A_DATA, b" " * 100_000, "more than 66136 bytes"),
        (A_DATA, b'{"data":{"data":{"k":NaN}}}', "NaN"),
    ],
)
def test_each_lie_is_an_invalid_document(server, path, answer, fault):
    """Every malformed or oversized answer is refused without any of its text."""
    server.answers[path] = answer
    limits = TransferLimits(depth=5, value_bytes=100, versions=7)
    with pytest.raises(InvalidDocument, match=fault) as caught:
        server.read(limits=limits)
    assert CANARY not in chain(caught.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_failures_are_repeated_a_few_times(server, status):
    """After two failures the third try counts, and after three the import fails."""
    left = [status, status]
    server.answers[LIST] = lambda _h: left.pop() if left else GOOD[LIST]
    assert len(server.read()) == 1
    left += [status] * 3
    with pytest.raises(StoreError) as caught:
        server.read()
    assert left == []
    assert CANARY not in chain(caught.value)


@pytest.mark.parametrize("status", [201, 204, 400, 401, 405, 418])
def test_other_statuses_are_refused_at_once(server, status):
    """A status that KV v2 does not use is refused, without repeating."""
    server.answers[LIST] = lambda h: h.reply(status, b"" if status == 204 else b"{}")
    with pytest.raises(InvalidDocument, match=f"status {status}"):
        server.read()
    assert [path for path, _ in server.seen].count(LIST) == 1


def test_a_denial_in_the_middle_is_told(server):
    """A 403 on one secret ends the import with the rights that are needed."""
    server.answers[A_DATA] = 403
    with pytest.raises(AccessDenied, match="denies the token"):
        server.read()


def test_redirects_are_not_followed(server):
    """A redirect is refused, and nothing is sent to where it points."""
    server.answers[LIST] = lambda h: h.reply(307, b"", Location=server.address + "/stolen")
    with pytest.raises(InvalidDocument, match="redirects"):
        server.read()
    assert "/stolen" not in [path for path, _ in server.seen]


def test_a_compressed_answer_is_refused(server):
    """An answer that is compressed though not asked for is not unpacked."""
    server.answers[LIST] = lambda h: h.reply(200, b"\x1f\x8b", Content_Encoding="gzip")
    with pytest.raises(InvalidDocument, match="compresses"):
        server.read()


def test_retry_after_is_heeded_within_bounds():
    """The server may ask for a longer wait, but not for more than five seconds."""
    found = Server()
    waits = []
    try:
        for asked in ("3", "4000", "soon"):
            found.answers["/v1/x"] = lambda h, asked=asked: h.reply(429, b"", Retry_After=asked)
            connection = _kv2_http.Connection(
                found.address,
                "token",
                namespace=None,
                ca_file=None,
                timeout=5,
                retries=1,
                backoff=0.5,
                sleep=waits.append,
            )
            with connection, pytest.raises(StoreError, match="fewer requests"):
                connection.get("x", limit=100)
    finally:
        found.close()
    assert waits == [3.0, 5.0, 0.5]
    assert repr(connection) == "<Connection>"


def test_a_stalled_and_a_dripping_server_do_not_hold_the_import(server):
    """A server that stops, or sends byte by byte, is given up after the timeout."""

    def stall(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        time.sleep(0.5)

    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(200):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)

    server.answers[LIST] = stall
    with pytest.raises(StoreError, match="connection to the server fails"):
        server.read(timeout=0.1, retries=0)
    server.answers[LIST] = drip
    with pytest.raises(StoreError, match="too slowly"):
        server.read(timeout=0.1, retries=0)


def test_a_cut_answer_is_a_failure(server):
    """An answer shorter than announced is not taken for whole."""

    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"data":{"keys":[]}}')

    server.answers[LIST] = cut
    with pytest.raises(StoreError, match="connection to the server fails"):
        server.read(retries=0)


def test_endless_folders_end(server):
    """Folders inside folders without end, and folders without secrets, are refused."""

    class Endless(dict):
        def get(self, path, default=None):
            return {"keys": ["f/"]} if path.endswith("list=true") else super().get(path, default)

    server.answers = Endless(GOOD)
    with pytest.raises(InvalidDocument, match="can't be kept"):
        server.read()
    with pytest.raises(InvalidDocument, match="more than the limits"):
        server.read(limits=TransferLimits(secrets=10))


def test_a_secret_erased_meanwhile_is_left_out(server):
    """A secret that was listed and then erased is no error."""
    server.answers[A_META] = 404
    assert server.read() == []


def test_a_refused_connection_is_told(server):
    """A server that is not there is named as that after the repetitions."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(StoreError, match="can't be reached") as caught:
        read_kv2(address, CANARY, "secret", retries=1, backoff=0.001)
    assert CANARY not in chain(caught.value)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"address": "http://vault.example:8200"}, InvalidInput),
        ({"address": "http://127.0.0.1.example"}, InvalidInput),
        ({"address": "ftp://127.0.0.1"}, InvalidInput),
        ({"address": "https://"}, InvalidInput),
        ({"address": ""}, InvalidInput),
        ({"address": "https://u:" + CANARY + "@127.0.0.1"}, InvalidInput),
        ({"address": "https://127.0.0.1/?x=" + CANARY}, InvalidInput),
        ({"address": "https://[::1"}, InvalidInput),
        ({"address": "https://127.0.0.1:99999"}, InvalidInput),
        ({"token": ""}, InvalidInput),
        ({"token": CANARY + "\r\nX: y"}, InvalidInput),
        ({"token": CANARY + "é"}, InvalidInput),
        ({"token": CANARY + "\n"}, InvalidInput),
        ({"mount": ""}, InvalidInput),
        ({"mount": "/"}, InvalidInput),
        ({"mount": "a/../b"}, InvalidInput),
        ({"prefix": "a//b"}, InvalidInput),
        ({"namespace": "a\nb"}, InvalidInput),
        ({"ca_file": "/does/not/exist.pem"}, ConfigurationError),
        ({"ca_file": __file__}, ConfigurationError),
    ],
)
def test_arguments_are_checked_before_anything_is_sent(server, change, kind):
    """An address that would leak the token, or a broken argument, is refused unsent and unshown."""
    good = {"address": server.address, "token": "t", "mount": "secret"}
    with pytest.raises(kind) as caught:
        read_kv2(**(good | change))
    assert CANARY not in chain(caught.value)
    assert isinstance(caught.value, AdytonError)
    assert server.seen == []


def test_proxies_of_the_environment_are_not_used(server, monkeypatch):
    """The token goes to the address alone, whatever proxy the environment names."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert len(server.read()) == 1
