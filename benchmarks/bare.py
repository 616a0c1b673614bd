"""The least that the HTTP server can do: an application that answers the same to everything.

Run by Granian's own command line, it is the ceiling of what any handler could reach.
"""

from typing import Any

_HEADERS = [
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
]
_BODY = b'{"data":"%s"}' % (b"v" * 380)
"""As long as the answer to a read."""


async def app(_: Any, protocol: Any) -> None:  # noqa: ANN401 - Granian's own objects
    """Answer a request."""
    protocol.response_bytes(200, _HEADERS, _BODY)
