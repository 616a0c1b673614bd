"""Puts the server's handlers together over one open store."""

from adyton.server.http import Handler, Request, Response
from adyton.server.native.api import NativeApi
from adyton.server.refusals import NATIVE
from adyton.server.telemetry.state import Telemetry
from adyton.server.vault.api import VaultApi
from adyton.server.vault.reply import errors
from adyton.server.vault.service import Services
from adyton.service.core import Core


def build_handler(core: Core, telemetry: Telemetry | None = None) -> tuple[Handler, Services]:
    """A handler for all of the server's paths, and the services that it calls."""
    services = Services(core, telemetry)
    vault = VaultApi(services)
    native = NativeApi(services)
    run = services.telemetry.run

    async def handle(request: Request) -> Response:
        if request.path.startswith(NATIVE):
            return await core.commit.run_async(run(native.handle(request)))
        if request.path.startswith("v1/"):
            return await run(vault.handle(request))
        return errors(404)

    return services.telemetry.watched(handle, services.spaces.cached), services
