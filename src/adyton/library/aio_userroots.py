"""Roots that users hold themselves (``docs/guide/userroots.md``)."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from adyton.crypto.secretbytes import SecretBytes
from adyton.library.aio_base import AsyncFace
from adyton.model import UserId
from adyton.roots import open_root
from adyton.service.userroot.admin import UserRoots as Service
from adyton.userroots import (
    DEFAULT_SECONDS,
    NewUserRoot,
    UserRootInfo,
    WrappedRoot,
    Wrapper,
    new_user_root,
    open_user_root,
    wrap_all,
)
from adyton.values import Watch, no_watch

Ask: TypeAlias = Callable[[str], SecretBytes]
Root: TypeAlias = str | Wrapper | SecretBytes
"""A root of trust as a URI or an open one, or a user root key itself: 32 bytes."""


class AsyncUserRoots:
    """Users' own roots: a user's secrets open only while the user has given theirs.

    A root that is lost with all that could stand in for it takes the user's secrets along: nobody
    can help, as nobody else ever had it.
    """

    def __init__(self, store: AsyncFace) -> None:
        self._store = store

    @property
    def _admin(self) -> Service:
        return Service(self._store._opened.core)

    async def show(self, user: UserId) -> UserRootInfo:
        """What there is of a user's own root, and whether it is given.

        Raises:
            UserNotFound: The user has no namespace.
        """
        return await self._store._run(self._admin.show(self._store._caller, user))

    async def set(
        self,
        user: UserId,
        root: Root,
        *,
        recovery: Sequence[Root] = (),
        seconds: int = DEFAULT_SECONDS,
        ask: Ask | None = None,
        watch: Watch = no_watch,
    ) -> UserRootInfo:
        """Close a user's secrets by a root of the user's own; it counts as given for a time.

        All that the user has is encrypted anew, which takes a while.

        Args:
            user: The user.
            root: What is to open them.
            recovery: What is to open them as well, kept somewhere else.
            seconds: For how long it is given now.
            ask: Asks a person for a secret.
            watch: Told of progress.

        Raises:
            UserNotFound: The user has no namespace.
            InvalidInput: There is a root already, or something breaks a rule.
            RootError: A root refuses, or does not answer.
        """
        store = self._store
        info = await self.show(user)
        new = await asyncio.to_thread(_new, info, (root, *recovery), ask)
        with new.key:
            return await store._run(self._admin.set(store._caller, user, new, seconds, watch=watch))

    async def give(
        self,
        user: UserId,
        root: Root,
        *,
        seconds: int = DEFAULT_SECONDS,
        ask: Ask | None = None,
    ) -> UserRootInfo:
        """Let a user's secrets be opened for a time, or longer where they are already.

        Args:
            user: The user.
            root: One of the roots that open them.
            seconds: For how long.
            ask: Asks a person for a secret.

        Raises:
            InvalidInput: The user has no root of their own, or the time is not allowed.
            UserRootRefused: The root does not open this user's keys.
            RootError: It does not answer.
        """
        store = self._store
        info = await self.show(user)
        key = await asyncio.to_thread(_open, info, root, ask)
        with key:
            return await store._run(self._admin.give(store._caller, user, info.root, key, seconds))

    async def take(self, user: UserId) -> bool:
        """Close a user's secrets at once; whether the root was given.

        Raises:
            InvalidInput: The user has no root of their own.
        """
        return await self._store._run(self._admin.take(self._store._caller, user))

    async def change(
        self,
        user: UserId,
        root: Root,
        new: Root,
        *,
        recovery: Sequence[Root] = (),
        seconds: int = DEFAULT_SECONDS,
        ask: Ask | None = None,
        watch: Watch = no_watch,
    ) -> UserRootInfo:
        """Close a user's secrets by another root; the former ones open nothing any more.

        Args:
            user: The user.
            root: One of the roots that open them now.
            new: What is to open them.
            recovery: What is to open them as well.
            seconds: For how long it is given now.
            ask: Asks a person for a secret.
            watch: Told of progress.

        Raises:
            InvalidInput: The user has no root of their own, or something breaks a rule.
            UserRootRefused: The root does not open this user's keys.
            RootError: A root refuses, or does not answer.
        """
        store = self._store
        info = await self.show(user)
        key = await asyncio.to_thread(_open, info, root, ask)
        with key:
            made = await asyncio.to_thread(_new, info, (new, *recovery), ask)
            with made.key:
                return await store._run(
                    self._admin.change(
                        store._caller, user, info.root, key, made, seconds, watch=watch
                    )
                )

    async def add(
        self, user: UserId, root: Root, new: str | Wrapper, *, ask: Ask | None = None
    ) -> UserRootInfo:
        """Let one more root open a user's secrets, as for recovery.

        Args:
            user: The user.
            root: One of the roots that open them now.
            new: The other one.
            ask: Asks a person for a secret.

        Raises:
            InvalidInput: The user has no root of their own, or there are too many.
            UserRootRefused: The root does not open this user's keys.
            VersionConflict: Somebody else has changed them meanwhile.
            RootError: A root refuses, or does not answer.
        """
        store = self._store
        info = await self.show(user)
        key = await asyncio.to_thread(_open, info, root, ask)
        with key:
            more = await asyncio.to_thread(_wrap, info, key, new, ask)
            return await store._run(
                self._admin.set_roots(
                    store._caller, user, info.root, key, (*info.roots, *more), info.revision
                )
            )

    async def drop(
        self, user: UserId, root: Root, slot: int, *, ask: Ask | None = None
    ) -> UserRootInfo:
        """Let one of several roots not open a user's secrets any more.

        Whoever has opened them by it before, and kept the key, is kept out by :meth:`change` alone.

        Args:
            user: The user.
            root: One of the roots that open them now.
            slot: The number of the one to drop.
            ask: Asks a person for a secret.

        Raises:
            InvalidInput: There is no such root, or it is the last one.
            UserRootRefused: The root does not open this user's keys.
            VersionConflict: Somebody else has changed them meanwhile.
            RootError: It does not answer.
        """
        store = self._store
        info = await self.show(user)
        left = info.without(slot)
        key = await asyncio.to_thread(_open, info, root, ask)
        with key:
            return await store._run(
                self._admin.set_roots(store._caller, user, info.root, key, left, info.revision)
            )

    async def remove(self, user: UserId, root: Root, *, ask: Ask | None = None) -> None:
        """Have the store's master key alone close a user's secrets again.

        Args:
            user: The user.
            root: One of the roots that open them now.
            ask: Asks a person for a secret.

        Raises:
            InvalidInput: The user has no root of their own.
            UserRootRefused: The root does not open this user's keys.
            RootError: It does not answer.
        """
        store = self._store
        info = await self.show(user)
        key = await asyncio.to_thread(_open, info, root, ask)
        with key:
            await store._run(self._admin.remove(store._caller, user, info.root, key))


def _new(info: UserRootInfo, roots: Sequence[Root], ask: Ask | None) -> NewUserRoot:
    opened: list[Wrapper | SecretBytes] = []
    try:
        for root in roots:
            opened += [open_root(root, create=True, ask=ask) if isinstance(root, str) else root]
        return new_user_root(info.store, info.user, opened)
    finally:
        _close(roots, opened)


def _wrap(
    info: UserRootInfo, key: SecretBytes, root: str | Wrapper, ask: Ask | None
) -> tuple[WrappedRoot, ...]:
    opened = open_root(root, create=True, ask=ask) if isinstance(root, str) else root
    try:
        return wrap_all(
            info.store, info.user, info.root, key, [opened], first_slot=info.free_slot()
        )
    finally:
        _close([root], [opened])


def _open(info: UserRootInfo, root: Root, ask: Ask | None) -> SecretBytes:
    opened = open_root(root, ask=ask) if isinstance(root, str) else root
    try:
        return open_user_root(info, opened)
    finally:
        _close([root], [opened])


def _close(roots: Sequence[Root], opened: "Sequence[Wrapper | SecretBytes]") -> None:
    for root, one in zip(roots, opened, strict=False):
        if isinstance(root, str) and not isinstance(one, str | SecretBytes):
            one.close()
