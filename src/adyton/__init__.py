"""Adyton keeps the secrets of many users who must never see each other's.

from adyton import SecretStore

with SecretStore.open("secrets.db", root="keyfile:master.key", create=True) as store:
    store.set_secret(42, "db/password", b"correct horse")
    with store.get_secret(42, "db/password") as secret:
        print(len(secret.reveal()))

``Client("https://host:8200")`` has the same names, and speaks to a server.
"""

import importlib
from typing import TYPE_CHECKING, Final

from adyton.errors import AdytonError
from adyton.model import AuditEntry, Caller, SecretMetadata, State, VersionInfo
from adyton.values import Secret

if TYPE_CHECKING:
    from adyton.client import AsyncClient, Client
    from adyton.library import AsyncSecretStore, AsyncUserStore, SecretStore, UserStore
    from adyton.service.limits import Limits

__version__ = "0.1.0"

__all__ = [
    "AdytonError",
    "AsyncClient",
    "AsyncSecretStore",
    "AsyncUserStore",
    "AuditEntry",
    "Caller",
    "Client",
    "Limits",
    "Secret",
    "SecretMetadata",
    "SecretStore",
    "State",
    "UserStore",
    "VersionInfo",
    "__version__",
]


# Who opens a store needs nothing that speaks HTTP, and a client needs no database: each is
# loaded when it is first named.
_HOMES: Final = {
    "AsyncClient": "adyton.client",
    "AsyncSecretStore": "adyton.library",
    "AsyncUserStore": "adyton.library",
    "Client": "adyton.client",
    "Limits": "adyton.service.limits",
    "SecretStore": "adyton.library",
    "UserStore": "adyton.library",
}


if not TYPE_CHECKING:  # which would take every name for one of these

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'adyton' has no attribute {name!r}")
        found = getattr(importlib.import_module(home), name)
        globals()[name] = found
        return found
