"""Single fields of an AppRole: ``role/{role}/policies``, ``role/{role}/token-ttl`` and others."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from adyton.errors import InvalidInput
from adyton.server.vault import fields
from adyton.server.vault.context import Context
from adyton.server.vault.reply import Reply
from adyton.server.vault.routes import DELETE, READ, UPDATE, Routes
from adyton.service.access.records import AppRole

ROLE: Final = ("role", str.lower)
"""Names of roles are told apart in lower case alone."""


class _Field(NamedTuple):
    """One field.

    Attributes:
        name: Its name in requests and answers.
        attribute: Its name in the role, or behind ``bounds.`` in its tokens' bounds.
        read: Checks what is given.
        empty: What it is once it was deleted.
        old: An older name that is taken as well.
    """

    name: str
    attribute: str
    read: Callable[[object, str], object]
    empty: object
    old: str = ""


_FIELDS: Final = {
    "policies": _Field("token_policies", "bounds.policies", fields.policies, []),
    "secret-id-num-uses": _Field("secret_id_num_uses", "secret_id_num_uses", fields.count, 0),
    "secret-id-ttl": _Field("secret_id_ttl", "secret_id_ttl", fields.seconds, 0),
    "secret-id-bound-cidrs": _Field(
        "secret_id_bound_cidrs", "secret_id_cidrs", fields.networks, []
    ),
    "token-bound-cidrs": _Field("token_bound_cidrs", "bounds.cidrs", fields.networks, []),
    "token-ttl": _Field("token_ttl", "bounds.ttl", fields.seconds, 0),
    "token-max-ttl": _Field("token_max_ttl", "bounds.max_ttl", fields.seconds, 0),
    "token-num-uses": _Field("token_num_uses", "bounds.num_uses", fields.count, 0),
    "period": _Field("token_period", "bounds.period", fields.seconds, 0, "period"),
    "bind-secret-id": _Field("bind_secret_id", "bind_secret_id", fields.boolean, True),
}


def add_fields(
    routes: Routes,
    role_of: Callable[[Context], Awaitable[AppRole]],
    put: Callable[[Context, AppRole], Awaitable[None]],
) -> None:
    """Add the routes of single fields.

    Args:
        routes: The method's routes.
        role_of: Finds the role that a request names.
        put: Checks and writes it.
    """
    for path, field in _FIELDS.items():
        routes.add(f"role/{{role}}/{path}", _handlers(field, role_of, put), folded=ROLE)


def _handlers(
    field: _Field,
    role_of: Callable[[Context], Awaitable[AppRole]],
    put: Callable[[Context, AppRole], Awaitable[None]],
) -> dict[Any, Any]:
    def home(role: AppRole) -> tuple[Any, str]:
        outer, dot, inner = field.attribute.partition(".")
        return (getattr(role, outer), inner) if dot else (role, outer)

    async def read(context: Context) -> Reply:
        holder, name = home(await role_of(context))
        value = getattr(holder, name)
        return Reply({field.name: (value or None) if field.read is fields.networks else value})

    async def write(context: Context) -> None:
        given = context.body.get(field.name)
        if given is None and field.old:
            given = context.body.get(field.old)
        if given is None and field.read is not fields.networks:
            raise InvalidInput(f"missing {field.old or field.name}")
        await change(context, field.read(given, field.name))

    async def delete(context: Context) -> None:
        await change(context, field.empty)

    async def change(context: Context, value: object) -> None:
        role = await role_of(context)
        holder, name = home(role)
        setattr(holder, name, value)
        await put(context, role)

    return {READ: read, UPDATE: write, DELETE: delete}
