"""Connections and dynamic roles (``docs/spec/dynamic.md``)."""

from typing import TypeVar

import msgspec

from adyton.actions import Action
from adyton.dynamicvalues import Connection, DynamicRole, dynamic_name
from adyton.errors import ConfigurationError, InvalidInput, LeaseError
from adyton.issuing import Grant, Issuer
from adyton.model import Caller, UserId, from_us, secret_name
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.dynamic.records import CONNECTIONS, LEASES, ROLES, Kept, gone
from adyton.service.dynamic.turns import admin_of, call_issuer
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges

V = TypeVar("V")


class Dynamics:
    """Operations on connections and roles.

    Args:
        core: The open store.
        folder: What the names of one mount of Vault's API begin with; empty for the namespace's
            own.
    """

    def __init__(self, core: Core, folder: str = "") -> None:
        self._core = core
        self._folder = folder

    def _issuer(self, name: str) -> Issuer:
        try:
            return self._core.rotation.issuer(name)
        except ConfigurationError as error:
            raise InvalidInput(error.message, hint=error.hint) from None

    # -- connections ----------------------------------------------------------------------------

    async def set_connection(
        self,
        caller: Caller,
        user: UserId,
        name: str,
        connection: Connection,
        *,
        login: bytes = b"",
        verify: bool = False,
    ) -> None:
        """Write where credentials are made.

        Args:
            caller: Who asks.
            user: Whose it is.
            name: Its name.
            connection: What it is.
            login: What lets the issuer in, instead of the admin's secret; kept sealed, never
                given out. Empty keeps the one that is there.
            verify: Whether to log in first.

        Raises:
            InvalidInput: It can't be used.
            LeaseError: The issuer is not let in.
        """
        core = self._core
        draft = Draft(caller, Action.DYNAMIC_WRITE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = f"dynamic-connections/{name}"[:500]
            dynamic_name(name, "connection")
            connection.check()
            if connection.admin:
                secret_name(connection.admin)
            if verify:
                await self._verify(caller, draft.user_id, name, Kept(connection, login))

        async def work(scope: Scope) -> None:
            keys = draft.keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            kept = await CONNECTIONS.get(scope.tx, keys, self._folder + name)
            held = login or (b"" if kept is None or connection.admin else kept.login)
            issuer = self._issuer(connection.issuer)
            issuer.check(connection.settings, admin=bool(connection.admin or held))
            if held and not login and kept is not None and not _same(kept, connection):
                # Or whoever may write connections could have it tried on a server of theirs, or
                # without the TLS that shows which server it is.
                raise InvalidInput("for another place the login has to be given again")
            changes = ObjectChanges(scope, keys)
            changes.put(CONNECTIONS, self._folder + name, Kept(connection, held))
            await changes.write(draft)

        await core.write(draft, work)

    async def _verify(self, caller: Caller, user: str, name: str, kept: Kept) -> None:
        core = self._core
        issuer = self._issuer(kept.connection.issuer)
        if not kept.login and not kept.connection.admin:
            keys = await core.keys(user)
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    before = await CONNECTIONS.get(rows, keys, self._folder + name)
                if before is not None and _same(before, kept.connection):
                    kept.login = before.login
        settings = kept.connection.settings
        issuer.check(settings, admin=bool(kept.connection.admin or kept.login))
        admin = await admin_of(core, caller, user, kept)
        bounds, now = core.rotation.options.bounds, from_us(core.clock.now_us())
        grant = Grant("", settings, bounds, admin, now)
        await call_issuer(core, user, lambda: issuer.test(grant))

    async def get_connection(self, caller: Caller, user: UserId, name: str) -> Connection:
        """Where credentials are made.

        Raises:
            SecretNotFound: There is no such connection.
        """
        return (await self._get_kept(caller, user, name)).connection

    async def get_username(self, caller: Caller, user: UserId, name: str) -> str:
        """As whom the issuer logs in where that is not in a secret; else empty.

        Raises:
            SecretNotFound: There is no such connection.
        """
        login = (await self._get_kept(caller, user, name)).login
        return str(msgspec.json.decode(login)["username"]) if login else ""

    async def _get_kept(self, caller: Caller, user: UserId, name: str) -> Kept:
        core = self._core
        draft = Draft(caller, Action.DYNAMIC_READ)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = f"dynamic-connections/{name}"[:500]
            keys = draft.keys = await core.keys(draft.user_id)
            found = None
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await CONNECTIONS.get(rows, keys, self._folder + name)
            if found is None:
                raise gone("connection")
        await core.record(draft)
        return found

    async def list_connections(self, caller: Caller, user: UserId) -> dict[str, Connection]:
        """All connections of a user, by name."""
        core = self._core
        draft = Draft(caller, Action.DYNAMIC_READ, name="dynamic-connections")
        found: dict[str, Kept] = {}
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = await core.keys(draft.user_id)
            if draft.keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await CONNECTIONS.all(rows, draft.keys)
        await core.record(draft)
        return {name: kept.connection for name, kept in self._here(found).items()}

    async def remove_connection(self, caller: Caller, user: UserId, name: str) -> None:
        """Forget a connection.

        Raises:
            SecretNotFound: There is no such connection.
            LeaseError: There are leases of it, which could not be revoked any more.
        """
        core = self._core
        draft = Draft(caller, Action.DYNAMIC_DELETE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = f"dynamic-connections/{name}"[:500]

        async def work(scope: Scope) -> None:
            keys = draft.keys = await core.keys_in(scope, draft.user_id)
            ident = self._folder + name
            if keys is None or await CONNECTIONS.get(scope.tx, keys, ident) is None:
                raise gone("connection")
            leases = await LEASES.all(scope.tx, keys)
            if any(lease.connection == ident for lease in leases.values()):
                raise LeaseError(
                    "there are leases of the connection",
                    hint="Revoke them first, by 'adyton lease revoke --role ROLE'.",
                )
            changes = ObjectChanges(scope, keys)
            changes.delete(CONNECTIONS, ident)
            await changes.write(draft)

        await core.write(draft, work)

    # -- roles ----------------------------------------------------------------------------------

    async def set_role(self, caller: Caller, user: UserId, name: str, role: DynamicRole) -> None:
        """Write what kind of credentials are made; leases that exist go on as they are.

        Raises:
            InvalidInput: It can't be used, or its connection is not there.
        """
        core = self._core
        draft = Draft(caller, Action.DYNAMIC_WRITE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = f"dynamic-roles/{name}"[:500]
            dynamic_name(name, "role")
            role.check()

        async def work(scope: Scope) -> None:
            keys = draft.keys = await core.keys_to_write(scope, caller, draft.user_id, 0)
            kept = await CONNECTIONS.get(scope.tx, keys, self._folder + role.connection)
            if kept is None:
                raise InvalidInput(
                    "the role's connection is not there",
                    hint="Make it first, by 'adyton dynamic set-connection'.",
                )
            self._issuer(kept.connection.issuer).check_role(role)
            changes = ObjectChanges(scope, keys)
            changes.put(ROLES, self._folder + name, role)
            await changes.write(draft)

        await core.write(draft, work)

    async def get_role(self, caller: Caller, user: UserId, name: str) -> DynamicRole:
        """What kind of credentials are made.

        Raises:
            SecretNotFound: There is no such role.
        """
        core = self._core
        draft = Draft(caller, Action.DYNAMIC_READ)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = f"dynamic-roles/{name}"[:500]
            keys = draft.keys = await core.keys(draft.user_id)
            found = None
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await ROLES.get(rows, keys, self._folder + name)
            if found is None:
                raise gone("role")
        await core.record(draft)
        return found

    async def list_roles(self, caller: Caller, user: UserId) -> dict[str, DynamicRole]:
        """All dynamic roles of a user, by name."""
        core = self._core
        draft = Draft(caller, Action.DYNAMIC_READ, name="dynamic-roles")
        found: dict[str, DynamicRole] = {}
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.keys = await core.keys(draft.user_id)
            if draft.keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await ROLES.all(rows, draft.keys)
        await core.record(draft)
        return self._here(found)

    async def remove_role(self, caller: Caller, user: UserId, name: str) -> None:
        """Make no more credentials of a kind; those that were made live to their leases' end.

        Raises:
            SecretNotFound: There is no such role.
        """
        core = self._core
        draft = Draft(caller, Action.DYNAMIC_DELETE)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = f"dynamic-roles/{name}"[:500]

        async def work(scope: Scope) -> None:
            keys = draft.keys = await core.keys_in(scope, draft.user_id)
            if keys is None or await ROLES.get(scope.tx, keys, self._folder + name) is None:
                raise gone("role")
            changes = ObjectChanges(scope, keys)
            changes.delete(ROLES, self._folder + name)
            await changes.write(draft)

        await core.write(draft, work)

    def _here(self, found: dict[str, V]) -> dict[str, V]:
        folder = self._folder
        return {
            name.removeprefix(folder): value
            for name, value in found.items()
            if name.startswith(folder) and "/" not in name.removeprefix(folder)
        }


def _same(kept: Kept, connection: Connection) -> bool:
    """Whether a connection is reached as before, by the same issuer."""
    before = kept.connection
    return before.issuer == connection.issuer and before.settings == connection.settings
