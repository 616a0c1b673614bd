"""All that lives while the store is open: its handlers and what works in the background."""

import asyncio
import logging

from adyton.config import Configuration
from adyton.errors import AdytonError
from adyton.model import Caller
from adyton.server.attestation import Attestation
from adyton.server.build import build_handler
from adyton.server.seal.scrub import Scrubbing
from adyton.server.telemetry.state import Telemetry
from adyton.server.vault.service import Sealer
from adyton.service.access.tidy import Tidy
from adyton.service.rootcheck import RootCheck, RootLimits
from adyton.wiring import Opened

_log = logging.getLogger("adyton.server")


class Session:
    """An open store that is served.

    Args:
        opened: The open store.
        configuration: How to serve.
        telemetry: What metrics are read from.
        sealer: Seals the store when that is asked for.
        attestation: Shows evidence.
    """

    def __init__(
        self,
        opened: Opened,
        configuration: Configuration,
        telemetry: Telemetry,
        sealer: Sealer,
        attestation: Attestation,
    ) -> None:
        self.opened = opened
        self._telemetry = telemetry
        self._interval = configuration.server.tidy
        self.handler, self.services, self.in_flight = build_handler(
            opened.core, telemetry, sealer, attestation
        )
        seal = configuration.seal
        limits = RootLimits(seal.root_check, seal.root_away_limit, seal.root_refused_limit)
        self._roots = RootCheck(opened.core, limits, sealer.root_lost)
        if telemetry.store is not None:
            telemetry.store.roots = self._roots
            telemetry.store.delivered = lambda: opened.upkeep.delivered
        self._tidying: asyncio.Task[None] | None = None
        self._scrubbing: Scrubbing | None = None
        opened.core.commit.run_sync(self.services.rate_quotas.load())

    def start(self) -> None:
        """Begin the work in the background."""
        self._tidying = asyncio.create_task(self._tidy())
        self._roots.start()
        self._scrubbing = Scrubbing()
        self.opened.core.on_purge.append(self._scrubbing.ask)

    async def stop(self) -> None:
        """End it, sign a last checkpoint and close the store; its keys are wiped.

        Raises:
            StoreError: The last write failed; what was acknowledged before is safe.
        """
        self._telemetry.store = None
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.gather(self._tidying, return_exceptions=True)
        if self._scrubbing is not None:
            await self._scrubbing.stop()
        self.services.rekey.forget()
        await asyncio.to_thread(self._roots.close)
        await asyncio.to_thread(self.opened.close)

    async def _tidy(self) -> None:
        """Remove what has ended, from time to time."""
        core, services = self.opened.core, self.services
        tidy = Tidy(core, services.spaces, services.tokens)
        while True:
            await asyncio.sleep(self._interval)
            try:
                await core.commit.run_async(tidy.run(Caller("adyton:tidy")))
            except AdytonError as error:
                # The next request meets the same trouble and tells it.
                _log.warning("removing what has ended failed: %s", error.message)
