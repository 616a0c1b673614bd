"""All routes of the native API."""

from functools import cache
from typing import Final

from adyton.actions import Action
from adyton.server.native import (
    access,
    alerts,
    attesting,
    dynamic,
    grants,
    history,
    holds,
    lifecycle,
    links,
    notices,
    quotas,
    reports,
    rights,
    roots,
    rotation,
    secrets,
    shapes,
    shares,
    store,
    transfer,
    userroots,
)
from adyton.server.native.call import Call
from adyton.server.native.openapi import description
from adyton.server.native.routes import Reply, Route, Table


@cache
def document() -> bytes:
    """The description for machines, as JSON."""
    return description(TABLE.routes)


async def openapi(_: Call) -> Reply:
    """The description for machines."""
    return Reply(document())


TABLE: Final = Table(
    [
        Route(
            "GET", "openapi.json", "openapi", "This description.",
            openapi, rights.anybody, "none", "public",
            Action.STORE_HEALTH, shapes.OpenApiShown,
        ),
        *attesting.ROUTES,
        *store.ROUTES,
        *quotas.ROUTES,
        *roots.ROUTES,
        *history.ROUTES,
        *reports.ROUTES,
        *secrets.ROUTES,
        *rotation.ROUTES,
        *dynamic.ROUTES,
        *holds.ROUTES,
        *lifecycle.ROUTES,
        *transfer.ROUTES,
        *links.ROUTES,
        *shares.ROUTES,
        *notices.ROUTES,
        *alerts.ROUTES,
        *grants.ROUTES,
        *userroots.ROUTES,
        *access.ROUTES,
    ]
)  # fmt: skip
