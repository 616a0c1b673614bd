"""Puts the server's handlers together over one open store."""

from adyton.server import linkpage
from adyton.server.attestation import Attestation
from adyton.server.http import Handler, Request, Response
from adyton.server.native.api import NativeApi
from adyton.server.refusals import NATIVE
from adyton.server.telemetry.state import Telemetry
from adyton.server.vault.api import VaultApi
from adyton.server.vault.reply import errors
from adyton.server.vault.service import Sealer, Services
from adyton.service.core import Core


class InFlight:
    """How many requests a handler is answering."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


def build_handler(
    core: Core,
    telemetry: Telemetry | None = None,
    sealer: Sealer | None = None,
    attestation: Attestation | None = None,
) -> tuple[Handler, Services, InFlight]:
    """A handler for all of the server's paths, the services that it calls, and what is under way.

    Args:
        core: The open store.
        telemetry: Counts of the server.
        sealer: Seals the store; None where that is not offered.
        attestation: Shows evidence; None where that is not offered.
    """
    services = Services(core, telemetry, sealer, attestation)
    in_flight = InFlight()
    vault = VaultApi(services)
    native = NativeApi(services)
    run = services.telemetry.run

    async def handle(request: Request) -> Response:
        in_flight.count += 1
        try:
            if request.path.startswith(NATIVE):
                return await run(native.handle(request))
            if request.path.startswith("v1/"):
                return await run(vault.handle(request))
            if request.path == linkpage.PATH:
                return linkpage.answer(request)
            return errors(404)
        finally:
            in_flight.count -= 1

    return services.telemetry.watched(handle, services.spaces.cached), services, in_flight
