"""The client has the embedded store's methods, with the same arguments, and loads nothing of it."""

import inspect
import subprocess
import sys

import pytest

from adyton import AsyncClient, AsyncSecretStore, Client, SecretStore
from adyton.client import AsyncUserClient, UserClient
from adyton.client.aio_alerts import AsyncAlerts
from adyton.client.aio_areas import AsyncAudit, AsyncKeys
from adyton.client.aio_dynamic import AsyncDynamic
from adyton.client.aio_grants import AsyncAccess
from adyton.client.aio_holds import AsyncHolds
from adyton.client.aio_lifecycle import AsyncLifecycle
from adyton.client.aio_links import AsyncLinks
from adyton.client.aio_members import AsyncMembers
from adyton.client.aio_notices import AsyncNotices, AsyncWebhooks
from adyton.client.aio_quotas import AsyncQuotas
from adyton.client.aio_reports import AsyncReports
from adyton.client.aio_rotation import AsyncRotation
from adyton.client.aio_shares import AsyncShares
from adyton.client.sync_alerts import Alerts
from adyton.client.sync_areas import Audit, Keys
from adyton.client.sync_dynamic import Dynamic
from adyton.client.sync_grants import Access
from adyton.client.sync_holds import Holds
from adyton.client.sync_lifecycle import Lifecycle
from adyton.client.sync_links import Links
from adyton.client.sync_members import Members
from adyton.client.sync_notices import Notices, Webhooks
from adyton.client.sync_quotas import Quotas
from adyton.client.sync_reports import Reports
from adyton.client.sync_rotation import Rotation
from adyton.client.sync_shares import Shares
from adyton.library import (
    AsyncUserStore,
    UserStore,
    aio_alerts,
    aio_areas,
    aio_dynamic,
    aio_grants,
    aio_holds,
    aio_lifecycle,
    aio_links,
    aio_members,
    aio_notices,
    aio_quotas,
    aio_reports,
    aio_rotation,
    aio_shares,
    sync_alerts,
    sync_areas,
    sync_dynamic,
    sync_grants,
    sync_holds,
    sync_lifecycle,
    sync_links,
    sync_members,
    sync_notices,
    sync_quotas,
    sync_reports,
    sync_rotation,
    sync_shares,
)

EMBEDDED_ALONE = {"open", "acting_as"}
PAIRS = [
    (SecretStore, Client), (AsyncSecretStore, AsyncClient), (UserStore, UserClient),
    (AsyncUserStore, AsyncUserClient), (aio_areas.AsyncKeys, AsyncKeys),
    (aio_links.AsyncLinks, AsyncLinks), (sync_links.Links, Links),
    (aio_shares.AsyncShares, AsyncShares), (sync_shares.Shares, Shares),
    (aio_areas.AsyncAudit, AsyncAudit), (sync_areas.Keys, Keys), (sync_areas.Audit, Audit),
    (aio_quotas.AsyncQuotas, AsyncQuotas), (sync_quotas.Quotas, Quotas),
    (aio_grants.AsyncAccess, AsyncAccess), (sync_grants.Access, Access),
    (aio_members.AsyncMembers, AsyncMembers), (sync_members.Members, Members),
    (aio_dynamic.AsyncDynamic, AsyncDynamic), (sync_dynamic.Dynamic, Dynamic),
    (aio_reports.AsyncReports, AsyncReports), (sync_reports.Reports, Reports),
    (aio_rotation.AsyncRotation, AsyncRotation), (sync_rotation.Rotation, Rotation),
    (aio_alerts.AsyncAlerts, AsyncAlerts), (sync_alerts.Alerts, Alerts),
    (aio_notices.AsyncNotices, AsyncNotices), (sync_notices.Notices, Notices),
    (aio_notices.AsyncWebhooks, AsyncWebhooks), (sync_notices.Webhooks, Webhooks),
    (aio_holds.AsyncHolds, AsyncHolds), (sync_holds.Holds, Holds),
    (aio_lifecycle.AsyncLifecycle, AsyncLifecycle), (sync_lifecycle.Lifecycle, Lifecycle),
]  # fmt: skip


@pytest.mark.parametrize(("embedded", "client"), PAIRS, ids=lambda kind: kind.__name__)
def test_signatures_are_the_same(embedded, client):
    """Each public method of the store exists, takes the same and gives the same."""
    names = [name for name in vars(embedded) if not name.startswith("_")]
    names = [name for name in names if name not in EMBEDDED_ALONE]
    assert names
    for name in names:
        ours, theirs = inspect.getattr_static(client, name), getattr(embedded, name)
        if isinstance(theirs, property):
            assert isinstance(ours, property), name
            continue
        assert inspect.iscoroutinefunction(ours) == inspect.iscoroutinefunction(theirs), name
        if name == "user":
            continue
        assert inspect.signature(ours) == inspect.signature(theirs), name
    assert hasattr(client, "keys") == (
        "Client" in client.__name__ and "User" not in client.__name__
    )


def _loaded(code):
    return subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip


def test_importing_adyton_loads_neither_a_store_nor_a_client():
    """The package alone stays quick; a client loads no database, a store nothing of HTTP."""
    bare = _loaded("import adyton")
    assert not {"httpx", "apsw", "pyrage", "typer", "adyton.service"} & set(bare)
    assert not {"apsw", "adyton.service", "granian"} & set(_loaded("from adyton import Client"))
    assert "httpx" not in _loaded("from adyton import SecretStore")
    everything = _loaded("from adyton import *\nSecretStore, Client, Limits")
    assert {"apsw", "httpx"} <= set(everything)


def test_what_does_not_exist_is_told():
    """A name that the package has not is an AttributeError that names it."""
    import adyton

    with pytest.raises(AttributeError, match="nonsense"):
        adyton.nonsense  # noqa: B018 - that is the test
