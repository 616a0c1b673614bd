"""Routes of what users may store, with their shapes."""

from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from adyton.actions import Action
from adyton.server.native.call import ME, Call
from adyton.server.native.rights import right
from adyton.server.native.routes import Reply, Route
from adyton.server.native.shapes import MAX_NUMBER, Answer, Shape
from adyton.service.access.policy import Capability
from adyton.service.access.spaces import OPERATOR_SPACE
from adyton.service.quota.own import OwnQuotas
from adyton.service.quota.users import UserQuotas

Amount: TypeAlias = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]


class QuotaBody(Shape, kw_only=True):
    """What a user may store: 0 for no quota, null for that of the configuration."""

    secrets: Amount | None = None
    versions: Amount | None = None
    objects: Amount | None = None
    bytes: Amount | None = None


class AmountsShown(Answer, kw_only=True):
    """Numbers of what a user stores, or may."""

    secrets: int | None
    versions: int | None
    objects: int | None
    bytes: int | None


class QuotaShown(Answer, kw_only=True):
    """What a user may store (0: no quota), what of it was set for this user, and what there is."""

    quota: AmountsShown
    own: AmountsShown
    used: AmountsShown


async def get_quota(call: Call) -> Reply:
    """What a user may store, and stores."""
    found = await UserQuotas(call.core).get(call.caller, call.user)
    return Reply(
        QuotaShown(
            quota=AmountsShown(**found.quota._asdict()),
            own=AmountsShown(**found.own._asdict()),
            used=AmountsShown(**found.used._asdict()),
        )
    )


async def set_quota(call: Call) -> Reply:
    """Quotas of one user."""
    return await _set(call, OwnQuotas(**msgspec.structs.asdict(call.body(QuotaBody))))


async def clear_quota(call: Call) -> Reply:
    """The configuration's quotas for a user."""
    return await _set(call, OwnQuotas())


async def _set(call: Call, own: OwnQuotas) -> Reply:
    user = OPERATOR_SPACE if call.args["user"] == ME else call.args["user"]
    return await call.write(
        lambda core: UserQuotas(core).set(call.caller, user, own), lambda _: Reply(status=204)
    )


ROUTES: Final = [
    Route(
        "GET", "users/{user}/quota", "get_quota", "What a user may store, and stores.",
        get_quota, right(Capability.READ), "read", "user",
        Action.ACCESS_READ, QuotaShown,
    ),
    Route(
        "PUT", "users/{user}/quota", "set_quota", "Give a user quotas, for all former ones.",
        set_quota, right(Capability.UPDATE), "update and sudo", "store",
        Action.ACCESS_WRITE, None, body=QuotaBody, once=True,
    ),
    Route(
        "DELETE", "users/{user}/quota", "clear_quota", "Let the configuration's quotas hold again.",
        clear_quota, right(Capability.DELETE), "delete and sudo", "store",
        Action.ACCESS_DELETE, None, once=True,
    ),
]  # fmt: skip
