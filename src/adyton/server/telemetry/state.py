"""Where the metrics of one server come from: what counts requests, and the open store."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adyton.config import TelemetrySettings
from adyton.server.http import Handler, Response
from adyton.server.telemetry.counters import RequestStats
from adyton.server.telemetry.seen import SpaceOf, remember
from adyton.service.access.gate import Gate
from adyton.service.access.spaces import Spaces
from adyton.service.core import Core
from adyton.service.rootcheck import RootCheck
from adyton.service.stats import LoginStats
from adyton.service.ticket import Operation

if TYPE_CHECKING:
    from adyton.server.telemetry.traces import Tracing


def _none() -> int:
    return 0


def _no_sinks() -> list[int]:
    return []


@dataclass(slots=True)
class StoreState:
    """What is read of an open store.

    Attributes:
        core: The store.
        gate: Its sessions.
        logins: How logins have ended.
        roots: Health of the roots of trust; None where nothing checks them.
        delivered: For each audit sink, the next record that it lacks.
    """

    core: Core
    gate: Gate
    logins: LoginStats
    roots: RootCheck | None = None
    delivered: Callable[[], list[int]] = _no_sinks


@dataclass(slots=True)
class Telemetry:
    """Everything that metrics are read from.

    Attributes:
        unauthenticated_metrics: Whether metrics are served without a token.
        requests: Counts of requests.
        in_flight: How many requests are being answered.
        waiting: How many of them wait for their turn.
        certificate_expires: When the server's certificate expires, in seconds since the epoch.
        certificate_reloads: How often other certificates were taken, and refused.
        store: The open store; None while it is sealed.
        root_tries: How often a sealed server has asked its root to open the store.
        tracing: Makes spans; None for none.
        log_dropped: How many lines of the log were lost.
        log_requests: Whether requests are logged.
    """

    unauthenticated_metrics: bool = False
    requests: RequestStats = field(default_factory=RequestStats)
    in_flight: Callable[[], int] = _none
    waiting: Callable[[], int] = _none
    certificate_expires: Callable[[], float | None] = lambda: None
    certificate_reloads: Callable[[], tuple[int, int]] = lambda: (0, 0)
    store: StoreState | None = None
    root_tries: Callable[[], int] = _none
    tracing: "Tracing | None" = None
    log_dropped: Callable[[], int] = _none
    log_requests: bool = False

    def gate(self, core: Core, spaces: Spaces) -> Gate:
        """The gate of an open store, traced if anything is."""
        return self.tracing.gate(core, spaces) if self.tracing else Gate(core, spaces)

    def run(self, operation: Operation[Response]) -> Operation[Response]:
        """An operation with spans of its parts; the same one if nothing is traced."""
        return self.tracing.run(operation) if self.tracing else operation

    def watched(self, handler: Handler, space_of: SpaceOf) -> Handler:
        """A handler whose requests are traced, and found by the log; the same one if off."""
        if self.tracing:
            handler = self.tracing.handler(handler, space_of)
        return remember(handler) if self.tracing or self.log_requests else handler


def make_telemetry(settings: TelemetrySettings) -> Telemetry:
    """What the settings ask for.

    Raises:
        ConfigurationError: Traces are asked for, and their exporter is not installed.
    """
    telemetry = Telemetry(settings.unauthenticated_metrics, log_requests=settings.log_requests)
    if settings.traces_endpoint:
        # Loaded on use: it takes longer than everything else that a server starts with.
        from adyton.server.telemetry.traces import Tracing  # noqa: PLC0415

        telemetry.tracing = Tracing(settings)
    return telemetry
