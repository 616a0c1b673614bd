"""Adyton keeps the secrets of many users who must never see each other's.

from adyton import SecretStore

with SecretStore.open("secrets.db", root="keyfile:master.key", create=True) as store:
    store.set_secret(42, "db/password", b"correct horse")
    with store.get_secret(42, "db/password") as secret:
        print(len(secret.reveal()))
"""

from adyton.errors import AdytonError
from adyton.library import AsyncSecretStore, AsyncUserStore, SecretStore, UserStore
from adyton.model import AuditEntry, Caller, SecretMetadata, State, VersionInfo
from adyton.service.limits import Limits
from adyton.values import Secret

__version__ = "0.1.0"

__all__ = [
    "AdytonError",
    "AsyncSecretStore",
    "AsyncUserStore",
    "AuditEntry",
    "Caller",
    "Limits",
    "Secret",
    "SecretMetadata",
    "SecretStore",
    "State",
    "UserStore",
    "VersionInfo",
    "__version__",
]
