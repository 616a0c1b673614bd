"""What the store keeps of a user's own root (``docs/spec/userroots.md``, section 3).

It is sealed under the master key, as it has to be read while the user's keys are closed: who the
user is, and the user root key as the user's roots of trust have wrapped it. None of it opens
anything for the store.
"""

from typing import Final

import msgspec

from adyton.crypto import context as ctx
from adyton.errors import IntegrityError
from adyton.model import from_us
from adyton.ports import Rows, Transaction
from adyton.service.keyring import Keyring
from adyton.service.userkeys import UserKeys
from adyton.userroots import UserRootInfo, WrappedRoot

_NAME: Final = "user-root-"


class KeptRoot(msgspec.Struct, array_like=True, frozen=True):
    """One root of trust of the user, and what it has wrapped."""

    slot: int
    kind: str
    described: dict[str, str]
    wrapped: bytes
    added_us: int


class Kept(msgspec.Struct, array_like=True, frozen=True):
    """A user's own root.

    Attributes:
        user_id: The user id.
        root: The id of the user root key.
        set_us: When that key came to be, microseconds since the epoch.
        roots: What wraps it.
        pending: Whether data from before waits to be encrypted anew.
        held: Whether there was a legal hold on something of the user's since it was set.
        revision: How often ``roots`` was changed for the same key.
    """

    user_id: str
    root: bytes
    set_us: int
    roots: tuple[KeptRoot, ...]
    pending: bool
    held: bool = False
    revision: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Kept).decode


def _name(user: bytes) -> str:
    return _NAME + user.hex()


def _context(ring: Keyring, user: bytes, master_version: int) -> bytes:
    return ctx.encode(
        ctx.LABEL_STORE_SETTING, ring.store_id, _name(user).encode(), ctx.u64(master_version)
    )


async def put_kept(tx: Transaction, ring: Keyring, user: bytes, kept: Kept) -> None:
    """Write what is kept, sealed under the current master key."""
    version = ring.master_current
    box = ring.master(version).seal(_encode(kept), _context(ring, user, version))
    await tx.put_setting(_name(user), ctx.u64(version) + box)


async def drop_kept(tx: Transaction, user: bytes) -> None:
    """Erase what is kept."""
    await tx.put_setting(_name(user), b"")


async def kept_of(rows: Rows, ring: Keyring, user: bytes) -> Kept | None:
    """What is kept of a user's own root; None where the user has none.

    Raises:
        IntegrityError: It was changed.
    """
    stored = await rows.setting(_name(user))
    if not stored:
        return None
    version = int.from_bytes(stored[:8], "big")
    body = ring.master(version).open(stored[8:], _context(ring, user, version))
    try:
        return _decode(body)
    except msgspec.MsgspecError:
        raise IntegrityError("what is kept of a user's own root can't be read") from None


async def move_kept(tx: Transaction, ring: Keyring, user: bytes) -> None:
    """Seal what is kept of a user's own root under the current master key."""
    kept = await kept_of(tx, ring, user)
    if kept is not None:
        await put_kept(tx, ring, user, kept)


async def mark_held(tx: Transaction, ring: Keyring, keys: UserKeys) -> None:
    """Note that there is a legal hold, which can't be looked up while the root is away."""
    kept = await kept_of(tx, ring, keys.user) if keys.own_root else None
    if kept is not None and not kept.held:
        await put_kept(tx, ring, keys.user, msgspec.structs.replace(kept, held=True))


def shown(ring: Keyring, user_id: str, kept: Kept | None) -> UserRootInfo:
    """The public value."""
    if kept is None:
        return UserRootInfo(user_id, ring.store_id)
    until = ring.given.until_us(kept.root)
    roots = tuple(
        WrappedRoot(one.slot, one.kind, one.described, one.wrapped, from_us(one.added_us))
        for one in kept.roots
    )
    return UserRootInfo(
        user_id,
        ring.store_id,
        kept.root,
        roots,
        bool(until),
        from_us(until) if until else None,
        from_us(kept.set_us),
        kept.pending,
        kept.revision,
    )
