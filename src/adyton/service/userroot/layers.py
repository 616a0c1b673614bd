"""A user key in two layers: the user's own root inside, the master key outside.

``docs/spec/userroots.md``, section 2. Neither layer opens without the other's key, and each is
bound to the store, the user, the version of the user key and the user root key.
"""

from typing import Final

from adyton.crypto import context as ctx
from adyton.crypto.aead import AeadKey
from adyton.crypto.secretbytes import SecretBytes
from adyton.errors import IntegrityError
from adyton.rows import UserKeyRow
from adyton.userroots import ROOT_ID_BYTES

FORMAT: Final = 0x02
"""The first byte of a user key in two layers; one in a single layer is a box, which has 0x01."""
_FORMAT: Final = b"\x02"
_AT: Final = 1 + ROOT_ID_BYTES


def root_of(wrapped: bytes) -> bytes:
    """The id of the user root key that a wrapped user key needs; empty for none."""
    return wrapped[1:_AT] if wrapped[:1] == _FORMAT else b""


def common_root(rows: list[UserKeyRow]) -> bytes:
    """The id of the user root key that all of a user's keys need; empty for none.

    Raises:
        IntegrityError: They don't all need the same: a row of another time was put back.
    """
    found = {root_of(row.wrapped) for row in rows}
    if len(found) > 1:
        raise IntegrityError(
            "a user's keys are not all closed by the same root: an older one was put back",
            hint="Keep the damaged store as evidence and restore a backup.",
        )
    return found.pop() if found else b""


def seal_inner(
    root_key: AeadKey, store: bytes, user: bytes, version: int, root: bytes, key: SecretBytes
) -> bytes:
    """The inner layer: a user key under the user root key."""
    return root_key.seal(key.writable(), _inner(store, user, version, root))


def open_inner(
    root_key: AeadKey, store: bytes, user: bytes, version: int, root: bytes, inner: bytes
) -> SecretBytes:
    """Open the inner layer.

    Raises:
        DecryptionFailed: Another key, or changed or moved.
    """
    return root_key.open_secret(inner, _inner(store, user, version, root))


def seal_outer(
    master: AeadKey, store: bytes, place: UserKeyRow, root: bytes, inner: bytes
) -> UserKeyRow:
    """A row with the inner layer under the master key of the version that it names."""
    box = master.seal(inner, _outer(store, place, root))
    return place._replace(wrapped=_FORMAT + root + box)


def open_outer(master: AeadKey, store: bytes, row: UserKeyRow) -> bytes:
    """The inner layer of a row.

    Raises:
        DecryptionFailed: Changed or moved.
    """
    return master.open(row.wrapped[_AT:], _outer(store, row, root_of(row.wrapped)))


def _inner(store: bytes, user: bytes, version: int, root: bytes) -> bytes:
    return ctx.encode(ctx.LABEL_OWN_USER_KEY, store, user, ctx.u64(version), root)


def _outer(store: bytes, row: UserKeyRow, root: bytes) -> bytes:
    return ctx.encode(
        ctx.LABEL_OWN_OUTER,
        store,
        row.user,
        ctx.u64(row.version),
        ctx.u64(row.master_version),
        root,
    )
