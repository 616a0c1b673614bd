"""Sinks: places outside the store that audit records are copied to (DESIGN section 5)."""

from adyton.errors import ConfigurationError
from adyton.ports import Sink
from adyton.sinks.file import FileSink

__all__ = ["FileSink", "open_sink"]


def open_sink(uri: str) -> Sink:
    """Open the sink that a URI names: ``file:PATH`` for JSON lines.

    Raises:
        ConfigurationError: The URI is wrong, or its scheme is unknown.
    """
    scheme, colon, rest = uri.partition(":")
    if scheme == "file" and colon and rest:
        return FileSink(rest)
    raise ConfigurationError("the audit sink is not of the form file:PATH", hint="Write file:PATH.")
