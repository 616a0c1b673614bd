"""A receiver of syslog on this machine: RFC 5424 by its grammar, RFC 6587 by octet counts."""

import json
import re
import socket
import struct
import threading
import time
from typing import NamedTuple

# Section 6 of RFC 5424, as far as we use it: no structured data, and a text of ASCII.
_MESSAGE = re.compile(
    rb"<(?P<pri>[0-9]{1,3})>1 "
    rb"(?P<time>-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)) "
    rb"(?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) "
    rb"(?P<ident>[!-~]{1,32}) - (?P<text>[ -~]*)"
)


class Message(NamedTuple):
    """One message, and what its text holds."""

    facility: int
    severity: int
    app: str
    ident: str
    record: dict


def parsed(data):
    """A message, or a failure of the test."""
    found = _MESSAGE.fullmatch(data)
    assert found, data
    facility, severity = divmod(int(found["pri"]), 8)
    return Message(
        facility, severity, found["app"].decode(), found["ident"].decode(),
        json.loads(found["text"]),
    )  # fmt: skip


def frames(data):
    """The messages of a stream."""
    while data:
        size, _, data = data.partition(b" ")
        assert size.isdigit()
        assert not size.startswith(b"0")
        assert len(data) >= int(size)
        yield data[: int(size)]
        data = data[int(size) :]


class Receiver:
    """Takes streams, in a thread; ``answers`` says for each connection what is done.

    It is ``read`` (all, and close), ``rude`` (the same without TLS's goodbye), ``reset`` (after
    some bytes), ``silent`` (never closing), or ``drip`` (sending bytes, never closing).
    """

    def __init__(self, tls=None):
        self.got = []
        self.answers = []
        self._tls = tls
        self._open = []
        self._server = socket.create_server(("127.0.0.1", 0))
        scheme = "tcp" if tls is None else "tls"
        self.url = f"{scheme}://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def indexes(self):
        return [message.record["index"] for message in self.got]

    def _run(self):
        while True:
            connection, _ = self._server.accept()
            if not self._answer(connection):
                return

    def _answer(self, connection):
        answer = self.answers.pop(0) if self.answers else "read"
        if answer == "end":
            connection.close()
            return False
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            if answer == "reset":
                connection.recv(10)
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                connection.close()
                return True
            data = b"".join(iter(lambda: connection.recv(65536), b""))
            self.got += [parsed(each) for each in frames(data)]
            if answer == "silent":
                self._open.append(connection)
                return True
            while answer == "drip":
                connection.sendall(b"a")
                time.sleep(0.02)
            if self._tls is not None and answer != "rude":
                connection = connection.unwrap()
        except OSError:  # a client that does not trust us, or that we do not trust
            pass
        connection.close()
        return True

    def close(self):
        self.answers = ["end"]
        host, _, port = self.url.partition("://")[2].partition(":")
        socket.create_connection((host, int(port))).close()
        self._thread.join()
        self._server.close()
        for each in self._open:
            each.close()
