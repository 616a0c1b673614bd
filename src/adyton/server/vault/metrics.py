"""``sys/metrics``: what the server has counted, for a token that may read it, or for all."""

from adyton.actions import Action
from adyton.server.http import Response
from adyton.server.telemetry.serving import MOST_TO_REWRAP, PATH, metrics_answer
from adyton.server.vault.context import Context
from adyton.server.vault.routes import READ, Routes
from adyton.server.vault.service import Services
from adyton.service.access.shelves import record_path
from adyton.service.access.spaces import OPERATOR_SPACE


def add_routes(routes: Routes, services: Services) -> None:
    """Add the route of the metrics."""
    core, telemetry = services.core, services.telemetry
    public = telemetry.unauthenticated_metrics

    async def metrics(context: Context) -> Response:
        if not public:
            if context.user != OPERATOR_SPACE:  # they are of the whole store
                raise await services.gate.refuse(
                    context.session, context.user, context.path, READ, context.origin
                )
            await record_path(core, context.caller, context.user, Action.ACCESS_READ, context.path)
        async with core.storage.snapshot() as rows:
            to_rewrap = len(await rows.users_with_retired_keys(b"", MOST_TO_REWRAP))
        return metrics_answer(telemetry, context.request, to_rewrap)

    routes.add(PATH, {READ: metrics}, public=public)
