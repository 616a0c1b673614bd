"""What operators choose of metrics, logs and traces."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """Settings of metrics, logs and traces.

    Attributes:
        unauthenticated_metrics: Whether metrics are served without a token.
        log_level: The least severe level that is written.
        log_format: ``json``, ``console``, or ``auto``: console on a terminal, else JSON.
        log_requests: Whether each request is a line of the log.
        traces_endpoint: Where traces go by OTLP over HTTP, such as
            ``http://127.0.0.1:4318/v1/traces``; empty for nowhere.
        traces_ratio: Share of traces that is kept, 0 to 1, where the caller has not decided.
    """

    unauthenticated_metrics: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "console"] = "auto"
    log_requests: bool = False
    traces_endpoint: str = ""
    traces_ratio: float = 1.0
