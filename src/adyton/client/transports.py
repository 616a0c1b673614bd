"""The transports of both faces; that of tasks refuses to be carried into another event loop."""

import asyncio
import threading

import httpx

from adyton.errors import ConfigurationError

HTTPTransport = httpx.HTTPTransport
Lock = threading.Lock
AsyncLock = asyncio.Lock


class AsyncHTTPTransport(httpx.AsyncHTTPTransport):
    """httpx's transport, of one event loop: its connections are of no use in another."""

    _home: asyncio.AbstractEventLoop | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request.

        Raises:
            ConfigurationError: The client was used in another event loop before.
        """
        here = asyncio.get_running_loop()
        if self._home is None:
            self._home = here
        if self._home is not here:
            raise ConfigurationError(
                "the client belongs to another event loop",
                hint="Make one in each, with 'async with'.",
            )
        return await super().handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections; those of a loop that is gone are gone with it."""
        if self._home is None or self._home is asyncio.get_running_loop():
            await super().aclose()
