"""Running the server: one process, one event loop, one store."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from adyton.errors import AdytonError, ConfigurationError
from adyton.model import Caller
from adyton.server.app import Application, HttpLimits
from adyton.server.build import build_handler
from adyton.server.telemetry.settings import TelemetrySettings
from adyton.server.telemetry.state import Telemetry
from adyton.server.tokens import make_root_token
from adyton.server.vault.service import Services
from adyton.service.access.tidy import Tidy
from adyton.service.rootcheck import RootCheck
from adyton.wiring import Opened

_GRACE_SECONDS: Final = 10.0
TIDY_SECONDS: Final = 300.0
_log = logging.getLogger("adyton.server")


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How the server listens.

    Attributes:
        host: Address to listen on.
        port: Port.
        tls_cert: Certificate chain, PEM.
        tls_key: Its private key, PEM.
        tls_client_ca: Certificates of those whose clients are let in; None to let all in.
        limits: Limits on requests.
        telemetry: Metrics, logs and traces.
    """

    host: str = "127.0.0.1"
    port: int = 8200
    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    limits: HttpLimits = field(default_factory=HttpLimits)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)

    @property
    def address(self) -> str:
        """The server's address for clients."""
        scheme = "https" if self.tls_cert else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


def serve(
    opened: Opened,
    options: ServeOptions,
    *,
    root_token: str | None = None,
    ready: Callable[[str], None],
) -> None:
    """Serve a store until a signal asks to stop, then finish what is under way and close it.

    Args:
        opened: The open store; closed at the end.
        options: How to listen.
        root_token: Text of a root token to make first; empty for a random one, None for none.
        ready: Told the root token's text (or an empty text) once requests are answered.

    Raises:
        ConfigurationError: The address can't be listened on.
    """
    try:
        _check_free(options)
        uvloop.run(_serve(opened, options, root_token, ready))
    finally:
        opened.close()


def _check_free(options: ServeOptions) -> None:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with contextlib.closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            raise ConfigurationError(
                f"can't listen on {options.host}:{options.port}: {error.strerror}",
                hint="Stop what uses the port, or name another with --listen.",
            ) from None


def _tune_interpreter() -> None:
    """Spare requests what the interpreter does for programs of another kind."""
    # What lives as long as the server is never garbage, and little else survives a request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    # The HTTP server's threads need the interpreter for microseconds, and wait this long for it.
    sys.setswitchinterval(0.0005)


async def _serve(
    opened: Opened, options: ServeOptions, root_token: str | None, ready: Callable[[str], None]
) -> None:
    telemetry = Telemetry(options.telemetry.unauthenticated_metrics)
    handler, services = build_handler(opened.core, telemetry)
    roots = RootCheck(opened.core)
    if telemetry.store is not None:
        telemetry.store.roots = roots
        telemetry.store.delivered = lambda: opened.upkeep.delivered
    roots.start()
    text = "" if root_token is None else make_root_token(opened, root_token)
    application = Application(handler, options.limits, telemetry.requests)
    telemetry.in_flight = lambda: application.in_flight
    server = Server(
        application,
        address=options.host,
        port=options.port,
        interface=Interfaces.RSGI,
        http=HTTPModes.auto if options.tls_cert else HTTPModes.http1,
        websockets=False,
        backlog=1024,
        http1_settings=HTTP1Settings(max_buffer_size=options.limits.header_bytes),
        log_enabled=False,
        ssl_cert=options.tls_cert,
        ssl_key=options.tls_key,
        ssl_ca=options.tls_client_ca,
        ssl_client_verify=options.tls_client_ca is not None,
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    serving = asyncio.create_task(server.serve())
    tidying = asyncio.create_task(_tidy(opened, services))
    await asyncio.sleep(0)
    _tune_interpreter()
    ready(text)
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    application.stop()
    tidying.cancel()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(application.idle.wait(), _GRACE_SECONDS)
    server.stop()  # type: ignore[no-untyped-call]
    await serving
    waiting.cancel()
    roots.close()


async def _tidy(opened: Opened, services: Services) -> None:
    """Remove what has ended, from time to time."""
    tidy = Tidy(opened.core, services.spaces, services.tokens)
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        try:
            await opened.core.commit.run_async(tidy.run(Caller("adyton:tidy")))
        except AdytonError as error:
            # The next request meets the same trouble and tells it.
            _log.warning("removing what has ended failed: %s", error.message)
