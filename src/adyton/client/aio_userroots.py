"""Roots that users of a server hold themselves.

They are opened here, beside the client: the server gets a key of 32 bytes for a time, and never a
passphrase, an identity or a token of a device. ``adyton.roots.open_root`` makes one from a URI.
"""

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from adyton.client.aio_base import AsyncClientFace
from adyton.client.requests import of_user, once, read
from adyton.client.userrootshapes import WireTaken, WireUserRoot, brought, sent
from adyton.crypto.secretbytes import SecretBytes
from adyton.model import UserId
from adyton.userroots import (
    DEFAULT_SECONDS,
    UserRootInfo,
    Wrapper,
    new_user_root,
    open_user_root,
    wrap_all,
)

Root: TypeAlias = Wrapper | SecretBytes
"""An open root of trust, or a user root key itself: 32 bytes."""


class AsyncUserRoots:
    """Users' own roots: a user's secrets open only while the user has given theirs.

    A root that is lost with all that could stand in for it takes the user's secrets along: nobody
    can help, as nobody else ever had it.
    """

    def __init__(self, client: AsyncClientFace) -> None:
        self._client = client

    async def show(self, user: UserId) -> UserRootInfo:
        """What there is of a user's own root, and whether it is given.

        Raises:
            UserNotFound: The user has no namespace.
        """
        answer = await self._client._call(read(of_user(user, "root")))
        return answer.parse(WireUserRoot).public()

    async def set(
        self,
        user: UserId,
        root: Root,
        *,
        recovery: Sequence[Root] = (),
        seconds: int = DEFAULT_SECONDS,
    ) -> UserRootInfo:
        """Close a user's secrets by a root of the user's own; it counts as given for a time.

        All that the user has is encrypted anew, which takes a while.

        Args:
            user: The user.
            root: What is to open them.
            recovery: What is to open them as well, kept somewhere else.
            seconds: For how long it is given now.

        Raises:
            UserNotFound: The user has no namespace.
            InvalidInput: There is a root already, or something breaks a rule.
            RootError: A root refuses, or does not answer.
            ServerUnavailable: The answer did not come; :meth:`show` tells what was done.
        """
        info = await self.show(user)
        new = await asyncio.to_thread(new_user_root, info.store, info.user, (root, *recovery))
        with new.key:
            body = brought(new) | {"seconds": seconds}
            call = once(of_user(user, "root"), body, patient=True)
            return (await self._client._call(call)).parse(WireUserRoot).public()

    async def give(
        self, user: UserId, root: Root, *, seconds: int = DEFAULT_SECONDS
    ) -> UserRootInfo:
        """Let a user's secrets be opened for a time, or longer where they are already.

        Args:
            user: The user.
            root: One of the roots that open them.
            seconds: For how long.

        Raises:
            InvalidInput: The user has no root of their own, or the time is not allowed.
            UserRootRefused: The root does not open this user's keys.
            RootError: It does not answer.
        """
        info = await self.show(user)
        key = await asyncio.to_thread(open_user_root, info, root)
        with key:
            body = {"root": info.root, "key": key.reveal(), "seconds": seconds}
            call = once(of_user(user, "root", "give"), body, safe=True)
            return (await self._client._call(call)).parse(WireUserRoot).public()

    async def take(self, user: UserId) -> bool:
        """Close a user's secrets at once; whether the root was given.

        Raises:
            InvalidInput: The user has no root of their own.
        """
        call = once(of_user(user, "root", "take"), safe=True)
        return (await self._client._call(call)).parse(WireTaken).taken

    async def change(
        self,
        user: UserId,
        root: Root,
        new: Root,
        *,
        recovery: Sequence[Root] = (),
        seconds: int = DEFAULT_SECONDS,
    ) -> UserRootInfo:
        """Close a user's secrets by another root; the former ones open nothing any more.

        Args:
            user: The user.
            root: One of the roots that open them now.
            new: What is to open them.
            recovery: What is to open them as well.
            seconds: For how long it is given now.

        Raises:
            InvalidInput: The user has no root of their own, or something breaks a rule.
            UserRootRefused: The root does not open this user's keys.
            RootError: A root refuses, or does not answer.
            ServerUnavailable: The answer did not come; :meth:`show` tells what was done.
        """
        info = await self.show(user)
        key = await asyncio.to_thread(open_user_root, info, root)
        with key:
            made = await asyncio.to_thread(new_user_root, info.store, info.user, (new, *recovery))
            with made.key:
                body = {
                    "root": info.root,
                    "key": key.reveal(),
                    "new_root": made.root,
                    "new_key": made.key.reveal(),
                    "roots": sent(made.roots),
                    "seconds": seconds,
                }
                call = once(of_user(user, "root", "change"), body, patient=True)
                return (await self._client._call(call)).parse(WireUserRoot).public()

    async def add(self, user: UserId, root: Root, new: Wrapper) -> UserRootInfo:
        """Let one more root open a user's secrets, as for recovery.

        Args:
            user: The user.
            root: One of the roots that open them now.
            new: The other one.

        Raises:
            InvalidInput: The user has no root of their own, or there are too many.
            UserRootRefused: The root does not open this user's keys.
            VersionConflict: Somebody else has changed them meanwhile.
            RootError: A root refuses, or does not answer.
            ServerUnavailable: The answer did not come; :meth:`show` tells what was done.
        """
        info = await self.show(user)
        key = await asyncio.to_thread(open_user_root, info, root)
        with key:
            more = await asyncio.to_thread(
                wrap_all,
                info.store,
                info.user,
                info.root,
                key,
                [new],
                first_slot=info.free_slot(),
            )
            body = {
                "root": info.root,
                "key": key.reveal(),
                "roots": sent((*info.roots, *more)),
                "revision": info.revision,
            }
            call = once(of_user(user, "root", "roots"), body)
            return (await self._client._call(call)).parse(WireUserRoot).public()

    async def drop(self, user: UserId, root: Root, slot: int) -> UserRootInfo:
        """Let one of several roots not open a user's secrets any more.

        Whoever has opened them by it before, and kept the key, is kept out by :meth:`change` alone.

        Args:
            user: The user.
            root: One of the roots that open them now.
            slot: The number of the one to drop.

        Raises:
            InvalidInput: There is no such root, or it is the last one.
            UserRootRefused: The root does not open this user's keys.
            VersionConflict: Somebody else has changed them meanwhile.
            RootError: It does not answer.
            ServerUnavailable: The answer did not come; :meth:`show` tells what was done.
        """
        info = await self.show(user)
        left = info.without(slot)
        key = await asyncio.to_thread(open_user_root, info, root)
        with key:
            body = {
                "root": info.root,
                "key": key.reveal(),
                "roots": sent(left),
                "revision": info.revision,
            }
            call = once(of_user(user, "root", "roots"), body)
            return (await self._client._call(call)).parse(WireUserRoot).public()

    async def remove(self, user: UserId, root: Root) -> None:
        """Have the store's master key alone close a user's secrets again.

        Args:
            user: The user.
            root: One of the roots that open them now.

        Raises:
            InvalidInput: The user has no root of their own.
            UserRootRefused: The root does not open this user's keys.
            RootError: It does not answer.
        """
        info = await self.show(user)
        key = await asyncio.to_thread(open_user_root, info, root)
        with key:
            body = {"root": info.root, "key": key.reveal()}
            await self._client._call(once(of_user(user, "root", "remove"), body))
