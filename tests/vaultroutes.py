"""All routes of the Vault API, read from its tables: a new route is in here by being served."""

import re

from adyton import SecretStore
from adyton.server.vault.api import VaultApi
from adyton.server.vault.routes import READ
from adyton.server.vault.service import Services
from adyton.service.access.policy import Capability

METHODS = {
    Capability.READ: "GET",
    Capability.LIST: "LIST",
    Capability.UPDATE: "POST",
    Capability.PATCH: "PATCH",
    Capability.DELETE: "DELETE",
}


def vault_routes():
    """All routes of the Vault API as (method, path with names in braces)."""
    with SecretStore.open("memory:", root="dev:", upkeep=False) as store:
        services = Services(store._opened.core)
        api = VaultApi(services)
        tables = [
            ("", api._routes),
            *((f"auth/{kind}/", login._routes) for kind, login in services.logins.items()),
            *((f"{kind}/", engine._routes) for kind, engine in services.engines.items()),
        ]
        found = []
        for prefix, routes in tables:
            for room in routes._routes.values():
                for route in room:
                    path = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", route.pattern.pattern)
                    path = prefix + path.removesuffix("/?").replace("\\", "")
                    found += [(METHODS[operation], path) for operation in route.handlers]
        for area, operation in [*api._kv._areas, ("data", READ)]:
            found.append((METHODS[operation], f"secret/{area}/{{secret}}"))
        found += [(method, "secret/config") for method in ("GET", "POST")]
        found += [(method, "old/{secret}") for method in METHODS.values()]
    return sorted(set(found))
