"""The sink of OpenTelemetry: logs by OTLP over HTTP, read by OpenTelemetry's own definitions."""

import json
import sys
import time
from types import SimpleNamespace

import pytest

import adyton
from adyton import SecretStore
from adyton.errors import ConfigurationError
from adyton.ports import Sink, SinkEvent
from adyton.rotationpolicy import RotationPolicy
from adyton.sinks import open_sink
from adyton.sinks.otel import OtelSink
from otlp import Receiver, attributes


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path, receiver):
    place = tmp_path / "sink"
    place.mkdir()
    (place / "url").write_text(receiver.logs_endpoint + "\n")
    return place


def events(first, end, **more):
    return [SinkEvent(n, json.dumps({"index": n, **more})) for n in range(first, end)]


def indexes(receiver):
    return [attributes(log)["adyton.audit.index"] for log in receiver.logs]


def test_it_fits_the_port(folder):
    """Every method of the Protocol; nothing of the folder is told."""
    sink = open_sink(f"otel:{folder}")
    assert isinstance(sink, OtelSink)
    assert all(hasattr(sink, name) for name in vars(Sink) if not name.startswith("_"))
    assert str(folder) not in repr(sink)


def test_a_record_is_a_log_with_its_time_severity_and_attributes(folder, receiver):
    """The body is the line; members are attributes of their own kinds, those of notices too."""
    told = {"index": 7, "log": 0, "time": "2026-01-31T12:00:00.123456+00:00", "secret": "",
            "action": "notice.put", "success": False, "reason": "a \u00fc", "version": 3,
            "notice": {"kind": "rotation.failed", "details": {"step": "set"}}}  # fmt: skip
    sink = open_sink(f"otel:{folder}")
    line = json.dumps(told)
    before = time.time_ns()
    sink.write([SinkEvent(7, line), *events(8, 9, erased=True)])
    log, erased = receiver.logs
    assert log.time_unix_nano == 1_769_860_800_123_456_000
    assert before <= log.observed_time_unix_nano <= time.time_ns()
    assert (log.severity_number, log.severity_text) == (13, "WARN")
    assert log.event_name == "adyton.audit.notice.put"
    assert log.body.string_value == line
    assert attributes(log) == {
        "adyton.audit.index": 7, "adyton.audit.log": 0, "adyton.audit.action": "notice.put",
        "adyton.audit.success": False, "adyton.audit.reason": "a \u00fc", "adyton.audit.version": 3,
        "adyton.audit.notice.kind": "rotation.failed", "adyton.audit.notice.details.step": "set",
    }  # fmt: skip
    assert (erased.time_unix_nano, erased.severity_number) == (0, 9)
    assert attributes(receiver.resources[0]) == {
        "service.name": "adyton", "service.version": adyton.__version__,
    }  # fmt: skip


def test_records_come_in_order_from_where_it_was_left(folder, receiver):
    """1,200 records are three messages; another process goes on behind them."""
    open_sink(f"otel:{folder}").write(events(0, 1200))
    assert indexes(receiver) == list(range(1200))
    assert len(receiver.raw) == 3
    again = open_sink(f"otel:{folder}")
    assert again.position() == 1200
    again.write(events(1190, 1205))
    assert indexes(receiver)[1200:] == list(range(1200, 1205))


def test_what_is_not_taken_comes_again(folder, receiver):
    """A status that is none is an OSError, and nothing is skipped."""
    sink = open_sink(f"otel:{folder}")
    receiver.failing = True
    with pytest.raises(OSError, match="status 400"):
        sink.write(events(0, 5))
    assert sink.position() == 0
    receiver.failing = False
    sink.write(events(0, 5))
    assert indexes(receiver) == list(range(5))


def test_what_is_no_collector_takes_nothing(folder, receiver, monkeypatch):
    """An answer that is not one of OTLP's is a failure, although its status is 200."""
    page = SimpleNamespace(SerializeToString=lambda: b"<html>")
    monkeypatch.setattr(receiver, "take", lambda path, body: page)
    sink = open_sink(f"otel:{folder}")
    with pytest.raises(OSError, match="does not answer as a collector"):
        sink.write(events(0, 5))
    assert sink.position() == 0


def test_what_is_rejected_for_good_is_told_and_not_sent_again(folder, receiver, caplog):
    """As OTLP asks; the log says how many, and the rest goes on."""
    sink = open_sink(f"otel:{folder}")
    receiver.rejected = 2
    sink.write(events(0, 5))
    assert "rejected 2 audit records" in caplog.text
    assert sink.position() == 5


@pytest.mark.parametrize("ending", ["long", "drip", "silent", "torn"])
def test_an_answer_that_can_not_be_read_to_its_end_has_nothing_sent_again(
    folder, receiver, caplog, monkeypatch, ending
):
    """It was a collector's, with a status that says taken: else the batch came again for ever."""
    monkeypatch.setattr("adyton.sinks._http.SECONDS", 0.3)
    receiver.ending, receiver.rejected = ending, 2
    sink = open_sink(f"otel:{folder}")
    sink.write(events(0, 5))
    sink.write(events(0, 9))
    assert indexes(receiver) == list(range(9))
    assert sink.position() == 9
    assert "answer is cut" in caplog.text


def test_a_cut_answer_of_what_is_no_collector_takes_nothing(folder, receiver):
    """A long page of some other server, with status 200."""
    receiver.ending, receiver.kind = "long", "text/html"
    sink = open_sink(f"otel:{folder}")
    with pytest.raises(OSError, match="does not answer as a collector"):
        sink.write(events(0, 5))
    assert sink.position() == 0


def test_headers_are_sent_and_private(folder, receiver):
    """A token for the collector; a file that others can read is not used, nor a torn line."""
    sink = open_sink(f"otel:{folder}")
    headers = folder / "headers"
    headers.write_text("Authorization: Bearer of a test\nX-Scope: 1\n")
    headers.chmod(0o644)
    with pytest.raises(OSError, match="headers"):
        sink.write(events(0, 1))
    headers.chmod(0o600)
    sink.write(events(0, 1))
    assert receiver.headers[0]["Authorization"] == "Bearer of a test"
    assert receiver.headers[0]["X-Scope"] == "1"
    headers.write_text("Authorization\n")
    with pytest.raises(OSError, match="of its headers"):
        sink.write(events(1, 2))
    assert len(receiver.logs) == 1


def test_without_the_library_it_is_refused_when_it_is_opened(folder, monkeypatch):
    """With what to install; not when the first record comes."""
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.logs.v1.logs_service_pb2", None)
    with pytest.raises(ConfigurationError) as refused:
        open_sink(f"otel:{folder}")
    assert "adyton[otel]" in refused.value.hint


def test_a_store_feeds_it_and_its_notices_arrive(tmp_path, folder, receiver):
    """Every record of a store, with names as pseudonyms; a notice with its kind."""
    with SecretStore.open(
        str(tmp_path / "s.db"), root=f"keyfile:{tmp_path / 'k'}", create=True,
        sinks=[f"otel:{folder}"],
    ) as store:  # fmt: skip
        store.rotation.set_policy("u", "canary-name", RotationPolicy(grace=0))
        store.rotation.run("u", "canary-name")
        size = store._opened.core.commit.state.size
    found = indexes(receiver)
    assert sorted(set(found)) == list(range(max(found) + 1))
    assert max(found) >= size - 1
    assert not any(b"canary" in body for body in receiver.raw)
    kinds = {attributes(log).get("adyton.audit.notice.kind") for log in receiver.logs}
    assert kinds == {None, "rotation.succeeded"}
