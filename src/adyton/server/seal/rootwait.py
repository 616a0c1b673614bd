"""Opening a store whose root was away: again and again, with pauses, until it answers."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

_FIRST_SECONDS: Final = 0.5
_MOST_SECONDS: Final = 30.0


class RootWait:
    """Tries to open a store.

    Args:
        attempt: One try; whether it is over.

    Attributes:
        tries: How often that was tried in all.
    """

    def __init__(self, attempt: Callable[[], Awaitable[bool]]) -> None:
        self._attempt = attempt
        self._task: asyncio.Task[None] | None = None
        self.tries = 0

    @property
    def waiting(self) -> bool:
        """Whether it goes on."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Begin, unless that was done."""
        if not self.waiting:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        pause = _FIRST_SECONDS
        while True:
            # Not all servers at once, when what they wait for has come back.
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - no secret
            self.tries += 1
            if await self._attempt():
                return
            pause = min(2 * pause, _MOST_SECONDS)
