"""The HTTP server in front of the application: one Granian, or two while certificates change.

Granian reads certificates once, when it starts (and ends the process where they are unfit, so they
are tried out before, see ``trial.py``). So a reload starts a second one on a socket of its
own that shares the port, and hands new connections to it alone; those of the first are asked to
close with their next answer and end at the latest when the drain time is over. No connection is
reset: the kernel is told which of the sockets gets new connections (a classic BPF program of one
instruction, see SO_ATTACH_REUSEPORT_CBPF in socket(7)) before the other one is closed, so nothing
waits in the queue of a socket that goes away.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import socket
import struct
from collections.abc import Awaitable
from typing import Any, Final

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.log import LogLevels
from granian.server.embed import Server

from adyton.config import Configuration
from adyton.errors import ConfigurationError
from adyton.server.app import Application, Exchange, Scope
from adyton.server.certificates import Certificates
from adyton.server.connections import prepare
from adyton.server.listening import listen_on, share, url_of
from adyton.server.telemetry.logs import LOGGERS_OF_GRANIAN

_log = logging.getLogger("adyton.server")

_BACKLOG: Final = 1_024
_MOST_DRAINING: Final = 4
_ATTACH_REUSEPORT_CBPF: Final = getattr(socket, "SO_ATTACH_REUSEPORT_CBPF", 51)
_RETURN_CONSTANT: Final = 0x06  # BPF_RET | BPF_K


class _Closing:
    """An exchange whose answer asks the client to close the connection."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __call__(self) -> Awaitable[bytes]:
        return self._exchange()

    def __aiter__(self) -> Any:  # noqa: ANN401 - Granian's own iterator
        return self._exchange.__aiter__()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever Granian offers
        return getattr(self._exchange, name)

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self._exchange.response_bytes(status, [*headers, ("connection", "close")], body)

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        self._exchange.response_empty(status, [*headers, ("connection", "close")])


class _Door:
    """What one Granian calls: the application, with connections that are to close or not."""

    def __init__(self, application: Application, *, tls: bool) -> None:
        self._application = application
        self.closing = False
        self.started = asyncio.Event()
        # Without TLS there is never a second Granian, and nothing stands between.
        self.__rsgi__ = self._forward if tls else application.__rsgi__

    def __rsgi_init__(self, _loop: asyncio.AbstractEventLoop) -> None:
        self.started.set()

    def _forward(self, scope: Scope, exchange: Exchange) -> Awaitable[None]:
        if self.closing and scope.http_version.startswith("1"):
            return self._application.__rsgi__(scope, _Closing(exchange))
        return self._application.__rsgi__(scope, exchange)


class _Granian(Server):
    """Granian on a socket that is bound already, with certificates that are read already."""

    def __init__(
        self,
        door: _Door,
        bound: socket.socket,
        certificates: Certificates | None,
        configuration: Configuration,
    ) -> None:
        limits = configuration.limits
        prepare(bound, limits)
        self._bound = bound
        self._certificates = certificates
        super().__init__(
            door,
            interface=Interfaces.RSGI,
            http=HTTPModes.auto if certificates and configuration.tls.http2 else HTTPModes.http1,
            websockets=False,
            backlog=_BACKLOG,
            backpressure=limits.connections,
            http1_settings=HTTP1Settings(
                header_read_timeout=round(limits.header_seconds * 1_000),
                max_buffer_size=limits.header_bytes,
            ),
            http2_settings=HTTP2Settings(
                max_concurrent_streams=limits.streams,
                max_headers_size=limits.header_bytes,
                keep_alive_interval=round(limits.header_seconds * 1_000),
            ),
            log_level=LogLevels.error,  # it warns at each start that it is embedded
            log_dictconfig=LOGGERS_OF_GRANIAN,
        )

    def build_ssl_context(self, *_: object) -> None:
        found = self._certificates
        if found is None:
            super().build_ssl_context(None, None, None, SSLProtocols.tls13, None, [], False)
            return
        authorities = found.client_ca_path
        self.ssl_ctx: Any = (
            True, found.cert_path, found.key_path, None, str(SSLProtocols.tls13), authorities, [],
            authorities is not None,
        )  # fmt: skip

    def _init_shared_socket(self) -> None:
        # Granian owns the descriptor from here on, and closes it.
        holder: Any = SocketHolder
        self._shd: Any = holder(os.dup(self._bound.fileno()), False, _BACKLOG)


class _Generation:
    """One Granian with its socket and its certificates."""

    def __init__(
        self,
        application: Application,
        bound: socket.socket,
        certificates: Certificates | None,
        configuration: Configuration,
    ) -> None:
        self.bound = bound
        self.certificates = certificates
        self.door = _Door(application, tls=certificates is not None)
        self._server = _Granian(self.door, bound, certificates, configuration)
        self.serving: asyncio.Task[None] | None = None
        self.hurry = asyncio.Event()

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: Granian ended instead.
        """
        self.serving = asyncio.create_task(self._server.serve())
        waiting = asyncio.create_task(self.door.started.wait())
        await asyncio.wait({self.serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self.serving.done():
            self.bound.close()
            raise ConfigurationError("the HTTP server does not start")

    async def stop(self, seconds: float) -> None:
        """Finish what is under way, close all connections and the socket."""
        self.bound.close()
        self._server.stop()  # type: ignore[no-untyped-call]
        if self.serving is not None:
            await asyncio.wait({self.serving}, timeout=seconds)
        if self.certificates is not None:
            self.certificates.close()


class Front:
    """Listens, and changes certificates without losing a connection.

    Args:
        application: Answers requests.
        configuration: How to listen.
        certificates: For TLS; None for plain HTTP.

    Attributes:
        url: The address for clients on this machine.
        ended: Set when the server that gets new connections has ended, whoever ended it.

    Raises:
        ConfigurationError: The address can't be listened on.
    """

    def __init__(
        self,
        application: Application,
        configuration: Configuration,
        certificates: Certificates | None,
    ) -> None:
        self._application = application
        self._configuration = configuration
        bound = listen_on(configuration.server.listen)
        self._family = bound.family
        self._address = bound.getsockname()[:2]
        self.port = int(self._address[1])
        self.url = url_of(bound, tls=certificates is not None)
        self._current = _Generation(application, bound, certificates, configuration)
        # In the order in which the kernel numbers the sockets of the port.
        self._group = [self._current]
        self._draining: dict[asyncio.Task[None], _Generation] = {}
        self.ended = asyncio.Event()
        self._steered = _steer(bound, 0)

    def tls_keys(self) -> list[bytes]:
        """Digests of the keys that connections show now, that of new ones first."""
        kept = [self._current, *reversed(self._draining.values())]
        return [each.certificates.key_digest for each in kept if each.certificates is not None]

    async def start(self) -> None:
        """Answer requests.

        Raises:
            ConfigurationError: Granian does not start.
        """
        await self._current.start()
        self._watch(self._current)

    def _watch(self, generation: _Generation) -> None:
        def ended(_: object) -> None:
            if generation is self._current:
                self.ended.set()

        if generation.serving is not None:
            generation.serving.add_done_callback(ended)

    async def change(self, certificates: Certificates) -> None:
        """Serve new connections by other certificates, tried out before; older connections drain.

        Raises:
            ConfigurationError: The server does not start; nothing has changed.
        """
        bound = share(self._family, self._address, self._configuration.server.listen)
        made = _Generation(self._application, bound, certificates, self._configuration)
        self._group.append(made)
        try:
            await made.start()
        except BaseException:
            self._forget(made)
            bound.close()
            raise
        old, self._current = self._current, made
        self._watch(made)
        self._steer()
        old.door.closing = True
        drain = self._configuration.tls.drain if self._steered else 1.0
        task = asyncio.create_task(self._retire(old, drain))
        self._draining[task] = old
        task.add_done_callback(self._draining.pop)
        for oldest in list(self._draining.values())[:-_MOST_DRAINING]:
            oldest.hurry.set()

    async def stop(self) -> None:
        """Finish what is under way, and close everything."""
        for old in self._draining.values():
            old.hurry.set()
        await asyncio.gather(self._current.stop(self._configuration.server.grace), *self._draining)

    async def _retire(self, old: _Generation, drain: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(old.hurry.wait(), drain)
        await old.stop(self._configuration.server.grace)
        self._forget(old)
        self._steer()

    def _forget(self, gone: _Generation) -> None:
        """Number the sockets as the kernel does: the last one takes the place of one that goes."""
        at = self._group.index(gone)
        self._group[at] = self._group[-1]
        self._group.pop()

    def _steer(self) -> None:
        with contextlib.suppress(OSError):
            self._steered = _steer(self._current.bound, self._group.index(self._current))


def _steer(bound: socket.socket, number: int) -> bool:
    """Give new connections to one of the sockets of a port; False where the kernel can't."""
    code = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN_CONSTANT, 0, 0, number))
    program = struct.pack("HP", 1, ctypes.addressof(code))
    try:
        bound.setsockopt(socket.SOL_SOCKET, _ATTACH_REUSEPORT_CBPF, program)
    except OSError as error:
        _log.warning("new connections can't be steered to one socket: %s", error.strerror)
        return False
    return True
