"""All metrics: the one list that the collector, the documentation and the tests go by."""

from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One metric.

    Attributes:
        name: As Prometheus knows it; a counter's ends in ``_total``.
        kind: Its type.
        help: What it tells.
        labels: Names of its labels; their values come from sets fixed in the code.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


METRICS: Final = (
    Metric(
        "adyton_http_requests_total", "counter",
        "Requests that were answered, by area of the API, method and class of status.",
        ("area", "method", "status"),
    ),
    Metric(
        "adyton_http_request_duration_seconds", "histogram",
        "Time from a request's head to its answer.", ("area",),
    ),
    Metric("adyton_http_requests_in_flight", "gauge", "Requests that are being answered."),
    Metric("adyton_http_requests_waiting", "gauge", "Requests that wait for their turn."),
    Metric("adyton_http_request_bytes_total", "counter", "Bytes of request bodies."),
    Metric("adyton_http_response_bytes_total", "counter", "Bytes of response bodies."),
    Metric(
        "adyton_http_refused_total", "counter",
        "Requests refused unseen: limited (429) or unavailable (503).", ("reason",),
    ),
    Metric("adyton_sealed", "gauge", "1 while the store is sealed, 0 while it is open."),
    Metric("adyton_build_info", "gauge", "Always 1; the label tells the version.", ("version",)),
    Metric(
        "adyton_commit_duration_seconds", "histogram",
        "Time to make one group of operations durable.",
    ),
    Metric("adyton_commit_group_size", "histogram", "Operations that shared one commit."),
    Metric(
        "adyton_commit_failures_total", "counter",
        "Groups that could not be made durable; nothing of them was released.",
    ),
    Metric("adyton_audit_records", "gauge", "Records in the audit log."),
    Metric("adyton_audit_checkpoint_records", "gauge", "Records under the newest checkpoint."),
    Metric(
        "adyton_audit_sink_lag_records", "gauge",
        "Records that a sink has yet to get; sinks are numbered as configured.", ("sink",),
    ),
    Metric(
        "adyton_root_healthy", "gauge",
        "1 if the root of trust opened the master key when it was last asked.", ("root", "kind"),
    ),
    Metric(
        "adyton_root_failing_seconds", "gauge",
        "For how long the root that opened the store would not do so again; 0 if it would.",
    ),
    Metric(
        "adyton_root_opening_tries_total", "counter",
        "Times that a sealed server has asked its root to open the store.",
    ),
    Metric(
        "adyton_master_key_created_timestamp_seconds", "gauge",
        "When the current master key was made.",
    ),
    Metric("adyton_master_key_due", "gauge", "1 if the master key is to be rotated."),
    Metric(
        "adyton_keys_to_rewrap", "gauge",
        "Users with older keys that are still to be replaced; counted up to 1,000.",
    ),
    Metric("adyton_open_users", "gauge", "Users whose keys are open in memory."),
    Metric("adyton_open_user_loads_total", "counter", "Times that a user's keys were opened."),
    Metric("adyton_sessions", "gauge", "Tokens that are known in memory."),
    Metric("adyton_session_loads_total", "counter", "Times that a token was looked up on disk."),
    Metric(
        "adyton_logins_total", "counter",
        "Logins by result: succeeded, failed or throttled.", ("result",),
    ),
    Metric(
        "adyton_webhook_messages_total", "counter",
        "Notices to webhooks by what came of them: delivered, failed (tried again) or given up.",
        ("result",),
    ),
    Metric(
        "adyton_log_lines_dropped_total", "counter",
        "Lines of the log that were lost because nobody took them.",
    ),
    Metric(
        "adyton_tls_certificate_expiry_timestamp_seconds", "gauge",
        "When the server's certificate expires.",
    ),
    Metric(
        "adyton_tls_certificate_reloads_total", "counter",
        "Other certificates that were taken, or refused so that the former ones stayed.",
        ("result",),
    ),
    Metric("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes."),
    Metric("process_resident_memory_bytes", "gauge", "Resident memory size in bytes."),
    Metric(
        "process_start_time_seconds", "gauge",
        "Start time of the process since unix epoch in seconds.",
    ),
    Metric(
        "process_cpu_seconds_total", "counter",
        "Total user and system CPU time spent in seconds.",
    ),
    Metric("process_open_fds", "gauge", "Number of open file descriptors."),
    Metric("process_max_fds", "gauge", "Maximum number of open file descriptors."),
)  # fmt: skip
"""The metrics. Those of the process are of ``prometheus-client``."""

BY_NAME: Final = {metric.name: metric for metric in METRICS}
