"""A sink that sends audit records by syslog (RFC 5424).

It is a folder (``_folder``) with the file ``url``, where to: ``unix:/dev/log``, ``udp://HOST:514``,
``tcp://HOST:601`` (octet counting, RFC 6587) or ``tls://HOST:6514`` (RFC 5425); for TLS perhaps
``client.pem``, a certificate of our own and its key, which nobody else may read. Other machines
get records by TLS alone.

Syslog has no acknowledgements. Over TCP and TLS a batch counts as taken once the other side has
closed its side after ours: it has read all of it then, or the connection would be reset. Datagrams
are taken as soon as the system takes them; a record that is too long for one goes as what tells
which it is.
"""

import errno
import logging
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from adyton.errors import AdytonError
from adyton.outbound import is_this_machine, tls_context
from adyton.ports import SinkEvent
from adyton.sinks._folder import SECONDS, FolderSink

_PORTS: Final = {"udp": 514, "tcp": 601, "tls": 6514}
_FACILITY: Final = 13  # log audit (RFC 5424, table 1)
_WARNING, _NOTICE, _INFORMATIONAL = 4, 5, 6
_HOSTNAME_CHARS: Final = 255
_MSGID_CHARS: Final = 32
_SHORT: Final = (
    "index", "log", "time", "action", "success", "version", "request_id", "address", "accessor",
)  # fmt: skip
"""Members of a record that is too long which are sent all the same, each a short one."""
_SHORT_CHARS: Final = 100

_log = logging.getLogger("adyton.upkeep")


class SyslogSink(FolderSink):
    """Sends records in batches (``ports.Sink``)."""

    def _send(self, events: Sequence[SinkEvent]) -> None:
        host = _host()
        messages = [message(event.line, host) for event in events]
        place = self._place()
        try:
            if place.scheme in {"unix", "udp"}:
                with self._datagrams(place) as connection:
                    for event, each in zip(events, messages, strict=True):
                        _datagram(connection, each, event.line, host)
                return
            data = b"".join(b"%d %b" % (len(m), m) for m in messages)
            with self._stream(place) as connection:
                connection.sendall(data)
                _ended(connection)
        except ssl.SSLCertVerificationError:
            raise OSError(errno.EIO, "its certificate is not one that is trusted") from None
        except ssl.SSLError:
            raise OSError(errno.EIO, "TLS with it fails") from None
        except TimeoutError:
            raise OSError(errno.ETIMEDOUT, "it does not take what it is sent in time") from None

    def _place(self) -> SplitResult:
        try:
            place = urlsplit(self._read("url"))
            usable = (
                bool(place.path) and not place.netloc
                if place.scheme == "unix"
                else place.scheme in _PORTS and bool(place.hostname) and place.port != 0
                and place.path in {"", "/"} and place.username is None
            )  # fmt: skip
        except ValueError:
            usable = False
        if not usable or place.query or place.fragment:
            raise OSError(errno.EINVAL, "its url is not as in unix:/dev/log or tls://host:6514")
        if place.scheme in {"tcp", "udp"} and not is_this_machine(place.hostname or ""):
            raise OSError(errno.EINVAL, "records would cross the network in the clear; use tls://")
        return place

    @contextmanager
    def _datagrams(self, place: SplitResult) -> Iterator[socket.socket]:
        family, address = _found(place)
        with socket.socket(family, socket.SOCK_DGRAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect(address)
            yield connection

    @contextmanager
    def _stream(self, place: SplitResult) -> Iterator[socket.socket]:
        where = (place.hostname or "", place.port or _PORTS[place.scheme])
        with socket.create_connection(where, timeout=SECONDS) as plain:
            if place.scheme == "tcp":
                yield plain
                return
            client = self._file("client.pem")
            if client is not None:
                self._private("client.pem")  # refused where others may read it
            try:
                context = tls_context(self._file("ca.pem"), client)
            except AdytonError as error:
                raise OSError(errno.EINVAL, error.message) from None
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            # In 1.3 a refusal of our certificate comes behind our side of the handshake, when the
            # data is on its way, and OpenSSL takes its alert for the end that is waited for.
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            with context.wrap_socket(plain, server_hostname=place.hostname) as secured:
                yield secured


def message(line: str, host: str) -> bytes:
    """A record as a message of RFC 5424: its line as the text, its action as the MSGID.

    Args:
        line: One JSON object.
        host: The HOSTNAME.
    """
    told = msgspec.json.decode(line, type=dict[str, object])
    severity = _INFORMATIONAL
    if told.get("success") is False:
        severity = _WARNING
    elif "notice" in told:
        severity = _NOTICE
    action = str(told.get("action") or "-")[:_MSGID_CHARS]
    head = f"<{_FACILITY * 8 + severity}>1 {told.get('time') or '-'} {host} adyton - {action} - "
    # Text that is not ASCII has to begin with a mark (section 6.4) that readers of JSON trip over.
    return (head + _ascii(line)).encode("ascii")


def shortened(line: str) -> str:
    """What is told of a record that is too long: which it is, and that the rest is not there.

    Args:
        line: One JSON object.
    """
    told = msgspec.json.decode(line, type=dict[str, object])
    kept = {name: told[name] for name in _SHORT if len(str(told.get(name, ""))) <= _SHORT_CHARS
            and name in told}  # fmt: skip
    return msgspec.json.encode(kept | {"too_long": len(line.encode())}).decode()


def _datagram(connection: socket.socket, whole: bytes, line: str, host: str) -> None:
    """Send a record as one datagram, or what tells which it is if it does not fit into one."""
    try:
        connection.send(whole)
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        connection.send(message(shortened(line), host))
        _log.error("an audit record was too long for a datagram; the sink got its index alone")


def _ascii(line: str) -> str:
    if line.isascii() and "\x7f" not in line:  # JSON escapes all other controls of ASCII
        return line
    return "".join(c if c < "\x7f" else _escaped(c) for c in line)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _host() -> str:
    name = socket.gethostname()[:_HOSTNAME_CHARS]
    printable = name.isascii() and name.isprintable() and " " not in name
    return name if name and printable else "-"


def _found(place: SplitResult) -> tuple[int, "str | tuple[object, ...]"]:
    """Family and address of a place that takes datagrams."""
    if place.scheme == "unix":
        return socket.AF_UNIX, place.path
    port = place.port or _PORTS[place.scheme]
    found = socket.getaddrinfo(place.hostname, port, type=socket.SOCK_DGRAM)
    return found[0][0], found[0][4]


def _ended(connection: socket.socket) -> None:
    """Close our side, and wait until the other one has read all and closed its own."""
    if isinstance(connection, ssl.SSLSocket):
        # A receiver has to answer close_notify by its own (RFC 5425, section 4.4). Some only close
        # the connection (rsyslog with GnuTLS), so that is enough; a reset is another error.
        with suppress(ssl.SSLEOFError):
            connection.unwrap()
        return
    connection.shutdown(socket.SHUT_WR)
    end = time.monotonic() + SECONDS
    while connection.recv(4096):
        if time.monotonic() > end:  # it says something again and again, and never ends
            raise TimeoutError
