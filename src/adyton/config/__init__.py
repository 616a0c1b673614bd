"""One frozen configuration, from one TOML file, the environment and flags.

The settings themselves are in ``settings.py``, each with its type, unit, default, range and help;
the loader, ``adyton config``, the errors and docs/guide/configuration.md are made from that table.
"""

from adyton.config.limits import HttpLimits, QuotaSettings, RateSettings, TurnSettings
from adyton.config.load import Loaded, load
from adyton.config.settings import (
    AuditSettings,
    Configuration,
    KeySettings,
    ServerSettings,
    StoreSettings,
    TelemetrySettings,
    TlsSettings,
)

__all__ = [
    "AuditSettings",
    "Configuration",
    "HttpLimits",
    "KeySettings",
    "Loaded",
    "QuotaSettings",
    "RateSettings",
    "ServerSettings",
    "StoreSettings",
    "TelemetrySettings",
    "TlsSettings",
    "TurnSettings",
    "load",
]
