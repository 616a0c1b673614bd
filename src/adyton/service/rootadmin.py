"""The roots of a store while it is in use: show, test, add, remove, and move to another one.

Any root of a store opens it alone. Nothing here leaves a store that no root opens: a slot is
removed only after another one was opened as it is stored (``docs/adr/0015``).
"""

import time
from typing import Final

from adyton.actions import Action
from adyton.crypto.aead import AeadKey
from adyton.errors import (
    AdytonError,
    InvalidInput,
    RootError,
    RootLocked,
    RootUnavailable,
    VersionConflict,
)
from adyton.model import Caller, from_us
from adyton.ports import RootOfTrust
from adyton.rootvalues import RootInfo, RootTested
from adyton.rows import MasterKeyRow
from adyton.service.aside import Threads
from adyton.service.commit import Scope
from adyton.service.core import Core
from adyton.service.journal import Draft
from adyton.service.opening import SHARES
from adyton.service.rootslots import Note, drop_slot, note_of, put_note

_THREADS: Final = Threads("roots", 2, 16, "too many operations on roots at once")


class RootAdmin:
    """Operations on the roots of an open store.

    Args:
        core: The open store.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    async def show(self, caller: Caller) -> list[RootInfo]:
        """All roots of the store, by slot."""
        core = self._core
        draft = Draft(caller, Action.ROOT_SHOW)
        found = []
        async with core.guard(draft):
            core.authorise_operator(caller)
            async with core.storage.snapshot() as rows:
                kinds = {row.slot: row.kind for row in await rows.master_keys()}
                for slot, kind in sorted(kinds.items()):
                    note = await note_of(rows, core.ring, slot)
                    root = core.slots.get(slot)
                    described = root.describe() if root else note.described if note else {}
                    found.append(
                        RootInfo(
                            slot,
                            kind,
                            {"kind": kind, **described},
                            slot == core.opened_by,
                            root is not None,
                            from_us(note.added_us) if note else None,
                            from_us(note.tested_us) if note and note.tested_us else None,
                        )
                    )
        await core.record(draft)
        return found

    async def add(self, caller: Caller, root: RootOfTrust) -> int:
        """Let one more root open the store.

        Args:
            caller: An operator.
            root: The root; it belongs to the store once this returns.

        Returns:
            Its slot.

        Raises:
            InvalidInput: It is a root of the store already.
            RootError: It refuses or does not answer, or all that are at hand do.
        """
        core = self._core
        draft = Draft(caller, Action.ROOT_ADD)
        async with core.guard(draft):
            core.authorise_operator(caller)
            known = await self._slot_of(root)
            if known is not None:
                raise InvalidInput(f"this root opens the store already; it is in slot {known}")
        return await self._add(caller, root)

    async def test(self, caller: Caller, root: RootOfTrust | None = None) -> list[RootTested]:
        """Let roots open the master key as it is stored, and measure how long that takes.

        Args:
            caller: An operator.
            root: One root, at hand or not; None for all that are at hand.

        Raises:
            RootLocked: A root does not open this store.
            RootUnavailable: It does not answer.
        """
        core = self._core
        draft = Draft(caller, Action.ROOT_TEST)
        async with core.guard(draft):
            core.authorise_operator(caller)
            masters = await self._masters()
            asked = core.roots if root is None else [root]
            found = [await self._test(masters, each) for each in asked]

        async def work(scope: Scope) -> None:
            for tested in found:
                note = await note_of(scope.tx, core.ring, tested.slot) or Note({}, 0)
                if root is not None:
                    note = Note(root.describe(), note.added_us)
                changed = Note(note.described, note.added_us, scope.now_us)
                await put_note(scope.tx, core.ring, tested.slot, changed)
                scope.record(Draft(caller, Action.ROOT_TEST, reason=_name(tested)))

        await core.write(draft, work)
        return found

    async def remove(self, caller: Caller, slot: int) -> None:
        """Let a root not open the store any more; another one is tried first.

        Raises:
            InvalidInput: There is no such slot, or no other one.
            RootError: No other root that is at hand opens the store.
        """
        core = self._core
        draft = Draft(caller, Action.ROOT_REMOVE)
        async with core.guard(draft):
            core.authorise_operator(caller)
            masters = await self._masters()
            slots = {row.slot for row in masters}
            if slot not in slots:
                raise InvalidInput(f"the store has no root in slot {slot}")
            if len(slots) == 1:
                raise InvalidInput(
                    "this is the only root: nothing would open the store without it",
                    hint="Add another one first, or use 'adyton root migrate'.",
                )
            opener = await self._other(masters, slot)
        await self._remove(caller, slot, opener)

    async def migrate(
        self, caller: Caller, root: RootOfTrust, old: int | None = None
    ) -> tuple[int, int]:
        """Move from one root to another: add, open what was stored, remove the old one.

        A migration that was broken off goes on where it was when it is asked for again.

        Args:
            caller: An operator.
            root: The new root; it belongs to the store once this returns.
            old: The slot to remove; by default that of the root which opened the store.

        Returns:
            The new slot and the old one.

        Raises:
            InvalidInput: The new root is the old one, or shares, which nobody has shown to hold.
            RootError: A root refuses or does not answer; the old one stays.
        """
        core = self._core
        draft = Draft(caller, Action.ROOT_ADD)
        async with core.guard(draft):
            core.authorise_operator(caller)
            gone = core.opened_by if old is None else old
            if root.kind == SHARES:
                raise InvalidInput(
                    "shares can't take the old root's place at once: somebody must have them",
                    hint="Add them, test them with 'adyton root test', then remove the old root.",
                )
            if gone not in {row.slot for row in await self._masters()}:
                raise InvalidInput(f"the store has no root in slot {gone}")
            slot = await self._slot_of(root)
            if slot == gone:
                raise InvalidInput(f"this is the root in slot {slot} itself")
        if slot is None:
            slot = await self._add(caller, root)
        else:
            core.take_root(slot, root)
        await self._remove(caller, gone, await self._proved(caller, slot))
        return slot, gone

    # -- parts ----------------------------------------------------------------------------------

    async def _masters(self) -> list[MasterKeyRow]:
        async with self._core.storage.snapshot() as rows:
            return await rows.master_keys()

    async def _slot_of(self, root: RootOfTrust) -> int | None:
        """The slot that a root opens, or None."""
        masters = await self._masters()
        if not any(row.kind == root.kind for row in masters) or root.kind == SHARES:
            return None
        try:
            slot, _ = await _THREADS.run(lambda: self._core.ring.open_slot(masters, root))
        except RootLocked:
            return None
        return slot

    async def _add(self, caller: Caller, root: RootOfTrust) -> int:
        core = self._core
        draft = Draft(caller, Action.ROOT_ADD)
        async with core.guard(draft):
            masters = await self._masters()
            wrapped = await _THREADS.run(lambda: self._wrap(masters, root))
            described = root.describe()

        async def work(scope: Scope) -> int:
            present = await scope.tx.master_keys()
            if {row.version for row in present} != {row.version for row in wrapped}:
                raise VersionConflict("the master key has changed meanwhile", hint="Try again.")
            slot = max(row.slot for row in present) + 1
            for row in wrapped:
                await scope.tx.put_master_key(row._replace(slot=slot))
            await put_note(scope.tx, core.ring, slot, Note(described, scope.now_us))
            scope.after_commit(lambda: core.take_root(slot, root))
            scope.record(Draft(caller, Action.ROOT_ADD, reason=f"slot {slot}: {root.kind}"))
            return slot

        return await core.write(draft, work)

    def _wrap(self, masters: list[MasterKeyRow], root: RootOfTrust) -> list[MasterKeyRow]:
        """All versions of the master key, opened by a root at hand and wrapped by another."""
        core = self._core
        refusal: RootError | None = None
        for slot in sorted(core.slots, key=lambda slot: slot != core.opened_by):
            made = []
            try:
                for row in masters:
                    if row.slot != slot:
                        continue
                    context = core.ring.master_context(core.ring.store_id, row.version)
                    with core.slots[slot].unwrap(row.wrapped, context) as key:
                        wrapped = root.wrap(key, context)
                    made.append(row._replace(root=root.kind, wrapped=wrapped))
            except RootError as error:
                refusal = refusal or error
            else:
                return made
        raise refusal or RootUnavailable("no root of the store is at hand")

    async def _test(self, masters: list[MasterKeyRow], root: RootOfTrust) -> RootTested:
        def open_it() -> tuple[int, dict[int, AeadKey], float]:
            started = time.perf_counter()
            slot, opened = self._core.ring.open_slot(masters, root)
            return slot, opened, time.perf_counter() - started

        slot, opened, seconds = await _THREADS.run(open_it)
        await self._check(opened, masters[-1].version)
        return RootTested(slot, root.kind, seconds)

    async def _check(self, opened: dict[int, AeadKey], version: int) -> None:
        """An opened master key must open the keys of the store.

        Raises:
            IntegrityError: It does not.
        """
        ring, master = self._core.ring, opened[version]
        async with self._core.storage.snapshot() as rows:
            for row in await rows.store_keys():
                context = ring.store_key_context(row.purpose, row.master_version)
                if row.master_version == version:
                    master.open_secret(row.wrapped, context).wipe()

    async def _proved(self, caller: Caller, slot: int) -> int:
        """A slot, once its root has opened what is stored in it."""
        core = self._core
        draft = Draft(caller, Action.ROOT_TEST)
        async with core.guard(draft):
            await self._prove(await self._masters(), slot)
        draft.reason = f"slot {slot}: {core.slots[slot].kind}"
        await core.record(draft)
        return slot

    async def _prove(self, masters: list[MasterKeyRow], slot: int) -> None:
        core, root = self._core, self._core.slots[slot]
        opened = await _THREADS.run(lambda: core.ring.open_versions(masters, slot, root))
        await self._check(opened, masters[-1].version)

    async def _other(self, masters: list[MasterKeyRow], gone: int) -> int:
        """A slot beside the one that is to go, whose root opens the store now."""
        refusal: AdytonError | None = None
        for slot in sorted(set(self._core.slots) - {gone}):
            try:
                await self._prove(masters, slot)
            except RootError as error:
                refusal = refusal or error
            else:
                return slot
        raise refusal or RootUnavailable(
            "none of the other roots is at hand, so none can show that it opens the store",
            hint="Open the store by another root, and remove this one then.",
        )

    async def _remove(self, caller: Caller, gone: int, opener: int) -> None:
        core = self._core

        async def work(scope: Scope) -> None:
            present = await scope.tx.master_keys()
            newest = {row.slot for row in present if row.version == present[-1].version}
            if opener not in newest or opener not in core.slots:
                raise VersionConflict("the roots have changed meanwhile", hint="Try again.")
            kind = next((row.kind for row in present if row.slot == gone), "")
            await drop_slot(scope.tx, gone)
            scope.after_commit(lambda: self._gone(gone, opener))
            scope.record(Draft(caller, Action.ROOT_REMOVE, reason=f"slot {gone}: {kind}"))

        await core.write(Draft(caller, Action.ROOT_REMOVE), work)

    def _gone(self, slot: int, opener: int) -> None:
        core = self._core
        if core.opened_by == slot:
            core.opened_by = opener
        core.drop_roots({slot})
        core.erase_old_pages()


def _name(tested: RootTested) -> str:
    return f"slot {tested.slot}: {tested.kind}"
