"""A user's own root, seen from the side that holds it (``docs/spec/userroots.md``).

A *user root key* of 32 random bytes closes a user's keys. It is made here, beside whatever roots of
trust the user has, and each of them wraps it; the store keeps what they made of it and never the
roots, nor the key. The embedded store and the client of a server have this in common.
"""

import datetime as dt
import os
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from adyton.crypto import context as ctx
from adyton.crypto.aead import KEY_BYTES
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import InvalidInput, RootError, RootLocked, UserRootRefused

ROOT_ID_BYTES: Final = 16
MAX_WRAPS: Final = 8
"""Roots that each open one user's keys: the first, and for recovery."""
MAX_WRAPPED_BYTES: Final = 16_384
DEFAULT_SECONDS: Final = 3_600
_UNFIT: Final = {
    "dev": "a root of trust that ends with its process would take the user's secrets along",
    "shamir": "shares are for the store's master key, not for a user's own root",
}


class Wrapper(Protocol):
    """What of a root of trust is needed here (``ports.RootOfTrust``)."""

    @property
    def kind(self) -> str:
        """Its kind, such as ``age``."""

    def wrap(self, key: SecretBytes, context: bytes) -> bytes:
        """Wrap a key."""

    def unwrap(self, wrapped: bytes, context: bytes) -> SecretBytes:
        """Unwrap a key."""

    def describe(self) -> dict[str, str]:
        """What it says of itself."""

    def close(self) -> None:
        """Release what it holds."""


class WrappedRoot(NamedTuple):
    """A user root key as one root of trust has wrapped it.

    Attributes:
        slot: Its number.
        kind: The root's kind.
        described: What the root says of itself, no secrets.
        wrapped: The wrapped key, which that root alone opens.
        added_at: When it was added, UTC; None for one that is not stored yet.
    """

    slot: int
    kind: str
    described: dict[str, str]
    wrapped: bytes
    added_at: dt.datetime | None = None

    def __repr__(self) -> str:
        return f"<WrappedRoot {self.slot} {self.kind}>"


class UserRootInfo(NamedTuple):
    """What is told of a user's own root.

    Attributes:
        user: The user id.
        store: The store's id.
        root: The id of the user root key; empty where the user has no root of their own.
        roots: What wraps that key: any one of them opens it.
        given: Whether it is given at this moment.
        until: When it is taken away by itself, UTC; None where it is not given.
        set_at: When the present key came to be, UTC.
        pending: Whether data from before still waits to be encrypted anew.
        revision: How often other roots of trust came to wrap the key: a change of them names it.
    """

    user: str
    store: bytes
    root: bytes = b""
    roots: tuple[WrappedRoot, ...] = ()
    given: bool = False
    until: dt.datetime | None = None
    set_at: dt.datetime | None = None
    pending: bool = False
    revision: int = 0

    def __repr__(self) -> str:
        return f"<UserRootInfo given={self.given}>"

    def free_slot(self) -> int:
        """The number that the next root gets."""
        return 1 + max((one.slot for one in self.roots), default=-1)

    def without(self, slot: int) -> tuple[WrappedRoot, ...]:
        """The roots without one of them.

        Raises:
            InvalidInput: There is no such root, or it is the last one.
        """
        left = tuple(one for one in self.roots if one.slot != slot)
        if len(left) == len(self.roots):
            raise InvalidInput(f"there is no root in slot {slot}")
        if not left:
            raise InvalidInput(
                "this is the last root: nothing would open this user's secrets without it",
                hint="Use 'adyton user root change' or 'adyton user root remove'.",
            )
        return left


class NewUserRoot(NamedTuple):
    """A user root key before the store knows of it.

    Attributes:
        root: Its id.
        key: The key; whoever made it wipes it.
        roots: What wraps it.
    """

    root: bytes
    key: SecretBytes
    roots: tuple[WrappedRoot, ...]

    def __repr__(self) -> str:
        return "<NewUserRoot>"


def wrap_context(store: bytes, user: str, root: bytes) -> bytes:
    """What a user root key is bound to when a root of trust wraps it."""
    return ctx.encode(ctx.LABEL_USER_ROOT, store, user.encode(), root)


def new_user_root(
    store: bytes, user: str, roots: Sequence[Wrapper | SecretBytes], *, root_id: bytes = b""
) -> NewUserRoot:
    """Make a user root key, and let each root wrap it and show that it opens it again.

    Args:
        store: The store's id.
        user: The user id, canonical.
        roots: Roots of trust; or, as the first, a key of 32 bytes that is to be the key itself.
        root_id: The id; a random one by default.

    Raises:
        InvalidInput: There is no root, or there are too many.
        RootError: A root refuses, does not answer, or does not open what it has wrapped.
    """
    if not roots:
        raise InvalidInput("a user's own root needs at least one root of trust")
    first, wrappers = roots[0], [root for root in roots if not isinstance(root, SecretBytes)]
    if len(roots) - len(wrappers) != isinstance(first, SecretBytes):
        raise InvalidInput("only the first root can be a key by itself")
    root_id = root_id or os.urandom(ROOT_ID_BYTES)
    key = checked_key(first) if isinstance(first, SecretBytes) else SecretBytes.random(KEY_BYTES)
    try:
        made = wrap_all(store, user, root_id, key, wrappers)
    except BaseException:
        key.wipe()
        raise
    return NewUserRoot(root_id, key, made)


def wrap_all(
    store: bytes,
    user: str,
    root_id: bytes,
    key: SecretBytes,
    wrappers: Sequence[Wrapper],
    *,
    first_slot: int = 0,
) -> tuple[WrappedRoot, ...]:
    """Let roots wrap a user root key, and show that each opens it again.

    Raises:
        InvalidInput: There are too many.
        RootError: One refuses, does not answer, or does not open what it has wrapped.
    """
    if len(wrappers) > MAX_WRAPS:
        raise InvalidInput(f"a user's own root has at most {MAX_WRAPS} roots of trust")
    context = wrap_context(store, user, root_id)
    made = []
    for slot, wrapper in enumerate(wrappers, first_slot):
        if wrapper.kind in _UNFIT:
            raise InvalidInput(_UNFIT[wrapper.kind])
        wrapped = wrapper.wrap(key, context)
        with wrapper.unwrap(wrapped, context) as again:
            if not again.equals(key):
                raise RootError(f"the {wrapper.kind} root does not open what it has wrapped")
        described = {name: text[:500] for name, text in wrapper.describe().items()}
        made.append(WrappedRoot(slot, wrapper.kind, described, wrapped))
    return tuple(made)


def open_user_root(info: UserRootInfo, root: Wrapper | SecretBytes) -> SecretBytes:
    """The user root key, opened by one of the roots that wrap it, or a copy of the key itself.

    Raises:
        InvalidInput: The user has no root of their own, or the key is not one.
        UserRootRefused: The root does not open it.
        RootError: The root does not answer.
    """
    if not info.root:
        raise InvalidInput("the user has no root of their own", hint="Set one first.")
    if isinstance(root, SecretBytes):
        return checked_key(root)
    context = wrap_context(info.store, info.user, info.root)
    refusal: UserRootRefused | None = None
    for one in info.roots:
        if one.kind != root.kind:
            continue
        try:
            return checked_key(root.unwrap(one.wrapped, context))
        except RootLocked as error:
            refusal = refusal or UserRootRefused(error.message, hint=error.hint)
    raise refusal or UserRootRefused(
        f"no {root.kind} root opens this user's keys",
        hint="'adyton user root show' tells which kinds do.",
    )


def checked_key(key: SecretBytes) -> SecretBytes:
    """A copy of a user root key, which the caller wipes.

    Raises:
        InvalidInput: It has not 32 bytes.
    """
    if len(key) != KEY_BYTES:
        raise InvalidInput(f"a user root key has {KEY_BYTES} bytes")
    return SecretBytes(key.writable())
