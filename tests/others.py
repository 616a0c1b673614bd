"""A webhook and a program, as an operator would have them: each knows which values work."""

import hmac
import json
import threading
import time
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = b"the key of the webhook's signature"

PROGRAM = """#!/bin/sh -e
# Keeps one file per value that works, named by its hash.
read -r line
step=$(printf %s "$line" | sed 's/.*"step":"\\([a-z]*\\)".*/\\1/')
new=$(printf %s "$line" | sed -n 's/.*"new":"\\([^"]*\\)".*/\\1/p' | sha256sum | cut -c1-64)
former=$(printf %s "$line" | sed -n 's/.*"former":"\\([^"]*\\)".*/\\1/p' | sha256sum | cut -c1-64)
case $step in
  set) : > "FOLDER/$new" ;;
  test) test -e "FOLDER/$new" ;;
  retire) rm -f "FOLDER/$former" ;;
  undo) rm -f "FOLDER/$new" ;;
esac
echo '{"ok": true}'
"""


class Program:
    """A program in a folder of rotators."""

    def __init__(self, folder):
        self.values = folder / "values"
        self.values.mkdir()
        self.folder = folder / "programs"
        self.folder.mkdir()
        path = self.folder / "rotate"
        path.write_text(PROGRAM.replace("FOLDER", str(self.values)))
        path.chmod(0o755)

    def add(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)

    def lets_in(self, value):
        return (self.values / sha256(value.encode()).hexdigest()).exists()


class Webhook:
    """An endpoint that checks signatures, times and repeated keys."""

    def __init__(self):
        self.values = set()
        self.steps = []
        self.answer = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                when = self.headers["adyton-timestamp"]
                wanted = hmac.new(KEY, f"{when}.".encode() + body, sha256).hexdigest()
                assert self.headers["adyton-signature"] == f"v1={wanted}"
                assert abs(time.time() - int(when)) < 60
                answer = outer.take(json.loads(body))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/rotate"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def take(self, told):
        self.steps.append(told)
        if self.answer is not None:
            return self.answer
        ok = True
        if told["step"] == "set":
            self.values.add(told["new"])
        elif told["step"] == "test":
            ok = told["new"] in self.values
        elif told["step"] == "retire":
            self.values.discard(told["former"])
        elif told["step"] == "undo":
            self.values.discard(told["new"])
        return json.dumps({"ok": ok}).encode()

    def lets_in(self, value):
        return value in self.values

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
