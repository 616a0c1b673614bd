"""Runs the command line in processes forked from one that has loaded its modules already.

Each command has a process of its own, with its environment, folder and streams, as if it were
started anew; what it shares is the loading, which is most of a short command's time. What is
tested of starting the program itself has to start it.
"""

import atexit
import json
import os
import socket
import subprocess
import sys
import threading

_SERVE = """
import json, os, socket, sys
import encodings.idna, httpcore, pkgutil, time
import adyton.cli, adyton.client, adyton.library, adyton.wiring, httpx
from adyton.cli.main import app, built, run

for found in pkgutil.iter_modules(adyton.cli.__path__, "adyton.cli."):
    __import__(found.name)
built(app)

def serve(asked):
    while True:
        data, streams, _, _ = socket.recv_fds(asked, 1 << 20, 3)
        if not data:
            os._exit(0)
        pid = os.fork()
        if not pid:
            asked.close()
            return json.loads(data), streams
        for stream in streams:
            os.close(stream)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        asked.send(str(code).encode())

told, streams = serve(socket.socket(fileno=int(sys.argv[1])))
for number, stream in enumerate(streams):
    os.dup2(stream, number)
    os.close(stream)
os.chdir(told["cwd"])
os.environ.clear()
os.environ.update(told["env"])
time.tzset()
sys.argv = ["adyton", *told["args"]]
run()
"""


class _Warm:
    """The process that the others are forked from."""

    def __init__(self):
        self.lock = threading.Lock()
        # Messages keep their ends: one is a command, or how it ended.
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()

    def close(self):
        self.ours.close()
        self.process.wait(20)


_started = []


def run(args, stdin, cwd, env):
    """Run a command; as ``subprocess.run`` with its output captured."""
    if not _started:
        _started.append(_Warm())
        atexit.register(_started[0].close)
    warm = _started[0]
    streams = [os.memfd_create(name) for name in ("in", "out", "err")]
    try:
        os.write(streams[0], stdin)
        os.lseek(streams[0], 0, os.SEEK_SET)
        told = json.dumps({"args": args, "cwd": str(cwd), "env": env}).encode()
        with warm.lock:
            socket.send_fds(warm.ours, [told], streams)
            code = int(warm.ours.recv(16))
        out, err = (os.pread(each, os.fstat(each).st_size, 0) for each in streams[1:])
    finally:
        for stream in streams:
            os.close(stream)
    return subprocess.CompletedProcess(args, code, out, err)
