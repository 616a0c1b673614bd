"""Sinks: places outside the store that audit records are copied to (DESIGN section 5)."""

from adyton.errors import ConfigurationError
from adyton.ports import Sink
from adyton.sinks.file import FileSink

__all__ = ["FileSink", "open_sink"]


def open_sink(uri: str) -> Sink:
    """Open the sink that a URI names.

    ``file:PATH`` for JSON lines; ``webhook:FOLDER`` for signed posts, by the files in a folder.

    Raises:
        ConfigurationError: The URI is wrong, or its scheme is unknown.
    """
    scheme, colon, rest = uri.partition(":")
    if scheme == "file" and colon and rest:
        return FileSink(rest)
    if scheme == "webhook" and colon and rest:
        from adyton.sinks.posting import PostingSink  # noqa: PLC0415 - few stores post anything

        return PostingSink(rest)
    raise ConfigurationError(
        "the audit sink is not of the form file:PATH or webhook:FOLDER",
        hint="Write file:PATH, or webhook:FOLDER with the files url and secret in it.",
    )
