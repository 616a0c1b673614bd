"""One lease, taken so that nobody else is at it (``docs/spec/dynamic.md``, section 3).

A lease is durable before its credentials are made, and forgotten after they are gone: whatever
is broken off in between leaves a lease that leads to them.
"""

import logging
import secrets
from collections.abc import Callable
from typing import Final, TypeVar

from adyton.actions import Action
from adyton.dueports import DueRow
from adyton.dynamicvalues import DynamicRole
from adyton.errors import AdytonError, LeaseError, SecretNotFound
from adyton.issuing import Grant, Issuer
from adyton.model import Caller, from_us
from adyton.service import due
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.dynamic.records import (
    CONNECTIONS,
    LEASES,
    REVOKING,
    Kept,
    Lease,
    drop_lease,
    end_of,
    gone,
)
from adyton.service.journal import Draft
from adyton.service.notices.outbox import put_notice
from adyton.service.objects import ObjectChanges
from adyton.service.rotation import schedule
from adyton.service.secrets import Secrets
from adyton.service.ticket import Work
from adyton.service.userkeys import UserKeys

T = TypeVar("T")

KIND: Final = "lease"
ALARM: Final = 3
"""Failures in a row from which on revoking is told as an error, no more as a warning."""
_log = logging.getLogger("adyton.leases")
_random: Final = secrets.SystemRandom()


class Taken(LeaseError):
    """Somebody else is at the lease."""


class LeaseTurn:
    """One lease, taken by whoever works at it.

    Args:
        core: The open store.
        caller: Who acts.
        user: Whose lease it is.
        ident: The lease.

    Attributes:
        ident: The lease.
    """

    def __init__(self, core: Core, caller: Caller, user: str, ident: str) -> None:
        self._core = core
        self._caller = caller
        self._user = user
        self.ident = ident
        self._mark = secrets.token_bytes(16)

    # -- units ----------------------------------------------------------------------------------

    async def unit(self, draft: Draft, work: Work[T]) -> T:
        """Carry out a unit that no quota holds back; its failure is recorded."""
        await self._core.own(draft)
        return await self._core.commit.submit(work, failure=draft)

    def draft(self, action: Action, reason: str = "") -> Draft:
        """The record of something that is done to the lease."""
        name = f"leases/{self.ident}"
        return Draft(self._caller, action, None, self._user, name, reason=reason)

    async def found(self, scope: Scope) -> tuple[UserKeys, Lease]:
        """The lease.

        Raises:
            SecretNotFound: There is none.
        """
        keys = await self._core.keys_in(scope, self._user)
        lease = None if keys is None else await LEASES.get(scope.tx, keys, self.ident)
        if keys is None or lease is None:
            raise gone("lease")
        return keys, lease

    async def mine(self, scope: Scope) -> tuple[UserKeys, Lease]:
        """The lease, if nobody else has taken it meanwhile.

        Raises:
            LeaseError: Somebody has.
        """
        keys, lease = await self.found(scope)
        row = await scope.tx.due_of(keys.user, *LEASES.place(keys, self.ident))
        if row is None or row.lease != self._mark:
            raise Taken("it took too long: the credentials are being revoked")
        return keys, lease

    async def free(self, scope: Scope, keys: UserKeys) -> None:
        """Pass if nobody is at the lease.

        Raises:
            LeaseError: Somebody is.
        """
        row = await scope.tx.due_of(keys.user, *LEASES.place(keys, self.ident))
        if row is not None and row.lease and row.ready_us > scope.now_us:
            raise Taken("somebody is at the lease at this moment", hint="Try again.")

    async def hold(self, scope: Scope, keys: UserKeys, until_us: int = 0) -> None:
        """Keep others from the lease for a while."""
        seconds = self._core.rotation.options.lease_seconds
        ready = scope.now_us + int(seconds * 1_000_000)
        ready = min(ready, until_us) if until_us > scope.now_us else ready
        await self._put_due(scope, keys, ready, self._mark)

    async def release(self, scope: Scope, keys: UserKeys, lease: Lease) -> None:
        """Let go of a lease until it ends."""
        ready = await end_of(scope.tx, keys, lease, scope.now_us)
        await self._put_due(scope, keys, max(ready, 1))

    async def forget(self, scope: Scope, keys: UserKeys, lease: Lease, draft: Draft) -> None:
        """Forget the lease: its credentials are gone, or nobody looks after them any more."""
        changes = ObjectChanges(scope, keys)
        await drop_lease(scope, keys, changes, self.ident, lease)
        await self._put_due(scope, keys, 0)
        await changes.write(draft)

    async def _put_due(
        self, scope: Scope, keys: UserKeys, ready_us: int, mark: bytes = b""
    ) -> None:
        place = LEASES.place(keys, self.ident)
        row = DueRow(keys.user, *place, ready_us, mark, due.tag(self._core, KIND))
        await scope.tx.put_due(row)

    async def put(self, scope: Scope, keys: UserKeys, lease: Lease, draft: Draft) -> None:
        """Write the lease."""
        changes = ObjectChanges(scope, keys)
        changes.put(LEASES, self.ident, lease)
        await changes.write(draft)

    async def _tell(
        self, scope: Scope, keys: UserKeys, what: str, lease: Lease, details: dict[str, str]
    ) -> None:
        """Tell the user, of a role's lease: whose, the audit log has."""
        core, subject = self._core, f"leases/{lease.role}"
        await put_notice(core, scope, self._caller, keys, f"lease.{what}", subject, details)

    # -- the issuer -----------------------------------------------------------------------------

    async def grant(self, lease: Lease, role: DynamicRole | None = None) -> tuple[Issuer, Grant]:
        """What an issuer is told of the lease; with the role where credentials are made.

        Raises:
            LeaseError: The connection, or what lets the issuer in, is not there.
        """
        core = self._core
        keys = await core.keys(self._user)
        async with core.storage.snapshot() as rows:
            kept = None if keys is None else await CONNECTIONS.get(rows, keys, lease.connection)
        if kept is None:
            raise LeaseError("the connection of the lease is not there")
        issuer = core.rotation.issuer(lease.issuer)
        now = kept.connection
        same = now.issuer == lease.issuer and issuer.place(now.settings) == lease.place
        admin = await admin_of(core, self._caller, self._user, kept)
        return issuer, Grant(
            username=lease.username,
            settings=now.settings if same else lease.settings,
            bounds=core.rotation.options.bounds,
            admin=admin,
            expires=from_us(lease.expires_us),
            member_of=() if role is None else role.member_of,
            creation=() if role is None else role.creation,
            renewal=lease.renewal,
            revocation=lease.revocation,
        )

    # -- revoking -------------------------------------------------------------------------------

    async def revoke(self, reason: str, *, by_hand: bool = True) -> bool:
        """End the credentials, or go on with that.

        Args:
            reason: Why, for the records.
            by_hand: Whether to do it although the lease has not ended.

        Returns:
            Whether the credentials are gone; not if they have not ended.

        Raises:
            SecretNotFound: There is no such lease.
            LeaseError: Somebody else is at it, or it failed and is tried again.
        """
        lease = await self._begin(reason, by_hand=by_hand)
        if lease is None:
            return False
        await self.finish(lease)
        return True

    async def postpone(self) -> None:
        """Let a lease that is due wait: its system does not answer, others' are to come first."""

        async def work(scope: Scope) -> None:
            keys, _ = await self.found(scope)
            await self.free(scope, keys)
            again = scope.now_us + schedule.backoff_us(1, _random.random())
            await self._put_due(scope, keys, again)

        await self.unit(self.draft(Action.LEASE_REVOKE), work)

    async def _begin(self, reason: str, *, by_hand: bool) -> Lease | None:
        draft = self.draft(Action.LEASE_REVOKE, reason)

        async def work(scope: Scope) -> Lease | None:
            keys, lease = await self.found(scope)
            await self.free(scope, keys)
            over = await end_of(scope.tx, keys, lease, scope.now_us) <= scope.now_us
            later = lease.state == REVOKING and lease.error and not by_hand
            if not by_hand and not over:
                await self.release(scope, keys, lease)
                return None
            await self.hold(scope, keys)
            if lease.state != REVOKING or not later:
                lease.state = REVOKING
                await self.put(scope, keys, lease, draft)
            return lease

        return await self.unit(draft, work)

    async def finish(self, lease: Lease) -> None:
        """End the credentials of a lease that is marked so, and held.

        Raises:
            LeaseError: It failed, and is tried again.
        """
        try:
            issuer, grant = await self.grant(lease)
            await call_issuer(self._core, self._user, lambda: issuer.revoke(grant))
        except AdytonError as error:
            await self._failed(error)
            raise LeaseError(
                f"revoking failed, and is tried again: {error.message}", hint=error.hint
            ) from None
        draft = self.draft(Action.LEASE_REVOKE, "gone")

        async def work(scope: Scope) -> None:
            keys, found = await self.mine(scope)
            if found.attempts >= ALARM:
                details = {"attempts": str(found.attempts)}
                await self._tell(scope, keys, "revoked", found, details)
            await self.forget(scope, keys, found, draft)

        await self.unit(draft, work)

    async def _failed(self, error: AdytonError) -> None:
        draft = self.draft(Action.LEASE_REVOKE)

        async def work(scope: Scope) -> int:
            keys, lease = await self.mine(scope)
            lease.attempts += 1
            lease.error = error.message[:500]
            again = scope.now_us + schedule.backoff_us(lease.attempts, _random.random())
            await self._put_due(scope, keys, again)
            scope.record(self.draft(Action.LEASE_REVOKE).refused(error))
            if lease.attempts == ALARM:
                details = {"attempts": str(ALARM), "error": error.message[:300]}
                await self._tell(scope, keys, "stuck", lease, details)
            await self.put(scope, keys, lease, self.draft(Action.LEASE_REVOKE, "again later"))
            return lease.attempts

        attempts = await self.unit(draft, work)
        # Neither the user nor the name: the audit log has them.
        level = logging.ERROR if attempts >= ALARM else logging.WARNING
        _log.log(level, "credentials can't be revoked (attempt %d): %s", attempts, error.message)


async def admin_of(core: Core, caller: Caller, user: str, kept: Kept) -> bytes:
    """What lets an issuer in; where that is a secret, with a record of its reading.

    Raises:
        LeaseError: The secret is not there.
    """
    name = kept.connection.admin
    if not name:
        return kept.login
    try:
        secret = await Secrets(core).get(caller, user, name)
    except SecretNotFound:
        raise LeaseError(
            "the admin's secret is not there",
            hint="Write it first, by 'adyton set NAME --json --file FILE'.",
        ) from None
    with secret:
        return secret.reveal()


async def call_issuer(core: Core, user: str, work: Callable[[], T]) -> T:
    """Call an issuer, on a thread; whatever it raises becomes one of ours."""
    try:
        return await core.rotation.run_issuer(user, work)
    except AdytonError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a plug-in does
        raise LeaseError(f"the issuer fails: {type(error).__name__}") from None
