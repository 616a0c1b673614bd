"""Traces: spans of a request and of its parts, in memory and as a real receiver gets them."""

import asyncio
import subprocess
import sys
import time

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from adyton.config import TelemetrySettings
from adyton.errors import ConfigurationError
from adyton.server.build import build_handler
from adyton.server.http import Request
from adyton.server.telemetry.state import Telemetry, make_telemetry
from adyton.server.telemetry.traces import Tracing
from adyton.server.tokens import make_root_token
from adyton.wiring import Options, open_store
from otlp import Receiver, attributes
from servers import WatchedServer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


class Traced:
    """A handler over a store in memory, whose spans are kept."""

    def __init__(self, ratio=1.0):
        self.opened = open_store(Options("memory:", "dev:", create=True, upkeep=False))
        self.token = make_root_token(self.opened)
        self.exporter = InMemorySpanExporter()
        telemetry = Telemetry()
        telemetry.tracing = Tracing(
            TelemetrySettings(traces_ratio=ratio), SimpleSpanProcessor(self.exporter)
        )
        self.telemetry = telemetry
        self.handler, *_ = build_handler(self.opened.core, telemetry)

    def ask(self, *requests):
        async def all_of_them():
            run = self.opened.core.commit.run_async
            return await asyncio.gather(*(run(self.handler(request)) for request in requests))

        answers = asyncio.run(all_of_them())
        return answers if len(answers) > 1 else answers[0]

    def request(self, method, path, body=b"", **headers):
        sent = {"x-vault-token": self.token} | headers
        return Request(method, path, {}, sent, body, "192.0.2.7", f"id-{path}")

    @property
    def spans(self):
        found = self.exporter.get_finished_spans()
        self.exporter.clear()
        return found


@pytest.fixture
def traced():
    made = Traced()
    yield made
    made.telemetry.tracing.close()
    made.opened.close()


def tree(spans):
    """Names of spans below each other."""
    names = {span.context.span_id: span.name for span in spans}
    return [(names.get(span.parent.span_id) if span.parent else None, span.name) for span in spans]


def test_a_read_has_spans_for_the_gate_the_operation_and_the_commit(traced):
    """In that order, one below the other, on one trace."""
    traced.ask(traced.request("POST", "v1/secret/data/x", b'{"data":{"a":"b"}}'))
    traced.exporter.clear()
    assert traced.ask(traced.request("GET", "v1/secret/data/x")).status == 200
    spans = traced.spans
    server = next(span for span in spans if span.kind is SpanKind.SERVER)
    assert sorted(tree(spans), key=str) == sorted(
        [(None, "GET engine"), ("GET engine", "gate"), ("GET engine", "operation"),
         ("operation", "commit")], key=str,
    )  # fmt: skip
    assert len({span.context.trace_id for span in spans}) == 1
    gate, operation = (
        next(span for span in spans if span.name == name) for name in ("gate", "operation")
    )
    assert server.start_time <= gate.start_time <= gate.end_time <= operation.start_time
    assert operation.end_time <= server.end_time
    assert server.attributes["http.response.status_code"] == 200
    assert server.attributes["adyton.mount"] == "secret/"
    assert server.attributes["adyton.request_id"] == "id-v1/secret/data/x"
    assert server.attributes["adyton.accessor"]


def test_the_native_api_is_traced_alike(traced):
    """The same spans, whichever API a secret is read by."""
    traced.ask(traced.request("POST", "v1/secret/data/x", b'{"data":{"a":"b"}}'))
    traced.exporter.clear()
    request = traced.request("GET", "v1/adyton/users/me/secrets/x")
    assert traced.ask(request).status == 200
    spans = traced.spans
    assert (None, "GET native") in tree(spans)
    assert ("operation", "commit") in tree(spans)
    server = next(span for span in spans if span.kind is SpanKind.SERVER)
    assert server.attributes["adyton.accessor"]
    assert "mount" not in str(server.attributes)


def test_a_login_shows_the_time_of_its_hash(traced):
    """Hashing a password is a wait of its own."""
    ask, request = traced.ask, traced.request
    ask(request("POST", "v1/sys/auth/userpass", b'{"type":"userpass"}'))
    ask(request("POST", "v1/auth/userpass/users/u", b'{"password":"right"}'))
    traced.exporter.clear()
    answer = ask(request("POST", "v1/auth/userpass/login/u", b'{"password":"right"}'))
    assert answer.status == 200
    assert {"POST login", "aside", "commit"} <= {span.name for span in traced.spans}


def test_a_refusal_ends_its_spans_too(traced):
    """A token that is unknown: the gate's span ends, there is no operation."""
    request = traced.request("GET", "v1/secret/data/x", **{"x-vault-token": "wrong"})
    assert traced.ask(request).status == 403
    names = {span.name for span in traced.spans}
    assert "GET engine" in names
    assert "gate" in names
    assert "operation" not in names


def test_a_callers_trace_is_joined(traced):
    """The trace id and the parent are those of traceparent; its decision is heeded both ways."""
    kept = f"00-{TRACE}-{PARENT}-01"
    traced.ask(traced.request("GET", "v1/sys/health", traceparent=kept))
    server = next(span for span in traced.spans if span.kind is SpanKind.SERVER)
    assert f"{server.context.trace_id:032x}" == TRACE
    assert f"{server.parent.span_id:016x}" == PARENT
    traced.ask(traced.request("GET", "v1/sys/health", traceparent=f"00-{TRACE}-{PARENT}-00"))
    assert not traced.spans


@pytest.mark.parametrize(
    "header",
    ["", "x", "00-", f"00-{TRACE}", f"00-{'0' * 32}-{PARENT}-01", f"00-{TRACE}-{'0' * 16}-01",
     f"ff-{TRACE}-{PARENT}-01", "00-" + "z" * 32 + f"-{PARENT}-01", "00" * 5_000, "\x00\xff"],
)  # fmt: skip
def test_a_malformed_traceparent_begins_a_trace_of_our_own(traced, header):
    """It is no error, and nothing of it is kept."""
    assert traced.ask(traced.request("GET", "v1/sys/health", traceparent=header)).status == 200
    server = next(span for span in traced.spans if span.kind is SpanKind.SERVER)
    assert server.parent is None
    assert f"{server.context.trace_id:032x}" != TRACE


def test_tracestate_and_baggage_are_not_kept(traced):
    """They are free text of a client."""
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "v=canary",
               "baggage": "k=canary"}  # fmt: skip
    traced.ask(traced.request("GET", "v1/sys/health", **headers))
    assert all("canary" not in span.to_json() for span in traced.spans)


def test_many_requests_at_once_keep_their_spans_apart(traced):
    """Each child is of the trace of its own request."""
    traced.ask(traced.request("POST", "v1/secret/data/x", b'{"data":{"a":"b"}}'))
    traced.exporter.clear()
    answers = traced.ask(*(traced.request("GET", "v1/secret/data/x") for _ in range(40)))
    assert all(answer.status == 200 for answer in answers)
    spans = traced.spans
    roots = [span for span in spans if span.kind is SpanKind.SERVER]
    assert len({span.context.trace_id for span in roots}) == 40
    for root in roots:
        mine = [span for span in spans if span.context.trace_id == root.context.trace_id]
        assert [each for _, each in tree(mine)].count("gate") == 1
        assert ("operation", "commit") in tree(mine)


def test_the_share_that_is_kept_is_configured():
    """With a ratio of 0 nothing is kept, with one between some."""
    for ratio, low, high in ((0.0, 0, 0), (0.3, 20, 140)):
        made = Traced(ratio)
        try:
            made.ask(*(made.request("GET", "v1/sys/health") for _ in range(250)))
            kept = [span for span in made.spans if span.kind is SpanKind.SERVER]
            assert low <= len(kept) <= high
        finally:
            made.opened.close()


def test_off_costs_nothing():
    """Without an endpoint the handler is the plain one, and the libraries are not even loaded."""
    telemetry = make_telemetry(TelemetrySettings())
    assert telemetry.tracing is None

    async def plain(request):
        return None

    assert telemetry.watched(plain, lambda user: None) is plain
    code = (
        "import sys; import adyton.server.run; "
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_exporter_is_said_clearly(monkeypatch):
    """The error names what to install."""
    name = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError) as refused:
        make_telemetry(TelemetrySettings(traces_endpoint="http://127.0.0.1:1/v1/traces"))
    assert "adyton[otel]" in refused.value.hint


def test_a_real_receiver_gets_the_spans(tmp_path):
    """Over OTLP/HTTP as protobuf, decoded by OpenTelemetry's own definitions."""
    receiver = Receiver()
    server = WatchedServer(tmp_path, traces_endpoint=receiver.endpoint, log_requests=True)
    server.root("POST", "/v1/secret/data/x", {"data": {"a": "b"}})
    server.root("GET", "/v1/secret/data/x", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    code, _, err = server.stop()
    receiver.close()
    assert code == 0, err
    mine = [span for span in receiver.spans if span.trace_id.hex() == TRACE]
    assert {span.name for span in mine} == {"GET engine", "gate", "operation", "commit"}
    server_span = next(span for span in mine if span.name == "GET engine")
    assert server_span.parent_span_id.hex() == PARENT
    found = attributes(server_span)
    assert found["http.response.status_code"] == 200
    assert found["adyton.mount"] == "secret/"
    resource = {pair.key: pair.value.string_value for pair in receiver.resources[0].attributes}
    assert resource["service.name"] == "adyton"
    assert TRACE in err  # the request's line names its trace


def test_a_receiver_that_is_away_disturbs_nobody(tmp_path):
    """Requests are answered as ever, and the server ends within seconds."""
    server = WatchedServer(tmp_path, traces_endpoint="http://127.0.0.1:9/v1/traces")
    for _ in range(20):
        assert server.root("GET", "/v1/sys/mounts")[0] == 200
    started = time.monotonic()
    code, _, err = server.stop()
    assert code == 0, err
    assert time.monotonic() - started < 15
