"""A sink that sends audit records as logs of OpenTelemetry, by OTLP over HTTP.

It is a folder (``_folder``) with the file ``url``, where to, such as
``https://collector.internal:4318/v1/logs``, and perhaps ``headers``: lines of ``name: value`` that
are sent along, which nobody else may read.

What a collector takes and rejects in part must not be sent again (OTLP specification 1.5, "Partial
Success"): such records are passed over, and the program's log tells how many, or that the answer
was too long, or did not end, so that nobody knows.
"""

import datetime as dt
import errno
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import msgspec

from adyton.errors import AdytonError, ConfigurationError
from adyton.ports import SinkEvent
from adyton.sinks._folder import FolderSink

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

_log = logging.getLogger("adyton.upkeep")
_PROTOBUF: Final = "application/x-protobuf"
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class OtelSink(FolderSink):
    """Sends records in batches (``ports.Sink``).

    Raises:
        ConfigurationError: The library of its messages is not installed.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        try:
            import opentelemetry.proto.collector.logs.v1.logs_service_pb2  # noqa: F401, PLC0415
        except ImportError:
            raise ConfigurationError(
                "the audit sink otel needs a library that is not installed",
                hint="Run: pip install 'adyton[otel]'",
            ) from None

    def _send(self, events: Sequence[SinkEvent]) -> None:
        from google.protobuf.message import DecodeError  # noqa: PLC0415 - optional
        from opentelemetry.proto.collector.logs.v1 import (  # noqa: PLC0415 - optional
            logs_service_pb2 as service,
        )

        from adyton.sinks._http import post  # noqa: PLC0415 - few stores send anything

        request = service.ExportLogsServiceRequest()
        resource = request.resource_logs.add()
        resource.resource.attributes.extend(
            _attributes({"service.name": "adyton", "service.version": version("adyton")})
        )
        scope = resource.scope_logs.add()
        scope.scope.name = "adyton.audit"
        now = time.time_ns()
        for event in events:
            _fill(scope.log_records.add(), event, now)
        headers = {"content-type": _PROTOBUF, **self._headers()}
        found = post(self._read("url"), headers, request.SerializeToString(), self._file("ca.pem"))
        if not found.whole and found.kind == _PROTOBUF:  # a collector took it: never once more
            _log.error("a collector's answer is cut: how many records it rejects is not known")
            return
        try:
            answer = service.ExportLogsServiceResponse.FromString(found.body)
        except DecodeError:
            answer = None
        if answer is None or not found.whole:
            raise OSError(errno.EIO, "it does not answer as a collector of OpenTelemetry")
        if answer.partial_success.rejected_log_records:
            _log.error(
                "a collector of OpenTelemetry has rejected %d audit records for good",
                answer.partial_success.rejected_log_records,
            )

    def _headers(self) -> dict[str, str]:
        from adyton.outbound import header_text  # noqa: PLC0415 - few stores send anything

        try:
            lines = self._private("headers").splitlines()
        except FileNotFoundError:
            return {}
        found = {}
        for line in lines:
            name, _, value = line.partition(":")
            try:
                found[header_text(name.strip(), "a name")] = header_text(value.strip(), "a value")
            except AdytonError as error:
                raise OSError(errno.EINVAL, f"of its headers {error.message}") from None
        return found


def _fill(record: "LogRecord", event: SinkEvent, now_ns: int) -> None:
    """One record: its line as the body, and what is in it as attributes to search by."""
    from opentelemetry.proto.logs.v1 import logs_pb2 as logs  # noqa: PLC0415 - optional

    told = msgspec.json.decode(event.line, type=dict[str, object])
    when = told.pop("time", None)
    if isinstance(when, str):
        record.time_unix_nano = 1_000 * (
            (dt.datetime.fromisoformat(when) - _EPOCH) // dt.timedelta(microseconds=1)
        )
    record.observed_time_unix_nano = now_ns
    failed = told.get("success") is False
    number = logs.SEVERITY_NUMBER_WARN if failed else logs.SEVERITY_NUMBER_INFO
    record.severity_number = number
    record.severity_text = "WARN" if failed else "INFO"
    record.body.string_value = event.line
    record.event_name = f"adyton.audit.{told.get('action', 'record')}"
    record.attributes.extend(_attributes(dict(_flat("adyton.audit", told))))


def _flat(prefix: str, told: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in told.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}.{name}", value)
        elif value is not None and value != "":
            yield f"{prefix}.{name}", value


def _attributes(values: Mapping[str, object]) -> "Iterator[KeyValue]":
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue  # noqa: PLC0415 - optional

    for name, value in values.items():
        pair = KeyValue(key=name)
        if isinstance(value, bool):
            pair.value.bool_value = value
        elif isinstance(value, int):
            pair.value.int_value = value
        else:
            pair.value.string_value = str(value)
        yield pair
