"""A receiver of webhooks on this machine, which does as a test tells it."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Got(NamedTuple):
    """One message as it came in."""

    path: str
    headers: dict
    body: bytes

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def document(self):
        return json.loads(self.body)


class Receiver:
    """Keeps all messages; ``answers`` says for each attempt what is done, then ``usual``.

    An answer is a status, a number of seconds to wait before 200 is told (a float), ``drop`` for a
    connection that is closed, or ``drip`` for a head of an answer that never ends.
    """

    def __init__(self, tls=None):
        self.got = []
        self.answers = []
        self.usual = 204
        self.location = "http://127.0.0.1:1/"
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with receiver.lock:
                    receiver.got.append(Got(self.path, headers, body))
                    answer = receiver.answers.pop(0) if receiver.answers else receiver.usual
                if callable(answer):
                    answer = answer()
                if answer == "drop":
                    self.connection.close()
                    return
                if answer == "drip":
                    self.drip()
                    return
                if isinstance(answer, float):
                    time.sleep(answer)
                    answer = 200
                try:
                    self.send_response(answer)
                    self.send_header("location", receiver.location)
                    self.send_header("content-length", "0")
                    self.end_headers()
                except OSError:
                    pass

            def drip(self):
                try:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nx-long: ")
                    while not receiver.ended.wait(0.05):
                        self.wfile.write(b"a")
                        self.wfile.flush()
                except OSError:
                    pass

            def log_message(self, *args):
                pass

        self.lock = threading.Lock()
        self.ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        scheme = "http" if tls is None else "https"
        self.port = self._server.server_port
        self.url = f"{scheme}://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def ids(self):
        return [got.id for got in self.got]

    def wait_for(self, condition, seconds=20):
        """Wait until something holds of what came in."""
        until = time.monotonic() + seconds
        while not condition(self):
            assert time.monotonic() < until, f"{len(self.got)} messages came"
            time.sleep(0.02)

    def close(self):
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
