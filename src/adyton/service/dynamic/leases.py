"""Making, renewing and revoking dynamic credentials (``docs/spec/dynamic.md``, section 3)."""

import base64
import secrets
from contextlib import suppress
from typing import Final

from adyton.actions import Action
from adyton.crypto.secretbytes import SecretBytes
from adyton.dynamicvalues import Credentials, DynamicRole, LeaseInfo, Revoked
from adyton.errors import (
    AdytonError,
    InvalidInput,
    LeaseError,
    LimitExceeded,
    SecretNotFound,
)
from adyton.model import Caller, UserId
from adyton.service.access.records import ACCESSORS
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.dynamic.many import revoke_all
from adyton.service.dynamic.records import (
    CONNECTIONS,
    ISSUING,
    LEASES,
    LIVE,
    REVOKING,
    ROLES,
    Lease,
    add_lease,
    count_of,
    end_of,
    gone,
)
from adyton.service.dynamic.turns import LeaseTurn, call_issuer
from adyton.service.journal import Draft
from adyton.service.objects import ObjectChanges
from adyton.service.rotation import generators
from adyton.service.userkeys import UserKeys

_SECOND_US: Final = 1_000_000
_PASSWORD: Final = {"length": "32"}
"""190 bits."""
_AT_ONCE: Final = 16
"""DynamicLeases that are revoked together; where all of them fail, the rest is left for later."""


class DynamicLeases:
    """Operations on leases.

    Args:
        core: The open store.
        folder: As of ``Dynamics``.
    """

    def __init__(self, core: Core, folder: str = "") -> None:
        self._core = core
        self._folder = folder

    # -- making ---------------------------------------------------------------------------------

    async def issue(self, caller: Caller, user: UserId, role: str, ttl: int = 0) -> Credentials:
        """Make credentials.

        Args:
            caller: Who asks.
            user: Whose role it is.
            role: The dynamic role.
            ttl: Seconds that the lease is to last; 0 for the role's own time.

        Raises:
            SecretNotFound: There is no such role.
            InvalidInput: The time is longer than the role's longest.
            LimitExceeded: The user has as many leases as may be.
            LeaseError: They could not be made; what there is of them is revoked.
        """
        core = self._core
        user_id = await self._user(caller, user, f"dynamic-roles/{role}", Action.LEASE_CREATE)
        ident = base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
        turn = LeaseTurn(core, caller, user_id, f"{self._folder}{role}/{ident}")
        intent = turn.draft(Action.LEASE_CREATE, "intent")

        async def intend(scope: Scope) -> tuple[Lease, DynamicRole]:
            keys = intent.keys = await core.keys_in(scope, user_id)
            found = None if keys is None else await ROLES.get(scope.tx, keys, self._folder + role)
            if keys is None or found is None:
                raise gone("role")
            lease = await self._new_lease(scope, keys, caller, role, found, ident, ttl)
            changes = ObjectChanges(scope, keys)
            await add_lease(scope, keys, changes, f"{self._folder}{role}/{ident}", lease)
            await turn.hold(scope, keys)
            await changes.write(intent)
            return lease, found

        lease, found = await core.write(intent, intend)
        made = SecretBytes(generators.generate("text", _PASSWORD).value)
        try:
            issuer, grant = await turn.grant(lease, found)
            await call_issuer(core, user_id, lambda: issuer.create(grant, made.text()))
            return Credentials(await self._settle(turn), made)
        except BaseException as error:
            made.wipe()
            if isinstance(error, AdytonError):
                await self._undo(turn)
            raise

    async def _new_lease(
        self,
        scope: Scope,
        keys: UserKeys,
        caller: Caller,
        role: str,
        found: DynamicRole,
        ident: str,
        ttl: int,
    ) -> Lease:
        core, now = self._core, scope.now_us
        name = self._folder + found.connection
        kept = await CONNECTIONS.get(scope.tx, keys, name)
        if kept is None:
            raise LeaseError("the role's connection is not there")
        allowed = kept.connection.allowed_roles
        if "*" not in allowed and role not in allowed:
            raise LeaseError("the role is not one that its connection allows")
        if not 0 <= ttl <= found.max_ttl:
            raise InvalidInput(f"the time of a lease is 1 to {found.max_ttl} seconds here")
        if await count_of(scope.tx, keys) >= core.rotation.options.max_leases:
            raise LimitExceeded(
                "there are as many leases as may be",
                hint="Revoke some, or raise the setting rotation.max_leases.",
            )
        issuer = core.rotation.issuer(kept.connection.issuer)
        token, latest = "", now + found.max_ttl * _SECOND_US
        if caller.token is not None and not caller.token.stored:
            token, latest = caller.token.parent, min(latest, caller.token.ends_us)
        elif caller.accessor:
            ref = await ACCESSORS.get(scope.tx, keys, caller.accessor)
            token = "" if ref is None else ref.id
        return Lease(
            role=role,
            connection=name,
            issuer=kept.connection.issuer,
            place=issuer.place(kept.connection.settings),
            settings=kept.connection.settings,
            username=issuer.username(role, ident),
            state=ISSUING,
            issued_us=now,
            expires_us=min(now + (ttl or found.ttl) * _SECOND_US, latest),
            max_us=latest,
            ttl=ttl or found.ttl,
            renewal=found.renewal,
            revocation=found.revocation,
            token=token,
        )

    async def _settle(self, turn: LeaseTurn) -> LeaseInfo:
        """The credentials are there: from now on the lease is live."""
        draft = turn.draft(Action.LEASE_CREATE)

        async def work(scope: Scope) -> LeaseInfo:
            keys, lease = await turn.mine(scope)
            lease.state = LIVE
            await turn.release(scope, keys, lease)
            await turn.put(scope, keys, lease, draft)
            return self._shown(turn.ident, lease)

        return await turn.unit(draft, work)

    @staticmethod
    async def _undo(turn: LeaseTurn) -> None:
        """What may have been made is revoked: now, or by whoever comes by later."""

        async def work(scope: Scope) -> Lease:
            keys, lease = await turn.mine(scope)
            lease.state = REVOKING
            await turn.put(scope, keys, lease, turn.draft(Action.LEASE_REVOKE, "not made"))
            return lease

        with suppress(AdytonError):  # told in the lease; why it was not made is told to the caller
            await turn.finish(await turn.unit(turn.draft(Action.LEASE_REVOKE), work))

    # -- renewing -------------------------------------------------------------------------------

    async def renew(self, caller: Caller, user: UserId, lease: str, ttl: int = 0) -> LeaseInfo:
        """Let credentials work longer.

        Args:
            caller: Who asks.
            user: Whose they are.
            lease: The lease.
            ttl: Seconds from now on; 0 for the time that it was made for. The role's longest
                time is the limit.

        Raises:
            SecretNotFound: There is no such lease, or it has ended.
            InvalidInput: The time is negative.
            LeaseError: Somebody else is at it, or it could not be renewed: it ends as before.
        """
        core = self._core
        user_id = await self._user(caller, user, f"leases/{lease}", Action.LEASE_RENEW)
        turn = LeaseTurn(core, caller, user_id, self._folder + lease)
        draft = turn.draft(Action.LEASE_RENEW)

        async def take(scope: Scope) -> Lease:
            keys, found = await turn.found(scope)
            ends = await end_of(scope.tx, keys, found, scope.now_us)
            if found.state == ISSUING:
                await turn.free(scope, keys)
            if found.state != LIVE or ends <= scope.now_us:
                raise gone("lease")
            if ttl < 0:
                raise InvalidInput("the time is negative")
            await turn.free(scope, keys)
            await turn.hold(scope, keys, ends)
            wanted = scope.now_us + (ttl or found.ttl) * _SECOND_US
            found.expires_us = min(wanted, found.max_us)
            return found

        taken = await turn.unit(draft, take)
        try:
            issuer, grant = await turn.grant(taken)
            await call_issuer(core, user_id, lambda: issuer.renew(grant))
        except AdytonError as error:
            await self._let_go(turn)
            raise await core.refuse(turn.draft(Action.LEASE_RENEW), error) from None

        async def work(scope: Scope) -> LeaseInfo:
            keys, found = await turn.mine(scope)
            found.expires_us, found.renewed_us = taken.expires_us, scope.now_us
            await turn.release(scope, keys, found)
            await turn.put(scope, keys, found, draft)
            return self._shown(turn.ident, found)

        return await turn.unit(draft, work)

    @staticmethod
    async def _let_go(turn: LeaseTurn) -> None:
        async def work(scope: Scope) -> None:
            keys, lease = await turn.mine(scope)
            await turn.release(scope, keys, lease)

        with suppress(LeaseError, SecretNotFound):
            await turn.unit(turn.draft(Action.LEASE_RENEW), work)

    # -- revoking -------------------------------------------------------------------------------

    async def revoke(
        self, caller: Caller, user: UserId, lease: str, *, force: bool = False
    ) -> None:
        """End credentials now, with the sessions that are open by them.

        Args:
            caller: Who asks.
            user: Whose they are.
            lease: The lease.
            force: Forget the lease whether its credentials are gone or not.

        Raises:
            SecretNotFound: There is no such lease.
            LeaseError: Somebody else is at it, or it failed: it is tried again until it is done.
        """
        user_id = await self._user(caller, user, f"leases/{lease}", Action.LEASE_REVOKE)
        turn = LeaseTurn(self._core, caller, user_id, self._folder + lease)
        if force:
            await self._forget(turn)
        else:
            await turn.revoke("by hand")

    async def revoke_prefix(
        self, caller: Caller, user: UserId, prefix: str = "", *, force: bool = False
    ) -> Revoked:
        """End all credentials of a role, or all of the user's.

        Args:
            caller: Who asks.
            user: Whose they are.
            prefix: The role, or empty.
            force: As of :meth:`revoke`.
        """
        core = self._core
        user_id = await self._allowed(caller, user, f"leases/{prefix}*", Action.LEASE_REVOKE)
        found = list(await self._all(user_id, prefix))
        if not force:
            return await revoke_all(core, caller, user_id, found)
        for ident in found:
            with suppress(SecretNotFound):
                await self._forget(LeaseTurn(core, caller, user_id, ident))
        return Revoked(len(found), 0)

    async def _forget(self, turn: LeaseTurn) -> None:
        draft = turn.draft(Action.LEASE_REVOKE, "forgotten by force")

        async def work(scope: Scope) -> None:
            keys, lease = await turn.found(scope)
            await turn.forget(scope, keys, lease, draft)

        await turn.unit(draft, work)

    # -- reading --------------------------------------------------------------------------------

    async def get(self, caller: Caller, user: UserId, lease: str) -> LeaseInfo:
        """One lease.

        Raises:
            SecretNotFound: There is none.
        """
        core = self._core
        draft = Draft(caller, Action.LEASE_READ)
        async with core.guard(draft):
            draft.user_id = core.authorise(caller, user)
            draft.name = f"leases/{lease}"[:500]
            keys = draft.keys = await core.keys(draft.user_id)
            found = None
            if keys is not None:
                async with core.storage.snapshot() as rows:
                    found = await LEASES.get(rows, keys, self._folder + lease)
            if found is None:
                raise gone("lease")
        await core.record(draft)
        return self._shown(self._folder + lease, found)

    async def list(self, caller: Caller, user: UserId, prefix: str = "") -> list[LeaseInfo]:
        """The leases of a role, or all of a user's, the newest last."""
        user_id = await self._allowed(caller, user, f"leases/{prefix}", Action.LEASE_READ)
        found = await self._all(user_id, prefix)
        infos = [self._shown(ident, lease) for ident, lease in found.items()]
        return sorted(infos, key=lambda info: (info.issued_at, info.id))

    async def _all(self, user: str, prefix: str) -> dict[str, Lease]:
        core = self._core
        keys = await core.keys(user)
        if keys is None:
            return {}
        async with core.storage.snapshot() as rows:
            found = await LEASES.all(rows, keys)
        start = self._folder + (f"{prefix.strip('/')}/" if prefix.strip("/") else "")
        return {
            ident: lease
            for ident, lease in found.items()
            if ident.startswith(start) and ident.removeprefix(self._folder).count("/") == 1
        }

    def _shown(self, ident: str, lease: Lease) -> LeaseInfo:
        return lease.info(ident.removeprefix(self._folder))

    async def _user(self, caller: Caller, user: UserId, name: str, action: Action) -> str:
        """The canonical id of a user whose leases the caller may touch."""
        core = self._core
        async with core.guard(Draft(caller, action, name=name[:500])) as draft:
            draft.user_id = core.authorise(caller, user)
        return draft.user_id

    async def _allowed(self, caller: Caller, user: UserId, name: str, action: Action) -> str:
        """The same, recorded before anything is done."""
        user_id = await self._user(caller, user, name, action)
        draft = Draft(caller, action, None, user_id, name[:500])
        draft.keys = await self._core.keys(user_id)
        await self._core.record(draft)
        return user_id
