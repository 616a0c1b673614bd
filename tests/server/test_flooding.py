"""What comes from outside, really sent over raw sockets: bounded, and a good request goes on."""

import contextlib
import http.client
import json
import os
import socket
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from servers import TOKEN, Server

MIB = 1024 * 1024
LIMITS = {
    "ADYTON_LIMITS_BODY_BYTES": str(4 * MIB),
    "ADYTON_LIMITS_BODIES_BYTES": str(32 * MIB),
    "ADYTON_LIMITS_HEADER_BYTES": "16384",
    "ADYTON_LIMITS_BODY_SECONDS": "3",
    "ADYTON_LIMITS_HEADER_SECONDS": "2",
    "ADYTON_LIMITS_STALL_SECONDS": "2",
    "ADYTON_LIMITS_CONNECTIONS": "300",
    "ADYTON_LIMITS_CONNECTIONS_PER_SOURCE": "100",
    "ADYTON_SERVER_TRUSTED_PROXIES": "127.0.0.9/32",
    "ADYTON_RATES_NETWORK_PER_SECOND": "5",
    "ADYTON_RATES_NETWORK_BURST": "300",
}


@pytest.fixture(scope="module")
def bounded():
    """A server with small limits."""
    made = Server("serve", "--dev", "--dev-root-token-id", TOKEN, env=LIMITS)
    made.root("POST", "/v1/secret/data/good", {"data": {"n": 1}})
    yield made
    code, _, err = made.stop()
    assert code == 0, err
    assert "panicked" not in err


@pytest.fixture(autouse=True)
def good_request_afterwards(bounded):
    """Whatever a test has sent: a good request is answered as ever."""
    yield
    assert bounded.root("GET", "/v1/secret/data/good")[0] == 200


def connect(server, source="127.0.0.1"):
    sock = socket.socket()
    sock.settimeout(15)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", server.port))
    return sock


def received(sock):
    """All that comes until the other end closes."""
    got = b""
    while True:
        try:
            part = sock.recv(65_536)
        except (ConnectionError, TimeoutError):
            return got
        if not part:
            return got
        got += part


def sent(server, data, source="127.0.0.1"):
    """Send bytes; returns the status of the answer, or 0 if there is none."""
    with connect(server, source) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(data)
        got = b""
        while b"\r\n\r\n" not in got:
            try:
                part = sock.recv(65_536)
            except ConnectionError:
                break
            if not part:
                break
            got += part
        return int(got.split()[1]) if got.startswith(b"HTTP/1.1 ") else 0


def head(method="GET", path="/v1/secret/data/good", *lines, token=TOKEN):
    text = f"{method} {path} HTTP/1.1\r\nHost: x\r\nX-Vault-Token: {token}\r\n"
    return (text + "".join(f"{line}\r\n" for line in lines)).encode() + b"\r\n"


def memory(server, name):
    """MiB of the server's process: VmRSS or VmHWM."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(text.split(f"{name}:")[1].split()[0]) / 1024


def reset_peak(server):
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")


# -- sizes ----------------------------------------------------------------------------------------


def test_a_body_that_is_declared_too_large(bounded):
    """Refused by its head: not a byte of it need come."""
    assert sent(bounded, head("POST", "/v1/secret/data/x", f"Content-Length: {5 * MIB}")) == 413


def test_bodies_together_take_bounded_memory(bounded):
    """Sixty of 3 MiB that never end, with no valid token: refused beyond the network's share."""
    before = memory(bounded, "VmRSS")
    reset_peak(bounded)
    start = head("POST", "/v1/secret/data/x", f"Content-Length: {4 * MIB}", token="s.unknown")
    part = b"x" * (3 * MIB)

    def send(_):
        return sent(bounded, start + part, "127.0.0.4")

    with ThreadPoolExecutor(60) as pool:
        sending = [pool.submit(send, n) for n in range(60)]
        time.sleep(0.5)
        assert bounded.root("POST", "/v1/secret/data/y", {"data": {"v": "x" * MIB}})[0] in {
            200,
            413,
        }
        statuses = [one.result(60) for one in sending]
    assert statuses.count(503) > 20
    assert set(statuses) <= {0, 408, 503}
    assert memory(bounded, "VmHWM") - before < 80


def test_a_body_of_chunks_that_is_too_large(bounded):
    """Refused once it is, without its end, and never held whole."""
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    start = head("POST", "/v1/secret/data/x", "Transfer-Encoding: chunked")
    assert sent(bounded, start + chunk * 200) == 413


@pytest.mark.parametrize(
    "lines",
    [
        ["X-Long: " + "a" * 20_000],
        [f"X-{n}: {'a' * 100}" for n in range(200)],
        [f"X-{n}: a" for n in range(500)],
    ],
    ids=["one long", "large together", "many"],
)
def test_headers(bounded, lines):
    """Long, large together, many: refused by the HTTP layer."""
    assert sent(bounded, head("GET", "/v1/sys/health", *lines)) in {0, 400, 431}


@pytest.mark.parametrize(
    ("path", "statuses"),
    [
        ("/v1/secret/data/" + "a" * 5_000, {400}),
        ("/v1/secret/data/" + "a" * 30_000, {0, 400, 414, 431}),
        ("/v1/secret/data/" + "a/" * 2_000 + "a", {400, 404}),
        ("/v1/secret/data/good?" + "a" * 9_000, {414}),
        ("/v1/secret/data/good?" + "a&" * 2_000, {400}),
    ],
)
def test_request_lines(bounded, path, statuses):
    """Long paths, many segments, long queries, many parameters."""
    assert sent(bounded, head("GET", path)) in statuses


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 100,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,  # a TLS hello
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/sys/health HTTP/1.1\r\nHost : x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET \xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_not_http(bounded, data):
    """Refused or closed, never answered with success."""
    assert sent(bounded, data + b"\r\n\r\n") in {0, 400, 404, 405, 408, 413, 431, 501, 505}


def test_smuggling_is_refused(bounded):
    """Two lengths of one body: nobody may read the rest as a request of its own."""
    inner = head("GET", "/v1/secret/data/good")
    lines = (f"Content-Length: {len(inner) + 5}", "Transfer-Encoding: chunked")
    with connect(bounded) as sock:
        sock.sendall(head("POST", "/v1/secret/data/x", *lines) + b"0\r\n\r\n" + inner)
        sock.shutdown(socket.SHUT_WR)
        assert received(sock).count(b"HTTP/1.1 200") == 0


# -- JSON -----------------------------------------------------------------------------------------

_N = 3 * MIB


@pytest.mark.parametrize(
    "body",
    [
        b"[" * _N,
        b'{"a":' * (_N // 5),
        b'{"data":[' + b"[]," * (_N // 3) + b"[]]}",
        b'{"data":[' + b"{}," * (_N // 3) + b"{}]}",
        b'{"data":[' + b"1," * (_N // 2) + b"1]}",
        b'{"data":[' + b'"",' * (_N // 3) + b'""]}',
        b'{"data":{' + b",".join(b'"%06x":1' % n for n in range(_N // 11)) + b"}}",
        b'{"data":' + b"[" * 100 + b"]" * 100 + b"}",
    ],
    ids=["deep", "deep objects", "arrays", "objects", "numbers", "strings", "members", "100 deep"],
)
def test_json_that_grows_is_refused_before_it_is_decoded(bounded, body):
    """With 400, and the process has never held much more than the body itself."""
    before = memory(bounded, "VmRSS")
    reset_peak(bounded)
    start = head("POST", "/v1/secret/data/x", f"Content-Length: {len(body)}")
    assert sent(bounded, start + body) == 400
    assert memory(bounded, "VmHWM") - before < 40


def test_a_value_full_of_what_json_is_made_of_is_taken(bounded):
    """Commas, brackets and quotes inside of a string are no elements."""
    text = ',[{]}:"\\' * 60_000
    assert bounded.root("POST", "/v1/secret/data/commas", {"data": {"csv": text}})[0] == 200
    found = bounded.root("GET", "/v1/secret/data/commas")[2]
    assert found["data"]["data"] == {"csv": text}


# -- slow clients ---------------------------------------------------------------------------------


def ends_within(sock, seconds):
    started = time.monotonic()
    received(sock)
    return time.monotonic() - started < seconds


def test_slow_heads_idle_connections_and_half_open_ones_end(bounded):
    """A byte now and then, nothing after an answer, nothing at all: closed after the time."""

    def dripping():
        with connect(bounded) as sock:
            for at, byte in enumerate(head("GET", "/v1/sys/health")[:40]):
                try:
                    sock.send(bytes([byte]))
                except ConnectionError:
                    return True
                time.sleep(0.1 if at else 0)
            return ends_within(sock, 8)

    def idle():
        with connect(bounded) as sock:
            sock.sendall(head("GET", "/v1/sys/health"))
            return b"HTTP/1.1 200" in received(sock)

    def silent():
        with connect(bounded) as sock:
            return ends_within(sock, 8)

    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(one) for one in (dripping, idle, silent)]
        assert [one.result(14) for one in waiting] == [True] * 3


def test_a_slow_body_is_given_up(bounded):
    """408 after the time, whoever sends it."""
    with connect(bounded) as sock:
        sock.sendall(head("POST", "/v1/secret/data/x", "Content-Length: 1000") + b'{"data')
        started = time.monotonic()
        assert b"HTTP/1.1 408" in sock.recv(65_536)
        assert time.monotonic() - started < 8


def test_who_does_not_take_answers_is_cut_off(bounded):
    """Large answers that nobody reads: their connections are closed, and memory comes back."""
    value = {"data": {"v": "x" * (MIB - 100)}}
    assert bounded.root("POST", "/v1/secret/data/large", value)[0] == 200
    before = memory(bounded, "VmRSS")
    reset_peak(bounded)
    held = []
    for _ in range(30):
        sock = connect(bounded)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.sendall(head("GET", "/v1/secret/data/large") * 20)
        held.append(sock)
    deadline = time.monotonic() + 20
    while established(bounded) >= 30 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert established(bounded) < 30
    assert memory(bounded, "VmHWM") - before < 30 * 6
    for sock in held:
        sock.close()


def established(server, source="127.0.0.1"):
    """Connections of a source that the server still has, as the kernel tells."""
    local, peer = f"0100007F:{server.port:04X}", f"{int(source[-1]):02X}00007F:"
    lines = Path(f"/proc/{server.process.pid}/net/tcp").read_text().splitlines()[1:]
    found = [line.split() for line in lines]
    return sum(row[1] == local and row[2].startswith(peer) and row[3] == "01" for row in found)


# -- many -----------------------------------------------------------------------------------------


def test_one_source_cannot_take_all_connections(bounded):
    """Of 400 connections from one address the newest are closed; another address gets in."""
    held = [connect(bounded, "127.0.0.2") for _ in range(290)]
    try:
        # The kernel's table is not read at one moment, so it has to say so three times.
        deadline, seen = time.monotonic() + 15, [999]
        while max(seen[-3:]) > 100 and time.monotonic() < deadline:
            time.sleep(0.1)
            seen.append(established(bounded, "127.0.0.2"))
        assert max(seen[-3:]) <= 100
        started = time.monotonic()
        assert sent(bounded, head(), "127.0.0.3") == 200
        assert time.monotonic() - started < 5
    finally:
        for sock in held:
            sock.close()


def test_pipelined_requests_are_answered_one_after_the_other(bounded):
    """Five hundred in one go: all answered, in order, with memory bounded."""
    before = memory(bounded, "VmRSS")
    with connect(bounded) as sock:
        threading.Thread(target=sock.sendall, args=(head() * 500,), daemon=True).start()
        got = b""
        while got.count(b"HTTP/1.1 200") < 500:
            part = sock.recv(65_536)
            assert part, got.count(b"HTTP/1.1 ")
            got += part
    assert memory(bounded, "VmRSS") - before < 20


# -- rates ----------------------------------------------------------------------------------------


def burst(server, source, count):
    """Requests with a token that is unknown, on one connection: statuses, and the last refusal."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", server.port, timeout=15, source_address=(source, 0)
    )
    statuses, last = [], None
    for _ in range(count):
        connection.request("GET", "/v1/sys/mounts", headers={"X-Vault-Token": "s.unknown"})
        answer = connection.getresponse()
        content = answer.read()
        statuses.append(answer.status)
        if answer.status == 429:
            last = answer.headers["Retry-After"], json.loads(content)
    connection.close()
    return statuses, last


def test_requests_without_a_valid_token_have_a_rate(bounded):
    """429 with whole seconds, in Vault's shape and as problem details; a token is not affected."""
    source = "127.0.0.5"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: burst(bounded, source, 60), range(8)))
        statuses = [status for some, _ in found for status in some]
        refused = next(last for _, last in found if last)
        # While the bucket is empty: the same in the other API's shape.
        problem = pool.map(
            lambda _: told(bounded, source, "/v1/adyton/users/me/secrets"), range(40)
        )
        assert ("429", "application/problem+json") in set(problem)
    assert set(statuses) == {403, 429}
    assert statuses.count(403) >= 300
    assert refused == ("1", {"errors": ["request rate limit exceeded"]})
    assert sent(bounded, head(), source) == 200
    assert sent(bounded, head(token="s.unknown"), "127.0.0.4") == 403


def told(server, source, path):
    """Status and content type of an answer."""
    with connect(server, source) as sock:
        sock.sendall(head("GET", path, "Connection: close", token="s.unknown"))
        answer = received(sock).decode().lower()
    return answer.split()[1], answer.partition("content-type: ")[2].partition("\r")[0]


def test_a_refusal_by_rate_reads_no_body(bounded):
    """The answer comes though the body never does, and long before a body's time is over."""
    source = "127.0.0.6"
    start = head("POST", "/v1/sys/mounts", "Content-Length: 4000000", token="s.unknown")
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: burst(bounded, source, 25), range(16)))

        def ask(_):
            started = time.monotonic()
            return sent(bounded, start, source), time.monotonic() - started

        answers = list(pool.map(ask, range(48)))
    quick = [took for status, took in answers if status == 429]
    assert quick
    assert statistics.median(quick) < 2.0


def test_one_networks_bad_logins_do_not_starve_anothers_good_ones(bounded):
    """While sixteen connections guess passwords from one address, another logs in soon."""
    bounded.root("POST", "/v1/sys/auth/userpass", {"type": "userpass"})
    bounded.root("POST", "/v1/auth/userpass/users/ann", {"password": "right"})
    stop = threading.Event()

    def guess(number):
        connection = http.client.HTTPConnection(
            "127.0.0.1", bounded.port, timeout=30, source_address=("127.0.0.7", 0)
        )
        guesses = 0
        while not stop.is_set():
            path = f"/v1/auth/userpass/login/u{number}-{guesses}"
            connection.request("POST", path, json.dumps({"password": "wrong"}))
            assert connection.getresponse().read()
            guesses += 1
        connection.close()
        return guesses

    good = json.dumps({"password": "right"}).encode()
    request = head("POST", "/v1/auth/userpass/login/ann", f"Content-Length: {len(good)}", token="")
    with ThreadPoolExecutor(16) as pool:
        guessing = [pool.submit(guess, number) for number in range(16)]
        time.sleep(0.7)
        times = []
        for _ in range(6):
            started = time.monotonic()
            assert sent(bounded, request + good, "127.0.0.8") == 200
            times.append(time.monotonic() - started)
        stop.set()
        assert sum(one.result(30) for one in guessing) > 16
    assert statistics.median(times) < 1.0


# -- proxies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["", ",", "unknown", "999.1.1.1", "1.2.3.4:x", "[::1", "a" * 8_000, "\x01", "é", ",,,1.2.3.4"],
)
def test_a_malformed_header_of_a_proxy_stops_nothing(bounded, value):
    """Neither the request of the proxy nor those of others (CVE-2024-6468)."""
    data = head("GET", "/v1/secret/data/good", f"X-Forwarded-For: {value}")
    assert sent(bounded, data, "127.0.0.9") in {200, 400}
    assert sent(bounded, head(), "127.0.0.9") == 200
    assert sent(bounded, head(), "127.0.0.1") == 200


def test_a_proxy_is_believed_and_nobody_else(bounded):
    """A token bound to a network is judged by the address that a trusted proxy tells."""
    bounded.root("POST", "/v1/auth/token/roles/here", {"token_bound_cidrs": "203.0.113.0/24"})
    made = bounded.root("POST", "/v1/auth/token/create/here", {"policies": ["root"]})[2]
    token = made["auth"]["client_token"] if made.get("auth") else ""
    if not token:
        pytest.fail(json.dumps(made))
    for source, told, status in (
        ("127.0.0.9", "203.0.113.7", 200),
        ("127.0.0.9", "198.51.100.1, 203.0.113.7", 200),
        ("127.0.0.9", "203.0.113.7, 198.51.100.1", 403),
        ("127.0.0.9", "203.0.113.7, 127.0.0.9", 200),
        ("127.0.0.1", "203.0.113.7", 403),
        ("127.0.0.9", "198.51.100.1", 403),
        # A proxy that adds a line of its own below what the client has sent.
        ("127.0.0.9", "203.0.113.7\r\nX-Forwarded-For: 198.51.100.1", 403),
        ("127.0.0.9", "203.0.113.7\r\nX-Forwarded-For: 198.51.100.1, 127.0.0.9", 403),
        ("127.0.0.9", "198.51.100.1\r\nX-Forwarded-For: 203.0.113.7", 200),
        ("127.0.0.9", "\r\nX-Forwarded-For: 203.0.113.7", 200),
    ):
        line = f"X-Forwarded-For: {told}"
        got = sent(bounded, head("GET", "/v1/auth/token/lookup-self", line, token=token), source)
        assert got == status, (source, told)


def test_who_spoils_the_header_of_a_proxy_does_not_pass_for_the_proxy(bounded):
    """A client writes what can't be read, and the proxy adds the client's address to it."""
    bounded.root("POST", "/v1/auth/token/roles/proxy", {"token_bound_cidrs": "127.0.0.0/8"})
    made = bounded.root("POST", "/v1/auth/token/create/proxy", {"policies": ["root"]})[2]
    token = made["auth"]["client_token"]
    for told, status in (
        ("\xe9, 198.51.100.1", 403),
        ("\xe9", 403),
        ("\xe9\r\nX-Forwarded-For: 198.51.100.1", 403),
        ("198.51.100.1\r\nX-Forwarded-For: \xe9", 403),
        ("127.0.0.9", 200),
    ):
        line = f"X-Forwarded-For: {told}"
        data = head("GET", "/v1/auth/token/lookup-self", line, token=token)
        assert sent(bounded, data, "127.0.0.9") == status, told


def test_memory_stays_bounded_under_all_of_it(bounded):
    """After everything above: the process is not much larger than a fresh one."""
    fresh = Server("serve", "--dev", "--dev-root-token-id", TOKEN)
    try:
        fresh.root("POST", "/v1/secret/data/good", {"data": {"n": 1}})
        small = memory(fresh, "VmRSS")
    finally:
        fresh.stop()
    sizes = [memory(bounded, "VmRSS") for _ in range(3)]
    assert statistics.median(sizes) - small < 120
    assert os.path.exists(f"/proc/{bounded.process.pid}")
