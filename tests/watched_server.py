"""A server whose telemetry, disk and bugs are chosen by a test; a program of its own.

Usage: watched_server.py FOLDER PORT ROOT_TOKEN SETTINGS, the last as JSON. The disk fails while
there is a file ``fault`` in the folder, which names how. A request with the header ``x-crash``
meets a bug whose exception shows all of the request.
"""

import asyncio
import json
import logging
import sys
import threading
import time
from pathlib import Path

from adyton.config import Configuration, ServerSettings, TelemetrySettings
from adyton.model import Caller
from adyton.roots import KeyFileRoot
from adyton.server.run import serve
from adyton.server.vault.api import VaultApi
from adyton.service import opening
from adyton.service.limits import Limits
from adyton.service.upkeep import Upkeep
from adyton.storage.sqlite import SqliteStorage
from adyton.wiring import Opened, Options, SystemClock
from faultyvfs import FaultyVfs
from support import Place


def crash_on_demand():
    handle = VaultApi.handle

    async def crashing(self, request):
        if request.headers.get("x-crash") is not None:
            shown = f"{request.path} {request.body!r} {request.query} {dict(request.headers)}"
            logging.getLogger("some.library").error("failed: %s", shown)
            logging.getLogger("asyncio").error(shown)
            threading.Thread(
                target=lambda: exec("raise RuntimeError(shown)", {"shown": shown})
            ).start()
            asyncio.get_running_loop().call_soon(exec, "raise KeyError(shown)", {"shown": shown})
            raise ValueError(shown)
        return await handle(self, request)

    VaultApi.handle = crashing


def main(folder, port, token, settings):
    place = Place(Path(folder))
    place.open().close()
    vfs = FaultyVfs("faulty")
    fault = place.folder / "fault"

    def watch():
        while True:
            vfs.fault = fault.read_text() if fault.exists() else None
            time.sleep(0.005)

    threading.Thread(target=watch, daemon=True).start()
    storage = SqliteStorage(place.path, vfs=vfs.made_as)
    root = KeyFileRoot(place.folder / "master.key")
    core = opening.load_now(storage, root, SystemClock(), Limits(), "auto")
    upkeep = Upkeep(core, [], jobs=False)
    upkeep.start()
    crash_on_demand()
    configuration = Configuration(
        server=ServerSettings(listen=f"127.0.0.1:{port}"),
        telemetry=TelemetrySettings(**json.loads(settings)),
    )
    opened = Opened(core, upkeep, Caller("test"), None, Options(str(place.path), place.root))
    serve(opened, configuration, root_token=token, ready=lambda _: None)


if __name__ == "__main__":
    main(*sys.argv[1:])
