"""Dynamic credentials: connections, roles, leases."""

from urllib.parse import quote

import msgspec

from adyton.client.aio_base import AsyncClientFace
from adyton.client.dynamicshapes import (
    WireConnection,
    WireCredentials,
    WireDynamicRole,
    WireLease,
    WireRevoked,
)
from adyton.client.requests import of_user, once, query, read, write
from adyton.client.rotationshapes import WireRotationReport
from adyton.client.shapes import Items
from adyton.dynamicvalues import Connection, Credentials, DynamicRole, LeaseInfo, Revoked
from adyton.model import UserId
from adyton.rotationpolicy import RotationReport


class AsyncDynamic:
    """Credentials that are made on request, and end with their lease."""

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def set_connection(
        self, user: UserId, name: str, connection: Connection, *, verify: bool = False
    ) -> None:
        """Write where credentials are made.

        Args:
            user: Whose it is.
            name: Its name.
            connection: What it is.
            verify: Whether to log in first.

        Raises:
            InvalidInput: It can't be used.
            LeaseError: The issuer is not let in.
        """
        body = msgspec.structs.asdict(connection) | {"verify": verify}
        target = _of(user, "dynamic-connections", name)
        await self._client._call(write(target, body, method="PUT", patient=verify))

    async def get_connection(self, user: UserId, name: str) -> Connection:
        """Where credentials are made.

        Raises:
            SecretNotFound: There is no such connection.
        """
        answer = await self._client._call(read(_of(user, "dynamic-connections", name)))
        return answer.parse(WireConnection).public()

    async def connections(self, user: UserId) -> dict[str, Connection]:
        """All connections of a user, by name."""
        answer = await self._client._call(read(of_user(user, "dynamic-connections")))
        return {each.name: each.public() for each in answer.parse(Items[WireConnection]).items}

    async def remove_connection(self, user: UserId, name: str) -> None:
        """Forget a connection.

        Raises:
            SecretNotFound: There is no such connection.
            LeaseError: There are leases of it, which could not be revoked any more.
        """
        await self._client._call(write(_of(user, "dynamic-connections", name), method="DELETE"))

    async def set_role(self, user: UserId, name: str, role: DynamicRole) -> None:
        """Write what kind of credentials are made; leases that exist go on as they are.

        Raises:
            InvalidInput: It can't be used, or its connection is not there.
        """
        body = msgspec.structs.asdict(role)
        await self._client._call(write(_of(user, "dynamic-roles", name), body, method="PUT"))

    async def get_role(self, user: UserId, name: str) -> DynamicRole:
        """What kind of credentials are made.

        Raises:
            SecretNotFound: There is no such role.
        """
        answer = await self._client._call(read(_of(user, "dynamic-roles", name)))
        return answer.parse(WireDynamicRole).public()

    async def roles(self, user: UserId) -> dict[str, DynamicRole]:
        """All dynamic roles of a user, by name."""
        answer = await self._client._call(read(of_user(user, "dynamic-roles")))
        return {each.name: each.public() for each in answer.parse(Items[WireDynamicRole]).items}

    async def remove_role(self, user: UserId, name: str) -> None:
        """Make no more credentials of a kind; those that were made live to their leases' end.

        Raises:
            SecretNotFound: There is no such role.
        """
        await self._client._call(write(_of(user, "dynamic-roles", name), method="DELETE"))

    async def issue(self, user: UserId, role: str, ttl: int = 0) -> Credentials:
        """Make credentials. Use them in a ``with`` block: the password is wiped when it ends.

        Args:
            user: Whose role it is.
            role: The dynamic role.
            ttl: Seconds that the lease is to last; 0 for the role's own time.

        Raises:
            SecretNotFound: There is no such role.
            InvalidInput: The time is longer than the role's longest.
            LimitExceeded: The user has as many leases as may be.
            LeaseError: They could not be made; what there is of them is revoked.
        """
        # Never sent twice: the answer is kept nowhere, so another would be other credentials.
        call = once(_of(user, "dynamic-issue", role), {"ttl": ttl})
        return (await self._client._call(call)).parse(WireCredentials).public()

    async def renew(self, user: UserId, lease: str, ttl: int = 0) -> LeaseInfo:
        """Let credentials work longer.

        Args:
            user: Whose they are.
            lease: The lease.
            ttl: Seconds from now on; 0 for the time that it was made for. The role's longest
                time is the limit.

        Raises:
            SecretNotFound: There is no such lease, or it has ended.
            LeaseError: Somebody else is at it, or it could not be renewed: it ends as before.
        """
        call = write(_of(user, "lease-renew", lease), {"ttl": ttl}, patient=True)
        return (await self._client._call(call)).parse(WireLease).public()

    async def revoke(self, user: UserId, lease: str, *, force: bool = False) -> None:
        """End credentials now, with the sessions that are open by them.

        Args:
            user: Whose they are.
            lease: The lease.
            force: Forget the lease whether its credentials are gone or not.

        Raises:
            SecretNotFound: There is no such lease.
            LeaseError: Somebody else is at it, or it failed: it is tried again until it is done.
        """
        call = write(_of(user, "lease-revoke", lease), {"force": force}, patient=True)
        await self._client._call(call)

    async def revoke_all(self, user: UserId, role: str = "", *, force: bool = False) -> Revoked:
        """End all credentials of a role, or all of the user's.

        Args:
            user: Whose they are.
            role: The role; empty for all.
            force: Forget the leases whether their credentials are gone or not.

        Returns:
            How many are gone, and how many are not yet; those are tried again.
        """
        body = {"role": role, "force": force}
        call = write(of_user(user, "leases-revoke"), body, patient=True)
        return (await self._client._call(call)).parse(WireRevoked).public()

    async def lease(self, user: UserId, lease: str) -> LeaseInfo:
        """One lease.

        Raises:
            SecretNotFound: There is none.
        """
        answer = await self._client._call(read(_of(user, "leases", lease)))
        return answer.parse(WireLease).public()

    async def leases(self, user: UserId, role: str = "") -> list[LeaseInfo]:
        """The leases of a role, or all of a user's, the newest last."""
        answer = await self._client._call(read(of_user(user, "leases") + query(role=role)))
        return [each.public() for each in answer.parse(Items[WireLease]).items]

    async def revoke_due(self) -> RotationReport:
        """Revoke all that has ended, of every user; what fails is told in its lease.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        answer = await self._client._call(write("adyton/leases/revoke-due", patient=True))
        return answer.parse(WireRotationReport).public()


def _of(user: UserId, kind: str, name: str) -> str:
    return of_user(user, kind, "/".join(quote(part, safe="") for part in name.split("/")))
