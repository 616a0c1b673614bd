"""Every setting of Adyton: the one table of keys, types, units, defaults, ranges and help.

To add a setting, add a field that is declared by ``setting(default, help, unit=..., ...)`` to its
section. To add a section, write a frozen dataclass of such fields here and add it to
``Configuration``. Its keys are then read from the file (``[section]``, ``name = ...``), from the
environment (``ADYTON_SECTION_NAME``) and from flags that a command passes; they are checked, shown
by ``adyton config show`` and described in docs/guide/configuration.md
(``python scripts/generate_configuration.py`` writes it, ``make check`` compares it).

Types are ``str``, ``bool``, ``int``, ``float``, ``Path``, ``tuple[str, ...]``, ``Literal[...]`` and
these or None. ``unit="seconds"``, ``"days"`` and ``"bytes"`` also take text such as ``"30s"`` and
``"32MiB"``. What holds between settings is in ``conflicts.py``. Secrets have no place in the file:
a setting that is one is declared with ``secret=True`` and comes from the environment.
"""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from adyton.attest.options import EvidenceOptions, split_pcrs
from adyton.config.fields import setting
from adyton.config.limits import HttpLimits, QuotaSettings, RateSettings, TurnSettings
from adyton.errors import InvalidInput
from adyton.lifecyclevalues import DAY_SECONDS, check_periods, duration_text, seconds_of
from adyton.rotating import Bounds
from adyton.service.anomalies.records import AlertOptions
from adyton.service.lifecycle.options import LifecycleOptions
from adyton.service.limits import Limits
from adyton.service.notices.room import NoticeOptions
from adyton.service.reports.records import ReportOptions
from adyton.service.rotation.room import RotationOptions

_LIMITS: Final = Limits()
_LIFECYCLE: Final = LifecycleOptions()
_EVIDENCE: Final = EvidenceOptions()
_YEAR: Final = 366


def split_address(text: str) -> tuple[str, int] | None:
    """Host and port of ``HOST:PORT`` or ``[IPV6]:PORT``; None if it is neither."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        return None
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        return None
    return host, int(port)


def _address(text: str) -> str:
    if split_address(text) is not None:
        return ""
    return f"{text!r} is not an address; write HOST:PORT, such as 127.0.0.1:8200 or [::1]:8200"


def _networks(texts: tuple[str, ...]) -> str:
    for text in texts:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            return f"{text!r} is not a network; write an address or one such as 10.0.0.0/8"
    return ""


def _no_shares(texts: tuple[str, ...]) -> str:
    if any(text.startswith("shamir:") for text in texts):
        return "shares are entered by people, and open a store that is sealed at any time"
    return ""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """The store and its root of trust."""

    url: str = setting(
        "adyton.db", "The store: a path or sqlite:///PATH.", environment="ADYTON_STORE",
        flag="--store",
    )  # fmt: skip
    root: str | None = setting(
        None, "Root of trust, as a URI; by default the key file STORE.key if there is one, "
        "otherwise a passphrase; a server takes shares where the store has them or is still to be "
        "made.", environment="ADYTON_ROOT", flag="--root",
    )  # fmt: skip
    fallback_roots: tuple[str, ...] = setting(
        (), "Other roots of the store, as URIs: where the root does not answer or refuses, the "
        "first of these that opens it does.", check=_no_shares,
    )  # fmt: skip
    lock_timeout: float = setting(
        10.0, "How long to wait for another process to close the store.", unit="seconds",
        at_least=0, at_most=3_600, flag="--wait",
    )  # fmt: skip
    max_value_bytes: int = setting(
        _LIMITS.max_value_bytes, "Largest value.", unit="bytes", at_least=1, at_most=2**30
    )
    max_batch: int = setting(
        _LIMITS.max_batch, "Most secrets in one batch call.", at_least=1, at_most=10**7
    )
    cached_users: int = setting(
        _LIMITS.cached_users, "Users whose keys stay open in memory.", at_least=1, at_most=10**7
    )


@dataclass(frozen=True, slots=True)
class KeySettings:
    """When keys are rotated."""

    user_key_days: float = setting(
        _LIMITS.user_key_days, "Age at which a user key is rotated.", unit="days",
        at_least=0.001, at_most=100 * _YEAR,
    )  # fmt: skip
    user_key_wraps: int = setting(
        _LIMITS.user_key_wraps, "Number of wraps at which a user key is rotated.",
        at_least=1, at_most=2**31,
    )  # fmt: skip
    master_key_days: float = setting(
        _LIMITS.master_key_days, "Age at which the master key is rotated.", unit="days",
        at_least=0.001, at_most=100 * _YEAR,
    )  # fmt: skip
    user_root_longest: int = setting(
        _LIMITS.user_root_seconds, "Longest time that a user's own root is given for.",
        unit="seconds", at_least=1, at_most=_YEAR * 86_400,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The HTTP server."""

    listen: str = setting(
        "127.0.0.1:8200", "Where to listen: HOST:PORT; port 0 takes a free one.",
        environment="ADYTON_LISTEN", flag="--listen", check=_address,
    )  # fmt: skip
    grace: float = setting(
        10.0, "Longest wait for requests under way when the server stops.", unit="seconds",
        at_least=0, at_most=3_600,
    )  # fmt: skip
    trusted_proxies: tuple[str, ...] = setting(
        (), "Proxies whose X-Forwarded-For is believed: addresses or networks in CIDR notation.",
        check=_networks,
    )  # fmt: skip
    tidy: float = setting(
        300.0, "Interval at which ended tokens, wrappings and SecretIDs are removed.",
        unit="seconds", at_least=1, at_most=86_400,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SealSettings:
    """What a server does when its root of trust would not open the store any more."""

    root_check: float = setting(
        60.0, "Interval at which the roots are asked whether they still open the master key.",
        unit="seconds", at_least=0.1, at_most=3_600,
    )  # fmt: skip
    root_away_limit: float = setting(
        86_400.0, "How long the store is served while its root does not answer, before it is "
        "sealed; 0 for ever.", unit="seconds", at_least=0, at_most=_YEAR * 86_400.0,
    )  # fmt: skip
    root_refused_limit: float = setting(
        300.0, "How long the store is served while its root answers and refuses, before it is "
        "sealed; 0 for ever.", unit="seconds", at_least=0, at_most=_YEAR * 86_400.0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """TLS 1.3 from files, which are read again when they change."""

    cert: Path | None = setting(
        None, "Certificate chain, PEM; without it the server speaks plain HTTP.", flag="--tls-cert"
    )
    key: Path | None = setting(None, "Its private key, PEM.", flag="--tls-key")
    client_ca: Path | None = setting(
        None, "Let in only clients with a certificate of these authorities, PEM.",
        flag="--tls-client-ca",
    )  # fmt: skip
    reload: float = setting(
        5.0, "Interval at which the files are looked at; 0 only on SIGHUP.", unit="seconds",
        at_least=0, at_most=86_400,
    )  # fmt: skip
    drain: float = setting(
        60.0, "How long connections made before a reload may last.", unit="seconds",
        at_least=0, at_most=86_400,
    )  # fmt: skip
    http2: bool = setting(
        False,
        "Offer HTTP/2 beside HTTP/1.1. Answers that a client does not take then lie in memory: for"
        " clients that are trusted, or with client_ca.",
    )
    warn_days: float = setting(
        14.0, "Warn in the log this long before the certificate ends.", unit="days",
        at_least=0, at_most=10 * _YEAR,
    )  # fmt: skip


def _pcrs(text: str) -> str:
    try:
        split_pcrs(text)
    except ValueError:
        return f"{text!r} names no PCRs; write BANK:N+N, such as sha256:0+2+4+7"
    return ""


@dataclass(frozen=True, slots=True)
class AttestationSettings:
    """Evidence of the code that the server runs, shown to anybody who asks."""

    platform: str = setting(
        _EVIDENCE.platform, "What makes it: auto, tpm, tsm (SEV-SNP, TDX), gramine (SGX), the "
        "name of a plug-in, or none.",
    )  # fmt: skip
    tcti: str = setting(
        _EVIDENCE.tcti, "How the TPM is reached, such as device:/dev/tpmrm0; empty for the "
        "system's way.",
    )  # fmt: skip
    pcrs: str = setting(_EVIDENCE.pcrs, "PCRs that the TPM quotes.", check=_pcrs)
    event_log: Path | None = setting(
        None, "The firmware's log of what the TPM measured; by default the kernel's."
    )
    certificates: Path | None = setting(
        None, "Certificates of the key that signs evidence and of its issuers, PEM, its own "
        "first: of the TPM's key, or AMD's of the chip where the host gives none.",
    )  # fmt: skip
    collateral: Path | None = setting(
        None, "Intel's collateral for quotes of TDX and SGX, JSON; read again when it changes."
    )

    def options(self) -> EvidenceOptions:
        """How evidence is made."""
        return EvidenceOptions(
            self.platform, self.tcti, self.pcrs, self.event_log, self.certificates, self.collateral
        )


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Copies of audit records."""

    sinks: tuple[str, ...] = setting(
        (), "Where audit records are copied to, such as file:/var/log/adyton.jsonl; see alerts.md.",
        environment="ADYTON_AUDIT_SINK", flag="--audit-sink",
    )  # fmt: skip
    reveal: bool = setting(False, "Whether sinks get names and user ids in the clear.")


@dataclass(frozen=True, slots=True)
class RotationSettings:
    """Rotation of secrets, and dynamic credentials."""

    background: bool = setting(
        True, "Whether the server rotates, and revokes, by itself what is due."
    )
    targets: tuple[str, ...] = setting(
        (), "Places that rotators may connect to: patterns of HOST:PORT, such as "
        "db.internal:5432 or *.internal:*. None by default.",
    )  # fmt: skip
    programs: Path | None = setting(
        None, "Folder of the programs that may be run as rotators; without it none may."
    )
    step_seconds: float = setting(
        30.0, "Longest time for one step of a rotator.", unit="seconds", at_least=1, at_most=3_600
    )
    lease_seconds: float = setting(
        120.0, "Time after which a rotation that was broken off is taken up again; more than "
        "a step may take.", unit="seconds", at_least=2, at_most=86_400,
    )  # fmt: skip
    max_leases: int = setting(
        1_000, "Dynamic credentials that one user may have at once.", at_least=1,
        at_most=100_000,
    )  # fmt: skip

    def options(self, *, by_itself: bool) -> RotationOptions:
        """How secrets are rotated.

        Raises:
            ConfigurationError: The times don't fit each other.
        """
        bounds = Bounds(self.targets, self.programs, self.step_seconds)
        return RotationOptions(bounds, self.lease_seconds, by_itself, self.max_leases)


def _times(texts: tuple[str, ...]) -> str:
    try:
        check_periods([seconds_of(text, text) for text in texts])
    except InvalidInput as error:
        return f"{error.message}; write each as in 30d, 12h or 0s"
    return ""


@dataclass(frozen=True, slots=True)
class LifecycleSettings:
    """What is told of secrets that end, and how long what is deleted is kept."""

    notice: tuple[str, ...] = setting(
        tuple(duration_text(period) for period in _LIFECYCLE.notice),
        "How long before an end its user is told of it, where the user has set nothing.",
        check=_times,
    )
    retention_days: float = setting(
        _LIFECYCLE.retention / DAY_SECONDS, "How long deleted versions can be brought back before "
        "they are destroyed, where the user has set nothing; 0 for ever.", unit="days",
        at_least=0, at_most=100 * _YEAR,
    )  # fmt: skip
    retention_min_days: float = setting(
        0.0, "The least that users may set.", unit="days", at_least=0, at_most=100 * _YEAR
    )
    retention_max_days: float = setting(
        0.0, "The most that users may set; 0 for no bound.", unit="days",
        at_least=0, at_most=100 * _YEAR,
    )  # fmt: skip

    def options(self) -> LifecycleOptions:
        """The same for the service.

        Raises:
            ConfigurationError: The times don't fit each other.
        """
        return LifecycleOptions(
            check_periods([seconds_of(text, text) for text in self.notice]),
            round(self.retention_days * DAY_SECONDS),
            round(self.retention_min_days * DAY_SECONDS),
            round(self.retention_max_days * DAY_SECONDS),
        )


@dataclass(frozen=True, slots=True)
class NoticeSettings:
    """Notices, and the webhooks that they are sent to."""

    background: bool = setting(True, "Whether the server delivers notices by itself.")
    networks: tuple[str, ...] = setting(
        (), "Networks that webhooks may be in besides the internet, such as 10.1.0.0/16. None by "
        "default.",
    )  # fmt: skip
    ca_file: str = setting(
        "", "Certificates that webhooks are trusted by instead of the system's, PEM."
    )
    seconds: float = setting(
        10.0, "Longest time for one message to a webhook.", unit="seconds", at_least=1, at_most=300
    )
    lease_seconds: float = setting(
        60.0, "Time after which delivery that was broken off goes on; more than a message may "
        "take.", unit="seconds", at_least=2, at_most=3_600,
    )  # fmt: skip
    retry_seconds: float = setting(
        5.0, "Wait after the first failure; doubled with each one more, up to an hour.",
        unit="seconds", at_least=0.1, at_most=3_600,
    )  # fmt: skip
    give_up_hours: float = setting(
        72.0, "Time for which a notice is tried before it is given up.", unit="hours",
        at_least=0.001, at_most=10_000,
    )  # fmt: skip

    def options(self, *, by_itself: bool) -> NoticeOptions:
        """How notices are delivered.

        Raises:
            ConfigurationError: The times don't fit each other.
        """
        return NoticeOptions(
            self.networks,
            self.ca_file,
            self.seconds,
            self.lease_seconds,
            self.retry_seconds,
            self.give_up_hours,
            by_itself,
        )


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """Reports."""

    background: bool = setting(
        True, "Whether the server counts audit records for reports by itself; else when a report "
        "is asked for.",
    )  # fmt: skip

    def options(self, *, by_itself: bool) -> ReportOptions:
        """How reports are made ready."""
        return ReportOptions(by_itself)


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """Alerts of unusual reads."""

    background: bool = setting(True, "Whether the server looks for unusual reads by itself.")
    sensitivity: Literal["off", "low", "medium", "high"] = setting(
        "medium", "How closely, for users who have not set their own."
    )
    learn_days: float = setting(
        14.0, "Days after its first read from which on a secret, or who reads, is known.",
        unit="days", at_least=0, at_most=365,
    )  # fmt: skip
    quiet_hours: float = setting(
        24.0, "For how long nothing more of the same is told.", unit="hours", at_least=0,
        at_most=10_000,
    )  # fmt: skip

    def options(self, *, by_itself: bool) -> AlertOptions:
        """How unusual reads are looked for."""
        return AlertOptions(self.sensitivity, self.learn_days, self.quiet_hours, by_itself)


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """Metrics, logs and traces."""

    unauthenticated_metrics: bool = setting(False, "Whether metrics are served without a token.")
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "The least severe level that is written."
    )
    log_format: Literal["auto", "json", "console"] = setting(
        "auto", "How log lines look; auto is console on a terminal, else json."
    )
    log_requests: bool = setting(False, "Whether each request is a line of the log.")
    traces_endpoint: str = setting(
        "", "Where traces go by OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces."
    )
    traces_ratio: float = setting(
        1.0, "Share of traces that is kept, where the caller has not decided.",
        at_least=0, at_most=1,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole configuration; built once, never changed."""

    store: StoreSettings = StoreSettings()
    keys: KeySettings = KeySettings()
    server: ServerSettings = ServerSettings()
    seal: SealSettings = SealSettings()
    tls: TlsSettings = TlsSettings()
    limits: HttpLimits = HttpLimits()
    rates: RateSettings = RateSettings()
    turns: TurnSettings = TurnSettings()
    quotas: QuotaSettings = QuotaSettings()
    attestation: AttestationSettings = AttestationSettings()
    audit: AuditSettings = AuditSettings()
    rotation: RotationSettings = RotationSettings()
    notices: NoticeSettings = NoticeSettings()
    lifecycle: LifecycleSettings = LifecycleSettings()
    reports: ReportSettings = ReportSettings()
    alerts: AlertSettings = AlertSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    def store_limits(self) -> Limits:
        """The limits and intervals of the store."""
        return Limits(
            max_value_bytes=self.store.max_value_bytes,
            max_batch=self.store.max_batch,
            user_key_days=self.keys.user_key_days,
            user_key_wraps=self.keys.user_key_wraps,
            master_key_days=self.keys.master_key_days,
            user_root_seconds=self.keys.user_root_longest,
            cached_users=self.store.cached_users,
            quotas=self.quotas.quotas(),
            lifecycle=self.lifecycle.options(),
        )
