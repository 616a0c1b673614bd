"""The roots of trust of an open store, each of which opens it alone."""

import asyncio
from collections.abc import Callable

from adyton.crypto.secretbytes import SecretBytes
from adyton.crypto.shares import Share
from adyton.library.aio_base import AsyncFace
from adyton.ports import RootOfTrust
from adyton.roots import open_root
from adyton.rootvalues import RootAdded, RootInfo, RootTested
from adyton.service.rootadmin import RootAdmin
from adyton.wiring import new_root

RootInfos = list[RootInfo]
AllTested = list[RootTested]
Ask = Callable[[str], SecretBytes]


class AsyncRoots:
    """Roots: show, test, add, remove, and move from one to another while the store is in use."""

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _admin(self) -> RootAdmin:
        return RootAdmin(self._store._opened.core)

    async def list(self) -> RootInfos:
        """All roots of the store, by slot."""
        return await self._store._run(self._admin.show(self._store._caller))

    async def add(self, root: str | RootOfTrust, *, ask: Ask | None = None) -> RootAdded:
        """Let one more root open the store.

        Args:
            root: A URI, such as ``keyfile:PATH`` or ``shamir:3/5``, or an open root, which
                belongs to the store once this returns.
            ask: Asks a person for a secret.

        Raises:
            InvalidInput: It is a root of the store already.
            RootError: It refuses or does not answer, or those at hand do.
        """
        store = self._store
        new, shares = await asyncio.to_thread(_new, root, ask)
        try:
            slot = await store._run(self._admin.add(store._caller, new))
        except BaseException:
            new.close()
            raise
        return RootAdded(slot, tuple(share.text() for share in shares))

    async def migrate(
        self, root: str | RootOfTrust, *, slot: int | None = None, ask: Ask | None = None
    ) -> RootAdded:
        """Move to another root: add it, let it open what was stored, remove the old one.

        Args:
            root: As in :meth:`add`; not shares.
            slot: Of the root to remove; by default the one that opened the store.
            ask: Asks a person for a secret.

        Raises:
            InvalidInput: The root is the old one, or shares.
            RootError: A root refuses or does not answer; the old one stays.
        """
        store = self._store
        new, _ = await asyncio.to_thread(_new, root, ask)
        try:
            made, gone = await store._run(self._admin.migrate(store._caller, new, slot))
        except BaseException:
            if new not in store._opened.core.roots:  # it may have been added before this failed
                new.close()
            raise
        return RootAdded(made, removed=gone)

    async def remove(self, slot: int) -> None:
        """Let a root not open the store any more; another one is tried first.

        Raises:
            InvalidInput: There is no such slot, or no other one.
            RootError: No other root that is at hand opens the store.
        """
        await self._store._run(self._admin.remove(self._store._caller, slot))

    async def test(
        self, root: str | RootOfTrust | None = None, *, ask: Ask | None = None
    ) -> AllTested:
        """Let roots open the master key as it is stored, and measure how long that takes.

        Args:
            root: A URI or an open root; None for all that are at hand.
            ask: Asks a person for a secret.

        Raises:
            RootLocked: A root does not open this store.
            RootUnavailable: It does not answer.
        """
        store = self._store
        if root is None:
            return await store._run(self._admin.test(store._caller))
        opened = await asyncio.to_thread(_open, root, ask)
        try:
            return await store._run(self._admin.test(store._caller, opened))
        finally:
            if opened is not root:
                opened.close()


def _new(root: str | RootOfTrust, ask: Ask | None) -> tuple[RootOfTrust, list[Share]]:
    return new_root(root, ask) if isinstance(root, str) else (root, [])


def _open(root: str | RootOfTrust, ask: Ask | None) -> RootOfTrust:
    return open_root(root, ask=ask)
