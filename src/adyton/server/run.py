"""The life of a server: one process, one event loop, one store."""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from adyton.config import Configuration
from adyton.errors import AdytonError
from adyton.model import Caller
from adyton.server import driver
from adyton.server.admission import Admission
from adyton.server.app import Application
from adyton.server.build import build_handler
from adyton.server.certificates import read, stamp, try_out
from adyton.server.front import Front
from adyton.server.notify import notify
from adyton.server.renewal import Renewal
from adyton.server.telemetry import logs
from adyton.server.telemetry.seen import RequestLog
from adyton.server.telemetry.state import make_telemetry
from adyton.server.tokens import make_root_token
from adyton.server.vault.service import Services
from adyton.service.access.tidy import Tidy
from adyton.service.rootcheck import RootCheck
from adyton.wiring import Opened

_log = logging.getLogger("adyton.server")


@dataclass(frozen=True, slots=True)
class Up:
    """A server that answers requests.

    Attributes:
        address: Its address for clients on this machine.
        root_token: The root token that was made; empty if none was.
    """

    address: str
    root_token: str


def serve(
    opened: Opened,
    configuration: Configuration,
    *,
    root_token: str | None = None,
    ready: Callable[[Up], None],
) -> None:
    """Serve a store until a signal asks to stop, then finish what is under way and close it.

    SIGTERM and SIGINT stop it; SIGHUP reads the files of TLS again.

    Args:
        opened: The open store; closed at the end.
        configuration: How to serve.
        root_token: Text of a root token to make first; empty for a random one, None for none.
        ready: Told once requests are answered.

    Raises:
        ConfigurationError: The address can't be listened on, or TLS can't be set up.
    """
    written = logs.configure(configuration.telemetry)
    try:
        uvloop.run(_serve(opened, configuration, root_token, ready, written))
    finally:
        try:
            opened.close()
        finally:
            written.close()


async def _serve(
    opened: Opened,
    configuration: Configuration,
    root_token: str | None,
    ready: Callable[[Up], None],
    written: logs.Logs,
) -> None:
    asyncio.get_running_loop().set_exception_handler(logs.on_loop_error)
    telemetry = make_telemetry(configuration.telemetry)
    handler, services = build_handler(opened.core, telemetry)
    roots = RootCheck(opened.core)
    if telemetry.store is not None:
        telemetry.store.roots = roots
        telemetry.store.delivered = lambda: opened.upkeep.delivered
    admission = Admission(services.gate.known, configuration)
    application = Application(handler, configuration.limits, telemetry.requests, admission)
    telemetry.in_flight = lambda: application.in_flight
    telemetry.log_dropped = lambda: written.outlet.dropped
    if configuration.telemetry.log_requests:
        application.log = RequestLog(written.log, services.spaces.cached)
    seen = stamp(configuration.tls)
    certificates = read(configuration.tls) if configuration.tls.cert else None
    if certificates is not None:
        try_out(certificates)
    front = Front(application, configuration, certificates)
    text = "" if root_token is None else make_root_token(opened, root_token)
    driver.install(asyncio.get_running_loop())
    await front.start()
    background = [asyncio.create_task(_tidy(opened, services, configuration.server.tidy))]
    roots.start()
    renewal = None
    if certificates is not None:
        renewal = Renewal(front, configuration.tls, certificates, seen)
        background.append(asyncio.create_task(renewal.run()))
        telemetry.certificate_expires = renewal.expires
        telemetry.certificate_reloads = renewal.reloads
    stopping = _handle_signals(renewal)
    _tune_interpreter()
    ready(Up(front.url, text))
    notify("READY=1")
    await _until(stopping, front)
    notify("STOPPING=1")
    application.stop()
    for task in background:
        task.cancel()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(application.idle.wait(), configuration.server.grace)
    await front.stop()
    roots.close()
    if telemetry.tracing is not None:
        await asyncio.to_thread(telemetry.tracing.close)


def _handle_signals(renewal: Renewal | None) -> asyncio.Event:
    """Give signals their meaning; returns what is set by those that stop the server."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    reload = renewal.look_now if renewal is not None else lambda: None
    loop.add_signal_handler(signal.SIGHUP, reload)
    return stopping


async def _until(stopping: asyncio.Event, front: Front) -> None:
    """Wait for the signal to stop, or for a server that breaks down."""
    waiting = asyncio.create_task(stopping.wait())
    while not waiting.done():
        serving = front.serving
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        # One that has been replaced ends when it has drained.
        if serving.done() and serving is front.serving:
            break
    waiting.cancel()


def _tune_interpreter() -> None:
    """Spare requests what the interpreter does for programs of another kind."""
    # What lives as long as the server is never garbage, and little else survives a request.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    # The HTTP server's threads need the interpreter for microseconds, and wait this long for it.
    sys.setswitchinterval(0.0005)


async def _tidy(opened: Opened, services: Services, interval: float) -> None:
    """Remove what has ended, from time to time."""
    tidy = Tidy(opened.core, services.spaces, services.tokens)
    while True:
        await asyncio.sleep(interval)
        try:
            await opened.core.commit.run_async(tidy.run(Caller("adyton:tidy")))
        except AdytonError as error:
            # The next request meets the same trouble and tells it.
            _log.warning("removing what has ended failed: %s", error.message)
