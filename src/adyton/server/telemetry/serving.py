"""Metrics over HTTP: the formats, and what is served while the store is sealed."""

from typing import Final

from adyton.server.http import Handler, Request, Response
from adyton.server.telemetry.state import Telemetry
from adyton.server.vault.reply import encode

PATH: Final = "sys/metrics"
MOST_TO_REWRAP: Final = 1_000
"""Up to how many users with retired keys are counted."""


def metrics_answer(telemetry: Telemetry, request: Request, to_rewrap: int | None) -> Response:
    """The metrics in the format that is asked for.

    Args:
        telemetry: Where to read.
        request: Names the format, by its query or its ``Accept`` header.
        to_rewrap: Users with retired keys; None where the store was not asked.
    """
    # Loaded on use: a tenth of the time that the server takes to start.
    from adyton.server.telemetry.collector import as_vault, exposition  # noqa: PLC0415

    accept = request.headers.get("accept", "")
    named = request.query.get("format", "")
    if named == "prometheus" or "openmetrics-text" in accept or "text/plain" in accept:
        body, kind = exposition(telemetry, accept, to_rewrap)
        return Response(200, body, kind)
    return Response(200, encode(as_vault(telemetry, to_rewrap)))


def with_metrics(sealed: Handler, telemetry: Telemetry) -> Handler:
    """The handler of a sealed server, with metrics where they are served without a token.

    Nobody can show a token to a sealed server.
    """

    async def handle(request: Request) -> Response:
        if request.path == f"v1/{PATH}" and request.method == "GET":
            return metrics_answer(telemetry, request, None)
        return await sealed(request)

    return handle if telemetry.unauthenticated_metrics else sealed
