"""Logs: one line each, of fields from a fixed list, to standard error.

Text is written only where it was composed here. What a library logs is told by where it happened
and of which kind, and an exception by its types and places: their texts could hold anything.
"""

import asyncio
import logging
import sys
import threading
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import msgspec
import structlog

from adyton.config import TelemetrySettings
from adyton.server.telemetry.describe import describe, frames, short
from adyton.server.telemetry.outlet import Outlet

FIELDS: Final = frozenset({
    "accessor", "address", "area", "bytes_in", "bytes_out", "event", "exception", "frames",
    "level", "logger", "method", "mount", "namespace_hash", "path_hash", "request_id", "seconds",
    "source", "status", "timestamp", "trace_id",
})  # fmt: skip
"""The only fields that are ever written."""

FOREIGN: Final = "a message of a library"
_OURS: Final = "adyton"
_MAX_CHARS: Final = 2_000
LOGGERS_OF_GRANIAN: Final = {
    "formatters": {},
    "handlers": {},
    "loggers": {
        name: {"handlers": [], "propagate": True} for name in ("_granian", "granian.access")
    },
}
"""Makes Granian log to where everything else goes, and not to standard output."""
_QUIET: Final = ("asyncio", "urllib3", "opentelemetry")


def allowed(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep fields of the list, with plain values of bounded length (a processor of structlog)."""
    kept: dict[str, Any] = {}
    for name, value in event.items():
        if name not in FIELDS or value is None:
            continue
        if isinstance(value, str):
            kept[name] = "".join(c if c.isprintable() else "\ufffd" for c in value[:_MAX_CHARS])
        elif isinstance(value, int | float):
            kept[name] = value
    return kept


def _json(event: object, **_: object) -> str:
    return msgspec.json.encode(event).decode()


def make_logger(
    settings: TelemetrySettings,
    out: "TextIO | Outlet",
    *,
    terminal: bool = False,
) -> Any:  # noqa: ANN401 - of structlog
    """The logger that everything ends in."""
    console = settings.log_format == "console" or (settings.log_format == "auto" and terminal)
    render: Any = (
        structlog.dev.ConsoleRenderer(colors=terminal, sort_keys=False)
        if console
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    return structlog.wrap_logger(
        structlog.WriteLogger(out),  # type: ignore[arg-type] # it needs write and flush
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            allowed,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )


class Bridge(logging.Handler):
    """Passes on what the standard library's loggers get.

    Args:
        log: Where to.
    """

    def __init__(self, log: Any) -> None:  # noqa: ANN401 - of structlog
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        fields: dict[str, object] = {"logger": record.name}
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None:
            fields |= {"exception": describe(error), "frames": frames(error)}
        text = FOREIGN
        if record.name.partition(".")[0] == _OURS:
            text = record.getMessage()
        else:
            fields["source"] = f"{short(record.pathname)}:{record.lineno}"
        try:
            self._log.log(min(record.levelno, logging.CRITICAL), text, **fields)
        except (OSError, ValueError):
            return  # nobody can be told that nobody can be told


class Logs:
    """The logs of a process that serves.

    Attributes:
        log: The one logger, of structlog.
        outlet: Where its lines go.
    """

    def __init__(self, settings: TelemetrySettings, out: TextIO) -> None:
        self.outlet = Outlet(out)
        self.log = make_logger(settings, self.outlet, terminal=out.isatty())

    def close(self) -> None:
        """Write what waits; from then on the standard library's own way is used."""
        logging.getLogger().handlers[:] = []
        self.outlet.close()


def configure(settings: TelemetrySettings, out: TextIO | None = None) -> Logs:
    """Send the logs of the whole process through one logger."""
    made = Logs(settings, out or sys.stderr)
    root = logging.getLogger()
    root.handlers[:] = [Bridge(made.log)]
    root.setLevel(settings.log_level.upper())
    for name in _QUIET:
        # What goes well with them is of interest only to those who debug.
        logging.getLogger(name).setLevel(
            logging.DEBUG if settings.log_level == "debug" else logging.WARNING
        )
    logging.captureWarnings(capture=True)
    main = logging.getLogger(_OURS)

    def on_thread(what: threading.ExceptHookArgs) -> None:
        if what.exc_value is not None:
            main.error("a thread failed", exc_info=what.exc_value)

    def on_unraisable(what: Any) -> None:  # noqa: ANN401 - sys.UnraisableHookArgs
        main.error("an exception could not be raised", exc_info=what.exc_value)

    threading.excepthook = on_thread
    sys.unraisablehook = on_unraisable
    return made


def on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:  # noqa: ARG001
    """What an event loop can tell nobody else; its own text shows values."""
    error = context.get("exception")
    logging.getLogger(_OURS).error(
        "the event loop met an error", exc_info=error if isinstance(error, BaseException) else None
    )
