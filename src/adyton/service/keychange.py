"""Making and changing keys inside a transaction.

Each function writes rows and returns what the keyring should hold once the transaction has
committed; nothing in memory changes before that.
"""

from typing import Final

from adyton.crypto.aead import AeadKey, new_key
from adyton.crypto.kdf import IndexKey
from adyton.crypto.secretbytes import SecretBytes
from adyton.ports import Transaction
from adyton.rows import SubkeyRow, UserKeyRow, UserRow
from adyton.service.keyring import MASTER_WRAPS, Keyring
from adyton.service.userkeys import AuditKey, Purpose, UserKeys
from adyton.service.userroot import layers

WRAP_RESERVE: Final = 4096
"""Wraps are counted in blocks: a block is written down before its first wrap is made."""


def _seal_user_key(
    ring: Keyring,
    user: bytes,
    version: int,
    key: SecretBytes,
    created_us: int,
    wraps: int,
    own_root: bytes = b"",
) -> UserKeyRow:
    row = UserKeyRow(user, version, 0, b"", created_us, wraps, retired=False)
    return ring.seal_user_key(row, key, own_root)


def _seal_subkey(ring: Keyring, wrapper: AeadKey, place: SubkeyRow, key: SecretBytes) -> SubkeyRow:
    return place._replace(wrapped=wrapper.seal(key.writable(), ring.subkey_context(place)))


async def count_master(tx: Transaction, ring: Keyring, wraps: int) -> None:
    """Count wraps that the master key is about to make."""
    ring.master_wraps += wraps
    if ring.master_wraps > ring.master_wraps_reserved:
        ring.master_wraps_reserved = ring.master_wraps + WRAP_RESERVE
        await tx.put_setting(MASTER_WRAPS, ring.master_wraps_reserved.to_bytes(8, "big"))


async def create_user(tx: Transaction, ring: Keyring, user_id: str, now_us: int) -> UserKeys:
    """Make a namespace: a user key, its subkeys, and the sealed user id."""
    user = ring.user_index(user_id)
    await count_master(tx, ring, 1)
    with new_key() as user_key:
        wrapper = AeadKey(user_key)
        await tx.put_user_keys([_seal_user_key(ring, user, 1, user_key, now_us, WRAP_RESERVE)])
    index, meta, audit = new_key(), new_key(), new_key()
    await tx.put_subkeys(
        [
            _seal_subkey(ring, wrapper, SubkeyRow(user, purpose, 1, 1, b""), key)
            for purpose, key in (
                (Purpose.INDEX, index),
                (Purpose.METADATA, meta),
                (Purpose.AUDIT, audit),
            )
        ]
    )
    keys = UserKeys(
        ring.store_id,
        user,
        user_id,
        wrapping={1: wrapper},
        index_key=IndexKey(index),
        meta={1: AeadKey(meta)},
        audit=AuditKey(audit),
        created_us=now_us,
        wraps=0,
        stay=ring.stay(user, new=True),
    )
    keys.wraps_reserved = WRAP_RESERVE
    await put_user_id(tx, ring, keys, now_us)
    index.wipe()
    meta.wipe()
    return keys


async def put_user_id(tx: Transaction, ring: Keyring, keys: UserKeys, created_us: int) -> None:
    """Write the user's row: the id sealed under the current metadata key."""
    version = keys.meta_current
    box = keys.meta[version].seal(keys.user_id.encode(), ring.user_id_context(keys.user, version))
    await tx.put_user(UserRow(keys.user, box, created_us))


async def rotate_user(tx: Transaction, ring: Keyring, keys: UserKeys, now_us: int) -> None:
    """Make a new current user key, wrap the subkeys under it, retire the older ones.

    Data keys stay under the key that wrapped them until the re-wrap job comes.
    """
    rows = await tx.user_keys(keys.user)
    await count_master(tx, ring, 1)
    version = rows[-1].version + 1
    with new_key() as user_key:
        wrapper = AeadKey(user_key)
        own_root = layers.common_root(rows)
        new = _seal_user_key(ring, keys.user, version, user_key, now_us, 0, own_root)
    await tx.put_user_keys([*(row._replace(retired=True) for row in rows), new])
    openers: dict[int, AeadKey] = {}
    for row in rows:
        with ring.open_user_key(row) as old:
            openers[row.version] = AeadKey(old)
    moved = []
    for subkey in await tx.subkeys(keys.user):
        context = ring.subkey_context(subkey)
        with openers[subkey.key_version].open_secret(subkey.wrapped, context) as key:
            moved.append(
                _seal_subkey(ring, wrapper, subkey._replace(key_version=version, wrapped=b""), key)
            )
    await tx.put_subkeys(moved)


async def rotate_metadata_key(tx: Transaction, ring: Keyring, keys: UserKeys) -> None:
    """Make a new current metadata key and seal the user id under it.

    The caller re-seals the secrets' metadata.
    """
    user = keys.user
    rows = await tx.user_keys(user)
    current = rows[-1]
    versions = [row.version for row in await tx.subkeys(user) if row.purpose == Purpose.METADATA]
    place = SubkeyRow(user, Purpose.METADATA, max(versions) + 1, current.version, b"")
    with ring.open_user_key(current) as user_key, new_key() as key:
        await tx.put_subkeys([_seal_subkey(ring, AeadKey(user_key), place, key)])
        box = AeadKey(key).seal(keys.user_id.encode(), ring.user_id_context(user, place.version))
    row = await tx.user(user)
    await tx.put_user(UserRow(user, box, keys.created_us if row is None else row.created_us))


async def rotate_audit_key(tx: Transaction, ring: Keyring, user: bytes) -> None:
    """Make a new current audit key; the older ones open what they have sealed."""
    current = (await tx.user_keys(user))[-1]
    versions = [row.version for row in await tx.subkeys(user) if row.purpose == Purpose.AUDIT]
    place = SubkeyRow(user, Purpose.AUDIT, max(versions) + 1, current.version, b"")
    with ring.open_user_key(current) as user_key, new_key() as key:
        await tx.put_subkeys([_seal_subkey(ring, AeadKey(user_key), place, key)])


def rewrap_user_key(ring: Keyring, row: UserKeyRow) -> UserKeyRow:
    """The same user key wrapped under the current master key.

    Where a root of the user's own closes it, that layer stays as it is, and need not open.
    """
    root = layers.root_of(row.wrapped)
    if root:
        inner = layers.open_outer(ring.master(row.master_version), ring.store_id, row)
        place = row._replace(master_version=ring.master_current)
        master = ring.master(ring.master_current)
        return layers.seal_outer(master, ring.store_id, place, root, inner)
    with ring.open_user_key(row) as key:
        return ring.seal_user_key(row, key, b"")


def close_user_key(ring: Keyring, row: UserKeyRow, own_root: bytes) -> UserKeyRow:
    """The same user key closed by another root of the user's own, or by none.

    Raises:
        UserRootAway: The root that closes it now, or the other one, is away.
    """
    with ring.open_user_key(row) as key:
        return ring.seal_user_key(row, key, own_root)
