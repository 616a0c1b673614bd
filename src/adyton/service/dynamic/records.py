"""What is stored of dynamic credentials (``docs/spec/dynamic.md``, section 2)."""

from typing import Final

import msgspec

from adyton.dynamicvalues import Connection, DynamicRole, LeaseInfo
from adyton.errors import SecretNotFound
from adyton.model import from_us
from adyton.ports import Rows
from adyton.service.access.records import TOKENS
from adyton.service.commit import Scope
from adyton.service.objects import ObjectChanges, Shelf
from adyton.service.userkeys import UserKeys

ISSUING: Final = "issuing"
LIVE: Final = "live"
REVOKING: Final = "revoking"


class Kept(msgspec.Struct, omit_defaults=True):
    """A connection.

    Attributes:
        connection: Where.
        login: A login instead of the admin's secret, as JSON; for Vault's API.
    """

    connection: Connection
    login: bytes = b""

    def __repr__(self) -> str:
        return "<Kept>"


class Lease(msgspec.Struct, omit_defaults=True):
    """A lease; there is no password in it.

    Attributes:
        role: The dynamic role.
        connection: The connection.
        issuer: What made the credentials.
        place: Which system they are in, as the issuer names it.
        settings: How it was reached when they were made.
        username: Their name there.
        state: ``issuing``, ``live`` or ``revoking``.
        issued_us: When it began.
        expires_us: When it ends by itself.
        max_us: To when it can be renewed.
        renewed_us: When it was last; 0 for never.
        ttl: Seconds that a renewal asks for by default.
        renewal: The role's statements of that time.
        revocation: Idem.
        token: The token of this namespace that asked for it; empty for none.
        attempts: How often revoking has failed.
        error: Why it failed last.
    """

    role: str
    connection: str
    issuer: str
    place: str
    settings: dict[str, str]
    username: str
    state: str
    issued_us: int
    expires_us: int
    max_us: int
    ttl: int
    renewed_us: int = 0
    renewal: list[str] = []
    revocation: list[str] = []
    token: str = ""
    attempts: int = 0
    error: str = ""

    def __repr__(self) -> str:
        return "<Lease>"

    def info(self, ident: str) -> LeaseInfo:
        """The public value."""
        return LeaseInfo(
            ident,
            self.role,
            self.username,
            self.state,
            from_us(self.issued_us),
            from_us(self.expires_us),
            from_us(self.max_us),
            from_us(self.renewed_us) if self.renewed_us else None,
            self.attempts,
            self.error,
        )


class Count(msgspec.Struct):
    """How many leases a user has."""

    leases: int = 0


class OfToken(msgspec.Struct):
    """Marks a lease as one that ends with a token; in a folder of the token's."""


CONNECTIONS: Final = Shelf("dynamic-connection", Kept)
ROLES: Final = Shelf("dynamic-role", DynamicRole)
LEASES: Final = Shelf("dynamic-lease", Lease)
COUNTS: Final = Shelf("dynamic-count", Count)
OF_TOKEN: Final = Shelf("dynamic-of-token", OfToken)
ALL: Final = "all"


def gone(what: str) -> SecretNotFound:
    """The refusal of what is not there."""
    return SecretNotFound(f"there is no such {what}")


async def count_of(rows: Rows, keys: UserKeys) -> int:
    """How many leases a user has."""
    found = await COUNTS.get(rows, keys, ALL)
    return 0 if found is None else found.leases


async def add_lease(
    scope: Scope, keys: UserKeys, changes: ObjectChanges, ident: str, lease: Lease
) -> None:
    """Begin a lease."""
    changes.put(LEASES, ident, lease)
    changes.put(COUNTS, ALL, Count(await count_of(scope.tx, keys) + 1))
    if lease.token:
        changes.put(OF_TOKEN, ident, OfToken(), lease.token)


async def drop_lease(
    scope: Scope, keys: UserKeys, changes: ObjectChanges, ident: str, lease: Lease
) -> None:
    """Forget a lease whose credentials are gone."""
    changes.delete(LEASES, ident)
    changes.put(COUNTS, ALL, Count(max(await count_of(scope.tx, keys) - 1, 0)))
    if lease.token and await OF_TOKEN.get(scope.tx, keys, ident, lease.token) is not None:
        changes.delete(OF_TOKEN, ident, lease.token)


async def end_of(rows: Rows, keys: UserKeys, lease: Lease, now_us: int) -> int:
    """When a lease ends: at its own time, or with the token that asked for it."""
    if lease.state != LIVE:
        return now_us
    ends, at = [lease.expires_us], lease.token
    while at:
        token = await TOKENS.get(rows, keys, at)
        if token is None:
            return now_us
        if token.expires_us:
            ends.append(token.expires_us)
        at = token.parent
    return min(ends)


async def end_with_token(scope: Scope, keys: UserKeys, token: str) -> None:
    """A token ends: its leases are due now, but for one that somebody is at, who will see it."""
    for ident in await OF_TOKEN.all(scope.tx, keys, token):
        place = LEASES.place(keys, ident)
        row = await scope.tx.due_of(keys.user, *place)
        if row is not None and not row.lease:
            await scope.tx.put_due(row._replace(ready_us=scope.now_us))
