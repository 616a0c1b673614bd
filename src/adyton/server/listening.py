"""Sockets that the server listens on, and what is said when it can't."""

import errno
import socket
from typing import Final

from adyton.config.settings import split_address
from adyton.errors import ConfigurationError

_BACKLOG: Final = 1_024
_HINTS: Final = {
    errno.EADDRINUSE: "Stop what uses the port, or name another with --listen.",
    errno.EACCES: "Ports below 1024 need a right: give CAP_NET_BIND_SERVICE, or take a higher one.",
    errno.EADDRNOTAVAIL: "No interface of this machine has that address.",
}


def resolve(listen: str) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """The family and the address that a configured address stands for.

    Raises:
        ConfigurationError: The name is unknown.
    """
    found = split_address(listen)
    host, port = found if found is not None else ("", 0)
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"can't listen on {listen}: {getattr(error, 'strerror', None) or 'not a host name'}",
            hint="Give an address of this machine, such as 127.0.0.1 or [::1].",
        ) from None
    return family, (str(address[0]), int(address[1]))


def listen_on(listen: str) -> socket.socket:
    """A socket that listens; port 0 takes a free port.

    Raises:
        ConfigurationError: The address can't be listened on; the text says why.
    """
    family, address = resolve(listen)
    # Sockets that share a port may all be bound to it, so whether it is free is asked without.
    with _bound(listen, family, address, shared=False) as probe:
        address = (address[0], probe.getsockname()[1])
    return share(family, address, listen)


def share(family: socket.AddressFamily, address: tuple[str, int], listen: str) -> socket.socket:
    """One more socket that listens on an address of this process.

    Raises:
        ConfigurationError: The address can't be listened on; the text says why.
    """
    made = _bound(listen, family, address, shared=True)
    made.listen(_BACKLOG)
    made.setblocking(False)
    return made


def _bound(
    listen: str, family: socket.AddressFamily, address: tuple[str, int], *, shared: bool
) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        made.bind(address)
    except OSError as error:
        made.close()
        raise ConfigurationError(
            f"can't listen on {listen}: {error.strerror}",
            hint=_HINTS.get(error.errno or 0, "Name another address with --listen."),
        ) from None
    return made


def url_of(bound: socket.socket, *, tls: bool) -> str:
    """The address of a listening socket for clients on this machine."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared only
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if tls else 'http'}://{host}:{port}"
