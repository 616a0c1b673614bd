"""Reads the counts when somebody asks, and writes them in the formats of Prometheus and Vault."""

import datetime as dt
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from adyton import __version__
from adyton.server.telemetry.counters import AREAS
from adyton.server.telemetry.state import StoreState, Telemetry
from adyton.server.telemetry.table import BY_NAME
from adyton.service.keyadmin import KeyAdmin
from adyton.service.stats import Histogram


class ServerCollector(Collector):
    """Makes families of metrics out of the counts of one server.

    Args:
        telemetry: Where to read.
        to_rewrap: Users with retired keys; None where the store was not asked.
    """

    def __init__(self, telemetry: Telemetry, to_rewrap: int | None) -> None:
        self._telemetry = telemetry
        self._to_rewrap = to_rewrap

    def collect(self) -> Iterator[Family]:
        """See ``prometheus_client``."""
        yield from self._requests()
        state = self._telemetry.store
        yield _one("adyton_sealed", state is None)
        yield _one("adyton_root_opening_tries_total", self._telemetry.root_tries())
        yield _many("adyton_build_info", [([__version__], 1)])
        if state is not None:
            yield from _commits(state)
            yield from _audit(state)
            yield from self._keys(state)
            yield from _access(state)
            yield from _notices(state)
        yield _one("adyton_log_lines_dropped_total", self._telemetry.log_dropped())
        expires = self._telemetry.certificate_expires()
        if expires is not None:
            yield _one("adyton_tls_certificate_expiry_timestamp_seconds", expires)
            taken, refused = self._telemetry.certificate_reloads()
            yield _many(
                "adyton_tls_certificate_reloads_total",
                [(["taken"], taken), (["refused"], refused)],
            )

    def _requests(self) -> Iterator[Family]:
        stats = self._telemetry.requests
        yield _many(
            "adyton_http_requests_total",
            [([area, method, status], n) for area, method, status, n in stats.counts()],
        )
        yield _histogram(
            "adyton_http_request_duration_seconds",
            [([AREAS[at]], found) for at, found in enumerate(stats.seconds) if any(found.counts)],
        )
        yield _one("adyton_http_requests_in_flight", self._telemetry.in_flight())
        yield _one("adyton_http_requests_waiting", self._telemetry.waiting())
        yield _one("adyton_http_request_bytes_total", stats.received)
        yield _one("adyton_http_response_bytes_total", stats.sent)
        yield _many(
            "adyton_http_refused_total",
            [(["limited"], stats.limited), (["unavailable"], stats.unavailable)],
        )

    def _keys(self, state: StoreState) -> Iterator[Family]:
        core = state.core
        healthy = state.roots.healthy if state.roots else {}
        yield _many(
            "adyton_root_healthy",
            [
                ([str(slot), root.kind], healthy[slot])
                for slot, root in sorted(core.slots.items())
                if slot in healthy
            ],
        )
        if state.roots is not None:
            yield _one("adyton_root_failing_seconds", state.roots.failing_seconds)
        created = core.ring.master_created_us / 1e6
        yield _one("adyton_master_key_created_timestamp_seconds", created)
        yield _one("adyton_master_key_due", KeyAdmin(core).master_due())
        if self._to_rewrap is not None:
            yield _one("adyton_keys_to_rewrap", self._to_rewrap)
        yield _one("adyton_open_users", core.ring.open_users)
        yield _one("adyton_open_user_loads_total", core.ring.loads)


def _commits(state: StoreState) -> Iterator[Family]:
    stats = state.core.commit.stats
    yield _histogram("adyton_commit_duration_seconds", [([], stats.seconds)])
    yield _histogram("adyton_commit_group_size", [([], stats.sizes)])
    yield _one("adyton_commit_failures_total", stats.failed)


def _audit(state: StoreState) -> Iterator[Family]:
    log = state.core.commit.state
    yield _one("adyton_audit_records", log.size)
    yield _one("adyton_audit_checkpoint_records", log.checkpoint_size)
    yield _many(
        "adyton_audit_sink_lag_records",
        [([str(at)], max(log.size - upto, 0)) for at, upto in enumerate(state.delivered())],
    )


def _access(state: StoreState) -> Iterator[Family]:
    yield _one("adyton_sessions", state.gate.sessions.size)
    yield _one("adyton_session_loads_total", state.gate.sessions.loads)
    logins = state.logins
    yield _many(
        "adyton_logins_total",
        [
            (["succeeded"], logins.succeeded),
            (["failed"], logins.failed),
            (["throttled"], logins.throttled),
        ],
    )


def _notices(state: StoreState) -> Iterator[Family]:
    room = state.core.notices
    yield _many(
        "adyton_webhook_messages_total",
        [
            (["delivered"], room.delivered),
            (["failed"], room.failed),
            (["given up"], room.given_up),
        ],
    )


def _one(name: str, value: float) -> Family:
    return _many(name, [([], value)])


def _many(name: str, values: Iterable[tuple[list[str], float]]) -> Family:
    metric = BY_NAME[name]
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind == "counter":
        family = CounterMetricFamily(name, metric.help, labels=metric.labels)
    else:
        family = GaugeMetricFamily(name, metric.help, labels=metric.labels)
    for labels, value in values:
        family.add_metric(labels, float(value))
    return family


def _histogram(name: str, found: Iterable[tuple[list[str], Histogram]]) -> Family:
    metric = BY_NAME[name]
    family = HistogramMetricFamily(name, metric.help, labels=metric.labels)
    for labels, histogram in found:
        bounds = [*(str(bound) for bound in histogram.bounds), "+Inf"]
        counts = [float(count) for count in accumulate(histogram.counts)]
        family.add_metric(labels, list(zip(bounds, counts, strict=True)), histogram.total)
    return family


def exposition(telemetry: Telemetry, accept: str, to_rewrap: int | None) -> tuple[bytes, str]:
    """All metrics as text, and its media type: OpenMetrics 1.0 where accepted, else Prometheus.

    Args:
        telemetry: Where to read.
        accept: The request's ``Accept`` header.
        to_rewrap: Users with retired keys.
    """
    registry = _registry(telemetry, to_rewrap)
    if "application/openmetrics-text" in accept:
        body: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return body, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


def as_vault(telemetry: Telemetry, to_rewrap: int | None) -> dict[str, Any]:
    """All metrics in the shape of Vault's JSON."""
    gauges, counters, samples = [], [], []
    for family in _registry(telemetry, to_rewrap).collect():
        for sample in family.samples:
            entry = {"Name": sample.name, "Labels": dict(sample.labels)}
            if family.type == "gauge":
                gauges.append(entry | {"Value": sample.value})
            elif family.type == "counter":
                counters.append(entry | {"Count": sample.value, "Sum": sample.value})
            elif sample.name.endswith(("_count", "_sum")):
                samples.append(entry | {"Sum": sample.value})
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
    return {
        "Timestamp": now,
        "Gauges": gauges,
        "Points": [],
        "Counters": counters,
        "Samples": samples,
    }


def _registry(telemetry: Telemetry, to_rewrap: int | None) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServerCollector(telemetry, to_rewrap))
    ProcessCollector(registry=registry)
    return registry
