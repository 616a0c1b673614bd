"""What every HTTP connection that we open has to check: its address, headers, certificates.

httpx's exceptions hold the request, and that holds the token: they are dropped (``from None``),
and what is told of them is made here.
"""

import ipaddress
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import httpx

from adyton.errors import ConfigurationError, InvalidInput, ServerUnavailable

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_CARRIERS: Final = tuple(
    ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16")
)
"""NAT64 (RFC 6052, 8215) and 6to4 (RFC 3056): an IPv4 address that may be a private one."""
_LOOPBACK: Final = frozenset(("127.0.0.1", "::1", "localhost"))


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine by the way it is written, whatever names stand for."""
    return host in _LOOPBACK


def checked_address(address: str, *, allow_http: bool = False) -> str:
    """An address to send a token to, without a slash at its end.

    Args:
        address: ``https://host:8200``; plain ``http`` to this machine only.
        allow_http: Whether plain ``http`` may go to other machines too.

    Raises:
        InvalidInput: It is not such an address; the text does not quote it.
    """
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, ValueError, TypeError):
        raise InvalidInput("the address is not a URL", hint="Give https://host:8200.") from None
    if url.scheme not in {"http", "https"} or not url.host or url.query or url.fragment:
        raise InvalidInput("the address is not an http URL", hint="Give https://host:8200.")
    if url.port is not None and not 1 <= url.port <= 65_535:
        raise InvalidInput("the address has a port that is none")
    if url.userinfo:
        raise InvalidInput("the address has a user in it", hint="Leave it out.")
    if url.scheme == "http" and not is_this_machine(url.host) and not allow_http:
        raise InvalidInput(
            "the token would cross the network in the clear", hint="Use an https address."
        )
    return str(url).rstrip("/")


def header_text(text: str, what: str) -> str:
    """A text that can be sent as a header.

    Raises:
        InvalidInput: It can't; it is not quoted.
    """
    if not text or not (text.isascii() and text.isprintable()) or text != text.strip():
        raise InvalidInput(f"{what} is empty or not printable ASCII")
    return text


def tls_context(
    ca_file: str | None, cert_file: str | None = None, key_file: str | None = None
) -> ssl.SSLContext:
    """How a server's certificate is checked, and by which this side shows who it is.

    Args:
        ca_file: Certificates to trust instead of the system's, PEM.
        cert_file: Our certificate chain, PEM.
        key_file: Its private key, PEM, if it is not in the same file.

    Raises:
        ConfigurationError: A file can't be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError):  # SSLError is an OSError
        raise ConfigurationError(
            f"the file of trusted certificates {ca_file} can't be read", hint="Give a PEM file."
        ) from None
    if cert_file is not None:
        try:
            # An empty password makes an encrypted key fail here instead of asking on a terminal.
            context.load_cert_chain(cert_file, key_file, password="")
        except (OSError, ValueError):
            raise ConfigurationError(
                f"the client's certificate {cert_file} or its key can't be read",
                hint="Give PEM files; the key must not be encrypted.",
            ) from None
    return context


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def untrusted(error: BaseException) -> bool:
    """Whether a failure to connect is one of the server's certificate."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def why_unreachable(error: BaseException) -> str:
    """Why connecting failed, in the system's words, which hold nothing of the request; or empty."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            return "it does not answer by TLS; perhaps it speaks plain HTTP"
        if isinstance(cause, OSError) and cause.strerror and cause.errno is not None:
            return cause.strerror.lower()
    return ""


def place_outside(host: str, port: int, allowed: Sequence[Network]) -> tuple[Address, bool]:
    """An address to connect to for a host that somebody else has named.

    All that the name stands for now is looked at, and the caller connects to what was looked at:
    a name that stands for another address a moment later gains nothing (DNS rebinding).

    Args:
        host: Name or address.
        port: The port.
        allowed: Networks that may be connected to besides the internet.

    Returns:
        The address, and whether it is in one of the networks.

    Raises:
        ServerUnavailable: The name is not known.
        InvalidInput: One of the addresses is neither of the internet nor allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ServerUnavailable("the host's name is not known") from None
    addresses = [ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found]
    inside = [_is_in(address, allowed) for address in addresses]
    if not addresses or not all(
        within or _of_internet(address) for address, within in zip(addresses, inside, strict=True)
    ):
        raise InvalidInput(
            "the host is not one of the internet",
            hint="The operator may allow networks in the setting notices.networks.",
        )
    return addresses[0], all(inside)


def check_numbers(host: str, allowed: Sequence[Network]) -> None:
    """Refuse a host that is an address, in any way of writing one, which can't be connected to.

    What a name stands for is known only when it is connected to, see :func:`place_outside`.

    Raises:
        InvalidInput: It is neither of the internet nor allowed.
    """
    try:
        socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return
    place_outside(host, 0, allowed)


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_in(address: Address, allowed: Sequence[Network]) -> bool:
    return any(_plain(address) in network for network in allowed)


def _of_internet(address: Address) -> bool:
    plain = _plain(address)
    if any(plain in network for network in _CARRIERS):
        return False
    return plain.is_global and not plain.is_multicast
