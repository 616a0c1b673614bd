"""The life of a server: one process, one event loop, one store."""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from adyton.attest.opening import open_evidence
from adyton.config import Configuration
from adyton.errors import AdytonError
from adyton.server import driver
from adyton.server.admission import Admission
from adyton.server.app import Application
from adyton.server.attestation import Attestation
from adyton.server.certificates import read, stamp, try_out
from adyton.server.connections import Connections
from adyton.server.front import Front
from adyton.server.notify import notify
from adyton.server.renewal import Renewal
from adyton.server.seal.lifecycle import Lifecycle
from adyton.server.seal.sealed import sealed_handler
from adyton.server.seal.status import SealStatus
from adyton.server.telemetry import logs
from adyton.server.telemetry.seen import RequestLog
from adyton.server.telemetry.serving import with_metrics
from adyton.server.telemetry.state import Telemetry, make_telemetry
from adyton.server.tokens import make_root_token
from adyton.wiring import Opened, Options

_log = logging.getLogger("adyton.server")


@dataclass(frozen=True, slots=True)
class Up:
    """A server that answers requests.

    Attributes:
        address: Its address for clients on this machine.
        root_token: The root token that was made; empty if none was.
        status: Whether it is sealed.
    """

    address: str
    root_token: str
    status: SealStatus


def serve(
    store: Opened | Options,
    configuration: Configuration,
    *,
    root_token: str | None = None,
    ready: Callable[[Up], None],
) -> None:
    """Serve a store until a signal asks to stop, then finish what is under way and close it.

    SIGTERM and SIGINT stop it, at once when they come twice; SIGHUP reads the files of TLS again.
    A store that has to be made, or opened by shares, is served sealed.

    Args:
        store: The open store, or how to open it; closed at the end.
        configuration: How to serve.
        root_token: Text of a root token to make first; empty for a random one, None for none.
        ready: Told once requests are answered.

    Raises:
        ConfigurationError: The address can't be listened on, or TLS can't be set up.
        AdytonError: The store can't be opened, or the HTTP server has ended by itself.
    """
    written = logs.configure(configuration.telemetry)
    try:
        telemetry = make_telemetry(configuration.telemetry)
        opened, options = (None, store) if isinstance(store, Options) else (store, store.options)
        attestation = Attestation(open_evidence(configuration.attestation.options()))
        life = Lifecycle(options, configuration, telemetry, opened, attestation)
        life.look()
        try:
            uvloop.run(_serve(life, configuration, telemetry, root_token, ready, written))
        finally:
            if life.opened is not None:  # the server has broken down on its way up
                life.opened.close()
    finally:
        written.close()


async def _serve(
    life: Lifecycle,
    configuration: Configuration,
    telemetry: Telemetry,
    root_token: str | None,
    ready: Callable[[Up], None],
    written: logs.Logs,
) -> None:
    asyncio.get_running_loop().set_exception_handler(logs.on_loop_error)
    sealed = telemetry.watched(with_metrics(sealed_handler(life), telemetry), life.space_of)
    admission = Admission(lambda _: None, configuration)
    application = Application(sealed, configuration.limits, telemetry.requests, admission)
    telemetry.in_flight = lambda: application.in_flight
    telemetry.waiting = lambda: admission.waiting
    telemetry.log_dropped = lambda: written.outlet.dropped
    if configuration.telemetry.log_requests:
        application.log = RequestLog(written.log, life.space_of)
    seen = stamp(configuration.tls)
    certificates = read(configuration.tls) if configuration.tls.cert else None
    if certificates is not None:
        try_out(certificates)
    front = Front(application, configuration, certificates)
    life.attestation.tls_keys = front.tls_keys
    text = ""
    if root_token is not None and life.opened is not None:
        text = make_root_token(life.opened, root_token)
    driver.install(asyncio.get_running_loop())
    life.attach(application, admission, sealed)
    renewal = None
    if certificates is not None:
        renewal = Renewal(front, configuration.tls, certificates, seen)
        telemetry.certificate_expires = renewal.expires
        telemetry.certificate_reloads = renewal.reloads
    stopping = _handle_signals(renewal)
    await front.start()
    connections = Connections(front.port, configuration.limits, admission.proxies)
    background = [asyncio.create_task(connections.run())]
    if renewal is not None:
        background.append(asyncio.create_task(renewal.run()))
    ready(Up(front.url, text, life.status()))
    notify("READY=1")
    asked = await _until(stopping, front)
    notify("STOPPING=1")
    application.stop()
    for task in background:
        task.cancel()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(application.idle.wait(), configuration.server.grace)
    await front.stop()
    await life.close()
    if telemetry.tracing is not None:
        await asyncio.to_thread(telemetry.tracing.close)
    if not asked:
        raise AdytonError("the HTTP server has ended by itself", hint="The log may say why.")


def _handle_signals(renewal: Renewal | None) -> asyncio.Event:
    """Give signals their meaning; returns what is set by those that stop the server."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        if stopping.is_set():
            # Somebody does not want to wait. What was acknowledged is on the disk.
            _log.warning("stopped at once, by a second signal")
            os._exit(128 + number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    reload = renewal.look_now if renewal is not None else lambda: None
    loop.add_signal_handler(signal.SIGHUP, reload)
    return stopping


async def _until(stopping: asyncio.Event, front: Front) -> bool:
    """Wait for the signal to stop; False if the server has broken down instead."""
    waiting = [asyncio.create_task(event.wait()) for event in (stopping, front.ended)]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    return stopping.is_set()
