"""A server that answers by a script, down to the bytes, as real ones do in bad moments."""

import contextlib
import json
import socket
import struct
import threading
import time


def answer(status=200, body=b"", **headers):
    """An answer as bytes."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    fields = {"Content-Length": str(len(body)), "Content-Type": "application/json"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"HTTP/1.1 {status} X\r\nConnection: close\r\n{head}\r\n".encode() + body


def problem(slug, status, **more):
    """An error of the native API."""
    body = {"type": f"urn:adyton:error:{slug}", "status": status, "detail": "no", **more}
    return answer(status, body, Content_Type="application/problem+json")


def reset(connection):
    """End without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drip(connection):
    """Begin to answer, and never end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(200):
        connection.sendall(b" ")
        time.sleep(0.02)


def silence(connection):
    """Say nothing for a while."""
    time.sleep(1.5)


def flood(connection):
    """Send without end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _ in range(100_000):
        connection.sendall(b" " * 65_536)


class Hostile:
    """Answers connections by a script, one step each; the last step goes on for ever."""

    def __init__(self, *script):
        self.script = list(script)
        self.requests = []
        self.times = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.addr = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10)
                self.times.append(time.monotonic())
                self.requests.append(self._request(connection))
                step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
                if callable(step):
                    step(connection)
                else:
                    connection.sendall(step)

    @staticmethod
    def _request(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65_536)
        head, _, body = data.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        headers = {k.lower(): v for k, v in (field.split(": ", 1) for field in fields)}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65_536)
        method, target, _ = line.split(" ")
        return method, target, headers, body

    def close(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)
