"""An HTTP proxy between a root and its service: counts, cuts, throttles, answers in its place."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Between:
    """Forwards to a service unless told otherwise.

    Attributes:
        address: Where it listens.
        bodies: Request and answer bodies that went through.
        answer: Called with the path before forwarding; (status, body) to answer in its place,
            "cut" to close the connection, or None to forward.
    """

    def __init__(self, target):
        parts = urlsplit(target)
        self.bodies = []
        self.answer = lambda _: None
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_any(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                between.bodies.append(body)
                told = between.answer(self.path)
                if told == "cut":
                    self.close_connection = True
                    self.connection.close()
                    return
                if told is None:
                    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
                    connection.request(self.command, self.path, body, dict(self.headers))
                    found = connection.getresponse()
                    told = (found.status, found.read())
                    connection.close()
                    between.bodies.append(told[1])
                status, content = told[:2]
                self.send_response(status)
                for name, value in (told[2] if len(told) > 2 else {}).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_any  # noqa: N815 - names of the library

            def log_message(self, *_):
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_):
                pass

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
