"""The sink of syslog: RFC 5424 over streams, TLS and datagrams, at least once."""

import contextlib
import json
import re
import socket
import ssl
import subprocess
import time

import msgspec
import pytest

import databases
from adyton import SecretStore
from adyton.ports import Sink, SinkEvent
from adyton.rotationpolicy import RotationPolicy
from adyton.sinks import _folder, open_sink
from adyton.sinks.syslog import SyslogSink, message
from certs import certificate
from support import require_program
from syslogreceiver import Receiver, parsed


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def sink_of(tmp_path, url, **files):
    place = tmp_path / "sink"
    place.mkdir(exist_ok=True)
    (place / "url").write_text(url + "\n")
    for name, text in files.items():
        (place / name).write_text(text)
    return open_sink(f"syslog:{place}")


def events(first, end, **more):
    return [SinkEvent(n, json.dumps({"index": n, "success": True, **more}, ensure_ascii=False))
            for n in range(first, end)]  # fmt: skip


def test_a_message_is_one_of_rfc_5424():
    """Time, action and severity are the record's; the text is its JSON, in ASCII."""
    told = {"index": 7, "time": "2026-01-31T12:00:00.123456+00:00", "action": "secret.get",
            "success": True, "user": "ü\U0001f511", "reason": 'a "quoted" \\ \n line'}  # fmt: skip
    found = parsed(message(json.dumps(told, ensure_ascii=False), "host.internal"))
    assert found.record == told
    assert found[:4] == (13, 6, "adyton", "secret.get")
    assert parsed(message(json.dumps({**told, "success": False}), "-")).severity == 4
    notice = parsed(message(json.dumps({**told, "notice": {"kind": "rotation.failed"}}), "-"))
    assert notice.severity == 5
    assert parsed(message('{"index":1,"log":0,"erased":true}', "-")).ident == "-"


@pytest.mark.parametrize(
    "text", ["a\nb", "a\r\n<13>1 - - evil - - -", "\x00\x1b[2J\x7f\x85", "\u2028"]
)
def test_no_name_makes_a_message_of_its_own(text):
    """Line ends and controls of names, actors and reasons stay within the JSON of one message."""
    told = {"index": 7, "action": "secret.get", "success": True, "actor": text, "user": text,
            "secret": text, "reason": text, "accessor": text, "request_id": text}  # fmt: skip
    line = msgspec.json.encode(told).decode()
    assert parsed(message(line, "-")).record == told


def test_it_fits_the_port(tmp_path, receiver):
    """Every method of the Protocol; nothing of the folder is told."""
    sink = sink_of(tmp_path, receiver.url)
    assert isinstance(sink, SyslogSink)
    assert all(hasattr(sink, name) for name in vars(Sink) if not name.startswith("_"))
    assert str(tmp_path) not in repr(sink)


def test_records_come_in_order_from_where_it_was_left(tmp_path, receiver):
    """1,200 records by octet counts; another process goes on behind them."""
    sink = sink_of(tmp_path, receiver.url)
    sink.write(events(0, 1200, user="ü"))
    assert receiver.indexes == list(range(1200))
    again = sink_of(tmp_path, receiver.url)
    assert again.position() == 1200
    again.write(events(1190, 1205))
    assert receiver.indexes[1200:] == list(range(1200, 1205))


def test_what_is_not_read_to_its_end_comes_again(tmp_path, receiver, monkeypatch):
    """A reset, silence, and what never ends are an OSError; nothing is skipped."""
    monkeypatch.setattr("adyton.sinks.syslog.SECONDS", 0.3)
    receiver.answers = ["read", "reset", "silent", "drip"]
    sink = sink_of(tmp_path, receiver.url)
    for _ in range(3):
        with pytest.raises(OSError, match=r"reset|Broken|connected|in time"):
            sink.write(events(0, 600))
    assert sink.position() == 500
    sink.write(events(0, 600))
    assert sink.position() == 600
    assert receiver.indexes == [*range(500), *([*range(500, 600)] * 3)]


def test_tls_is_with_the_right_certificates_alone(tmp_path):
    """A stranger's certificate gets nothing; without ours the receiver takes nothing."""
    authority = certificate(tmp_path, "authority", is_ca=True)
    for name in ("server", "client"):
        certificate(tmp_path, name, issuer=authority)
    certificate(tmp_path, "stranger", is_ca=True)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tmp_path / "authority.pem")
    tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    tls.verify_mode = ssl.CERT_REQUIRED
    with contextlib.closing(Receiver(tls)) as receiver:
        files = {"ca.pem": (tmp_path / "stranger.pem").read_text()}
        sink = sink_of(tmp_path, receiver.url, **files)
        with pytest.raises(OSError, match="trusted"):
            sink.write(events(0, 3))
        files["ca.pem"] = (tmp_path / "authority.pem").read_text()
        sink = sink_of(tmp_path, receiver.url, **files)
        for _ in range(20):
            with pytest.raises(OSError, match=r"TLS|reset|[Bb]roken"):
                sink.write(events(0, 3))
        both = [(tmp_path / f"client.{kind}").read_text() for kind in ("key", "pem")]
        sink = sink_of(tmp_path, receiver.url, **files, **{"client.pem": "".join(both)})
        (tmp_path / "sink" / "client.pem").chmod(0o644)
        with pytest.raises(OSError, match=r"client\.pem"):
            sink.write(events(0, 3))
        (tmp_path / "sink" / "client.pem").chmod(0o600)
        assert receiver.got == []
        sink.write(events(0, 600))
        assert receiver.indexes == list(range(600))


def test_a_receiver_without_a_goodbye_gets_each_batch_once(tmp_path):
    """As rsyslog with GnuTLS closes."""
    authority = certificate(tmp_path, "authority", is_ca=True)
    certificate(tmp_path, "server", issuer=authority)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    with contextlib.closing(Receiver(tls)) as receiver:
        receiver.answers = ["rude"] * 4
        files = {"ca.pem": (tmp_path / "authority.pem").read_text()}
        sink = sink_of(tmp_path, receiver.url, **files)
        for at in range(3):
            sink.write(events(at, at + 1))
        assert receiver.indexes == [0, 1, 2]


@pytest.mark.parametrize(
    "url",
    ["", "file:/x", "tls://", "tls://h:0", "tls://h:99999", "tls://u@h:1", "tls://h:1/x", "unix:",
     "udp://192.0.2.1", "tcp://192.0.2.1:601", "tcp://localhost.example:601", "tls://h?x", "tls://[::"],
)  # fmt: skip
def test_places_that_are_none_or_in_the_clear_are_refused(tmp_path, url):
    """An OSError, that may be mended while the process runs."""
    sink = sink_of(tmp_path, url)
    with pytest.raises(OSError, match=r"its url|in the clear"):
        sink.write(events(0, 1))
    assert sink.position() == 0


@contextlib.contextmanager
def datagrams(tmp_path, kind):
    """A receiver of datagrams, and the sink's url for it."""
    family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as there:
        there.bind(str(tmp_path / "log") if kind == "unix" else ("127.0.0.1", 0))
        there.settimeout(5)
        url = f"unix:{tmp_path / 'log'}"
        if kind == "udp":
            url = f"udp://127.0.0.1:{there.getsockname()[1]}"
        yield there, url


@pytest.mark.parametrize("kind", ["unix", "udp"])
def test_datagrams(tmp_path, kind):
    """Each record is one; nobody there is an error that is told, where the system tells."""
    with datagrams(tmp_path, kind) as (there, url):
        sink = sink_of(tmp_path, url)
        sink.write(events(0, 5))
        assert [parsed(there.recv(65536)).record["index"] for _ in range(5)] == list(range(5))
    with pytest.raises(OSError, match=r"refused"):
        sink.write(events(5, 9))
    assert sink.position() == 5


@pytest.mark.parametrize("kind", ["unix", "udp"])
def test_a_record_that_no_datagram_holds_is_told_of_and_stops_nothing(tmp_path, kind, caplog):
    """Which one it was, in its place; all behind it comes, and nothing comes twice."""
    with datagrams(tmp_path, kind) as (there, url):
        more = {"action": "secret.get", "accessor": "batch-1", "user": "canary" * 100_000}
        long = events(1, 2, **more, request_id="r" * 5_000)
        sink = sink_of(tmp_path, url)
        sink.write([*events(0, 1), *long, *events(2, 4)])
        assert sink.position() == 4
        found = [parsed(there.recv(65536)) for _ in range(4)]
        there.settimeout(0.1)
        with pytest.raises(TimeoutError):
            there.recv(65536)
    assert [message.record["index"] for message in found] == [0, 1, 2, 3]
    assert found[1].record == {
        "index": 1, "action": "secret.get", "success": True, "accessor": "batch-1",
        "too_long": len(long[0].line),
    }  # fmt: skip
    assert found[1].ident == "secret.get"
    assert "too long for a datagram" in caplog.text
    assert "canary" not in caplog.text


RSYSLOG = """
global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imtcp") module(load="imudp") module(load="imuxsock" SysSock.Use="off")
input(type="imtcp" address="127.0.0.1" port="{port}")
input(type="imudp" address="127.0.0.1" port="{port}")
input(type="imuxsock" socket="{folder}/socket" useSpecialParser="off" parseHostname="on"
  ignoreTimestamp="off")
template(name="told" type="string"
  string="%pri% %app-name% %msgid% %timereported:::date-rfc3339% %msg%\\n")
*.* action(type="omfile" file="{folder}/out" template="told")
"""


@pytest.fixture
def rsyslog(tmp_path):
    """A daemon with a socket, and a port of TCP and UDP."""
    program = require_program("rsyslogd")
    port = databases.free_port()
    (tmp_path / "conf").write_text(RSYSLOG.format(folder=tmp_path, port=port))
    process = subprocess.Popen(
        [program, "-n", "-f", tmp_path / "conf", "-i", tmp_path / "pid"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 20
    try:
        while True:
            assert process.poll() is None
            assert time.monotonic() < end
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def told_by(rsyslog_out, count, again):
    """The parts of ``count`` messages; ``again`` sends them once more, as datagrams get lost."""
    pattern = re.compile(r"(\S+) (\S+) (\S+) (\S+)  ?(\{.*)")
    end, late = time.monotonic() + 20, time.monotonic() + 2
    while True:
        assert time.monotonic() < end
        text = rsyslog_out.read_text() if rsyslog_out.exists() else ""
        lines = {line for line in text.splitlines(keepends=True) if line.endswith("}\n")}
        if len(lines) == count:
            return [pattern.fullmatch(line.rstrip()).groups() for line in lines]
        if time.monotonic() > late:
            again()
            late = end
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["tcp", "udp", "unix"])
def test_rsyslog_takes_them(tmp_path, rsyslog, kind):
    """A real receiver reads each part as it was meant."""
    url = f"unix:{tmp_path}/socket" if kind == "unix" else f"{kind}://127.0.0.1:{rsyslog}"
    when = "2026-01-31T12:00:00.123456+00:00"
    told = events(0, 20, action="secret.get", time=when, user="ü" * 500)

    def send():
        (tmp_path / "sink" / "position").unlink(missing_ok=True)
        sink_of(tmp_path, url).write(told)

    send()
    found = told_by(tmp_path / "out", 20, send if kind == "udp" else lambda: None)
    assert sorted(json.loads(text)["index"] for *_, text in found) == list(range(20))
    assert {each[:3] for each in found} == {("110", "adyton", "secret.get")}
    assert {json.loads(text)["user"] for *_, text in found} == {"ü" * 500}
    assert {each[3] for each in found} == {"2026-01-31T12:00:00.123456+00:00"}


def test_a_store_feeds_it_and_its_notices_arrive(tmp_path, receiver):
    """Every record of a store, after a failure too; a notice with its kind."""
    receiver.answers = ["reset"]
    sink_of(tmp_path, receiver.url)
    with SecretStore.open(
        str(tmp_path / "s.db"), root=f"keyfile:{tmp_path / 'k'}", create=True,
        sinks=[f"syslog:{tmp_path / 'sink'}"],
    ) as store:  # fmt: skip
        store.rotation.set_policy("u", "canary-name", RotationPolicy(grace=0))
        store.rotation.run("u", "canary-name")
        end = time.monotonic() + 20
        while not any("notice" in message.record for message in receiver.got):
            assert time.monotonic() < end
            time.sleep(0.05)
        size = store._opened.core.commit.state.size
    found = receiver.indexes
    assert sorted(set(found)) == list(range(max(found) + 1))
    assert max(found) >= size - 1
    assert "canary" not in repr(receiver.got)
    kinds = {m.record["notice"]["kind"] for m in receiver.got if "notice" in m.record}
    assert kinds == {"rotation.succeeded"}


def test_a_receiver_that_takes_nothing_holds_up_no_operation(tmp_path, monkeypatch):
    """It accepts, and reads nothing: reads and writes go on meanwhile, record by record."""
    monkeypatch.setattr("adyton.sinks.syslog.SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as there:
        sink_of(tmp_path, f"tcp://127.0.0.1:{there.getsockname()[1]}")
        with SecretStore.open(
            str(tmp_path / "s.db"), root=f"keyfile:{tmp_path / 'k'}", create=True,
            sinks=[f"syslog:{tmp_path / 'sink'}"],
        ) as store:  # fmt: skip
            store.set_secret("u", "name", b"v")
            there.settimeout(10)
            connection = there.accept()[0]  # the sink is at it, and waits
            began = time.monotonic()
            for _ in range(5):
                store.set_secret("u", "name", b"v")
                with store.get_secret("u", "name") as found:
                    assert found.reveal() == b"v"
            assert time.monotonic() - began < 1.5
            assert store._opened.core.commit.state.size > 10
        connection.close()
    assert not (tmp_path / "sink" / "position").read_text().strip("0\n")


def test_the_wait_for_the_other_side_is_bounded():
    """A constant, of which the guide speaks: five seconds."""
    assert _folder.SECONDS == 5.0
