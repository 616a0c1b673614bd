"""Connections: how many one source may hold, and how slow they may be.

The HTTP server accepts connections by itself, up to a number; whoever takes them all keeps others
out. So they are looked at from time to time, through the process's own descriptors: a source that
holds too many loses its newest, and so does one that does not take its answers. The kernel ends
those whose other end has gone (``TCP_USER_TIMEOUT``, keep-alive probes; see tcp(7)).
"""

import asyncio
import os
import resource
import socket
import struct
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from adyton.config import HttpLimits
from adyton.server.proxies import TrustedProxies
from adyton.service.quota.networks import network_of

_SECONDS: Final = 1.0
_SECONDS_CROWDED: Final = 0.1
_LEAST_BYTES_PER_SECOND: Final = 1_024
"""How fast an answer is to be taken, at least."""
_KEEPALIVE: Final = (60, 10, 3)
"""Seconds before the first probe, seconds between probes, and how many."""
_SPARE_FILES: Final = 256
# struct tcp_info of linux/tcp.h: 64-bit count of acknowledged bytes, 32-bit of bytes not sent.
_UNACKED_AT: Final = 24
_ACKED_AT: Final = 120
_NOT_SENT_AT: Final = 144
_INFO_BYTES: Final = 148


def prepare(listening: socket.socket, limits: HttpLimits) -> None:
    """Set what accepted connections inherit, and see to it that there are descriptors for them."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle, interval, count = _KEEPALIVE
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, count)
    stall = int(limits.stall_seconds * 1_000)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, stall)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + _SPARE_FILES
    if hard == resource.RLIM_INFINITY or wanted <= hard:
        wanted = max(wanted, soft)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@dataclass(slots=True)
class _Stalled:
    """Since when a connection has had something to send, and what was acknowledged then."""

    since: float
    acked: int


class Connections:
    """Looks at the connections of one port.

    Args:
        port: The port that they came to.
        limits: The limits.
        proxies: Peers that speak for many, and are not counted.
    """

    def __init__(self, port: int, limits: HttpLimits, proxies: TrustedProxies) -> None:
        self._port = port
        self._limits = limits
        self._proxies = proxies
        self._seen: dict[tuple[int, str, int], int] = {}
        self._stalled: dict[tuple[int, str, int], _Stalled] = {}
        self._number = 0
        self.open = 0
        self.closed = 0

    async def run(self) -> None:
        """Look at them until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            crowded = self.open > self._limits.connections // 2
            await asyncio.sleep(_SECONDS_CROWDED if crowded else _SECONDS)
            await asyncio.to_thread(self.look, loop.time())

    def look(self, now: float) -> None:
        """Look at all connections once, and close those that break a limit."""
        sources: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        found: set[tuple[int, str, int]] = set()
        for fd in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - many, often
            key = self._connection(fd)
            if key is None:
                continue
            found.add(key)
            if key not in self._seen:
                self._number += 1
                self._seen[key] = self._number
            if self._stalls(key, now):
                self._close(key)
            elif not (self._proxies.any and self._proxies.trusts(key[1])):
                sources[network_of(key[1]).lane].append((self._seen[key], fd))
        for gone in self._seen.keys() - found:
            del self._seen[gone]
            self._stalled.pop(gone, None)
        self.open = len(found)
        by_fd = {key[0]: key for key in found}
        for held in sources.values():
            for _, fd in sorted(held)[self._limits.connections_per_source :]:
                self._close(by_fd[fd])

    def _connection(self, fd: int) -> tuple[int, str, int] | None:
        """A descriptor's peer, if it is a connection of this port."""
        try:
            if not os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):  # noqa: PTH115 - idem
                return None
            with _Borrowed(fd) as sock:
                if sock.family not in {socket.AF_INET, socket.AF_INET6}:
                    return None
                if sock.getsockname()[1] != self._port:
                    return None
                address, port = sock.getpeername()[:2]
        except OSError:
            return None  # closed in the meantime, or not connected
        return fd, str(address), int(port)

    def _stalls(self, key: tuple[int, str, int], now: float) -> bool:
        try:
            with _Borrowed(key[0]) as sock:
                info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
        except OSError:
            return False
        if len(info) < _INFO_BYTES:  # an old kernel
            return False
        unacked, not_sent, acked = (
            struct.unpack_from(form, info, at)[0]
            for form, at in (("=I", _UNACKED_AT), ("=I", _NOT_SENT_AT), ("=Q", _ACKED_AT))
        )
        if not unacked and not not_sent:
            self._stalled.pop(key, None)
            return False
        began = self._stalled.setdefault(key, _Stalled(now, acked))
        if now - began.since < self._limits.stall_seconds:
            return False
        slow = acked - began.acked < _LEAST_BYTES_PER_SECOND * (now - began.since)
        began.since, began.acked = now, acked
        return bool(slow)

    def _close(self, peer: tuple[int, str, int]) -> None:
        if self._connection(peer[0]) != peer:
            return
        with suppress(OSError), _Borrowed(peer[0]) as sock:
            # Whoever reads or writes it finds it closed, and closes the descriptor.
            sock.shutdown(socket.SHUT_RDWR)
            self.closed += 1


class _Borrowed:
    """A socket of another's descriptor, which is neither duplicated nor closed."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)

    def __enter__(self) -> socket.socket:
        return self._socket

    def __exit__(self, *_: object) -> None:
        self._socket.detach()
