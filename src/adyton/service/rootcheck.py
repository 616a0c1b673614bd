"""Whether the roots of trust would open the store again, should it be closed now."""

import threading
from typing import Final

from adyton.errors import AdytonError, RootUnavailable
from adyton.ports import RootOfTrust
from adyton.service.core import Core

INTERVAL_SECONDS: Final = 60.0


class RootCheck:
    """Asks each root, from time to time, for the store's own master key.

    A thread of its own, since a root may be a device or a service that is slow or away.

    Args:
        core: The open store.
        interval: Seconds between two checks.

    Attributes:
        healthy: For each root of the store, whether the last check opened the current master key.
    """

    def __init__(self, core: Core, interval: float = INTERVAL_SECONDS) -> None:
        self._core = core
        self._interval = interval
        self._stop = threading.Event()
        self.healthy = [True] * len(core.roots)  # they have just opened the store
        self._thread = threading.Thread(target=self._run, name="adyton-rootcheck", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; a check that is under way is not waited for longer than a second."""
        self._stop.set()
        self._thread.join(1.0)

    def check(self) -> None:
        """Check all roots now."""
        slots = self._core.slots
        self.healthy = [self._opens(slot, slots[slot]) for slot in sorted(slots)]

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            self.check()

    def _opens(self, slot: int, root: RootOfTrust) -> bool:
        core = self._core
        try:
            version, wrapped = core.commit.run_sync(_current(core, slot))
            context = core.ring.master_context(core.ring.store_id, version)
            with root.unwrap(wrapped, context):
                return True
        except AdytonError:
            return False


async def _current(core: Core, slot: int) -> tuple[int, bytes]:
    async with core.storage.snapshot() as rows:
        masters = await rows.master_keys()
    newest = next((row for row in reversed(masters) if row.slot == slot), None)
    if newest is None:
        raise RootUnavailable("the root's slot is empty")
    return newest.version, newest.wrapped
