"""A receiver of OTLP over HTTP: it decodes what it gets by OpenTelemetry's own definitions."""

import gzip
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Receiver:
    """Listens on loopback, in a thread."""

    def __init__(self):
        self.raw = []
        self.spans = []
        self.resources = []
        self.logs = []
        self.headers = []
        self.rejected = 0
        self.failing = False
        self.ending = ""  # of an answer: long, drip, silent, or torn
        self.kind = "application/x-protobuf"
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                if receiver.failing:
                    self.send_response(400)
                    self.end_headers()
                    return
                receiver.headers.append(dict(self.headers))
                answer = receiver.take(self.path, body).SerializeToString()
                self.send_response(200)
                self.send_header("content-type", receiver.kind)
                more = 200_000 if receiver.ending else 0
                self.send_header("content-length", str(len(answer) + more))
                self.end_headers()
                self.wfile.write(answer)
                with suppress(OSError):
                    receiver.end(self.wfile, more)

            def log_message(self, *args):
                return

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}/v1/traces"
        self.logs_endpoint = f"http://127.0.0.1:{self._http.server_port}/v1/logs"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def end(self, answer, more):
        """What comes behind an answer: all that was announced, too slowly, or not."""
        if self.ending == "long":
            answer.write(b"x" * more)
        for _ in range(100 if self.ending in {"drip", "silent"} else 0):
            time.sleep(0.05)
            answer.write(b"x" if self.ending == "drip" else b"")

    def take(self, path, body):
        self.raw.append(body)
        if path == "/v1/logs":
            return self.take_logs(ExportLogsServiceRequest.FromString(body))
        assert path == "/v1/traces"
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            self.resources.append(resource.resource)
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        return ExportTraceServiceResponse()

    def take_logs(self, request):
        for resource in request.resource_logs:
            self.resources.append(resource.resource)
            for scope in resource.scope_logs:
                self.logs.extend(scope.log_records)
        answer = ExportLogsServiceResponse()
        answer.partial_success.rejected_log_records = self.rejected
        return answer

    def close(self):
        self._http.shutdown()
        self._http.server_close()


def attributes(span):
    """A span's attributes as a dict."""
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes
    }
