"""What every operation of the service shares: identity, keys, reading and recording."""

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from types import TracebackType
from typing import Final, TypeVar

from adyton.actions import Action
from adyton.errors import (
    AccessDenied,
    AdytonError,
    IntegrityError,
    QuotaExceeded,
    SecretNotFound,
    StoreClosed,
    UserRootAway,
)
from adyton.model import Caller, UserId, user_id
from adyton.ports import Clock, RootOfTrust, Storage
from adyton.rows import UsageRow
from adyton.service import keychange
from adyton.service.anomalies.records import AlertOptions
from adyton.service.commit import GroupCommit, Scope
from adyton.service.grants.books import Books
from adyton.service.journal import Draft, Journal
from adyton.service.keyring import Keyring
from adyton.service.lifecycle.held import HeldPlaces
from adyton.service.limits import DAY_US, Limits
from adyton.service.namelists import NameLists
from adyton.service.notices.room import NoticeRoom
from adyton.service.quota.own import OwnQuotasInUse, quotas_of
from adyton.service.rotation.room import RotationRoom
from adyton.service.secretmeta import OpenedCache, not_found
from adyton.service.sharing.opened import OpenedShares
from adyton.service.ticket import Work, run_now
from adyton.service.userkeys import UserKeys

T = TypeVar("T")

_NOTHING: Final = UsageRow(0, 0, 0, 0)
LOG: Final = 0
"""The id of the store's log. A store may come to have many, each user pinned to one."""


def _no_sinks() -> int | None:
    return None


class Core:
    """The rooms of one open store.

    Attributes:
        storage: Where rows are.
        ring: The opened keys.
        commit: The only writer.
        journal: Seals and opens audit records.
        limits: Limits and intervals.
        slots: What wraps the master key and is at hand, by the slot that it wraps it in.
        opened_by: The slot whose root opened the store, or took that one's place.
        opened: Metadata that was opened lately.
        names: Lists of names that were made lately.
        shared: Shares that were opened lately.
        sink_floor: The first leaf that a sink may still lack, or None without sinks.
        sinks: Where records are copied to: kind and place.
        own_quotas: Whether users have quotas of their own.
        run: Tells this opening of the store from all others.
        on_purge: Called with a user's id once all of the user's is gone, before anybody is told;
            also when the user's own root is taken away.
        on_retired: Called with a user's id once older metadata keys of the user's are destroyed.
        rotation: What rotations of secrets need beside the store.
        notices: What delivering notices needs beside the store.
        books: Members and grants of the namespaces that are in use.
        holds: What legal holds keep.
        alerts: How unusual reads are looked for.
    """

    def __init__(
        self,
        storage: Storage,
        ring: Keyring,
        commit: GroupCommit,
        journal: Journal,
        clock: Clock,
        limits: Limits,
        slots: dict[int, RootOfTrust],
    ) -> None:
        self.storage = storage
        self.ring = ring
        self.commit = commit
        self.journal = journal
        self.clock = clock
        self.limits = limits
        self.slots = slots
        self.opened_by = max(slots)
        self.opened = OpenedCache()
        self.names = NameLists(storage)
        self.shared = OpenedShares()
        ring.forgotten = self._forget
        ring.given.on_end = self._root_over
        self.sink_floor: Callable[[], int | None] = _no_sinks
        self.sinks: tuple[tuple[str, str], ...] = ()
        self.own_quotas = OwnQuotasInUse()
        self.run = os.urandom(16)
        self.on_purge: list[Callable[[str], None]] = []
        self.on_retired: list[Callable[[str], None]] = []
        self.rotation = RotationRoom()
        self.notices = NoticeRoom()
        self.books = Books(self)
        self.on_purge.append(self.books.forget)
        self.holds = HeldPlaces()
        self.alerts = AlertOptions()

    @property
    def roots(self) -> list[RootOfTrust]:
        """What wraps the master key, by age."""
        return [self.slots[slot] for slot in sorted(self.slots)]

    @property
    def root(self) -> RootOfTrust:
        """The root that opened the store, or took that one's place."""
        return self.slots[self.opened_by]

    def take_root(self, slot: int, root: RootOfTrust) -> None:
        """Have a root at hand from now on; it is closed with the store."""
        replaced = self.slots.get(slot)
        self.slots = {**self.slots, slot: root}
        if replaced is not None and replaced is not root:
            replaced.close()

    def drop_roots(self, gone: Collection[int]) -> None:
        """Let go of the roots of slots that are no more; another one takes the opener's place."""
        dropped = [root for slot, root in self.slots.items() if slot in gone]
        left = {slot: root for slot, root in self.slots.items() if slot not in gone}
        if self.opened_by in gone and left:
            self.opened_by = max(left)
        self.slots = left
        for root in dropped:
            root.close()

    def erase_old_pages(self) -> None:
        """Let what a transaction has destroyed leave the disk now, where that works."""
        with suppress(AdytonError):  # it is durable; old pages go with a later checkpoint
            run_now(self.storage.compact())

    def _forget(self) -> None:
        self.opened.clear()
        self.names.clear()
        self.shared.clear()

    def take_user_root(self, user: bytes, user_id: str) -> bool:
        """Forget a user's own root and all that it has opened; whether it was given."""
        taken = self.ring.given.take(user)
        if taken:
            self.ring.end_stay(user)
        self._user_closed(user_id)
        return taken

    def _root_over(self, user_id: str) -> None:
        self.ring.end_stay(self.ring.user_index(user_id))
        self._user_closed(user_id)

    def _user_closed(self, user_id: str) -> None:
        self.ring.forget(user_id)
        self.holds.forget(self.ring.user_index(user_id))
        for forget in self.on_purge:
            forget(user_id)

    # -- identity -------------------------------------------------------------------------------

    @staticmethod
    def authorise(caller: Caller | None, user: UserId) -> str:
        """The canonical id of a user whose namespace the caller may touch.

        Raises:
            AccessDenied: There is no caller.
            SecretNotFound: It is another user's namespace, which looks like an empty one.
            InvalidName: The user id breaks a rule.
        """
        if caller is None:
            raise AccessDenied("an operation needs a caller")
        if caller.member:  # it may do what the gate has let through, as another caller
            raise not_found()
        canonical = user_id(user)
        if caller.user is not None and caller.user != canonical:
            raise not_found()
        return canonical

    @staticmethod
    def authorise_operator(caller: Caller | None) -> None:
        """Let only callers pass who act for the whole store.

        Raises:
            AccessDenied: The caller is missing, or bound to one user.
        """
        if caller is None or caller.user is not None:
            raise AccessDenied("only an operator of the store may do this")

    # -- keys -----------------------------------------------------------------------------------

    def keys_at_hand(self, caller: Caller | None, user: UserId) -> UserKeys | None:
        """A user's keys if they are open and the caller may touch the namespace.

        Keys are kept under canonical ids only, so an id that has some needs no check.
        """
        if (
            caller is None
            or caller.user not in (None, user)
            or caller.member
            or not isinstance(user, str)
        ):
            return None
        return self.ring.cached(user)

    async def keys(self, user: str, *, fresh: bool = False) -> UserKeys | None:
        """A user's opened keys, or None where the user has no namespace."""
        if not fresh:
            found = self.ring.cached(user)
            if found is not None:
                return found
        generation = self.ring.generation
        async with self.storage.snapshot() as rows:
            loaded = await self.ring.load_user(rows, user)
        if loaded is not None:
            self.ring.remember(loaded, generation)
        return loaded

    async def keys_in(self, scope: Scope, user: str) -> UserKeys | None:
        """A user's keys as the group's transaction sees them."""
        if user in scope.changed:
            return scope.changed[user]
        return self.ring.cached(user) or await self.ring.load_user(scope.tx, user)

    async def keys_to_write(self, scope: Scope, caller: Caller, user: str, wraps: int) -> UserKeys:
        """A user's keys for that many more wraps: made on first use, rotated when due.

        Raises:
            AccessDenied: The caller's token is of a namespace of the user's that was purged since.
        """
        keys = await self.keys_in(scope, user)
        mark = caller.token
        if mark is not None and mark.user == user and (keys is None or keys.stay is not mark.stay):
            raise AccessDenied("permission denied")
        if keys is None:
            keys = await keychange.create_user(scope.tx, self.ring, user, scope.now_us)
            self.change_keys(scope, keys, created=True)
        else:
            due = self._rotation_due(keys, scope.now_us, wraps)
            if due:
                keys = await self.rotate_in(scope, caller, keys, due)
        await self.reserve(scope, keys, wraps)
        return keys

    async def reserve(self, scope: Scope, keys: UserKeys, wraps: int) -> None:
        """Write down that a user key may be used that many more times, before it is."""
        if keys.wraps + wraps > keys.wraps_reserved:
            reserved = keys.wraps + wraps + keychange.WRAP_RESERVE
            await scope.tx.put_wrap_count(keys.user, keys.current, reserved)
            scope.after_commit(lambda: setattr(keys, "wraps_reserved", reserved))

    def _rotation_due(self, keys: UserKeys, now_us: int, wraps: int) -> str:
        if keys.wraps + wraps > self.limits.user_key_wraps and keys.wraps > 0:
            return "use count"
        if now_us - keys.created_us >= self.limits.user_key_days * DAY_US:
            return "age"
        return ""

    async def rotate_in(self, scope: Scope, caller: Caller, keys: UserKeys, why: str) -> UserKeys:
        """Make a new current user key inside a group, and record it."""
        await keychange.rotate_user(scope.tx, self.ring, keys, scope.now_us)
        new = await self.ring.load_index(scope.tx, keys.user, keys.user_id)
        if new is None:
            raise IntegrityError("a user vanished while its key was rotated")
        self.change_keys(scope, new)
        scope.record(
            Draft(caller, Action.KEYS_ROTATE, new, keys.user_id, "", new.current, reason=why)
        )
        return new

    def change_keys(self, scope: Scope, keys: UserKeys, *, created: bool = False) -> None:
        """Use these keys from here on in the group, and for everybody once it is durable."""
        scope.changed[keys.user_id] = keys

        def publish() -> None:
            if not created:  # of a new user there is nothing to forget, nor that others forget
                self.ring.forget(keys.user_id)
            self.ring.remember(keys, self.ring.generation)

        scope.after_commit(publish)

    # -- recording ------------------------------------------------------------------------------

    def guard(self, draft: Draft) -> "Guard":
        """A block whose errors are recorded as the draft's failure, then raised."""
        return Guard(self, draft)

    async def own(self, draft: Draft) -> None:
        """Let a failure be told in the log of the user it is about, if the user has a namespace."""
        if draft.keys is None and draft.user_id:
            try:  # where keys can't be opened, the store's own log tells it
                draft.owner = await self.keys(draft.user_id)
            except UserRootAway:
                draft.nameless = True
            except AdytonError:
                pass

    async def refuse(self, draft: Draft, error: AdytonError) -> AdytonError:
        """Record that an operation was not done, then give back the error to raise.

        Raises:
            AuditUnavailable: The refusal itself could not be recorded.
        """
        if not isinstance(error, StoreClosed):
            await self.own(draft)
            if isinstance(error, SecretNotFound) and draft.caller.spend is not None:
                return await self._absent(draft, draft.caller.spend, error)
            await self.commit.submit(drafts=[draft.refused(error)])
            error.recorded = True
        return error

    async def _absent(self, draft: Draft, spend: Work[None], error: AdytonError) -> AdytonError:
        """Tell that something is not there only to whom a grant lets do it now; nothing counts."""

        async def fail(_: Scope) -> None:
            raise error

        try:
            await self.commit.submit(_after(spend, fail), failure=draft)
        except AdytonError as told:
            return told
        return error

    async def checked(
        self, caller: Caller, action: Action, user: UserId, make: Callable[[], T]
    ) -> T:
        """Check arguments; what they break is recorded as a refusal before it is raised."""
        try:
            return make()
        except AdytonError as error:
            raise await self.refused(caller, action, user, error) from None

    async def refused(
        self, caller: Caller, action: Action, user: UserId, error: AdytonError
    ) -> AdytonError:
        """Record that arguments or a document were refused; give back the error to raise."""
        draft = Draft(caller, action)
        with suppress(AdytonError):
            draft.user_id = self.authorise(caller, user)
        return await self.refuse(draft, error)

    async def write(self, draft: Draft, work: Work[T], *, free: bool = False) -> T:
        """Carry out work that records itself, with a record of failure if it raises.

        Args:
            draft: What the record says if it raises.
            work: The work.
            free: Whether no quota holds it back.
        """
        if not free and (self.own_quotas.any or self.limits.quotas.any):
            work = self._within_quotas(draft, work)
        spend = draft.caller.spend
        if spend is not None:
            work = _after(spend, work)
        await self.own(draft)
        return await self.commit.submit(work, failure=draft)

    def _within_quotas(self, draft: Draft, work: Work[T]) -> Work[T]:
        """The same work, which fails if the user would store more than the quotas allow."""

        async def bounded(scope: Scope) -> T:
            user = draft.user_id
            old = await self.keys_in(scope, user)
            before = await self.stored(scope, old)
            result = await work(scope)
            keys = await self.keys_in(scope, user)
            if keys is not None:
                try:
                    await self.check_stored(scope, keys, before)
                except QuotaExceeded:
                    draft.keys = old  # the refusal is told in the user's own log
                    raise
            return result

        return bounded

    async def stored(self, scope: Scope, keys: UserKeys | None) -> UsageRow:
        """What a user stores, where quotas are kept; nothing for one who has no keys."""
        kept = self.own_quotas.any or self.limits.quotas.any
        return _NOTHING if keys is None or not kept else await scope.tx.usage(keys.user)

    async def check_stored(self, scope: Scope, keys: UserKeys, before: UsageRow) -> None:
        """Hold what a user stores now, beside what it was, against the user's quotas.

        Raises:
            QuotaExceeded: It is more than they allow, and more than it was.
        """
        quotas = self.limits.quotas
        if self.own_quotas.any:
            quotas = await quotas_of(scope.tx, keys, quotas)
        if quotas.any:
            quotas.check(before, await scope.tx.usage(keys.user))

    async def record(self, *drafts: Draft) -> None:
        """Make records durable."""
        await self.commit.submit(drafts[0].caller.spend, list(drafts), drafts[0])

    def accessed(self, user: bytes, name: bytes, stored_us: int | None) -> int | None:
        """Time of last access, also where it has not reached the row yet."""
        return self.commit.state.accessed.get((user, name), stored_us)


def _after(spend: Work[None], work: Work[T]) -> Work[T]:
    """Work of a unit in which first is done what a grant asks for."""

    async def both(scope: Scope) -> T:
        await spend(scope)
        return await work(scope)

    return both


class Guard:
    """Records an :class:`AdytonError` that leaves the block as a failure of the operation."""

    __slots__ = ("_core", "_draft")

    def __init__(self, core: Core, draft: Draft) -> None:
        self._core = core
        self._draft = draft

    async def __aenter__(self) -> Draft:
        return self._draft

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, AdytonError):
            told = await self._core.refuse(self._draft, error)
            if told is not error:
                raise told from None
