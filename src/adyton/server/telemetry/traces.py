"""Traces by OpenTelemetry: a span for each request, and within it the gate, the operation, waits.

Off unless an endpoint is set; nothing of this module is then on the way of a request. Attributes
are those of :mod:`adyton.server.telemetry.seen`, and nothing else that a client has sent is kept:
of the headers of W3C Trace Context only ``traceparent`` is read, which is numbers.
"""

import types
from collections.abc import Generator
from contextvars import ContextVar
from typing import Any, Final, TypeVar, cast

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adyton import __version__
from adyton.config import TelemetrySettings
from adyton.errors import ConfigurationError
from adyton.model import Caller
from adyton.server.http import Handler, Request, Response
from adyton.server.telemetry.counters import AREAS, METHODS, area_of
from adyton.server.telemetry.seen import SpaceOf, accessor_of, current, place_of
from adyton.service.access.gate import Gate, Origin
from adyton.service.access.sessions import Session
from adyton.service.access.spaces import Spaces
from adyton.service.core import Core
from adyton.service.ticket import Aside, Operation, Ticket

T = TypeVar("T")
_PARENT: Final = "traceparent"
_FLUSH_MS: Final = 5_000


class _Phases:
    """The part of an operation that is under way, as a span."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._span: Span | None = None
        self._token: Any = None
        self.name = ""

    def go_to(self, name: str) -> None:
        """End one part and begin another."""
        if self.name != name:
            self.end()
            self.name = name
            self._span = self._tracer.start_span(name)
            self._token = otel.attach(trace.set_span_in_context(self._span))

    def end(self) -> None:
        """End the part that is under way."""
        if self._span is not None:
            otel.detach(self._token)
            self._span.end()
            self._span = None


_PHASES: ContextVar[_Phases | None] = ContextVar("adyton_phases", default=None)


class TracedGate(Gate):
    """A gate that tells when it has let an operation pass."""

    @staticmethod
    def caller(session: Session, user: str, request: Origin, decision: str = "allow") -> Caller:
        """See :class:`Gate`."""
        phases = _PHASES.get()
        if phases is not None:
            phases.go_to("operation")
        return Gate.caller(session, user, request, decision)


class Tracing:
    """Makes spans, and sends them in the background.

    Args:
        settings: Where to and how many.
        processor: What takes the spans; by default OTLP over HTTP, in batches.

    Raises:
        ConfigurationError: The exporter is not installed.
    """

    def __init__(self, settings: TelemetrySettings, processor: SpanProcessor | None = None) -> None:
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.traces_ratio)),
            resource=Resource({"service.name": "adyton", "service.version": __version__}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor or _exporting(settings.traces_endpoint))
        self._tracer = self._provider.get_tracer("adyton", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def handler(self, handler: Handler, space_of: SpaceOf) -> Handler:
        """A handler that answers within a span."""
        tracer = self._tracer

        async def handle(request: Request) -> Response:
            parent = request.headers.get(_PARENT, "")
            context = self._propagator.extract({_PARENT: parent}) if parent else otel.Context()
            path = "/" + request.path
            method = request.method if request.method in METHODS else METHODS[-1]
            area = AREAS[area_of(path)]
            span = tracer.start_span(f"{method} {area}", context, SpanKind.SERVER)
            if not span.is_recording():
                return await handler(request)
            seen = current()
            if seen is not None:
                seen.trace_id = trace.format_trace_id(span.get_span_context().trace_id)
            token = otel.attach(trace.set_span_in_context(span, context))
            try:
                response = await handler(request)
                span.set_attribute("http.response.status_code", response.status)
                if response.status >= 500:
                    span.set_status(StatusCode.ERROR)
            except BaseException:
                span.set_status(StatusCode.ERROR)
                raise
            else:
                return response
            finally:
                span.set_attribute("http.request.method", method)
                span.set_attribute("adyton.area", area)
                span.set_attribute("adyton.request_id", request.request_id)
                span.set_attribute("client.address", request.address)
                accessor = accessor_of(request)
                if accessor:
                    span.set_attribute("adyton.accessor", accessor)
                for name, text in place_of(request, space_of).items():
                    span.set_attribute(f"adyton.{name}", text)
                otel.detach(token)
                span.end()

        return handle

    @staticmethod
    def gate(core: Core, spaces: Spaces) -> Gate:
        """A gate that ends the span of the gate."""
        return TracedGate(core, spaces)

    async def run(self, operation: Operation[Response]) -> Response:
        """An operation, with spans for its parts and for each wait."""
        if not trace.get_current_span().is_recording():
            return await operation
        phases = _Phases(self._tracer)
        token = _PHASES.set(phases)
        phases.go_to("gate")
        try:
            return await self._waiting(operation)
        finally:
            phases.end()
            _PHASES.reset(token)

    def _waiting(self, operation: Operation[T]) -> Operation[T]:
        """The same operation, with a span around each wait."""
        tracer = self._tracer

        def go() -> Generator[Ticket[Any], None, T]:
            try:
                ticket = operation.send(None)
                while True:
                    failure: BaseException | None = None
                    wait = tracer.start_span(_name_of(ticket))
                    try:
                        yield ticket
                    except BaseException as error:  # noqa: BLE001 - passed on below
                        failure = error
                    finally:
                        wait.end()
                    ticket = operation.send(None) if failure is None else operation.throw(failure)
            except StopIteration as stop:
                return cast("T", stop.value)

        start: Any = types.coroutine(go)
        return cast("Operation[T]", start())

    def close(self) -> None:
        """Send what is left, within a few seconds."""
        self._provider.force_flush(_FLUSH_MS)
        self._provider.shutdown()


def _name_of(waiting: object) -> str:
    """What is waited for: another thread, the commit, or the event loop."""
    if isinstance(waiting, Aside):
        return "aside"
    return "commit" if isinstance(waiting, Ticket) else "wait"


def _exporting(endpoint: str) -> SpanProcessor:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - optional
            OTLPSpanExporter,
        )
    except ImportError:
        raise ConfigurationError(
            "traces need a library that is not installed", hint="Run: pip install 'adyton[otel]'"
        ) from None
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=5))
