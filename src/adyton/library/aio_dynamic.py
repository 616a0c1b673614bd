"""Dynamic credentials: connections, roles, leases."""

from adyton.dynamicvalues import Connection, Credentials, DynamicRole, LeaseInfo, Revoked
from adyton.library.aio_base import AsyncFace
from adyton.model import UserId
from adyton.rotationpolicy import RotationReport
from adyton.service.dynamic.configuration import Dynamics
from adyton.service.dynamic.leases import DynamicLeases
from adyton.service.dynamic.passes import run_due


class AsyncDynamic:
    """Credentials that are made on request, and end with their lease."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _dynamics(self) -> Dynamics:
        return Dynamics(self._store._opened.core)

    @property
    def _leases(self) -> DynamicLeases:
        return DynamicLeases(self._store._opened.core)

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
        store = self._store
        await store._run(
            self._dynamics.set_connection(store._caller, user, name, connection, verify=verify)
        )

    async def get_connection(self, user: UserId, name: str) -> Connection:
        """Where credentials are made.

        Raises:
            SecretNotFound: There is no such connection.
        """
        store = self._store
        return await store._run(self._dynamics.get_connection(store._caller, user, name))

    async def connections(self, user: UserId) -> dict[str, Connection]:
        """All connections of a user, by name."""
        store = self._store
        return await store._run(self._dynamics.list_connections(store._caller, user))

    async def remove_connection(self, user: UserId, name: str) -> None:
        """Forget a connection.

        Raises:
            SecretNotFound: There is no such connection.
            LeaseError: There are leases of it, which could not be revoked any more.
        """
        store = self._store
        await store._run(self._dynamics.remove_connection(store._caller, user, name))

    async def set_role(self, user: UserId, name: str, role: DynamicRole) -> None:
        """Write what kind of credentials are made; leases that exist go on as they are.

        Raises:
            InvalidInput: It can't be used, or its connection is not there.
        """
        store = self._store
        await store._run(self._dynamics.set_role(store._caller, user, name, role))

    async def get_role(self, user: UserId, name: str) -> DynamicRole:
        """What kind of credentials are made.

        Raises:
            SecretNotFound: There is no such role.
        """
        store = self._store
        return await store._run(self._dynamics.get_role(store._caller, user, name))

    async def roles(self, user: UserId) -> dict[str, DynamicRole]:
        """All dynamic roles of a user, by name."""
        store = self._store
        return await store._run(self._dynamics.list_roles(store._caller, user))

    async def remove_role(self, user: UserId, name: str) -> None:
        """Make no more credentials of a kind; those that were made live to their leases' end.

        Raises:
            SecretNotFound: There is no such role.
        """
        store = self._store
        await store._run(self._dynamics.remove_role(store._caller, user, name))

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
        store = self._store
        return await store._run(self._leases.issue(store._caller, user, role, ttl))

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
        store = self._store
        return await store._run(self._leases.renew(store._caller, user, lease, ttl))

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
        store = self._store
        await store._run(self._leases.revoke(store._caller, user, lease, force=force))

    async def revoke_all(self, user: UserId, role: str = "", *, force: bool = False) -> Revoked:
        """End all credentials of a role, or all of the user's.

        Args:
            user: Whose they are.
            role: The role; empty for all.
            force: Forget the leases whether their credentials are gone or not.

        Returns:
            How many are gone, and how many are not yet; those are tried again.
        """
        store = self._store
        return await store._run(self._leases.revoke_prefix(store._caller, user, role, force=force))

    async def lease(self, user: UserId, lease: str) -> LeaseInfo:
        """One lease.

        Raises:
            SecretNotFound: There is none.
        """
        store = self._store
        return await store._run(self._leases.get(store._caller, user, lease))

    async def leases(self, user: UserId, role: str = "") -> list[LeaseInfo]:
        """The leases of a role, or all of a user's, the newest last."""
        store = self._store
        return await store._run(self._leases.list(store._caller, user, role))

    async def revoke_due(self) -> RotationReport:
        """Revoke all that has ended, of every user; what fails is told in its lease.

        Raises:
            AccessDenied: The caller is not the store's operator.
        """
        store = self._store
        return await store._run(run_due(store._opened.core, store._caller))
