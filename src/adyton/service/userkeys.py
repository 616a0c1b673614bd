"""One user's keys, opened, and what they alone can do (``docs/spec/envelope.md``, section 4)."""

import enum
from contextlib import suppress
from typing import Final

from adyton.crypto import context as ctx
from adyton.crypto.aead import AeadKey, open_once, seal_once
from adyton.crypto.kdf import IndexKey, expand
from adyton.crypto.scratch import scratch
from adyton.crypto.secretbytes import SecretBytes, wipe_at_end
from adyton.errors import DecryptionFailed, IntegrityError

EPOCH_BITS: Final = 20
"""An audit key's sub-key seals the records of 2^20 consecutive leaves, then the next one does."""
_MAX_EPOCHS: Final = 4


class Purpose(enum.IntEnum):
    """What a user's subkey is for. The numbers are stored."""

    INDEX = 1
    METADATA = 2
    AUDIT = 3


class AuditKey:
    """Derives and keeps the AEAD key of each epoch of the log.

    Args:
        key: Seals and opens records.
        older: Open those that were sealed before there was this one, the newest first.
    """

    __slots__ = ("__weakref__", "_epochs", "_key", "_older")

    def __init__(self, key: SecretBytes, *older: SecretBytes) -> None:
        self._key = key
        self._epochs: dict[int, AeadKey] = {}
        self._older = [AuditKey(one) for one in older]
        wipe_at_end(self, key)

    def open_parts(self, number: int, nonce: bytes, sealed: bytes, context: bytes) -> bytes:
        """Open a record of an epoch; see :meth:`AeadKey.open_parts`.

        Raises:
            DecryptionFailed: No key opens it.
        """
        try:
            return self.epoch(number).open_parts(nonce, sealed, context)
        except DecryptionFailed:
            for older in self._older:
                with suppress(DecryptionFailed):
                    return older.epoch(number).open_parts(nonce, sealed, context)
            raise

    def epoch(self, number: int) -> AeadKey:
        """The key for leaves ``number << 20`` and following."""
        found = self._epochs.get(number)
        if found is None:
            info = ctx.encode(ctx.LABEL_AUDIT_RECORD, ctx.u64(number))
            with expand(self._key, info) as key:
                found = AeadKey(key)
            if len(self._epochs) >= _MAX_EPOCHS:
                self._epochs.clear()
            self._epochs[number] = found
        return found


class Stay:
    """How long a user's keys may be used, however often they are opened meanwhile.

    Attributes:
        over: Whether the user was purged since, or the user's own root is away.
    """

    __slots__ = ("__weakref__", "over")

    def __init__(self) -> None:
        self.over = False


class UserKeys:
    """The opened keys of one user; also the store's own, under the reserved index of zeros.

    Where a root of the user's own closes them, ``own_root`` is the id of its key.

    Immutable once shared, save for the count of wraps, which is only written by whoever holds the
    writing transaction.
    """

    __slots__ = (
        "_data_key_prefix",
        "_meta_prefix",
        "_object_prefix",
        "_value_prefix",
        "audit",
        "created_us",
        "current",
        "index_key",
        "meta",
        "meta_current",
        "own_root",
        "stay",
        "store_id",
        "user",
        "user_id",
        "wrapping",
        "wraps",
        "wraps_reserved",
    )

    def __init__(
        self,
        store_id: bytes,
        user: bytes,
        user_id: str,
        *,
        wrapping: dict[int, AeadKey],
        index_key: IndexKey,
        meta: dict[int, AeadKey],
        audit: AuditKey,
        created_us: int,
        wraps: int,
        own_root: bytes = b"",
        stay: Stay | None = None,
    ) -> None:
        self.store_id = store_id
        self.user = user
        self.user_id = user_id
        self.wrapping = wrapping
        self.current = max(wrapping)
        self.index_key = index_key
        self.meta = meta
        self.meta_current = max(meta)
        self.audit = audit
        self.created_us = created_us
        self.wraps = wraps
        self.wraps_reserved = wraps
        self.own_root = own_root
        self.stay = stay or Stay()
        place = (store_id, user)
        self._value_prefix = ctx.encode(ctx.LABEL_VALUE, *place)
        self._data_key_prefix = ctx.encode(ctx.LABEL_DATA_KEY, *place)
        self._meta_prefix = ctx.encode(ctx.LABEL_METADATA, *place)
        self._object_prefix = ctx.encode(ctx.LABEL_OBJECT, *place)

    def __repr__(self) -> str:
        return "<UserKeys>"

    @property
    def gone(self) -> bool:
        """Whether nothing may be released any more that they have opened."""
        return self.stay.over

    def index(self, name: str) -> bytes:
        """The keyed index of a secret's name."""
        return self.index_key.index(name)

    def seal_value(
        self, name: bytes, version: int, value: "bytes | bytearray | memoryview"
    ) -> tuple[bytes, bytes]:
        """Seal a value under a fresh data key.

        Returns:
            The data key wrapped under the current user key, and the value's box.
        """
        tail = ctx.secret_tail(name, version)
        current = self.current
        place = scratch()
        key = place.randomize()
        try:
            box = seal_once(key, value, self._value_prefix + tail)
            context = self._data_key_prefix + tail + ctx.LEN8 + ctx.u64(current)
            wrapped = self.wrapping[current].seal(key, context)
        finally:
            place.wipe()
        self.wraps += 1
        return wrapped, box

    def open_value(
        self, name: bytes, version: int, key_version: int, wrapped: bytes, box: bytes
    ) -> SecretBytes:
        """Open a value into locked memory: two AEAD openings.

        Raises:
            IntegrityError: The key version is unknown, or anything was changed or moved.
        """
        wrapper = self.wrapping.get(key_version)
        if wrapper is None:
            raise unknown_key()
        tail = ctx.secret_tail(name, version)
        context = self._data_key_prefix + tail + ctx.LEN8 + ctx.u64(key_version)
        place = scratch()
        try:
            wrapper.open_into(wrapped, context, place.view)
            return open_once(place.view, box, self._value_prefix + tail)
        finally:
            place.wipe()

    def opens(
        self, name: bytes, version: int, key_version: int, wrapped: bytes, box: bytes
    ) -> bool:
        """Whether a value opens; what it is stays in locked memory and is wiped."""
        try:
            self.open_value(name, version, key_version, wrapped, box).wipe()
        except IntegrityError:
            return False
        return True

    def rewrap(self, name: bytes, version: int, key_version: int, wrapped: bytes) -> bytes:
        """The same data key wrapped under the current user key.

        Raises:
            IntegrityError: The key version is unknown, or anything was changed or moved.
        """
        wrapper = self.wrapping.get(key_version)
        if wrapper is None:
            raise unknown_key()
        prefix = self._data_key_prefix + ctx.secret_tail(name, version) + ctx.LEN8
        place = scratch()
        try:
            wrapper.open_into(wrapped, prefix + ctx.u64(key_version), place.view)
            self.wraps += 1
            return self.wrapping[self.current].seal(place.view, prefix + ctx.u64(self.current))
        finally:
            place.wipe()

    def seal_meta(self, name: bytes, body: bytes) -> bytes:
        """Seal a secret's metadata under the current metadata key."""
        return self.meta[self.meta_current].seal(body, self._meta_context(name, self.meta_current))

    def open_meta(self, name: bytes, meta_version: int, box: bytes) -> bytes:
        """Open a secret's metadata.

        Raises:
            IntegrityError: The key version is unknown, or anything was changed or moved.
        """
        key = self.meta.get(meta_version)
        if key is None:
            raise unknown_key()
        return key.open(box, self._meta_context(name, meta_version))

    def seal_object(self, bucket: bytes, ident: bytes, body: bytes) -> bytes:
        """Seal an object under the current metadata key."""
        version = self.meta_current
        return self.meta[version].seal(body, self._object_context(bucket, ident, version))

    def open_object(self, bucket: bytes, ident: bytes, meta_version: int, box: bytes) -> bytes:
        """Open an object.

        Raises:
            IntegrityError: The key version is unknown, or anything was changed or moved.
        """
        key = self.meta.get(meta_version)
        if key is None:
            raise unknown_key()
        return key.open(box, self._object_context(bucket, ident, meta_version))

    def seal_token(self, body: bytes) -> bytes:
        """Seal a batch token under the current metadata key."""
        return self.meta[self.meta_current].seal(body, self._token_context(self.meta_current))

    def open_token(self, meta_version: int, box: bytes) -> bytes:
        """Open a batch token.

        Raises:
            IntegrityError: The key version is unknown, or it was not sealed here.
        """
        key = self.meta.get(meta_version)
        if key is None:
            raise unknown_key()
        return key.open(box, self._token_context(meta_version))

    def _token_context(self, meta_version: int) -> bytes:
        place = (self.store_id, self.user, ctx.u64(meta_version))
        return ctx.encode(ctx.LABEL_BATCH_TOKEN, *place)

    def _object_context(self, bucket: bytes, ident: bytes, meta_version: int) -> bytes:
        return self._object_prefix + ctx.LEN16 + bucket + ctx.secret_tail(ident, meta_version)

    def _meta_context(self, name: bytes, meta_version: int) -> bytes:
        return self._meta_prefix + ctx.secret_tail(name, meta_version)


def unknown_key() -> IntegrityError:
    """The refusal of a row that names a key which does not exist."""
    return IntegrityError(
        "stored data names a key that does not exist: it was changed, or its key was destroyed",
        hint="Run 'adyton audit verify', and restore the store from a backup if it was changed.",
    )
