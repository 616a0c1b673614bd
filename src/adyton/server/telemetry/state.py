"""Where the metrics of one server come from: what counts requests, and the open store."""

from collections.abc import Callable
from dataclasses import dataclass, field

from adyton.server.telemetry.counters import RequestStats
from adyton.service.access.gate import Gate
from adyton.service.core import Core
from adyton.service.rootcheck import RootCheck
from adyton.service.stats import LoginStats


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
        certificate_expires: When the server's certificate expires, in seconds since the epoch.
        certificate_reloads: How often other certificates were taken, and refused.
        store: The open store; None while it is sealed.
    """

    unauthenticated_metrics: bool = False
    requests: RequestStats = field(default_factory=RequestStats)
    in_flight: Callable[[], int] = _none
    certificate_expires: Callable[[], float | None] = lambda: None
    certificate_reloads: Callable[[], tuple[int, int]] = lambda: (0, 0)
    store: StoreState | None = None
