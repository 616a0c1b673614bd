"""Sinks: places outside the store that audit records are copied to (DESIGN section 5)."""

from importlib import import_module
from typing import Final, cast

from adyton.errors import ConfigurationError
from adyton.ports import Sink
from adyton.sinks.file import FileSink

__all__ = ["FORM", "KINDS", "FileSink", "open_sink"]

KINDS: Final = {
    "file": "adyton.sinks.file:FileSink",
    "webhook": "adyton.sinks.posting:PostingSink",
    "syslog": "adyton.sinks.syslog:SyslogSink",
    "otel": "adyton.sinks.otel:OtelSink",
}
"""Each kind of sink, and its class, loaded when it is used."""
FORM: Final = "file:PATH, webhook:FOLDER, syslog:FOLDER or otel:FOLDER"


def open_sink(uri: str) -> Sink:
    """Open the sink that a URI names.

    ``file:PATH`` for JSON lines; by the files in a folder ``webhook:FOLDER`` for signed posts,
    ``syslog:FOLDER``, and ``otel:FOLDER`` for OpenTelemetry.

    Raises:
        ConfigurationError: The URI is wrong, its scheme is unknown, or a library is missing.
    """
    kind, _, rest = uri.partition(":")
    if kind not in KINDS or not rest:
        raise ConfigurationError(
            f"the audit sink is not of the form {FORM}",
            hint="What the folders hold is in docs/guide/alerts.md.",
        )
    module, _, name = KINDS[kind].partition(":")
    return cast("Sink", getattr(import_module(module), name)(rest))
