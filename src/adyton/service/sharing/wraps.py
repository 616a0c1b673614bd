"""Data keys that are handed from an owner's user key to a receiver's, and opened by that alone."""

import hmac
from typing import NamedTuple

from adyton.crypto import context as ctx
from adyton.crypto.aead import AeadKey, open_once
from adyton.crypto.scratch import scratch
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import IntegrityError
from adyton.service.sharing.records import Item, Place
from adyton.service.userkeys import UserKeys, unknown_key


def _context(receiver: UserKeys, place: Place, key_version: int) -> bytes:
    """What a shared data key is bound to: both sides, the secret, its version and the share."""
    return ctx.encode(
        ctx.LABEL_SHARED_KEY,
        receiver.store_id,
        receiver.user,
        place.owner,
        place.name,
        ctx.u64(place.version),
        place.share.encode(),
        ctx.u64(key_version),
    )


def _wrapper(keys: UserKeys, version: int) -> AeadKey:
    found = keys.wrapping.get(version)
    if found is None:
        raise unknown_key()
    return found


def hand_over(
    owner: UserKeys, receiver: UserKeys, place: Place, key_version: int, wrapped: bytes
) -> bytes:
    """The data key of an owner's version, wrapped under the receiver's current user key.

    Raises:
        IntegrityError: It does not open for the owner.
    """
    own = ctx.encode(
        ctx.LABEL_DATA_KEY,
        owner.store_id,
        owner.user,
        place.name,
        ctx.u64(place.version),
        ctx.u64(key_version),
    )
    held = scratch()
    try:
        _wrapper(owner, key_version).open_into(wrapped, own, held.view)
        return _seal(receiver, place, held.view)
    finally:
        held.wipe()


def _seal(receiver: UserKeys, place: Place, key: memoryview) -> bytes:
    receiver.wraps += 1
    context = _context(receiver, place, receiver.current)
    return receiver.wrapping[receiver.current].seal(key, context)


def rewrap(receiver: UserKeys, place: Place, key_version: int, wrapped: bytes) -> bytes:
    """The same data key under the receiver's current user key.

    Raises:
        IntegrityError: It does not open for the receiver.
    """
    held = scratch()
    try:
        context = _context(receiver, place, key_version)
        _wrapper(receiver, key_version).open_into(wrapped, context, held.view)
        return _seal(receiver, place, held.view)
    finally:
        held.wipe()


class Contexts(NamedTuple):
    """What a shared data key, and the value under it, are bound to."""

    key: bytes
    value: bytes


def contexts_of(receiver: UserKeys, owner: bytes, item: Item) -> Contexts:
    """The contexts of a secret in a share."""
    place = Place(owner, item.index, item.version, item.share)
    return Contexts(
        _context(receiver, place, item.key_version),
        ctx.encode(ctx.LABEL_VALUE, receiver.store_id, owner, item.index, ctx.u64(item.version)),
    )


def open_shared(receiver: UserKeys, item: Item, contexts: Contexts, box: bytes) -> SecretBytes:
    """A shared value, opened by the receiver's keys alone.

    Raises:
        IntegrityError: It is not the one that was shared, or anything was changed or moved.
    """
    if not hmac.compare_digest(box[-16:], item.tag):
        raise changed()
    held = scratch()
    try:
        _wrapper(receiver, item.key_version).open_into(item.wrapped, contexts.key, held.view)
        return open_once(held.view, box, contexts.value)
    finally:
        held.wipe()


def changed() -> IntegrityError:
    """The refusal of what is not as it was when it was shared."""
    return IntegrityError(
        "what is stored of a shared secret is not what was shared",
        hint="Run 'adyton audit verify', and restore the store from a backup.",
    )
