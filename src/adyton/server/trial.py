"""Tries certificates on the HTTP server's TLS in a process of its own.

Granian ends the whole process when its TLS library refuses a key or a certificate, so whatever is
to be served is tried here first. Run as a program with the paths of chain, key and authorities.
"""

import asyncio
import os
import resource
import socket
import sys
from typing import Any


async def _try(cert: str, key: str, authorities: str | None) -> None:
    from granian._granian import SocketHolder  # noqa: PLC0415 - only in the child
    from granian.constants import Interfaces, SSLProtocols  # noqa: PLC0415 - idem
    from granian.server.embed import Server  # noqa: PLC0415 - idem

    class Target:
        async def __rsgi__(self, scope: object, exchange: object) -> None:
            pass

    class Trial(Server):
        def build_ssl_context(self, *_: object) -> None:
            self.ssl_ctx: Any = (
                True, cert, key, None, str(SSLProtocols.tls13), authorities, [],
                authorities is not None,
            )  # fmt: skip

        def _init_shared_socket(self) -> None:
            # Bound to no name that anybody could know, and never connected to.
            with socket.create_server(("127.0.0.1", 0)) as bound:
                holder: Any = SocketHolder
                self._shd: Any = holder(os.dup(bound.fileno()), False, 1)

    server = Trial(Target(), interface=Interfaces.RSGI, websockets=False, log_enabled=False)
    serving = asyncio.create_task(server.serve())
    await asyncio.sleep(0.02)
    server.stop()  # type: ignore[no-untyped-call]
    await serving


if __name__ == "__main__":
    # A dump of an end that was foreseen would hold the key.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asyncio.run(_try(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
    os._exit(0)
