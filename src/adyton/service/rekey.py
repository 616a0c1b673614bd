"""Replacing the shares that open the master key, while the store is in use.

Who does it holds a right of the operator and enough of the present shares. Until the new shares
have shown that they are in somebody's hands, the present ones open the store as well, so that an
answer which is lost on its way locks nobody out (``docs/adr/0010``).
"""

import secrets
import uuid
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from adyton.actions import Action
from adyton.crypto import shares
from adyton.crypto.gathering import Gathering
from adyton.crypto.secretbytes import SecretBytes
from adyton.crypto.shares import SET_BYTES, Share, ShareSet
from adyton.errors import AdytonError, InvalidInput
from adyton.model import Caller
from adyton.ports import RootOfTrust, Rows
from adyton.service.aside import Threads
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.opening import SHARES, older_slots
from adyton.service.rootslots import Note, drop_slot, put_note

MakeRoot: TypeAlias = Callable[[SecretBytes, ShareSet], RootOfTrust]
"""The open root of a key and its set of shares."""

ReadSet: TypeAlias = Callable[[bytes], ShareSet | None]
"""The set of shares that opens a wrapped key."""

_REKEY: Final = Action.ROOT_REKEY
_THREADS: Final = Threads("shares", 1, 4, "too many changes of shares at once")


class RekeyStatus(NamedTuple):
    """How far a change of shares has come.

    Attributes:
        nonce: Names the change; empty if there is none.
        threshold: How many of the new shares will be needed.
        total: How many new shares there will be.
        progress: How many present shares have been entered.
        required: How many have to be.
        verify: Whether the new shares count only when they were entered too.
        verify_nonce: Names the entering of the new shares, once that is due.
        verified: How many of the new shares have been entered.
    """

    nonce: str
    threshold: int
    total: int
    progress: int
    required: int
    verify: bool
    verify_nonce: str
    verified: int

    @property
    def started(self) -> bool:
        """Whether a change is under way."""
        return bool(self.nonce)


class _Change:
    """One change that is under way."""

    def __init__(self, threshold: int, total: int, sets: list[ShareSet], *, verify: bool) -> None:
        self.nonce = str(uuid.uuid4())
        self.threshold = threshold
        self.total = total
        self.verify = verify
        self.required = sets[-1].threshold
        self.gathering = Gathering(sets)
        self.latest = sets[-1]
        self.used: ShareSet | None = None
        self.new: RootOfTrust | None = None
        self.known: ShareSet | None = None
        self.verify_nonce = ""
        self.verifying: Gathering | None = None

    def wipe(self) -> None:
        """Forget shares and the key that was not taken into use."""
        self.gathering.wipe()
        if self.verifying is not None:
            self.verifying.wipe()
        if self.new is not None:
            self.new.close()


class Rekey:
    """Changes of shares: one at a time, in memory until it is done.

    Args:
        core: The open store.
        make_root: Makes the root of a set.
        read_set: Reads the set of a wrapped key.
    """

    def __init__(self, core: Core, make_root: MakeRoot, read_set: ReadSet) -> None:
        self._core = core
        self._make_root = make_root
        self._read_set = read_set
        self._change: _Change | None = None

    def offered(self) -> bool:
        """Whether shares open this store."""
        return any(root.kind == SHARES for root in self._core.roots)

    async def sets(self) -> list[ShareSet]:
        """The sets of shares that open the store, oldest first.

        Raises:
            InvalidInput: None does.
        """
        async with self._core.storage.snapshot() as rows:
            found = [known for _, known in await self._sets(rows)]
        if not found:
            raise InvalidInput("barrier rekeying not supported: no shares open this store")
        return found

    async def _sets(self, rows: Rows) -> list[tuple[int, ShareSet]]:
        found: dict[int, ShareSet] = {}
        for row in await rows.master_keys():
            known = self._read_set(row.wrapped) if row.kind == SHARES else None
            if known is not None:
                found[row.slot] = known
        return sorted(found.items())

    async def status(self) -> RekeyStatus:
        """How far a change has come.

        Raises:
            InvalidInput: No shares open this store.
        """
        change = self._change
        if change is None:
            required = (await self.sets())[-1].threshold
            return RekeyStatus("", 0, 0, 0, required, verify=False, verify_nonce="", verified=0)
        verified = 0
        if change.verifying is not None and change.known is not None:
            verified = change.verifying.progress(change.known)
        return RekeyStatus(
            change.nonce,
            change.threshold,
            change.total,
            change.gathering.progress(change.latest),
            change.required,
            verify=change.verify,
            verify_nonce=change.verify_nonce,
            verified=verified,
        )

    async def begin(
        self, caller: Caller, threshold: int, total: int, *, verify: bool
    ) -> RekeyStatus:
        """Begin a change.

        Args:
            caller: An operator.
            threshold: How many of the new shares are to be needed.
            total: How many there are to be.
            verify: Whether the new shares are to count only when enough were entered.

        Raises:
            InvalidInput: The numbers make no sense, or a change is under way.
        """
        draft = Draft(caller, _REKEY, reason=f"begin {threshold}/{total}")
        async with self._core.guard(draft):
            self._core.authorise_operator(caller)
            shares.check_numbers(threshold, total)
            sets = await self.sets()
            if self._change is not None:
                raise InvalidInput(
                    "rekey already in progress", hint="Cancel it first, or finish it."
                )
            self._change = _Change(threshold, total, sets, verify=verify)
        await self._core.record(draft)
        return await self.status()

    async def cancel(self, caller: Caller) -> None:
        """End a change; the present shares stay as they are. No error if there is none."""
        draft = Draft(caller, _REKEY, reason="cancel")
        async with self._core.guard(draft):
            self._core.authorise_operator(caller)
        self.forget()
        await self._core.record(draft)

    def forget(self) -> None:
        """Wipe what was entered."""
        change, self._change = self._change, None
        if change is not None:
            change.wipe()

    async def enter(self, caller: Caller, nonce: str, share: Share) -> list[Share] | None:
        """Enter one of the present shares.

        Returns:
            The new shares, once enough of the present ones were entered; the caller wipes them.

        Raises:
            InvalidInput: No change of that nonce is under way; or the share is wrong, of another
                set, or was entered before.
        """
        draft = Draft(caller, _REKEY, reason="enter a share")
        async with self._core.guard(draft):
            self._core.authorise_operator(caller)
            change = self._at(nonce)
            if change.used is not None:
                raise InvalidInput("the present shares have been entered; enter the new ones")
            known = change.gathering.enter(share)
            change.latest, change.required = known, known.threshold
            done = change.gathering.complete(known)
            if done:
                change.used = known
        await self._core.record(draft)
        if not done:
            return None
        try:
            return await self._deal(caller, change, known)
        except AdytonError:
            self.forget()
            raise

    def _at(self, nonce: str) -> _Change:
        change = self._change
        if change is None:
            raise InvalidInput("no barrier rekey in progress", hint="Begin one first.")
        if not secrets.compare_digest(change.nonce.encode(), nonce.encode("utf-8", "replace")):
            raise InvalidInput("incorrect nonce supplied", hint="Ask for the nonce of the change.")
        return change

    async def _deal(self, caller: Caller, change: _Change, used: ShareSet) -> list[Share]:
        core = self._core
        # Up to a second for the largest set; others go on meanwhile.
        key, new, made = await _THREADS.run(
            lambda: shares.new_set(change.threshold, change.total, secrets.token_bytes(SET_BYTES))
        )
        if self._change is not change:
            key.wipe()
            raise InvalidInput("the change was cancelled meanwhile", hint="Begin another one.")
        with key:
            change.known, change.new = new, self._make_root(key, new)
        with change.gathering.key(used) as given:
            present = self._make_root(given, used)
        change.gathering.wipe()
        try:
            await self._check(present, used)
            if change.verify:
                change.verify_nonce = str(uuid.uuid4())
                change.verifying = Gathering([new])
                draft = Draft(caller, _REKEY, reason="new shares wait for verification")
                await core.record(draft)
                present.close()
            else:
                await self._put(caller, change, keep=present, kept_set=used)
                change.new = None  # it is the store's now
                self.forget()
        except BaseException:
            present.close()
            raise
        return made

    async def _check(self, present: RootOfTrust, used: ShareSet) -> None:
        """The shares that were entered open the master key, and not only look like it.

        Raises:
            RootLocked: They don't.
            InvalidInput: Their set was replaced meanwhile.
        """
        core = self._core
        async with core.storage.snapshot() as rows:
            masters = await rows.master_keys()
        mine = [
            row for row in masters if row.kind == SHARES and self._read_set(row.wrapped) == used
        ]
        if not mine:
            raise InvalidInput("the shares have been replaced meanwhile")
        for row in mine:
            context = core.ring.master_context(core.ring.store_id, row.version)
            present.unwrap(row.wrapped, context).wipe()

    async def enter_new(self, caller: Caller, nonce: str, share: Share) -> bool:
        """Enter one of the new shares; with enough of them the new ones count, and they alone.

        Returns:
            Whether they do.

        Raises:
            InvalidInput: No verification of that nonce is due; or the share is wrong, of another
                set, or was entered before.
        """
        draft = Draft(caller, _REKEY, reason="verify a share")
        async with self._core.guard(draft):
            self._core.authorise_operator(caller)
            change = self._change
            if change is None or change.verifying is None or change.known is None:
                raise InvalidInput("no rekey verification in progress")
            if not secrets.compare_digest(
                change.verify_nonce.encode(), nonce.encode("utf-8", "replace")
            ):
                raise InvalidInput("incorrect nonce supplied")
            change.verifying.enter(share)
            done = change.verifying.complete(change.known)
        await self._core.record(draft)
        if not done:
            return False
        await self._put(caller, change)
        change.new = None
        self.forget()
        return True

    async def restart_verification(self, caller: Caller) -> RekeyStatus:
        """Wipe the new shares that were entered, and take another nonce for them.

        Raises:
            InvalidInput: No verification is due.
        """
        draft = Draft(caller, _REKEY, reason="verify anew")
        async with self._core.guard(draft):
            self._core.authorise_operator(caller)
            change = self._change
            if change is None or change.verifying is None:
                raise InvalidInput("no rekey verification in progress")
            change.verifying.wipe()
            change.verify_nonce = str(uuid.uuid4())
        await self._core.record(draft)
        return await self.status()

    async def _put(
        self,
        caller: Caller,
        change: _Change,
        *,
        keep: RootOfTrust | None = None,
        kept_set: ShareSet | None = None,
    ) -> None:
        """Wrap the master key in a slot of the new set; delete those of others but one."""
        core, new = self._core, change.new
        if new is None:
            raise InvalidInput("no rekey in progress")

        async def work(scope: Scope) -> None:
            ring, tx = core.ring, scope.tx
            masters = await tx.master_keys()
            kept = {slot for slot, known in await self._sets(tx) if known == kept_set}
            slot = max(row.slot for row in masters) + 1
            opened = core.opened_by
            for row in masters:
                if row.slot != opened:
                    continue
                context = ring.master_context(ring.store_id, row.version)
                with core.slots[opened].unwrap(row.wrapped, context) as master:
                    wrapped = new.wrap(master, context)
                await tx.put_master_key(row._replace(slot=slot, root=new.kind, wrapped=wrapped))
            gone = older_slots(await tx.master_keys(), slot) - kept
            for old in gone:
                await drop_slot(tx, old)
            await put_note(tx, ring, slot, Note(new.describe(), scope.now_us))
            roots = {slot: new} | (dict.fromkeys(kept, keep) if keep is not None else {})
            scope.after_commit(lambda: self._adopt(roots, gone))
            scope.record(
                Draft(caller, _REKEY, reason=f"shares are {change.threshold}/{change.total}")
            )

        await core.write(Draft(caller, _REKEY), work)

    def _adopt(self, roots: dict[int, RootOfTrust], gone: set[int]) -> None:
        core = self._core
        for slot, root in roots.items():
            core.take_root(slot, root)
        if core.root.kind == SHARES:
            core.opened_by = max(roots)
        core.drop_roots(gone)
